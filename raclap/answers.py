"""How requests are answered: one at a time inside the model, mistakes told in a sentence.

In: a `Shelf` of engines. Out: the named endpoints that offer them to programs, and what the page's
own events share with them. Deliberately not here: widgets (`widgets`), how results look (`cards`).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from markupsafe import escape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from raclap.cards import Sound
from raclap.config import InputError
from raclap.corpus import Clip
from raclap.search import Engine, Hit
from raclap.sheets import plain_hit, plain_reading
from raclap.shelf import Shelf
from raclap.sketch import peaks_of

_log = logging.getLogger(__name__)

_UNEXPECTED = "Something went wrong on our side; it was logged. Please try again."

_GONE = "The gallery that was searched is not here any more; choose another one under Galleries."

PLACES = 32  # in the queue; whoever comes later is told so
_BUSY = f"{PLACES} requests are waiting already; please try again in a moment."

_TOAST = 6.0  # seconds that a mistake is told; it may be mended by then
_TOP, _WEIGHT = 10, 2.0  # of results, and of a change, unless a program says otherwise

ENDPOINTS = ("search_by_text", "search_by_audio", "describe", "blend", "galleries")

# Requests wait their turn in the queue: two at once in the model would only slow each other down.
IN_TURN: dict[str, Any] = {
    "concurrency_id": "model",
    "concurrency_limit": 1,
    "show_progress": "minimal",
}


def told(
    handler: Callable[..., Any],
    shelf: Shelf | None = None,
    shown: Callable[[str], str] = escape,
) -> Callable[..., Any]:
    """Turn a user's mistake into its sentence, and anything else into a log entry and an apology.

    Args:
        handler: what to guard.
        shelf: if given, the first input is the name of a gallery of it, and the handler's first
            argument that gallery's engine.
        shown: how the sentence is written; a page's toast is HTML, a program's message is text.
    """

    @functools.wraps(handler)
    def guarded(*inputs: Any) -> Any:
        try:
            if shelf:
                name, *rest = inputs
                return handler(_searched(shelf, name or ""), *rest)
            return handler(*inputs)
        except InputError as error:
            message = str(shown(str(error)))
            raise gr.Error(message, duration=_TOAST, print_exception=False) from error
        except Exception as error:
            _log.exception("%s failed", handler.__name__)
            raise gr.Error(_UNEXPECTED, print_exception=False) from error

    return guarded


def _searched(shelf: Shelf, name: str) -> Engine:
    """Return the engine of the page's gallery; it may be gone since it was chosen."""
    try:
        return shelf[name]
    except InputError as error:
        if shelf.ready(name):
            raise
        raise InputError(_GONE) from error


async def busy(request: Request, error: HTTPException) -> JSONResponse:
    """Say in our words that the queue is full; any other 503 stays as it is.

    Gradio's clients have words of their own for 503 and give the answer's for other statuses: so
    the page gets 429. Programs get 503, which is how gradio_client knows a full queue.
    """
    status, detail = error.status_code, str(error.detail)
    if detail.startswith("Queue is full"):
        status, detail = 429 if request.headers.get("x-gradio-user") == "app" else 503, _BUSY
    return JSONResponse({"detail": detail}, status, {"Retry-After": "5"})


def given(clip: str | None) -> str:
    """Return the path of an upload, or say that there is none."""
    if not clip:
        raise InputError("There is no voice yet; upload, record or pick one.")
    return clip


def address(engine: Engine, row: int) -> str:
    """Return where the clip in a row of the gallery is heard, relative to the page."""
    shelf = f"{quote(engine.name)}/" if engine.name else ""
    return f"clips/{shelf}{row}"


def sounds(engine: Engine) -> Callable[[Clip], Sound]:
    """Return where clips of the gallery are heard, and what they look like."""
    peaks, rows = engine.sketch.peaks, engine.gallery.rows

    def sound(clip: Clip) -> Sound:
        row = rows[clip.id]
        return Sound(address=address(engine, row), peaks=peaks[row].tolist())

    return sound


def glimpses(engine: Engine) -> Callable[[Clip], Sound]:
    """Return the same as `sounds`, for a few clips: without the sketch of the whole gallery."""
    rows = engine.gallery.rows
    return lambda clip: Sound(
        address=address(engine, rows[clip.id]), peaks=peaks_of(clip.path).tolist()
    )


