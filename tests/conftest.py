"""The page and the command line over a stub model.

An engine, its launched page, a browser to look at it with; verbs that succeed or are refused.
"""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from stub import StubModel, write_voice

from raclap import checkpoint, search
from raclap.__main__ import main
from raclap.corpus import Clip
from raclap.index import Gallery
from raclap.reading import Reader
from raclap.search import Engine
from raclap.shelf import Shelf

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from playwright import sync_api as playwright

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, lest at the end all wait for it."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


class _Loggers(dict):
    """Loggers by name; going through them is safe while a thread adds some."""

    def values(self) -> list:
        return list(super().values())


# Before each part of a test pytest goes through all loggers, while the page's threads still import.
logging.Logger.manager.loggerDict = _Loggers(logging.Logger.manager.loggerDict)

# The headless shell, where there is one, opens a page in two thirds of the time.
CHROMIUM = (
    os.environ.get("RACLAP_TEST_CHROMIUM")
    or shutil.which("chromium-headless-shell")
    or shutil.which("chromium")
)
TEST_ALL = bool(os.environ.get("RACLAP_TEST_ALL"))  # also what takes minutes more
PATIENCE_MS = 60_000  # a busy machine is slow, not wrong

# What a clip of somebody's own folder may be called, and what it may claim to say.
HOSTILE_NAME = "<img src=x onerror=\"window.hacked='name'\">"
HOSTILE_TEXT = "${window.hacked='text'} {{#with 1}}<script>window.hacked=1</script>{{/with}}"


def give(box: playwright.Locator, file: Path, seen: playwright.Locator) -> None:
    """Upload a file; once more if the page was not listening yet, for that part only just opened.

    Args:
        box: the part of the page that takes files.
        file: what it is given.
        seen: what shows then.
    """
    field = box.locator("input[type=file]")
    field.set_input_files(file)
    with suppress(Exception):  # playwright's own TimeoutError: it may not be installed
        return seen.wait_for(timeout=PATIENCE_MS / 4)
    field.set_input_files(file)


