"""What the tabs of the page share: small widgets, and how one tab tells another of a clip.

In: a `Shelf`, inside an open `gr.Blocks`. Out: widgets. Deliberately not here: the tabs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from markupsafe import Markup

from raclap.answers import IN_TURN
from raclap.config import InputError
from raclap.corpus import Clip
from raclap.search import Engine, Hit
from raclap.words import label

EXAMPLES = (
    "a frightened woman whispering fast",
    "an angry man shouting",
    "calm, slow and low",
    "joyful and high-pitched",
    "sad and quiet, close to tears",
    "surprised, loud and fast",
)
MOST_RESULTS = 50
EVENT = IN_TURN | {"api_visibility": "private"}
LATEST = EVENT | {"trigger_mode": "always_last"}  # of a slider on the move
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
LIGHT = QUIET | {"queue": False}  # for what can neither fail nor take long
ARRIVE = "() => window.raclap.arrive()"
EMPTY = Markup('<p class="empty">{}</p>')


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


def announcement() -> gr.HTML:
    """Return a line that screen readers speak whenever it changes."""
    return markup(elem_classes="status", js_on_load="element.setAttribute('role', 'status')")


def clip_choices(engine: Engine) -> list[tuple[str, str]]:
    """Return (label, id) of every clip of the gallery."""
    return [(label(clip), clip.id) for clip in engine.gallery.clips]


def chips(texts: Sequence[str]) -> list[gr.Button]:
    """Return a row of buttons, one a text."""
    with gr.Row(elem_classes="chips"):
        return [gr.Button(text, size="sm", min_width=40) for text in texts]


def others(hits: Sequence[Hit], own: Clip | None, most: int | None = None) -> list[Hit]:
    """Return the hits without ``own``, ranked anew: that a clip is like itself is no news."""
    rest = [hit for hit in hits if own is None or hit.clip.id != own.id][:most]
    return [replace(hit, rank=rank) for rank, hit in enumerate(rest, start=1)]
