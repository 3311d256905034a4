"""The tab that blends: like this clip, but angrier, slower, a woman.

In: a `Shelf`, inside an open `gr.Blocks`. Out: widgets and their events. Deliberately not here:
the arithmetic of a blend (`ranking`, `search`).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr
from markupsafe import Markup

from raclap import cards
from raclap.answers import given, sounds, told
from raclap.query import positive
from raclap.search import Engine
from raclap.shelf import Shelf
from raclap.widgets import (
    ARRIVE,
    EMPTY,
    EVENT,
    LATEST,
    LIGHT,
    QUIET,
    TYPE,
    Fitting,
    Told,
    announcement,
    arrivals,
    chips,
    clip_choices,
    if_still,
    markup,
    others,
)

CHANGES = ("angrier", "slower", "a woman", "a man", "whispering", "happier and louder")
_MOST = 10
_START = EMPTY.format("Pick or upload a clip and say what should be different.")
_NOTHING = ("", _START)
_SIDES = Markup(
    '<div class="sides"><section><h2>Like the clip</h2>{before}</section>'
    "<section><h2>With the change</h2>{after}</section></div>"
)


def blender(shelf: Shelf, chosen: gr.Textbox, tabs: gr.Tabs, change: Told) -> Fitting:
    """Compose a clip and texts, compare the rankings before and after.

    Args:
        shelf: searches.
        chosen: holds the name of the gallery.
        tabs: holds a tab with the id ``blend``, this one.
        change: asks for a clip of the gallery to start from.
    """
    gr.Markdown(
        "Start from a clip and say what should be different. Each change leads from what the model "
        "hears in the clip toward what you wrote; its slider says how far, and 1 counts it as much "
        "as the clip itself."
    )
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            picked = gr.Dropdown(
                clip_choices(shelf.first),
                value=None,
                label="Like this clip",
                info=TYPE,
                min_width=200,
            )
            voice = gr.Audio(
                type="filepath",
                sources=["upload", "microphone"],
                label="Or a voice of your own",
                buttons=[],
                elem_id="start",
            )
        with gr.Column(scale=3, min_width=300):
            first = gr.Textbox("", label="But …", placeholder="angrier", max_lines=1)
            weight = gr.Slider(0, 4, value=2, step=0.1, label="How much of it")
            second = gr.Textbox("", label="And …", placeholder="a woman", max_lines=1)
            weight2 = gr.Slider(0, 4, value=2, step=0.1, label="How much of that")
            suggested = chips(CHANGES)
            button = gr.Button("Blend", variant="primary")
    status = announcement()
    results = markup(_START, elem_id="blended")

    def compose(
        engine: Engine, picked: str | None, voice: str | None, *changes: Any
    ) -> tuple[str, Markup]:
        clip = picked or given(voice)
        asked: dict[str, float] = {}
        for text, weight in zip(changes[::2], changes[1::2], strict=True):
            if text := text.strip():
                asked[text] = asked.get(text, 0.0) + float(weight)
        own = engine.gallery.clips[engine.gallery.rows[picked]] if picked else None
        before = others(engine.search_clip(clip, len(engine.gallery.clips)), own)
        after = others(engine.blend(clip, asked, _MOST + 1), own, _MOST)
        wanted = positive(", ".join(asked))
        goal = engine.understood(wanted)
        said = " and ".join(f"{text} × {weight:.1f}" for text, weight in asked.items())
        line = " ".join([f"The clip with {said}.", *engine.remarks(wanted)])
        return (
            line if said else "The clip as it is; say what should change.",
            cards.source(own, sounds(engine))
            + _SIDES.format(
                before=cards.ladder(before[:_MOST], sounds(engine), goal),
                after=cards.ladder(after, sounds(engine), goal, before),
            ),
        )

    def run_chip(
        engine: Engine, picked: str, voice: str, _: str, *rest: Any
    ) -> tuple[str, str, Markup]:
        *rest, text = rest
        return text, *compose(engine, picked, voice, text, *rest)

    def redo(engine: Engine, *inputs: Any) -> tuple[Any, Any]:
        return compose(engine, *inputs) if inputs[0] or inputs[1] else (gr.skip(), gr.skip())

    def start(engine: Engine, said: gr.EventData) -> list[Any]:
        return [gr.Tabs(selected="blend"), change.clip(engine, said)]

    inputs, shown = [chosen, picked, voice, first, weight, second, weight2], [status, results]
    asking = [button.click, first.submit, second.submit]
    again, of = told(redo, shelf), [chosen, picked, voice]
    asked = [if_still(partial(gr.on, asking), told(compose, shelf), inputs, shown, of, **EVENT)]
    if_still(partial(gr.on, [weight.input, weight2.input]), again, inputs, shown, of, **LATEST)
    for chip in suggested:
        run, filled = told(run_chip, shelf), [first, *shown]
        asked.append(if_still(chip.click, run, [*inputs, chip], filled, of, **EVENT))
    for done in asked:
        done.success(None, None, None, js=ARRIVE, **LIGHT)
    for arrived, other in arrivals(voice, picked):
        # The rankings go with the clip they are of: the next one may be no voice at all.
        cleared = arrived(lambda: [None, *_NOTHING], None, [other, *shown], **LIGHT)
        if_still(cleared.then, again, inputs, shown, of, **LATEST)
    voice.clear(lambda: _NOTHING, None, shown, **LIGHT)
    change.event(told(start, shelf), chosen, [tabs, picked], **QUIET)
    return Fitting(
        parts=[picked, *shown],
        values=lambda engine: [
            gr.Dropdown(choices=clip_choices(engine), value=None),
            *_NOTHING,
        ],
    )
