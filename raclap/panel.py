"""The panel that says why: it rises over the lower part of the window when a card or cell is asked.

In: a `Shelf`, inside an open `gr.Blocks`. Out: widgets and their events. Deliberately not here:
what it shows (`reasons`). It opens and closes in the browser (page.js), so that it is
there at once.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from markupsafe import Markup

from raclap import reasons
from raclap.answers import address, told
from raclap.config import InputError
from raclap.pairs import Compared
from raclap.reasons import Case
from raclap.search import Engine
from raclap.shelf import Shelf
from raclap.widgets import LATEST, LIGHT, announcement, bus, channel, markup
from raclap.words import name

_FRAME = Markup(
    '<div class="why-top"><h2 id="why-title" tabindex="-1">Why this score</h2>'
    '<button type="button" data-dismiss>Close</button></div>'
    '<p class="waiting" role="status">Looking for what fits, and when …</p>'
)
_DIALOG = (
    "const panel = element.closest('#why'); panel.setAttribute('role', 'dialog');"
    " panel.setAttribute('aria-labelledby', 'why-title')"
)
_QUIETLY = LATEST | {"show_progress": "hidden"}


def panel(shelf: Shelf, chosen: gr.Textbox, compared: gr.State) -> None:
    """Say on request why a clip has its score.

    Args:
        shelf: explains.
        chosen: holds the name of the gallery.
        compared: what the tab of relations shows, a `Compared` or None.
    """
    hit, cell = channel("why"), bus("cell")
    with gr.Column(elem_id="why"):
        markup(_FRAME, js_on_load=_DIALOG)
        status = announcement()
        shown = markup(elem_classes="reasons")
        take = markup()
    state = gr.State()

    def of_hit(engine: Engine, said: gr.EventData) -> tuple[str, Markup, Markup, Case]:
        row = engine.gallery.rows[hit.clip(engine, said)]
        clip = engine.gallery.clips[row]
        return show(
            Case(
                name=name(clip),
                address=address(engine, row),
                found=engine.explain(clip.id, said.text, said.without),
            ),
            said,
        )

    def of_cell(
        engine: Engine, kept: Compared | None, said: gr.EventData
    ) -> tuple[str, Markup, Markup, Case]:
        n, m = int(said.clip), int(said.text)
        if kept is None or not (0 <= n < len(kept.names) and 0 <= m < len(kept.found.texts)):
            raise InputError("These tables are gone; compare again.")
        clip, text = kept.clips[n], kept.found.texts[m]
        found = engine.explain(clip, text)
        return show(Case(name=kept.names[n], address=kept.places[n], found=found), said)

    def show(case: Case, said: gr.EventData) -> tuple[str, Markup, Markup, Case]:
        drawn = reasons.view(case, dark=bool(said.dark), narrow=bool(said.narrow))
        return reasons.heading(case), drawn, reasons.take(case, picture=False), case

    def keep(case: Case | None) -> Markup | dict[str, Any]:
        return gr.skip() if case is None else reasons.take(case, picture=True)

    outputs = [status, shown, take, state]
    for asked in (
        hit.event(told(of_hit, shelf), chosen, outputs, **_QUIETLY),
        cell.click(told(of_cell, shelf), [chosen, compared], outputs, **_QUIETLY),
    ):
        asked.failure(None, None, None, js="() => window.raclap.why('')", **LIGHT)
        done = asked.success(None, None, None, js="() => window.raclap.why('shown')", **LIGHT)
        done.then(told(keep), state, take, **_QUIETLY)
