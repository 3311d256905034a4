"""The tab of relations: clips and descriptions of one's own choice, held against each other.

In: a `Shelf`, inside an open `gr.Blocks`. Out: widgets and their events. Deliberately not here:
the tables (`matrix`), their pictures (`heatmaps`).
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from markupsafe import Markup

from raclap import canvas, heatmaps
from raclap.answers import address, told
from raclap.comparison import Comparison
from raclap.config import InputError, RelationConfig
from raclap.matrix import matrices
from raclap.search import Engine
from raclap.sheets import comparison_rows, csv_of, data_uri
from raclap.shelf import Shelf
from raclap.widgets import (
    EMPTY,
    EVENT,
    EXAMPLES,
    LATEST,
    QUIET,
    TYPE,
    Fitting,
    Told,
    announcement,
    assorted,
    clip_choices,
    markup,
)
from raclap.words import counted, described, label, name

_MOST = 24
_PARTLY = (
    "A description rarely fits just one clip: *an angry man* also partly fits an angry woman, and "
    "a calm man. *Similarity* is how close each pair is to the model: a cosine, less what the "
    "description denies. *Soft relation* is what taught it: the share of each clip that its "
    "teacher gives to every description, so that partly matching pairs count in part. *True "
    "overlap* is how far the styles agree where both are known. Choose a cell to hear its clip "
    "and see why it has its score."
)
_START = EMPTY.format("Choose clips and descriptions, then compare them.")
_TAKE = Markup(
    '<p class="take">Keep these tables: <a download="relations.csv" href="{}">CSV</a>{}</p>'
)
_PICTURE = Markup(' <a download="relations.png" href="data:image/png;base64,{}">PNG</a>')


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """What the tables show.

    Attributes:
        found: N clips against M descriptions.
        clips: N ids of the gallery, or paths of recordings.
        names: N readable names.
        places: N addresses of the clips' audio.
    """

    found: Comparison
    clips: Sequence[str]
    names: Sequence[str]
    places: Sequence[str]


def pairs(shelf: Shelf, gallery: gr.Textbox, relate: Told) -> tuple[Fitting, gr.State]:
    """Choose clips and descriptions, see how each pair matches.

    Args:
        shelf: compares.
        gallery: holds the name of the gallery.
        relate: adds a clip of the gallery to the choice.

    Returns:
        What changes with the gallery, and what is shown, a `Compared`; None before anything is.
    """
    gr.Markdown(_PARTLY)
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            chosen = gr.Dropdown(
                clip_choices(shelf.first),
                value=[clip.id for clip in assorted(shelf.first.gallery.clips, 6)],
                multiselect=True,
                max_choices=_MOST,
                label="Clips of the gallery",
                info=TYPE,
            )
            with gr.Accordion("Recordings of your own", open=False):
                own = gr.File(
                    file_count="multiple",
                    file_types=["audio"],
                    label="Audio files",
                    height=140,
                    elem_id="own",
                )
        with gr.Column(scale=1, min_width=300):
            texts = gr.Textbox("\n".join(EXAMPLES), lines=6, label="Descriptions, one a line")
            suggest = gr.Button("Suggest from the clips", size="sm")
    with gr.Row():
        temperature = gr.Slider(
            0.01,
            0.5,
            value=RelationConfig().temperature,
            step=0.01,
            label="Temperature of the soft relation",
            info="Near 0 the best description takes all of a clip; higher shares it out",
            min_width=300,
        )
        button = gr.Button("Compare", variant="primary", min_width=300)
    status = announcement()
    tables = markup(_START, elem_id="relations")
    take = markup(elem_id="relations-take")
    state = gr.State()

    def compare(
        engine: Engine, ids: list[str], files: list[str] | None, lines: str, temperature: float
    ) -> tuple[str, Any, Markup, Markup]:
        wanted = list(dict.fromkeys(text for line in lines.splitlines() if (text := line.strip())))
        files = files or []
        for kind, count in (("descriptions", len(wanted)), ("clips", len(ids) + len(files))):
            if count > _MOST:
                raise InputError(f"These are {count} {kind}; keep {_MOST}.")
        found = engine.compare([*ids, *files], wanted)
        rows = [engine.gallery.rows[id] for id in ids]
        clips = [engine.gallery.clips[row] for row in rows]
        called = Counter(name(clip) for clip in clips)
        names = [name(clip) if called[name(clip)] == 1 else label(clip) for clip in clips]
        names += [Path(file).name for file in files]
        places = [
            *(address(engine, row) for row in rows),
            *(f"gradio_api/file={quote(file)}" for file in files),
        ]
        kept = Compared(found=found, clips=[*ids, *files], names=names, places=places)
        said = f"{counted(len(names), 'clip')} against {counted(len(wanted), 'description')}."
        return said, kept, *show(kept, temperature)

    def show(kept: Compared | None, temperature: float) -> tuple[Any, Any]:
        if kept is None:
            return gr.skip(), gr.skip()
        found, names = kept.found, kept.names
        shown = matrices(found, names, kept.places, temperature)
        return shown, _take(found, names, temperature, "")

    def picture(kept: Compared | None, temperature: float) -> Markup | dict[str, Any]:
        if kept is None:
            return gr.skip()
        found, names = kept.found, kept.names
        drawn = canvas.png(
            [
                heatmaps.similarity(found.similarity, names, found.texts),
                heatmaps.relation(found.relation_at(temperature), names, found.texts),
                heatmaps.overlap(found.overlap, names, found.texts),
            ]
        )
        return _take(found, names, temperature, _PICTURE.format(base64.b64encode(drawn).decode()))

    def suggestions(engine: Engine, ids: list[str]) -> str:
        if not ids:
            raise InputError("Choose clips first; the descriptions are composed from them.")
        rows = [engine.gallery.rows[id] for id in ids]
        clips = [engine.gallery.clips[row] for row in rows]
        said = [described(clip.style) for clip in clips]
        return "\n".join(dict.fromkeys(said))

    def add(engine: Engine, ids: list[str], said: gr.EventData) -> list[str]:
        id = relate.clip(engine, said)
        if len(ids) >= _MOST and id not in ids:
            raise InputError(f"Relations hold {_MOST} clips already; take one out there first.")
        gr.Info(f"In Relations now, with {len({*ids, id}) - 1} other clips.", duration=3)
        return [*ids, *([id] if id not in ids else [])]

    inputs = [gallery, chosen, own, texts, temperature]
    button.click(told(compare, shelf), inputs, [status, state, tables, take], **EVENT).success(
        told(picture), [state, temperature], take, **EVENT
    )
    temperature.input(
        told(show), [state, temperature], [tables, take], trigger_mode="always_last", **QUIET
    ).then(told(picture), [state, temperature], take, **LATEST)
    suggest.click(told(suggestions, shelf), [gallery, chosen], texts, **QUIET)
    relate.event(told(add, shelf), [gallery, chosen], chosen, **QUIET)
    fitting = Fitting(
        parts=[chosen, status, state, tables, take],
        values=lambda engine: [
            gr.Dropdown(
                choices=clip_choices(engine),
                value=[clip.id for clip in assorted(engine.gallery.clips, 6)],
            ),
            *("", None, _START, ""),
        ],
    )
    return fitting, state


def _take(found: Comparison, names: Sequence[str], temperature: float, picture: str) -> Markup:
    rows = comparison_rows(found, names, temperature)
    return _TAKE.format(data_uri(csv_of(rows), "text/csv"), picture)
