"""The tab that searches: a description, what is not wanted, filters; ranked cards.

In: a `Shelf`, inside an open `gr.Blocks`. Out: widgets and their events. Deliberately not here:
HTML of results (`cards`), the arithmetic of a search (`ranking`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from raclap import cards
from raclap.answers import sounds, told
from raclap.index import FACETS
from raclap.search import Engine
from raclap.shelf import Shelf
from raclap.widgets import (
    ARRIVE,
    EMPTY,
    EVENT,
    EXAMPLES,
    LATEST,
    LIGHT,
    MOST_RESULTS,
    QUIET,
    Fitting,
    announcement,
    chips,
    markup,
)
from raclap.words import TITLES, word

_START = EMPTY.format("Type a style, or pick one of the examples above.")


def finder(shelf: Shelf, chosen: gr.Textbox) -> tuple[Fitting, Callable[..., None]]:
    """Type a style, hear the clips that sound like it.

    Args:
        shelf: searches.
        chosen: holds the name of the gallery.

    Returns:
        What changes with the gallery, and what to call with the ``then`` of the event after which
        the page asks what its address asks.
    """
    with gr.Row(elem_classes="ask"):
        query = gr.Textbox(
            "",
            label="How should it sound?",
            placeholder="a tired man, speaking slowly",
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
            varied = gr.Checkbox(
                False, label="Varied voices", info="At most two clips of a speaker, none twice"
            )
            top = gr.Slider(1, MOST_RESULTS, value=10, step=1, label="Number of results")
            clear = gr.Button("Clear filters", size="sm")
        with gr.Column(scale=4, min_width=300):
            status = announcement()
            results = markup(_START, elem_id="results")

    names = list(filters)
    settings = [without, varied, top, *filters.values()]

    def search(
        engine: Engine, query: str, without: str, varied: bool, top: float, *values: str
    ) -> tuple[str, Markup]:
        where = {name: value for name, value in zip(names, values, strict=True) if value}
        hits = engine.search_text(query, int(top), where, without=without, varied=varied)
        wanted, unwanted = engine.parted(query, without)
        asked, named = engine.understood(wanted), engine.named(wanted)
        shown = cards.cards(hits, sounds(engine), asked, named, query=wanted, without=unwanted)
        remarks = [*engine.remarks(query), *(engine.remarks(without) if without.strip() else ())]
        said = {"asked": asked, "named": named, "denied": unwanted, "remarks": remarks}
        return cards.count(hits, where, varied=varied, **said), shown

    def run_example(engine: Engine, text: str, *rest: Any) -> tuple[str, str, Markup]:
        return text, *search(engine, text, *rest)

    def refine(engine: Engine, query: str, *rest: Any) -> tuple[str, Markup] | dict[str, Any]:
        return search(engine, query, *rest) if query.strip() else gr.skip()

    def reproduce(engine: Engine, request: gr.Request) -> list[Any]:
        """Fill the form from the address and search; what the address gets wrong is left out."""
        wanted = dict(request.query_params)
        if not wanted.get("q", "").strip():
            return [gr.skip()] * (len(settings) + 3)
        values = _settings(engine, names, wanted)
        return [wanted["q"], *values, *search(engine, wanted["q"], *values)]

    # The address changes in the browser only, once the results are there.
    keys = ["gallery", "q", "not", "varied", "top", *names]
    remember = f"(...values) => window.raclap.remember({keys!r}, values)"
    shown, inputs = [status, results], [chosen, query, *settings]
    asked = gr.on(
        [button.click, query.submit, without.submit], told(search, shelf), inputs, shown, **EVENT
    )
    changed = [varied.input, *(box.input for box in filters.values())]
    refined = gr.on(changed, told(refine, shelf), inputs, shown, **EVENT)
    resized = top.input(told(refine, shelf), inputs, shown, **LATEST)
    cleared = clear.click(
        lambda: [False, *[""] * len(names)], None, [varied, *filters.values()], **LIGHT
    ).then(told(refine, shelf), inputs, shown, **EVENT)
    ran = [
        chip.click(told(run_example, shelf), [chosen, chip, *settings], [query, *shown], **EVENT)
        for chip in examples
    ]
    for done in (asked, refined, resized, cleared, *ran):
        done.success(None, inputs, None, js=remember, **LIGHT)
    for done in (asked, *ran):
        done.success(None, None, None, js=ARRIVE, **LIGHT)

    def arrive(then: Callable[..., Any]) -> None:
        then(told(reproduce, shelf), chosen, [query, *settings, *shown], **EVENT | QUIET)

    def fit(engine: Engine) -> list[Any]:
        return [*(gr.Dropdown(**box) for box in _filters(engine).values()), "", _START]

    return Fitting(parts=[*filters.values(), *shown], values=fit), arrive


def _filters(engine: Engine) -> dict[str, dict[str, Any]]:
    """A choice for each facet; one with a single value filters nothing, and is not seen."""
    clips, facets, boxes = engine.gallery.clips, engine.gallery.facets(), {}
    for name in FACETS:
        held = Counter(getattr(clip, name) for clip in clips)
        values = facets.get(name, [])
        boxes[name] = {
            "choices": [
                ("any", ""),
                *((f"{word(name, value)} ({held[value]})", value) for value in values),
            ],
            "value": "",
            "label": TITLES.get(name, name.capitalize()),
            "min_width": 120,
            "visible": len(values) > 1,
        }
    return boxes


def _settings(engine: Engine, names: list[str], wanted: Mapping[str, str]) -> list[Any]:
    """The form's values after the query, as an address asks for them."""
    facets, top = engine.gallery.facets(), wanted.get("top", "")
    return [
        wanted.get("not", ""),
        wanted.get("varied", "") == "true",
        min(MOST_RESULTS, max(1, int(top))) if top.isdecimal() else 10,
        *(
            wanted.get(name, "") if wanted.get(name) in facets.get(name, ()) else ""
            for name in names
        ),
    ]
