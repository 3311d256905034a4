"""The tab that searches: a description, what is not wanted, filters; ranked cards.

In: a `Shelf`, inside an open `gr.Blocks`. Out: widgets and their events. Deliberately not here:
HTML of results (`cards`), the arithmetic of a search (`ranking`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import shorten
from typing import Any

import gradio as gr
from markupsafe import Markup

from raclap import cards
from raclap.answers import glimpses, sounds, told
from raclap.index import FACETS
from raclap.search import Engine
from raclap.shelf import Shelf
from raclap.style import LEVELS, VALUES
from raclap.widgets import (
    ARRIVE,
    EVENT,
    EXAMPLES,
    LATEST,
    LIGHT,
    MOST_RESULTS,
    QUIET,
    SOME,
    Fitting,
    announcement,
    assorted,
    chips,
    markup,
)
from raclap.words import counted, heading, listed, word

_Named = Mapping[str, tuple[str, ...]]

_ABOUT = (
    "Describe how something should sound and hear the clips that sound like it, or give a voice "
    "and read how it is spoken."
)
_TASTE = "A taste of what is here; describe a style above to rank the clips."
_UNRANKED = "Describe a style above to rank them."
_HEADING = '<h2 id="found" tabindex="-1">Results</h2>'
_DEAD_END = Markup('<div class="empty"><p>Without one of the filters:</p><ul>{}</ul></div>')


def finder(
    shelf: Shelf, chosen: gr.Textbox
) -> tuple[Fitting, Callable[..., None], Callable[..., None]]:
    """Type a style, hear the clips that sound like it.

    Args:
        shelf: searches.
        chosen: holds the name of the gallery.

    Returns:
        What changes with the gallery; what to call with the ``then`` of the event after which the
        page asks what its address asks; and with that after which it asks its question anew.
    """
    gr.Markdown(_ABOUT)
    with gr.Row(elem_classes="ask"):
        query = gr.Textbox(
            "",
            label="How should it sound?",
            placeholder="a sad man, speaking slowly",
            max_lines=3,
            scale=5,
            min_width=240,
        )
        without = gr.Textbox(
            "",
            label="But not",
            placeholder="whispering",
            max_lines=3,
            scale=2,
            min_width=160,
        )
        button = gr.Button("Search", variant="primary", scale=1, min_width=120)
    examples = chips(EXAMPLES)
    with gr.Row(elem_classes="beside"):
        with (
            gr.Column(scale=1, min_width=230),
            gr.Accordion("Filters", open=True, elem_id="filters"),
        ):
            filters = {name: gr.Dropdown(**box) for name, box in _filters(shelf.first).items()}
            varied = gr.Checkbox(False, label="Varied voices", info=_variety(shelf.first))
            top = gr.Slider(1, MOST_RESULTS, value=10, step=1, label="Number of results")
            clear = gr.Button("Clear filters", size="sm")
        with gr.Column(scale=4, min_width=300):
            markup(_HEADING, elem_classes="aside")
            line, taste = _first(shelf.first)
            status = announcement(line)
            results = markup(taste, elem_id="results")
            more = gr.Button("Show 10 more", elem_id="more", min_width=160)
    # What is answered, for the address: the form may hold another question by then.
    answered = gr.JSON(_nothing(shelf.first), label="Answered", visible="hidden")

    names = list(filters)
    settings = [without, varied, top, *filters.values()]

    def search(
        engine: Engine, query: str, without: str, varied: bool, top: float, *values: str
    ) -> tuple[list[Any], str, Markup]:
        now, top = [engine.name, query, without, varied, top, *values], int(top)
        where = {name: value for name, value in zip(names, values, strict=True) if value}
        if where and not (query.strip() or without.strip()):
            return now, *_unranked(engine, where, top)
        # One more than is shown tells whether there are more.
        hits = engine.search_text(query, top + 1, where, without=without, varied=varied)
        further, hits = len(hits) > top < MOST_RESULTS, hits[:top]
        wanted, unwanted = engine.sought(query, without)
        asked, named = engine.understood(wanted), engine.named(wanted)
        shown = (
            cards.cards(
                hits,
                sounds(engine),
                asked,
                named,
                query=wanted,
                without=unwanted,
                more=further,
            )
            if hits
            else _ways_out(engine, where)
        )
        remarks = [*engine.remarks(query), *(engine.remarks(without) if without.strip() else ())]
        remarks += _torn(named, engine.named(unwanted) if unwanted else {})
        said = {"asked": asked, "named": named, "denied": unwanted, "remarks": remarks}
        return now, cards.count(hits, where, varied=varied, **said), shown

    def refine(
        engine: Engine, before: list[Any], query: str, *rest: Any
    ) -> tuple[list[Any], str, Markup] | dict[str, Any]:
        """Answer what the form asks now, unless that is answered: a list is left, too."""
        asks = query.strip() or rest[0].strip() or any(rest[-len(names) :])
        now = [engine.name, query, *rest] if asks else _nothing(engine)
        if now == before:
            return gr.skip()
        return search(engine, query, *rest) if asks else (now, *_first(engine))

    def still(before: list[Any]) -> str | dict[str, Any]:
        """Say to what the clips below are the answer, when another question was refused."""
        if len(before) == 1:
            return gr.skip()
        what = f" for “{shorten(before[1], 80, placeholder=' …')}”" if before[1].strip() else ""
        return f"Not answered. Below is still what was found{what or ' before'}."

    def reproduce(engine: Engine, request: gr.Request) -> list[Any]:
        """Fill the form from the address and search; what the address gets wrong is left out."""
        wanted = dict(request.query_params)
        query, values = wanted.get("q", ""), _settings(engine, names, wanted)
        if not (query.strip() or values[0].strip() or any(values[-len(names) :])):
            return [gr.skip()] * (len(settings) + 4)
        return [query, *values, *search(engine, query, *values)]

    # The address changes in the browser only, once the results are there.
    keys = ["gallery", "q", "not", "varied", "top", *names]
    remember = f"(values) => window.raclap.remember({keys!r}, values)"
    inputs, shown = [chosen, query, *settings], [answered, status, results]
    again = {"fn": told(refine, shelf), "inputs": [chosen, answered, *inputs[1:]]}
    again |= {"outputs": shown, **LATEST}
    asked = [
        gr.on(
            [button.click, query.submit, without.submit],
            told(search, shelf),
            inputs,
            shown,
            **LATEST,
        )
    ]
    for chip in examples:
        filled = chip.click(None, chip, query, js="(text) => text", **LIGHT)
        asked.append(filled.then(told(search, shelf), inputs, shown, **LATEST))
    grown = more.click(lambda top: min(MOST_RESULTS, top + 10), top, top, **LIGHT).then(**again)
    grown.success(None, None, None, js="() => window.raclap.further()", **LIGHT)
    # Gradio tells `top.input` of a hand on the slider alone.
    refined = [
        grown,
        gr.on([varied.input, top.input, *(box.input for box in filters.values())], **again),
        clear.click(
            lambda: [False, *[""] * len(names)], None, [varied, *filters.values()], **LIGHT
        ).then(**again),
    ]
    for done in (*asked, *refined):
        done.success(None, answered, None, js=remember, **LIGHT)
        done.failure(still, answered, status, **LIGHT)
    for done in asked:
        done.success(None, None, None, js=ARRIVE, **LIGHT)

    def arrive(then: Callable[..., Any]) -> None:
        then(told(reproduce, shelf), chosen, [query, *settings, *shown], **EVENT | QUIET)

    def renew(then: Callable[..., Any]) -> None:
        then(**again).success(None, answered, None, js=remember, **LIGHT)

    def fit(engine: Engine) -> list[Any]:
        boxes = [gr.Dropdown(**box) for box in _filters(engine).values()]
        return [*boxes, gr.Checkbox(info=_variety(engine)), _nothing(engine), *_first(engine)]

    parts = [*filters.values(), varied, *shown]
    return Fitting(parts=parts, values=fit), arrive, renew


def _filters(engine: Engine) -> dict[str, dict[str, Any]]:
    """A choice for each facet; one with a single value filters nothing, and is not seen."""
    some, facets, boxes = engine.gallery.clips[:SOME], engine.gallery.facets(), {}
    for name in FACETS:
        counts, leveled = facets.get(name, {}), VALUES.get(name) == LEVELS
        boxes[name] = {
            "choices": [
                ("any", ""),
                *(
                    (f"{word(name, value)} ({counts[value]})", value)
                    for value in (sorted(counts, key=LEVELS.index) if leveled else counts)
                ),
            ],
            "value": "",
            "label": heading(name, some),
            "min_width": 120,
            "visible": len(counts) > 1,
        }
    return boxes


def _first(engine: Engine) -> tuple[str, Markup]:
    """What can be heard before anything is asked."""
    return _TASTE, cards.taste(assorted(engine.gallery.clips, 6), glimpses(engine))


def _nothing(engine: Engine) -> list[Any]:
    """What is answered before anything is asked: which gallery it is, and no more."""
    return [engine.name]


def _variety(engine: Engine) -> str:
    """What varied voices are; where no speaker is known, nobody can be counted."""
    if "speaker" in engine.gallery.facets():
        return "At most two clips of a speaker, none twice"
    return "None that sounds just like a better one"


def _unranked(engine: Engine, where: Mapping[str, str], top: int) -> tuple[str, Markup]:
    """What satisfies the filters, where nothing else is asked."""
    rows = engine.gallery.matching(where)
    if not len(rows):
        return cards.count([], where), _ways_out(engine, where)
    further = len(rows) > top
    line = f"{counted(len(rows), 'clip')}: {listed(where)}."
    line += f" Here are {top} of them, as different as can be." if further else ""
    clips = engine.gallery.records(rows[:SOME].tolist())
    shown = cards.taste(assorted(clips, top), sounds(engine), more=further and top < MOST_RESULTS)
    return f"{line} {_UNRANKED}", shown


def _ways_out(engine: Engine, where: Mapping[str, str]) -> Markup:
    """Tell which filter could be taken away, and how many clips that would leave."""
    left = {}
    for name, value in where.items():
        rest = {other: each for other, each in where.items() if other != name}
        left[word(name, value)] = len(engine.gallery.matching(rest))
    said = Markup("<li>without <strong>{}</strong>: {}</li>")
    return _DEAD_END.format(
        Markup("").join(said.format(each, counted(n, "clip")) for each, n in left.items())
    )


def _torn(wanted: _Named, unwanted: _Named) -> list[str]:
    """Say what is asked for and not wanted at once."""
    both = [
        word(name, value)
        for name, values in wanted.items()
        for value in values
        if value in unwanted.get(name, ())
    ]
    return [f"Asked for and not wanted at once: {', '.join(both)}."] if both else []


def _settings(engine: Engine, names: list[str], wanted: Mapping[str, str]) -> list[Any]:
    """The form's values after the query, as an address asks for them."""
    facets, top = engine.gallery.facets(), wanted.get("top", "")
    return [
        wanted.get("not", ""),
        wanted.get("varied", "") == "true",
        # Of thousands of digits Python makes no number.
        min(MOST_RESULTS, max(1, int(top[:9]))) if top.isdecimal() else 10,
        *(
            wanted.get(name, "") if wanted.get(name) in facets.get(name, ()) else ""
            for name in names
        ),
    ]
