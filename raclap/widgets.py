"""What the tabs of the page share: small widgets, and how one tab tells another of a clip.

In: a `Shelf`, inside an open `gr.Blocks`. Out: widgets. Deliberately not here: the tabs.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from markupsafe import Markup

from raclap.answers import IN_TURN
from raclap.config import InputError
from raclap.corpus import Clip
from raclap.search import Engine, Hit
from raclap.style import Style, overlap
from raclap.words import label, natural

EXAMPLES = (
    "a frightened woman whispering fast",
    "an angry man shouting",
    "calm, slow and low",
    "joyful and high-pitched",
    "sad and quiet, close to tears",
    "surprised, loud and fast",
)
MOST_RESULTS = 50
SOME = 2_000  # clips that are looked at for what all are like, so that a large gallery opens soon
EVENT = IN_TURN | {"api_visibility": "private"}
LATEST = EVENT | {"trigger_mode": "always_last"}  # of a slider on the move
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
LIGHT = QUIET | {"queue": False}  # for what can neither fail nor take long
TYPE = "Type to find one"  # of a long list of clips
ARRIVE = "() => window.raclap.arrive()"
EMPTY = Markup('<p class="empty">{}</p>')
# Names of clips and words of queries are said as text. {{value}} would not do: Gradio evaluates
# what a template gives once more, so that a ${...} in a name would run.
_AS_TEXT = "${String(value ?? '').replace(/&/g, '&amp;').replace(/</g, '&lt;')}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """An event by which any card or point says something of its clip.

    Attributes:
        event: to listen to.
        clip: the one of an engine's gallery that it is about, from the event's data.
    """

    event: Callable[..., Any]
    clip: Callable[[Engine, gr.EventData], str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitting:
    """What of a tab changes with the gallery.

    Attributes:
        parts: components of the tab.
        values: what they show for an engine when nothing has been asked yet.
    """

    parts: list[Any]
    values: Callable[[Engine], list[Any]]


def bus(name: str) -> gr.HTML:
    """Return what page.js clicks, unseen, to say something under a name."""
    return gr.HTML(
        "",
        visible="hidden",
        js_on_load=f"window.raclap.channels[{name!r}] = (said) => trigger('click', said)",
    )


def channel(name: str) -> Told:
    """Return the event of the buttons with ``data-tell="name"``, wherever they are."""

    def clip(engine: Engine, said: gr.EventData) -> str:
        if said.clip not in engine.gallery.rows:
            raise InputError("This clip is not in the gallery.")
        return said.clip

    return Told(event=bus(name).click, clip=clip)


def markup(value: str = "", **options: Any) -> gr.HTML:
    """Return a place for HTML that style.css alone dresses."""
    return gr.HTML(value, apply_default_css=False, **options)


def announcement(value: str = "") -> gr.HTML:
    """Return a line of plain text that screen readers speak whenever it changes."""
    return markup(
        value,
        elem_classes="status",
        html_template=_AS_TEXT,
        js_on_load="element.setAttribute('role', 'status')",
    )


def if_still(
    on: Callable[..., Any],
    handler: Callable[..., Any],
    inputs: list[Any],
    shown: list[Any],
    of: list[Any],
    **how: Any,
) -> Any:
    """Run a handler that takes its time, and show what it says only if that is still asked.

    Args:
        on: event that runs it.
        handler: its values are for ``shown``.
        inputs: components.
        shown: components.
        of: those of ``inputs`` by another value of which the answer would no longer be true.
        how: else of the event.

    Returns:
        The event after which it is shown.
    """
    answer, places = gr.State(), [inputs.index(each) for each in of]

    @functools.wraps(handler)
    def run(*given: Any) -> tuple[list[Any], Any]:
        return [given[at] for at in places], handler(*given)

    def show(answer: tuple[list[Any], Any], *now: Any) -> list[Any]:
        asked, said = answer
        values = [said] if len(shown) == 1 else [*said]
        return [None, *(values if asked == [*now] else [gr.skip()] * len(shown))]

    # The progress is that of what is shown, though it takes a step more.
    ran = on(run, inputs, answer, show_progress_on=shown, **how)
    return ran.success(show, [answer, *of], [answer, *shown], **LIGHT)


def arrivals(voice: gr.Audio, picked: gr.Dropdown) -> list[tuple[Callable[..., Any], Any]]:
    """Return the events by which a voice arrives, each with what it takes the place of.

    Args:
        voice: an upload or a recording.
        picked: a clip of the gallery instead.
    """

    def if_chosen(clip: str | None) -> None:
        """End a chain of events without a word where the list is empty (again)."""
        if not clip:
            raise gr.Error(visible=False, print_exception=False)

    # Gradio tells of input when a list is left, too, whatever was chosen before.
    picking = picked.change(if_chosen, picked, None, **QUIET).success
    return [(voice.upload, picked), (voice.stop_recording, picked), (picking, voice)]


def clip_choices(engine: Engine) -> list[tuple[str, str]]:
    """Return (label, id) of every clip of the gallery, 2 before 10."""
    choices = [(label(clip), clip.id) for clip in engine.gallery.clips]
    return sorted(choices, key=lambda choice: natural(choice[0]))


def assorted(clips: Sequence[Clip], most: int) -> list[Clip]:
    """Return clips of styles as different as can be, starting with the first."""
    rest: dict[Style, deque[tuple[int, Clip]]] = {}  # many clips have one style
    for row, clip in enumerate(clips[:SOME]):
        rest.setdefault(clip.style, deque()).append((row, clip))
    likeness = dict.fromkeys(rest, 0.0)  # of each style to the likest that is chosen
    chosen, compared = [], set()
    while rest and len(chosen) < most:
        style = min(rest, key=lambda each: (likeness[each], rest[each][0][0]))
        chosen.append(rest[style].popleft()[1])
        if style not in compared:
            compared.add(style)
            likeness = {
                each: max(before, overlap(each, style)) for each, before in likeness.items()
            }
        if not rest[style]:
            del rest[style]
    return chosen


def chips(texts: Sequence[str]) -> list[gr.Button]:
    """Return a row of buttons, one a text."""
    with gr.Row(elem_classes="chips"):
        return [gr.Button(text, size="sm", min_width=40) for text in texts]


def others(hits: Sequence[Hit], own: Clip | None, most: int | None = None) -> list[Hit]:
    """Return the hits without ``own``, ranked anew: that a clip is like itself is no news."""
    rest = [hit for hit in hits if own is None or hit.clip.id != own.id][:most]
    return [replace(hit, rank=rank) for rank, hit in enumerate(rest, start=1)]
