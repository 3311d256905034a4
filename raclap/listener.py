"""The tab that listens: a voice is read, in words, figures and over time; similar clips.

In: a `Shelf`, inside an open `gr.Blocks`. Out: widgets and their events. Deliberately not here:
HTML of a reading (`portrait`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from raclap import cards
from raclap.answers import given, sounds, told
from raclap.portrait import course, portrait
from raclap.search import Engine
from raclap.shelf import Shelf
from raclap.widgets import (
    ARRIVE,
    EMPTY,
    EVENT,
    LATEST,
    LIGHT,
    MOST_RESULTS,
    Fitting,
    Told,
    announcement,
    clip_choices,
    if_still,
    markup,
    others,
)
from raclap.words import ended, label

_START = EMPTY.format("Upload or record a voice, or pick a clip, to read how it is spoken.")
_NOTHING = ("", _START, "", "")
_RECORDED = "audio.wav"  # what Gradio calls whatever the microphone hears


def listener(shelf: Shelf, chosen: gr.Textbox, tabs: gr.Tabs, similar: Told) -> Fitting:
    """Give a voice, read how it is spoken and hear what sounds alike.

    Args:
        shelf: reads and searches.
        chosen: holds the name of the gallery.
        tabs: holds a tab with the id ``voice``, this one.
        similar: asks for clips like one of the gallery.
    """
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            voice = gr.Audio(
                type="filepath",
                sources=["upload", "microphone"],
                label="A voice, up to ten minutes",
                buttons=[],
                elem_id="voice",
            )
            picked = gr.Dropdown(
                clip_choices(shelf.first),
                value=None,
                label="Or a clip of the gallery",
                min_width=200,
            )
            top = gr.Slider(1, MOST_RESULTS, value=6, step=1, label="Number of similar clips")
            varied = gr.Checkbox(True, label="Varied voices")
            button = gr.Button("Read this voice", variant="primary")
        with gr.Column(scale=5, min_width=300):
            status = announcement()
            heard = markup(_START)
            moving = markup()
    alike = markup(elem_id="alike")
    shown = [status, heard, moving, alike]

    def match(
        engine: Engine, voice: str | None, picked: str | None, top: float, varied: bool
    ) -> tuple[str, Markup, Markup, Markup]:
        rows = engine.gallery.rows
        clip = engine.gallery.clips[rows[picked]] if picked in rows else None
        path = clip.path if clip else given(voice)
        read = engine.describe(path)
        # A clip is most like itself, which is no news.
        found = engine.search_clip(path, int(top) + bool(clip), varied=varied)
        hits = others(found, clip, int(top))
        name = label(clip) if clip else Path(path).name
        of = "" if name == _RECORDED else f" of {name}"
        return (
            ended(f"Heard {read.seconds:.1f} s{of}"),
            cards.source(clip, sounds(engine)) + portrait(read),
            Markup(""),
            Markup("<h2>Clips that sound most alike</h2>{}").format(
                cards.cards(hits, sounds(engine))
            ),
        )

    def follow(engine: Engine, voice: str | None, picked: str | None) -> Markup:
        path = engine.gallery.clips[engine.gallery.rows[picked]].path if picked else voice
        # Between the reading and this the voice may have been taken away, which is no mistake.
        return course(engine.follow(path) if path else [])

    def find_similar(engine: Engine, top: float, varied: bool, said: gr.EventData) -> list[Any]:
        clip = similar.clip(engine, said)
        return [gr.Tabs(selected="voice"), None, clip, *match(engine, None, clip, top, varied)]

    inputs, of = [chosen, voice, picked, top, varied], [chosen, voice, picked]
    read = [if_still(button.click, told(match, shelf), inputs, shown, of, **EVENT)]
    for arrived, other in (([voice.upload, voice.stop_recording], picked), ([picked.input], voice)):
        for event in arrived:
            # The reading goes with the voice it is of: the next one may be no voice at all.
            cleared = event(lambda: [None, *_NOTHING], None, [other, *shown], **LIGHT)
            read.append(if_still(cleared.then, told(match, shelf), inputs, shown, of, **LATEST))
    found = [tabs, voice, picked, *shown]
    read.append(similar.event(told(find_similar, shelf), [chosen, top, varied], found, **EVENT))
    for done in read:
        if_still(done.success, told(follow, shelf), of, [moving], of, **LATEST)
        done.success(None, None, None, js=ARRIVE, **LIGHT)
    return Fitting(
        parts=[picked, *shown],
        values=lambda engine: [
            gr.Dropdown(choices=clip_choices(engine), value=None),
            *_NOTHING,
        ],
    )
