"""The tab that shows the whole gallery as a map, and where a description lies in it.

In: a `Shelf`, inside an open `gr.Blocks`. Out: widgets and their events. Deliberately not here:
drawing (`atlas`), places (`sketch`).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr
from markupsafe import Markup

from raclap.answers import address, told
from raclap.atlas import NEAREST, atlas
from raclap.search import Engine
from raclap.shelf import Shelf
from raclap.widgets import EVENT, SOME, Fitting, announcement, markup
from raclap.words import ended, heading, label

_MARKED = 10
_ABOUT = (
    "Every point is a clip; clips that sound alike to the model lie close. The layout keeps "
    "neighbourhoods, not distances: two groups far apart are different, but not twice as different "
    "as two half as far. Drag to move when zoomed in; Ctrl and the wheel zoom, too."
)


def explorer(shelf: Shelf, chosen: gr.Textbox, tab: gr.Tab) -> Fitting:
    """Look at the gallery, hear its clips, mark a description.

    Args:
        shelf: the chosen gallery is drawn when the tab is opened.
        chosen: holds its name.
        tab: this tab.
    """
    gr.Markdown(_ABOUT)
    with gr.Row(elem_classes="ask"):
        colour = gr.Dropdown(
            **_colours(shelf.first),
            label="Colour by",
            scale=1,
            min_width=180,
        )
        query = gr.Textbox(
            "",
            label="Mark a description",
            placeholder="an angry man shouting",
            max_lines=1,
            scale=3,
            min_width=240,
        )
        button = gr.Button("Mark", variant="primary", scale=1, min_width=100)
    status = announcement()
    drawn = markup(elem_id="map")

    def draw(engine: Engine, colour: str, query: str) -> tuple[str, Markup]:
        hits = engine.search_text(query, _MARKED) if query.strip() else []
        gallery = engine.gallery
        shown = atlas(gallery.clips, engine.sketch.places, partial(address, engine), colour, hits)
        if not hits:
            return "", shown
        said = "The nearest clip is ringed."
        if (count := len(hits)) > 1:
            amid = "the first five" if count > NEAREST else "them"
            said = f"The {count} nearest clips are ringed; the star lies amid {amid}."
        remarks = engine.remarks(query)
        return " ".join([said, ended(f"Nearest: {label(hits[0].clip)}"), *remarks]), shown

    asked = [tab.select, button.click, query.submit, colour.input]
    gr.on(asked, told(draw, shelf), [chosen, colour, query], [status, drawn], **EVENT)
    return Fitting(
        parts=[colour, status, drawn],
        values=lambda engine: [gr.Dropdown(**_colours(engine)), "", ""],
    )


def _colours(engine: Engine) -> dict[str, Any]:
    """By what a gallery can be coloured, and by what it is at first."""
    facets = [name for name, values in engine.gallery.facets().items() if len(values) > 1]
    some = engine.gallery.clips[:SOME]
    choices = [(heading(name, some), name) for name in facets] or [("Clip", "id")]
    return {
        "choices": choices,
        "value": "emotion" if "emotion" in facets else choices[0][1],
    }
