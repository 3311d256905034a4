"""What the README's section on security promises. Run: python -m pytest tests/test_security.py."""

from __future__ import annotations

import ast
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import httpx
import pytest
from conftest import CHROMIUM
from gradio.route_utils import delete_files_created_by_app
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import app
from raclap import interface
from raclap.search import Engine
from raclap.shelf import Job, Shelf

ROOT = Path(__file__).parents[1]
CODE = [ROOT / "app.py", *sorted((ROOT / "raclap").glob("*.py"))]
UNPICKLERS = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@pytest.mark.parametrize("file", CODE, ids=lambda file: file.name)
def test_nothing_is_unpickled_or_evaluated(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {name.name.split(".")[0] for name in node.names} & UNPICKLERS
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNPICKLERS
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if called == "torch.load":
                assert given.get("weights_only") == "True"
            if called == "np.load":
                assert given.get("allow_pickle") == "False"
            assert called not in ("eval", "exec", "os.system", "os.popen")
            assert given.get("trust_remote_code", "False") == "False"
            assert given.get("shell", "False") == "False"


def test_without_a_flag_only_this_machine_is_listened_to(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    from gradio import http_server

    assert app.parser().parse_args([]).host is None
    assert http_server.LOCALHOST_NAME == "127.0.0.1"


def test_every_answer_says_what_a_browser_may_do():
    async def hello(_: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    site = Starlette(routes=[Route("/", hello)], middleware=[Middleware(app.Headers)])
    for path in ("/", "/nowhere"):
        headers = TestClient(site).get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "https://huggingface.co" in headers["content-security-policy"]
        assert "microphone=(self)" in headers["permissions-policy"]
        assert "x-frame-options" not in headers  # a Space is framed


def test_text_is_compressed_and_audio_comes_as_it_is():
    async def answer(_: object) -> PlainTextResponse:
        return PlainTextResponse("hello " * 1_000)

    routes = [Route(path, answer) for path in ("/", "/assets/a.js", "/clips/3")]
    visitor = TestClient(Starlette(routes=routes, middleware=[Middleware(app.Packed)]))
    for path, encoding in (("/", "gzip"), ("/assets/a.js", "gzip"), ("/clips/3", None)):
        answered = visitor.get(path)
        assert answered.headers.get("content-encoding") == encoding
        assert answered.text == "hello " * 1_000


@pytest.mark.parametrize(
    "path",
    [
        *("/clips/..%2f..%2fREADME.md", "/clips/-1", "/clips/999", "/clips/0/../../app.py"),
        *("/gradio_api/file=/etc/passwd", "/gradio_api/file=README.md"),
        "/gradio_api/file=../../../../etc/passwd",
    ],
)
def test_no_request_reads_a_file_of_this_machine(address, path):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(address.rstrip("/") + path)
    assert error.value.code in (403, 404)


@pytest.mark.parametrize("linked", [False, True])
def test_a_gallery_from_elsewhere_cannot_serve_what_is_no_audio(engine, tmp_path, linked):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    if linked:
        (tmp_path / "clip.wav").symlink_to(secret)
    named = tmp_path / "clip.wav" if linked else secret
    gallery = engine.gallery
    clips = [replace(gallery.clips[0], path=str(named)), *gallery.clips[1:]]
    options = interface.launch_options(
        Shelf(Engine(engine.model, replace(gallery, clips=clips, rows=gallery.rows)))
    )
    client = TestClient(Starlette(routes=options["app_kwargs"]["routes"]))
    assert client.get("/clips/0").status_code == 404
    assert client.get("/clips/1").status_code == 200


def test_uploads_are_gone_within_the_hour(engine):
    shelf = Shelf(engine)
    page = interface.build(shelf)
    frequency, age = page.delete_cache
    assert frequency + age < 3600
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **interface.launch_options(shelf))
    try:
        answer = httpx.post(f"{url}gradio_api/upload", files={"files": ("../../x.wav", b"RIFF")})
        (upload,) = map(Path, answer.json())
        assert upload.is_file()
        assert upload.name == "x.wav"  # no name leads out of the folder of uploads
        delete_files_created_by_app(page, age)
        assert upload.is_file()  # as long as it may be needed
        time.sleep(0.1)
        delete_files_created_by_app(page, 0.05)
        assert not upload.exists()
    finally:
        page.close()


class Jobs(dict):
    """Jobs by name; while somebody goes through them another begins."""

    def items(self):
        for item in super().items():
            self[f"own-{len(self):032}"] = Job()
            yield item


def test_what_a_visitor_takes_in_is_told_to_nobody_else(engine, tmp_path):
    shelf, own = Shelf(engine, tmp_path), f"own-{'0' * 32}"
    shelf.jobs = Jobs({"ravdess": Job(), own: Job()})
    look = next(each.fn for each in interface.build(shelf).fns.values() if each.name == "look")
    request = SimpleNamespace(client=SimpleNamespace(host="10.0.0.7"), headers={})
    stranger, owner = (look("", mine, [], request)[2] for mine in ([], [own]))
    assert (stranger, owner) == (["ravdess"], ["ravdess", own])
    shelf.jobs[own].running = False
    assert look("", [], stranger, request)[0] == gr.skip()
    # The gallery was removed since: there is nothing to announce, and no mistake to tell.
    shelf.jobs[own].step = "Ready"
    assert look("", [own], owner, request)[0] == ""
    del shelf.jobs[own]
    assert look("", [own], owner, request)[0] == ""


@pytest.mark.parametrize("said", [None, "own", {}, [1, None, {}, [], ""], ["ravdess"], ["kitchen"]])
def test_a_browser_that_lies_about_what_is_its_own_gets_nothing(engine, tmp_path, said):
    shelf = Shelf(engine, tmp_path)
    shelf.jobs = {"ravdess": Job(), "kitchen": Job()}
    handlers = {each.name: each.fn for each in interface.build(shelf).fns.values()}
    request = SimpleNamespace(client=SimpleNamespace(host="10.0.0.7"), headers={})
    assert handlers["look"]("", said, [], request)[2] == ["ravdess"]  # which everybody may know
    handlers["stop_own"](said, request)
    for name, *more in (["search_own"], ["delete_own", ""]):
        for wanted in ("ravdess", "kitchen", "", None, []):
            with pytest.raises(gr.Error, match="no such gallery of your own"):
                handlers[name](said, *more, SimpleNamespace(clip=wanted), request)
    assert not any(job.stop.is_set() for job in shelf.jobs.values())
    assert handlers["recall"](said, request) in ([], gr.skip())


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium; name one in RACLAP_TEST_CHROMIUM")
@pytest.mark.filterwarnings("ignore:A .<script>. tag:UserWarning")  # it is shown, and does not run
def test_what_a_clip_is_called_is_announced_as_text(page):
    page.get_by_role("tab", name="Voice", exact=True).click()
    page.get_by_label("Or a clip of the gallery").click()
    page.get_by_role("option").first.click()
    status = page.get_by_role("status").filter(visible=True).first
    status.get_by_text("<img src=x", exact=False).wait_for()
    assert "${window.hacked" in status.inner_text()
    assert page.evaluate("window.hacked") is None
