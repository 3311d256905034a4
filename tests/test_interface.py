"""The page's own door for programs, through gradio_client. Run: pytest tests/test_interface.py."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
import httpx
import numpy as np
import pytest
import soundfile
from conftest import CHROMIUM, crowded, give
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from gradio_client.utils import QueueError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.testclient import TestClient
from stub import write_voice

from raclap.answers import busy, told
from raclap.interface import build, launch_options
from raclap.search import Engine
from raclap.sheets import plain_hit
from raclap.shelf import Shelf
from raclap.style import VALUES
from raclap.widgets import if_still
from raclap.words import word

if TYPE_CHECKING:
    from playwright import sync_api as playwright


@pytest.fixture(scope="module")
def client(address: str) -> Client:
    return Client(address, verbose=False)


def test_exactly_five_endpoints_with_documented_arguments(client: Client) -> None:
    named = client.view_api(return_format="dict")["named_endpoints"]
    arguments = {
        name: [argument["parameter_name"] for argument in endpoint["parameters"]]
        for name, endpoint in named.items()
    }
    assert arguments == {
        "/search_by_text": ["query", "top", "where", "without", "varied", "gallery"],
        "/search_by_audio": ["clip", "top", "gallery"],
        "/describe": ["clip"],
        "/blend": ["clip", "change", "weight", "top", "gallery"],
        "/galleries": [],
    }
    assert {
        argument["python_type"]["type"]
        for endpoint in named.values()
        for argument in endpoint["parameters"]
        if argument["parameter_name"] == "top"
    } == {"int"}


def test_openapi_describes_the_same_endpoints(address: str, client: Client) -> None:
    with urllib.request.urlopen(f"{address}gradio_api/openapi.json") as answer:
        described = json.load(answer)
    assert described["openapi"].startswith("3.")
    named = client.view_api(return_format="dict")["named_endpoints"]
    for name, endpoint in named.items():
        (path,) = (path for path in described["paths"] if path.endswith(name))
        written = json.dumps(described["paths"][path])
        assert "requestBody" in written
        assert all(
            f'"{argument["parameter_name"]}"' in json.dumps(described)
            for argument in endpoint["parameters"]
        )


def test_building_and_launching_use_no_deprecated_way(shelf: Shelf) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        page = build(shelf)
        page.launch(prevent_thread_lock=True, quiet=True, **launch_options(shelf))
        page.close()


def test_text_search_equals_the_engine(client: Client, engine: Engine) -> None:
    answer = client.predict("an angry man", 4, api_name="/search_by_text")
    assert answer["remarks"] == []
    old = client.predict("an old man", 4, api_name="/search_by_text")
    assert old["remarks"] == ["Ages are not heard."]
    expected = engine.search_text("an angry man", 4)
    assert answer["query"] == "an angry man"
    assert answer["understood"] == {"gender": "male", "emotion": "angry"}
    assert [hit["id"] for hit in answer["hits"]] == [hit.clip.id for hit in expected]
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3, 4]
    assert np.allclose([hit["score"] for hit in answer["hits"]], [hit.score for hit in expected])


def test_ten_results_by_default_and_filters_hold(client: Client) -> None:
    assert len(client.predict("angry", api_name="/search_by_text")["hits"]) == 10
    hits = client.predict("angry", 20, {"gender": "male"}, api_name="/search_by_text")["hits"]
    assert len(hits) == 6
    assert {hit["gender"] for hit in hits} == {"male"}


def test_what_is_not_wanted_and_variety_reach_the_engine(client: Client, engine: Engine) -> None:
    answer = client.predict("angry", 8, None, "a man", True, api_name="/search_by_text")
    expected = engine.search_text("angry", 8, without="a man", varied=True)
    assert [hit["id"] for hit in answer["hits"]] == [hit.clip.id for hit in expected]
    assert expected != engine.search_text("angry", 8)
    for nothing in (None, ""):
        answer = client.predict(nothing, 3, None, "a man", api_name="/search_by_text")
        assert (answer["query"], len(answer["hits"])) == ("", 3)


def test_a_blend_equals_the_engine(client: Client, engine: Engine, voice: Path) -> None:
    answer = client.predict(handle_file(voice), "angrier", 3.0, 4, api_name="/blend")
    expected = engine.blend(str(voice), {"angrier": 3.0}, 4)
    assert answer["query"] == "voice.wav, angrier"
    assert [hit["id"] for hit in answer["hits"]] == [hit.clip.id for hit in expected]
    for weight in (99, -1, "x", [2], "nan"):
        with pytest.raises(AppError, match=r"weight .*must be a number from 0 to 10"):
            client.predict(handle_file(voice), "angrier", weight, api_name="/blend")


@pytest.mark.parametrize(
    ("elem_id", "start"), [("voice", "Upload or record"), ("start", "Pick or")]
)
def test_a_reading_goes_with_the_voice_it_is_of(shelf: Shelf, elem_id: str, start: str) -> None:
    page = build(shelf)
    (voice,) = (each for each in page.blocks.values() if each.elem_id == elem_id)
    arriving = [
        each
        for each in page.fns.values()
        if {(voice._id, "upload"), (voice._id, "stop_recording")} & set(each.targets)
        or (voice in each.outputs and not each.inputs)
    ]
    assert len(arriving) == 3  # and a clip of the gallery that is picked
    for each in arriving:
        other, status, shown, *rest = each.fn()
        assert (other, status, rest) == (None, "", [""] * len(rest))
        assert start in shown


def test_a_voice_taken_away_while_it_is_followed_is_no_mistake(shelf: Shelf) -> None:
    follow = next(each.fn for each in build(shelf).fns.values() if each.name == "follow")
    assert follow("", None, None, "") == (["", None, None], "")


def test_room_is_kept_for_how_a_long_voice_changes(
    shelf: Shelf, voice: Path, tmp_path: Path
) -> None:
    page = build(shelf)
    match, follow = (
        next(each.fn for each in page.fns.values() if each.name == name)
        for name in ("match", "follow")
    )
    long = str(write_voice(tmp_path / "long.wav", 205, 9.0))
    kept = [str(match("", given, None, 6, True)[1][2]) for given in (str(voice), long)]
    assert kept[0] == ""
    assert "How it changes" in kept[1]
    for emotion in ("Bored", "Awed"):
        (value,) = (each for each in VALUES["emotion"] if word("emotion", each) == emotion.lower())
        shown = str(follow("", long, None, value)[1])
        assert re.findall(r"<h3>(\w+)</h3>", shown)[0] == emotion


def test_of_a_gallery_that_is_gone_the_page_says_so(shelf: Shelf) -> None:
    ask = told(lambda engine: engine.gallery.name, shelf)
    assert ask("") == "vowels"
    with pytest.raises(gr.Error, match="not here any more; choose another one under Galleries"):
        ask(f"own-{'0' * 32}")


def test_what_takes_its_time_is_shown_only_if_it_is_still_asked() -> None:
    with gr.Blocks() as page:
        button, asked, by, one, two = gr.Button(), *(gr.Textbox() for _ in range(4))
        shown = [one, two]
        if_still(button.click, lambda text, by: (text, text * int(by)), [asked, by], shown, [asked])
        if_still(button.click, lambda text: text, [asked], [one], [asked])
    run, show, run_one, show_one = (each.fn for each in page.fns.values())
    answer = run("ho", "2")
    assert answer == (["ho"], ("ho", "hoho"))
    assert show(answer, "ho") == [None, "ho", "hoho"]
    assert show(answer, "hum") == [None, gr.skip(), gr.skip()]
    assert show_one(run_one("ho"), "ho") == [None, "ho"]


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium; name one in RACLAP_TEST_CHROMIUM")
def test_a_bad_upload_is_not_shown_beside_what_was_heard_before(
    page: playwright.Page, voice: Path, tmp_path: Path
) -> None:
    page.get_by_role("tab", name="Voice", exact=True).click()
    field = page.locator("#voice")
    give(field, voice, field.get_by_label("Play", exact=True))
    page.get_by_text("Heard 2.0 s of voice.wav.", exact=True).wait_for()
    field.get_by_label("Clear").click()
    (tmp_path / "notes.wav").write_text("no audio")
    field.locator("input[type=file]").set_input_files(tmp_path / "notes.wav")
    page.get_by_test_id("toast-body").wait_for()
    assert page.locator(".reading, #alike .hit").count() == 0
    assert "Heard" not in page.locator("body").inner_text()


def test_audio_search_finds_the_clip_itself(client: Client, engine: Engine) -> None:
    clip = engine.gallery.clips[7]
    answer = client.predict(handle_file(clip.path), 3, api_name="/search_by_audio")
    assert answer["hits"][0]["id"] == clip.id
    assert answer["hits"][0]["score"] == pytest.approx(1, abs=1e-4)


def test_describe_gives_probabilities_levels_and_ranked_descriptions(
    client: Client, voice: Path
) -> None:
    answer = client.predict(handle_file(voice), api_name="/describe")
    assert answer["clip"] == "voice.wav"
    assert answer["seconds"] == pytest.approx(2)
    for chances in answer["attributes"].values():
        assert sum(chances.values()) == pytest.approx(1)
    assert answer["levels"]["pitch"]["unit"] == "Hz"
    assert answer["levels"]["pitch"]["number"] == pytest.approx(205, rel=0.03)
    scores = [item["score"] for item in answer["descriptions"]]
    assert scores == sorted(scores, reverse=True)
    assert [item["rank"] for item in answer["descriptions"]] == list(range(1, len(scores) + 1))


def test_clips_are_heard_by_number_and_nothing_else_is_served(
    address: str, client: Client, engine: Engine
) -> None:
    hit = client.predict("angry", 1, api_name="/search_by_text")["hits"][0]
    (known,) = engine.search_text("angry", 1)
    assert hit == {**plain_hit(known), "audio": hit["audio"]}
    with urllib.request.urlopen(address + hit["audio"]) as answer:
        path = engine.gallery.clips[engine.gallery.rows[hit["id"]]].path
        assert answer.read() == Path(path).read_bytes()
        assert answer.headers["Cache-Control"] == "no-cache"  # the next gallery has such a row, too
    stranger = engine.gallery.clips[0].path
    for wrong in ("clips/999", "clips/-1", "clips/..%2Fx", f"gradio_api/file={stranger}"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address + wrong)
        assert refused.value.code in (403, 404)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([""], "description is empty"),
        (["   "], "description is empty"),
        (["a" * 10_000], "10,000 characters"),
        (["angry", 0], "number of results"),
        *((["angry", top], "must be a whole number") for top in ("3", "abc", [3], 2.5, True)),
        (["angry", 5, {"mood": "bad"}], "cannot be filtered by 'mood'"),
        (["angry", 5, {"gender": ["male"]}], "has gender"),
        (["angry", 5, ["male"]], "must be an object"),
        (["angry", 5, None, "", "false"], "varied must be true or false"),
    ],
)
def test_a_mistake_in_a_text_search_is_told(client: Client, arguments: list, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        client.predict(*arguments, api_name="/search_by_text")


def test_null_is_as_good_as_leaving_out(client: Client, voice: Path) -> None:
    for door, given, left in (
        ("/search_by_text", ["angry"], 5),
        ("/search_by_audio", [handle_file(voice)], 2),
        ("/blend", [handle_file(voice), "angrier"], 3),
    ):
        usual = client.predict(*given, api_name=door)
        assert client.predict(*given, *[None] * left, api_name=door) == usual


@pytest.mark.parametrize("query", ["😀😀", "сердитый мужчина", "怒った男", "<b>angry</b>"])
def test_any_script_is_answered(client: Client, query: str) -> None:
    assert client.predict(query, 2, api_name="/search_by_text")["query"] == query


def _write(samples: np.ndarray, rate_hz: int = 16_000, **how: str) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, samples, rate_hz, **how)


def _tone(seconds: float, rate_hz: int = 16_000) -> np.ndarray:
    return 0.2 * np.sin(2 * np.pi * 200 * np.arange(int(seconds * rate_hz)) / rate_hz)


_NAN = np.where(np.arange(16_000) == 500, np.nan, _tone(1))

BAD = {
    "text": (lambda path: path.write_text("not audio at all"), "cannot be read as audio"),
    "header": (lambda path: path.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt "), "cannot be read"),
    "zero": (lambda path: path.write_bytes(b""), "empty"),
    "silence": (_write(np.zeros(16_000)), "silent"),
    "blink": (_write(_tone(0.05)), "at least 0.1 s"),
    "nan": (_write(_NAN, subtype="FLOAT"), "not numbers"),
    "hour": (_write(np.zeros(3_600 * 1_000, np.int16), 1_000), "more than 10 minutes"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_audio_gets_its_sentence(client: Client, tmp_path: Path, kind: str) -> None:
    make, sentence = BAD[kind]
    path = tmp_path / f"{kind}.wav"
    make(path)
    for door in ("/describe", "/search_by_audio"):
        with pytest.raises(AppError, match=sentence):
            client.predict(handle_file(path), api_name=door)


@pytest.mark.parametrize(
    "make",
    [
        _write(_tone(1, 8_000), 8_000),
        _write(_tone(1, 192_000), 192_000),
        _write(np.stack([_tone(1)] * 6, axis=1)),
    ],
    ids=["8 kHz", "192 kHz", "6 channels"],
)
def test_unusual_audio_is_answered(
    client: Client, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "odd.wav")
    answer = client.predict(handle_file(tmp_path / "odd.wav"), api_name="/describe")
    assert answer["levels"]["pitch"]["number"] == pytest.approx(200, rel=0.03)


def test_a_server_path_is_not_an_upload(address: str, engine: Engine) -> None:
    secret = {"path": engine.gallery.clips[1].path, "meta": {"_type": "gradio.FileData"}}
    for data in (secret, engine.gallery.clips[1].path):
        request = urllib.request.Request(
            f"{address}gradio_api/call/describe",
            json.dumps({"data": [data]}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            event = json.load(answer)["event_id"]
        with urllib.request.urlopen(f"{address}gradio_api/call/describe/{event}") as answer:
            assert b"event: error" in answer.read()


def test_who_comes_when_the_queue_is_full_is_told_so_in_a_sentence(
    address: str, client: Client, engine: Engine
) -> None:
    sentence = "32 requests are waiting already; please try again in a moment."
    with crowded(address, engine) as answer:
        assert (answer.status_code, answer.json()) == (503, {"detail": sentence})
        assert int(answer.headers["retry-after"]) > 0
        # At 503 Gradio's clients say something of their own, at 429 its page repeats the answer.
        with pytest.raises(QueueError, match="Queue is full! Please try again"):
            client.predict("angry", 1, api_name="/search_by_text")
        answer = httpx.post(
            f"{address}gradio_api/queue/join",
            json={"data": [], "fn_index": 0, "session_hash": "one"},
            headers={"x-gradio-user": "app"},
        )
        assert (answer.status_code, answer.json()) == (429, {"detail": sentence})
    assert client.predict("angry", 1, api_name="/search_by_text")["hits"]


def test_a_page_that_closes_is_not_called_busy() -> None:
    def closing(_: object) -> None:
        raise HTTPException(503, "Queue is stopped.")

    site = Starlette(routes=[Route("/", closing)], exception_handlers={503: busy})
    assert TestClient(site).get("/").json() == {"detail": "Queue is stopped."}


def test_our_own_fault_is_logged_and_answered_by_a_generic_sentence(
    client: Client,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*inputs: object, **options: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(engine, "search_text", fail)
    with pytest.raises(AppError, match="went wrong on our side") as told:
        client.predict("angry", api_name="/search_by_text")
    assert "secret" not in str(told.value)
    assert "secret detail" in caplog.text
    monkeypatch.undo()
    assert client.predict("angry", 1, api_name="/search_by_text")["hits"]
