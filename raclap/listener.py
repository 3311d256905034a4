"""The tab that listens: a voice is read, in words, figures and over time; similar clips.

In: a `Shelf`, inside an open `gr.Blocks`. Out: widgets and their events. Deliberately not here:
HTML of a reading (`portrait`).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from raclap import cards
from raclap.answers import given, sounds, told
from raclap.portrait import AWAITED, course, headline, portrait
from raclap.search import Engine
from raclap.shelf import Shelf
from raclap.timeline import LONG_SECONDS
from raclap.widgets import (
    ARRIVE,
    EMPTY,
    EVENT,
    LATEST,
    LIGHT,
    MOST_RESULTS,
    QUIET,
    TYPE,
    Fitting,
    Told,
    announcement,
    arrivals,
    clip_choices,
    if_still,
    markup,
    others,
)
from raclap.words import ended, label

_START = EMPTY.format("Upload or record a voice, or pick a clip, to read how it is spoken.")
_ALIKE = Markup('<h2 tabindex="-1" data-of="{}">Clips that sound most alike</h2>{}')
_NOTHING = ("", _START, "", "", "")
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
                info=TYPE,
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
    emotion = gr.State("")  # the likeliest one of what was heard
    shown = [status, heard, moving, alike, emotion]

    def match(
        engine: Engine, voice: str | None, picked: str | None, top: float, varied: bool
    ) -> tuple[str, Markup, Markup, Markup, str]:
        rows = engine.gallery.rows
        clip = engine.gallery.clips[rows[picked]] if picked in rows else None
        path = clip.path if clip else given(voice)
        read = engine.describe(path)
        name = label(clip) if clip else Path(path).name
        of = "" if name == _RECORDED else f" of {name}"
        return (
            ended(f"Heard {read.seconds:.1f} s{of}"),
            cards.source(clip, sounds(engine)) + portrait(read),
            AWAITED if read.seconds > LONG_SECONDS else Markup(""),
            liken(engine, voice, picked, top, varied),
            headline(read),
        )

    def liken(
        engine: Engine, voice: str | None, picked: str | None, top: float, varied: bool
    ) -> Markup:
        rows = engine.gallery.rows
        own = engine.gallery.clips[rows[picked]] if picked in rows else None
        if not (own or voice):
            return Markup("")
        # A clip is most like itself, which is no news.
        found = engine.search_clip(own.path if own else voice, int(top) + bool(own), varied=varied)
        hits = others(found, own, int(top))
        shown = cards.cards(hits, sounds(engine))
        return _ALIKE.format(own.id if own else "", shown)

    def follow(engine: Engine, voice: str | None, picked: str | None, emotion: str) -> Markup:
        path = engine.gallery.clips[engine.gallery.rows[picked]].path if picked else voice
        # Between the reading and this the voice may have been taken away, which is no mistake.
        return course(engine.follow(path) if path else [], emotion)

    def find_similar(engine: Engine, said: gr.EventData) -> list[Any]:
        return [gr.Tabs(selected="voice"), similar.clip(engine, said)]

    inputs, of = [chosen, voice, picked, top, varied], [chosen, voice, picked]
    read = [if_still(button.click, told(match, shelf), inputs, shown, of, **EVENT)]
    for arrived, other in arrivals(voice, picked):
        # The reading goes with the voice it is of: the next one may be no voice at all.
        cleared = arrived(lambda: [None, *_NOTHING], None, [other, *shown], **LIGHT)
        read.append(if_still(cleared.then, told(match, shelf), inputs, shown, of, **LATEST))
    gone = voice.clear(lambda: _NOTHING, None, shown, **LIGHT)
    tuned = partial(gr.on, [top.input, varied.input])
    if_still(tuned, told(liken, shelf), inputs, [alike], of, **LATEST)
    for done in (*read, gone):  # the address holds a clip of the gallery
        done.success(None, picked, None, js="(clip) => { window.raclap.heard(clip); }", **LIGHT)
    led = similar.event(told(find_similar, shelf), chosen, [tabs, picked], **QUIET)
    led.success(None, None, None, js=ARRIVE, **LIGHT)
    for done in read:
        if_still(done.success, told(follow, shelf), [*of, emotion], [moving], of, **LATEST)
        done.success(None, None, None, js=ARRIVE, **LIGHT)
    return Fitting(
        parts=[picked, *shown],
        values=lambda engine: [
            gr.Dropdown(choices=clip_choices(engine), value=None),
            *_NOTHING,
        ],
    )
