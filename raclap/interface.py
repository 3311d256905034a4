"""The page, built around a shelf of galleries: search, voice, blend, relations, map, galleries.

In: a `Shelf`. Out: a `gr.Blocks`, its looks, and the options to launch it with. Deliberately not
here: what is on the tabs (`finder` and its neighbours), what programs may call (`answers`), the
command line (`app.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.themes.utils.colors import Color
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from raclap.answers import PLACES, busy, endpoints, told
from raclap.audio import SUFFIXES
from raclap.blender import blender
from raclap.config import InputError
from raclap.curator import belongings, curator
from raclap.explorer import explorer
from raclap.finder import finder
from raclap.listener import listener
from raclap.pairs import pairs
from raclap.panel import panel
from raclap.search import Engine
from raclap.shelf import Shelf
from raclap.snippets import snippets
from raclap.widgets import LIGHT, QUIET, channel, markup
from raclap.words import counted

ASSETS = Path(__file__).resolve().parent.parent / "assets"

# Aubergine ink on cool paper; the amber of a level meter, used for meters only, is in style.css.
_PLUM = Color(
    *("#f8f3fa", "#efe4f3", "#dfc9e7", "#c8a3d5", "#a977bd", "#8a539f"),
    *("#6f3d83", "#5a2f6b", "#472555", "#371d42", "#22112a"),
    name="plum",
)
_SLATE = Color(
    *("#f7f7f9", "#eeeef2", "#dfdfe6", "#c6c6d1", "#9c9caa", "#6f6f7f"),
    *("#555564", "#41414e", "#292933", "#1d1d25", "#131319"),
    name="slate",
)

_HEADER = Markup("""
<a class="skip" href="#found">To the results</a>
<header class="masthead">
  <svg viewBox="0 0 60 48" aria-hidden="true">{bars}</svg>
  <div>
    <h1>Find a voice by how it speaks</h1>
    <p class="gallery"><strong>{count}</strong> in the gallery “{name}”. {note}</p>
  </div>
</header>
""")
_GONE = Markup("The gallery of this address is not here (any more); this is “{}”.")
_BARS = (10, 22, 38, 28, 46, 18, 30, 12)

_UPLOADS = (600, 2_900)  # every so often what is this old goes, in seconds: within the hour

_ABOUT = """
**Method.** Two networks, one for speech and one for text, place clips and descriptions in one
space, where what sounds alike lies close (RA-CLAP, Sun et al. 2025). Searching means: nearest in
that space. Pitch, speed and energy are also measured in the sound itself.

**Limits.** The model learned from acted speech of a few languages and from written descriptions.
It can be wrong for spontaneous speech, other languages, accents, children, illness, noise and
music. Percentages tell how the model divides its belief among the words it knows, not how often
it is right.