def serious(page: playwright.Page, within: str = "html") -> list[str]:
    """What axe-core finds wrong in the part of the page that ``within`` selects, in its words."""
    axe = resources.files(pytest.importorskip("axe_core_python")) / "axe.min.js"
    page.evaluate(axe.read_text("utf-8"))
    # In the dark nothing but colours is other than in the light.
    question = """async part => (await axe.run(part, {
        resultTypes: ['violations'],
        ...(matchMedia('(prefers-color-scheme: dark)').matches && {runOnly: ['color-contrast']}),
    })).violations"""
    return [
        f"{each['id']}: {node['html'][:160]}"
        for each in page.evaluate(question, within)
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def drawn(figure: Figure) -> Figure:
    """Return a figure, proven to draw: some mistakes show only then."""
    figure.savefig(file := io.BytesIO(), format="png")
    assert file.getvalue().startswith(b"\x89PNG")
    return figure


def make_engine(folder: Path, count: int = 12) -> Engine:
    """Return a real engine with a stub model over ``count`` clips; the first one is hostile."""
    clips = []
    for number in range(count):
        path = write_voice(folder / f"vowel{number}.wav", f0_hz=110 + 12 * number)
        hostile = number == 0
        clips.append(
            Clip(
                id=HOSTILE_NAME if hostile else f"vowel{number}",
                path=str(path),
                corpus="vowels",
                speaker=HOSTILE_NAME if hostile else f"ann{number % 3}",
                gender=("female", "male")[number % 2],
                emotion=("angry", "sad", "happy", "fearful")[number % 4],
                intensity=("normal", "strong")[number // 2 % 2],
                pitch=("low", "medium", "high")[number % 3],
                phonation="voiced",
                language="en",
                text=HOSTILE_TEXT if hostile else "Kids are talking by the door.",
                seconds=0.6,
            )
        )
    model = StubModel()
    gallery = Gallery.build(
        model.encode_speech([clip.path for clip in clips]).numpy(),
        clips,
        model.fingerprint,
        name="vowels",
        note="These voices are synthetic.",
    )
    return Engine(model, gallery)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return make_engine(tmp_path_factory.mktemp("vowels"))


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that is not in the gallery."""
    return write_voice(tmp_path_factory.mktemp("voice") / "voice.wav", f0_hz=205, seconds=2.0)


@pytest.fixture(scope="session")
def shelf(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(engine, tmp_path_factory.mktemp("galleries"), homes={})


@pytest.fixture(scope="session")
def address(shelf: Shelf) -> Iterator[str]:
    """Where the launched page answers."""
    from raclap.interface import build, launch_options

    page = build(shelf)
    options = launch_options(shelf)
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **options)
    yield url
    page.close()


@contextmanager
def crowded(address: str, engine: Engine) -> Iterator[httpx.Response]:
    """Fill the page's queue; what the first one hears who does not fit in.

    Until the end one search is on and the others wait.
    """
    over = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "search_text", lambda *_, **__: over.wait(PATIENCE_MS / 1000) and [])
        try:
            question = {"data": ["anybody", 1, None, "", False, ""]}
            for _ in range(100):
                answer = httpx.post(f"{address}gradio_api/call/search_by_text", json=question)
                if answer.status_code != 200:
                    break
            yield answer
        finally:
            over.set()
            while httpx.post(f"{address}gradio_api/call/galleries", json={"data": []}).is_error:
                time.sleep(0.05)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> StubModel:
    """Answer every request for a checkpoint with the stub."""
    model = StubModel()
    for place in (checkpoint, search):
        monkeypatch.setattr(place, "open_reader", lambda _: Reader(model))
    return model


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    """A folder of four clips with a manifest."""
    for f0 in (100, 140, 190, 250):
        write_voice(tmp_path / "voices" / "clips" / f"{f0}.wav", f0)
    rows = ["id,path,gender,emotion"]
    rows += [f"v{f0},clips/{f0}.wav,male,sad" for f0 in (100, 140)]
    rows += [f"v{f0},clips/{f0}.wav,female,angry" for f0 in (190, 250)]
    (tmp_path / "voices" / "manifest.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "voices"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict]:
    """Run a verb that must succeed; give its JSON."""

    def run(*argv: object) -> dict:
        code = main([str(word) for word in argv])
        out, err = capsys.readouterr()
        assert code == 0, err
        return json.loads(out)

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a verb that must be refused; give its one sentence."""

    def refused(*argv: object) -> str:
        code = main([str(word) for word in argv])
        out, err = capsys.readouterr()
        lines = [line for line in err.replace("\r", "\n").splitlines() if line.strip()]
        sentence = lines[-1]
        assert (code, out) == (2, "")
        assert [line for line in lines if "%|" not in line] == [sentence]  # beside progress bars
        return sentence

    return refused


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[playwright.Browser]:
    """A browser whose microphone hears a file."""
    driven = pytest.importorskip("playwright.sync_api")
    driven.expect.set_options(timeout=PATIENCE_MS)
    heard = write_voice(tmp_path_factory.mktemp("microphone") / "heard.wav", 180, 3.0)
    with driven.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={heard}",
                "--autoplay-policy=no-user-gesture-required",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def visitor(browser: playwright.Browser) -> Iterator[playwright.BrowserContext]:
    """Who opens the pages of a module, and need not fetch what all of them are made of anew."""
    context = browser.new_context(permissions=["microphone", "clipboard-read", "clipboard-write"])
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def complaints() -> list[str]:
    """What a visit must not have: errors in the console, requests to other hosts."""
    return []


@pytest.fixture
def page(
    visitor: playwright.BrowserContext,
    address: str,
    complaints: list[str],
    request: pytest.FixtureRequest,
) -> Iterator[playwright.Page]:
    """The opened page, as if for the first time; its width and colours by indirect parameter."""
    width, scheme = getattr(request, "param", (1280, "light"))
    page = visitor.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    stores = {"origin": address.rstrip("/"), "storageTypes": "local_storage,cookies"}
    visitor.new_cdp_session(page).send("Storage.clearDataForOrigin", stores)
    leaving = False  # a page that is left says of each question that it was cut off

    def asked(request: playwright.Request) -> None:
        nonlocal leaving
        leaving = leaving or request.is_navigation_request()
        host = urlsplit(request.url).hostname
        if host not in (None, urlsplit(address).hostname):
            complaints.append(f"asked {request.url}")

    def arrived(_: playwright.Frame | playwright.Download) -> None:
        nonlocal leaving
        leaving = False

    def said(message: playwright.ConsoleMessage) -> None:
        if message.type == "error" and not leaving:
            complaints.append(message.text)

    page.on("request", asked)
    page.on("framenavigated", arrived)
    page.on("download", arrived)  # which is asked for as a page is, and leaves none
    page.on("console", said)
    page.on("pageerror", lambda error: leaving or complaints.append(str(error)))
    page.goto(address)
    page.get_by_role("heading", level=1).wait_for()
    yield page
    for each in visitor.pages:
        each.close()
