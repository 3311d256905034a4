"""The three tabs of the page: describe a style, match a voice, look at relations.

In: an `Engine`, inside an open `gr.Blocks`. Out: widgets and their events. Handlers convert, call
the engine and format. Deliberately not here: HTML of results (`cards`), what happens when a
request fails and what programs may call (`answers`), the page around the tabs (`interface`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from raclap import cards, figures
from raclap.answers import IN_TURN, addresses, given, told
from raclap.config import InputError
from raclap.corpus import Clip
from raclap.search import Engine
from raclap.style import overlap

EXAMPLES = (
    "a frightened woman whispering fast",
    "an angry man shouting",
    "calm, slow and low",
    "joyful and high-pitched",
    "sad and quiet, close to tears",
    "surprised, loud and fast",
)

_MOST_RESULTS = 50
_MOST_COMPARED = 24
_PARTLY = (
    "A description rarely fits just one clip: *an angry man* also partly fits an angry woman, and "
    "a calm man. The first map shows how similar each pair is to the model (cosine); the second "
    "shows the soft relations that taught it, as the share of each clip that its teacher gives to "
    "every description, so that partly matching pairs count in part."
)
_EMPTY = Markup('<p class="empty">{}</p>')
_EVENT = IN_TURN | {"api_visibility": "private"}


def style_tab(engine: Engine) -> None:
    """Type a style, hear the clips that sound like it."""
    with gr.Row(elem_classes="ask"):
        query = gr.Textbox(
            label="How should it sound?",
            placeholder="a tired man, speaking slowly",
            max_lines=3,
            scale=5,
            min_width=240,
        )
        button = gr.Button("Search", variant="primary", scale=1, min_width=120)
    with gr.Row(elem_classes="chips"):
        chips = [gr.Button(text, size="sm", min_width=40) for text in EXAMPLES]
    # A facet with one value filters nothing.
    facets = {name: values for name, values in engine.gallery.facets().items() if len(values) > 1}
    with gr.Accordion("Filters and number of results", open=False):
        with gr.Row():
            filters = [
                gr.Dropdown(
                    [("any", ""), *((cards.word(name, value), value) for value in values)],
                    value="",
                    label=cards.TITLES.get(name, name.capitalize()),
                    min_width=150,
                )
                for name, values in facets.items()
            ]
        top = gr.Slider(1, _MOST_RESULTS, value=10, step=1, label="Number of results")
    status = _announcement()
    results = gr.HTML(_EMPTY.format("Type a style, or pick one of the examples above."))

    def search(query: str, top: float, *chosen: str) -> tuple[str, Markup]:
        where = {name: value for name, value in zip(facets, chosen, strict=True) if value}
        hits = engine.search_text(query, int(top), where)
        return cards.count(hits, where), cards.cards(hits, addresses(engine))

    def run_example(text: str, *rest: Any) -> tuple[str, str, Markup]:
        return text, *search(text, *rest)

    def refine(query: str, *rest: Any) -> tuple[str, Markup] | dict[str, Any]:
        return search(query, *rest) if query.strip() else gr.skip()

    settings = [top, *filters]
    asked = [button.click, query.submit]
    gr.on(asked, told(search), [query, *settings], [status, results], **_EVENT)
    changed = [top.release, *(box.input for box in filters)]
    gr.on(changed, told(refine), [query, *settings], [status, results], **_EVENT)
    for chip in chips:
        chip.click(told(run_example), [chip, *settings], [query, status, results], **_EVENT)


def voice_tab(engine: Engine) -> None:
    """Give a voice, read how it is spoken and hear what sounds alike."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            voice = gr.Audio(
                type="filepath",
                sources=["upload", "microphone"],
                label="A voice, up to ten minutes",
                buttons=[],
                elem_id="voice",
            )
            button = gr.Button("Read this voice", variant="primary")
            top = gr.Slider(1, _MOST_RESULTS, value=6, step=1, label="Number of similar clips")
        with gr.Column(scale=5, min_width=300):
            status = _announcement()
            heard = gr.HTML(_EMPTY.format("Upload or record a voice to read how it is spoken."))
    similar = gr.HTML()

    def match(clip: str | None, top: float) -> tuple[str, Markup, Markup]:
        path = given(clip)
        read, hits = engine.describe(path), engine.search_clip(path, int(top))
        alike = Markup("<h2>Clips that sound most alike</h2>{}")
        return (
            f"Heard {read.seconds:.1f} s of sound.",
            cards.reading(read),
            alike.format(cards.cards(hits, addresses(engine))),
        )

    asked = [button.click, voice.upload, voice.stop_recording]
    gr.on(asked, told(match), [voice, top], [status, heard, similar], **_EVENT)