**Ethics.** An acted emotion is not a felt one: this page describes how a voice *sounds*, never
what a person feels, intends or is. Do not use it to judge, select, monitor or identify people. A
voice is personal data: use recordings only with the speaker's consent. Uploads stay on the machine
that runs this page, are used for your request only, and are deleted within the hour.
"""


def build(shelf: Shelf) -> gr.Blocks:
    """Return the page around ``shelf``; launch it with `launch_options`."""
    title = "RA-CLAP: find a voice by how it speaks"
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=_UPLOADS) as page:
        header = markup(_header(shelf.first))
        chosen = gr.Textbox("", visible="hidden", label="Gallery", elem_id="chosen")
        mine = belongings()
        similar, change, relate = (channel(name) for name in ("similar", "change", "relate"))
        with gr.Tabs() as tabs:
            with gr.Tab("Search", id="search"):
                found, arrive, renew = finder(shelf, chosen)
            with gr.Tab("Voice", id="voice"):
                heard = listener(shelf, chosen, tabs, similar)
            with gr.Tab("Blend", id="blend"):
                blended = blender(shelf, chosen, tabs, change)
            with gr.Tab("Relations", id="relations"):
                related, compared = pairs(shelf, chosen, relate)
            with gr.Tab("Map", id="map") as tab:
                mapped = explorer(shelf, chosen, tab)
            fittings = [found, heard, blended, related, mapped]

            def show(name: str) -> list[Any]:
                engine = shelf[name]
                values = [value for each in fittings for value in each.values(engine)]
                return [name, _header(engine), *values]

            def enter(request: gr.Request) -> list[Any] | dict[str, Any]:
                """Show the gallery that the address names; a page begins with the first one.

                If it is gone, that is said, and the first one answers what else the address asks.
                """
                name = request.query_params.get("gallery", "")
                try:
                    return show(name) if name else gr.skip()
                except InputError:
                    gr.Warning(_GONE.format(shelf.first.gallery.name))
                    return gr.skip()

            shown = [chosen, header, *(part for each in fittings for part in each.parts)]
            with gr.Tab("Galleries", id="galleries") as tab:
                recall = curator(shelf, chosen, mine, tab, tabs, show, shown, renew)
            page.load(told(recall), mine, mine, **LIGHT)
            entered = page.load(told(enter), None, shown, **QUIET)
            arrive(entered.then)
            entered.then(None, None, None, js="() => { window.raclap.reread(); }", **LIGHT)
            stand = "() => { window.raclap.fold(); window.raclap.lead(); }"
            page.load(None, None, None, js=stand, **LIGHT)
        with gr.Accordion("Use from code", open=False, elem_id="code"):
            markup(snippets(), js_on_load="window.raclap.settle(element)")
        with gr.Accordion("Method, limits and ethics", open=False, elem_id="about"):
            gr.Markdown(_ABOUT)
        panel(shelf, chosen, compared)
        endpoints(shelf)
    return page.queue(max_size=PLACES)


def launch_options(shelf: Shelf) -> dict[str, Any]:
    """Return what every launch of the page has in common.

    Clips are served by their row in the gallery, so that no request names a file.
    """

    def sound(request: Request) -> FileResponse:
        row, name = request.path_params["row"], request.path_params.get("gallery", "")
        try:
            clips = shelf[name].gallery.clips
        except InputError as error:
            raise HTTPException(404) from error
        if row >= len(clips):
            raise HTTPException(404)
        # Whatever a gallery from elsewhere names, or a link in it leads to: only audio is served.
        path = Path(clips[row].path).resolve()
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            raise HTTPException(404)
        # Another gallery may have this row next time: what a browser kept is asked about again.
        return FileResponse(path, headers={"Cache-Control": "no-cache"})

    return {
        "theme": _theme(),
        "css_paths": [ASSETS / "style.css"],
        "head": "".join(
            f"<script>{(ASSETS / name).read_text(encoding='utf-8')}</script>"
            for name in ("player.js", "page.js")
        ),
        "favicon_path": ASSETS / "icon.svg",
        "footer_links": ["api"],
        "run_history": False,
        "max_file_size": "128mb",  # ten minutes of stereo at 48 kHz
        "ssr_mode": False,
        "app_kwargs": {
            "routes": [
                Route("/clips/{row:int}", sound),
                Route("/clips/{gallery}/{row:int}", sound),
            ],
            "exception_handlers": {503: busy},
        },
    }


def _header(engine: Engine) -> Markup:
    bars = Markup("").join(
        Markup('<rect x="{}" y="{}" width="4" height="{}" rx="2"/>').format(
            2 + 7.4 * number, 24 - height / 2, height
        )
        for number, height in enumerate(_BARS)
    )
    gallery = engine.gallery
    count = counted(len(gallery.clips), "clip")
    return _HEADER.format(bars=bars, count=count, name=gallery.name, note=gallery.note)


def _theme() -> gr.themes.Base:
    """The page's looks in light and dark; system fonts, so that nothing is fetched."""
    theme = gr.themes.Base(
        primary_hue=_PLUM,
        secondary_hue=_PLUM,
        neutral_hue=_SLATE,
        radius_size=gr.themes.sizes.radius_md,
        font=["Seravek", "Avenir Next", "Segoe UI", "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "Cascadia Code", "Consolas", "monospace"],
    )
    return theme.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary_dark="*neutral_950",
        block_background_fill_dark="*neutral_900",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        block_title_text_weight="600",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        input_background_fill="white",
        input_background_fill_dark="*neutral_800",
        input_border_width="1px",
        input_border_width_dark="1px",
        input_border_color="*neutral_400",
        input_border_color_dark="*neutral_600",
        input_border_color_focus="*primary_500",
        input_border_color_focus_dark="*primary_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        color_accent="*primary_600",
        slider_color="*primary_600",
        slider_color_dark="*primary_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_300",
        button_primary_background_fill_hover_dark="*primary_200",
        button_primary_text_color="white",
        button_primary_text_color_dark="*primary_950",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="*primary_50",
        button_secondary_background_fill_dark="*neutral_900",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_600",
        button_secondary_text_color="*primary_800",
        button_secondary_text_color_dark="*primary_200",
        button_border_width="1px",
    )