def endpoints(shelf: Shelf) -> None:
    """Offer the engines to programs: `ENDPOINTS`."""

    def search_by_text(
        query: str,
        top: int = _TOP,
        where: dict | None = None,
        without: str = "",
        varied: bool = False,
        gallery: str = "",
    ) -> dict:
        """Find the clips that sound as described.

        Args:
            query: how something should sound, e.g. "a frightened woman whispering fast"; what it
                denies, as in "a man, not angry", counts as not wanted. May be empty if without
                is not.
            top: number of results.
            where: attribute -> value that every result must have, e.g. {"gender": "female"}.
            without: how it should not sound, e.g. "shouting"; empty for nothing.
            varied: at most two clips of a speaker, and none that sounds the same twice.
            gallery: name of the gallery to search, as listed by galleries; empty for the first.
        """
        engine, query = shelf[gallery or ""], query or ""
        if not isinstance(where or {}, dict):
            raise InputError('The filter must be an object such as {"gender": "female"}.')
        if not isinstance(varied, bool | None):
            raise InputError("varied must be true or false, without quotes.")
        hits = engine.search_text(
            query, _count(top), where, without=without or "", varied=bool(varied)
        )
        return {
            "query": query,
            "understood": engine.understood(query).known,
            "remarks": engine.remarks(query),
            "hits": _plain(engine, hits),
        }

    def search_by_audio(clip: str, top: int = _TOP, gallery: str = "") -> dict:
        """Find the clips that sound most like a voice.

        Args:
            clip: an audio file: wav, flac, mp3, ogg or opus, 0.1 s to 10 minutes.
            top: number of results.
            gallery: name of the gallery to search, as listed by galleries; empty for the first.
        """
        engine = shelf[gallery or ""]
        hits = engine.search_clip(given(clip), _count(top))
        return {"query": Path(clip).name, "hits": _plain(engine, hits)}

    def describe(clip: str) -> dict:
        """Read how a voice is spoken: probabilities, measured levels and descriptions that fit.

        Args:
            clip: an audio file: wav, flac, mp3, ogg or opus, 0.1 s to 10 minutes.
        """
        read = shelf.first.describe(given(clip))
        return {"clip": Path(clip).name, **plain_reading(read)}

    def blend(
        clip: str, change: str, weight: float = _WEIGHT, top: int = _TOP, gallery: str = ""
    ) -> dict:
        """Find the clips that sound like a voice, but changed: angrier, slower, a woman.

        Args:
            clip: an audio file: wav, flac, mp3, ogg or opus, 0.1 s to 10 minutes.
            change: what should be different, e.g. "angrier".
            weight: how much of the change, 0 to 10; 1 counts it as much as the clip.
            top: number of results.
            gallery: name of the gallery to search, as listed by galleries; empty for the first.
        """
        engine = shelf[gallery or ""]
        try:
            weight = _WEIGHT if weight is None else float(weight)
        except (TypeError, ValueError):
            raise InputError("The weight must be a number from 0 to 10.") from None
        hits = engine.blend(given(clip), {change or "": weight}, _count(top))
        return {"query": f"{Path(clip).name}, {change}", "hits": _plain(engine, hits)}

    def galleries() -> dict:
        """List the galleries that can be searched, the one the page was opened with first."""
        return {
            "galleries": [
                {
                    "name": entry.name,
                    "title": entry.title,
                    "clips": entry.count,
                    "note": entry.note,
                }
                for entry in shelf.entries()
            ]
        }

    # Real components as inputs, though nobody sees them, so that Gradio checks what is uploaded.
    query = gr.Textbox(label="Description", visible=False)
    clip = gr.Audio(label="Voice", type="filepath", visible=False)
    top = gr.Number(_TOP, label="Number of results", precision=0, visible=False)
    where = gr.JSON(label="Filters", visible=False)
    # Gradio's own schema for any JSON is not a valid one, and MCP clients refuse it.
    where.api_info = lambda: {"type": "object", "additionalProperties": {"type": "string"}}
    without = gr.Textbox("", label="Not wanted", visible=False)
    varied = gr.Checkbox(False, label="Varied voices", visible=False)
    change = gr.Textbox(label="Change", visible=False)
    weight = gr.Number(_WEIGHT, label="Weight", visible=False)
    for number in (top, weight):  # Gradio would fail on what is no number, before we can say so
        number.preprocess = lambda given: given
    gallery = gr.Textbox("", label="Gallery", visible=False)
    answer = gr.JSON(label="Answer", visible=False)
    for handler, inputs in (
        (search_by_text, [query, top, where, without, varied, gallery]),
        (search_by_audio, [clip, top, gallery]),
        (describe, [clip]),
        (blend, [clip, change, weight, top, gallery]),
        (galleries, []),
    ):
        gr.Button(visible=False).click(
            told(handler, shown=str), inputs, answer, api_name=handler.__name__, **IN_TURN
        )


def _count(top: object) -> int:
    """The number of results; null, as of any argument, counts as left out."""
    top = _TOP if top is None else top
    if isinstance(top, bool) or not isinstance(top, int | float) or top % 1 != 0:  # nor infinite
        raise InputError("The number of results must be a whole number, without quotes.")
    return int(top)


def _plain(engine: Engine, hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Hits for programs; ``audio`` is relative to the page's address."""
    rows = engine.gallery.rows
    return [{**plain_hit(hit), "audio": address(engine, rows[hit.clip.id])} for hit in hits]