def relations_tab(engine: Engine) -> None:
    """Choose clips and descriptions, see how each pair matches."""
    gallery = engine.gallery
    gr.Markdown(_PARTLY)
    with gr.Row():
        chosen = gr.Dropdown(
            [(cards.label(clip), clip.id) for clip in gallery.clips],
            value=[clip.id for clip in _varied(gallery.clips, 6)],
            multiselect=True,
            max_choices=_MOST_COMPARED,
            label="Clips of the gallery",
            min_width=300,
        )
        texts = gr.Textbox(
            "\n".join(EXAMPLES), lines=6, label="Descriptions, one a line", min_width=300
        )
    button = gr.Button("Draw", variant="primary")
    status = _announcement()
    maps = [
        gr.Image(
            label=label, show_label=False, format="png", buttons=["fullscreen"], elem_classes="map"
        )
        for label in ("Similarity", "Soft relations")
    ]
    with gr.Accordion("The same numbers as a table", open=False):
        headers = ["Clip", "Description", "Similarity (cosine)", "Relation (share)"]
        table = gr.Dataframe(headers=headers, interactive=False, show_label=False, wrap=True)

    def relate(ids: list[str], lines: str) -> tuple[str, gr.Image, gr.Image, list[list[str]]]:
        wanted = [text for line in lines.splitlines() if (text := line.strip())]
        if len(wanted) > _MOST_COMPARED:
            raise InputError(f"These are {len(wanted)} descriptions; keep {_MOST_COMPARED}.")
        found = engine.compare(ids, wanted)
        names = [cards.name(gallery.clips[gallery.rows[id]]) for id in ids]
        alike = figures.similarity_heatmap(found.similarity, names, wanted)
        shares = figures.relation_heatmap(found.relation, names, wanted)
        cells = [(n, m) for n in range(len(names)) for m in range(len(wanted))]
        return (
            f"{len(names)} clips against {len(wanted)} descriptions.",
            _picture(alike, _spoken("Similarity", found.similarity, names, wanted)),
            _picture(shares, _spoken("Soft relations", found.relation, names, wanted)),
            [
                [
                    names[n],
                    wanted[m],
                    f"{found.similarity[n, m]:.2f}",
                    f"{found.relation[n, m]:.0%}",
                ]
                for n, m in cells
            ],
        )

    button.click(told(relate), [chosen, texts], [status, *maps, table], **_EVENT)


def _announcement() -> gr.HTML:
    """A line that screen readers speak whenever it changes."""
    return gr.HTML("", elem_classes="status", js_on_load="element.setAttribute('role', 'status')")


def _varied(clips: Sequence[Clip], most: int) -> list[Clip]:
    """Clips of styles as different as can be, starting with the first."""
    chosen = list(clips[:1])
    while len(chosen) < min(most, len(clips)):
        rest = [clip for clip in clips if clip not in chosen]
        chosen.append(
            min(rest, key=lambda clip: max(overlap(clip.style, one.style) for one in chosen))
        )
    return chosen


def _picture(figure: Figure, words: str) -> gr.Image:
    """Return a figure as an image that says in words what it shows."""
    figure.set_dpi(150)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return gr.Image(np.asarray(canvas.buffer_rgba())[..., :3], alt_text=words)


def _spoken(kind: str, matrix: np.ndarray, names: Sequence[str], texts: Sequence[str]) -> str:
    row, column = np.unravel_index(np.argmax(matrix), matrix.shape)
    return (
        f"{kind} of {len(names)} clips and {len(texts)} descriptions. Highest: {names[row]} with "
        f"“{texts[column]}”, {matrix[row, column]:.2f}. The table below has every number."
    )
