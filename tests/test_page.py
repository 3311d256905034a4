"""The page in a real Chromium. Run: pytest -m browser tests/test_page.py."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import HOSTILE_NAME, HOSTILE_TEXT

from raclap.search import Engine
from raclap.tabs import EXAMPLES

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
PATIENCE_MS = 60_000  # a busy machine is slow, not wrong
expect.set_options(timeout=PATIENCE_MS)
CHROMIUM = os.environ.get("RACLAP_TEST_CHROMIUM") or shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium; name one in RACLAP_TEST_CHROMIUM"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What a visit must not have: errors in the console, requests to other hosts."""
    return []


@pytest.fixture
def page(
    browser: playwright.Browser, address: str, complaints: list[str], request: pytest.FixtureRequest
) -> Iterator[playwright.Page]:
    """The opened page; give its width by indirect parameter."""
    width = getattr(request, "param", 1280)
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(PATIENCE_MS)

    def asked(request: playwright.Request) -> None:
        host = urlsplit(request.url).hostname
        if host not in (None, urlsplit(address).hostname):
            complaints.append(f"asked {request.url}")

    def said(message: playwright.ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page.on("request", asked)
    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.get_by_role("heading", level=1).wait_for()
    yield page
    page.close()


def _search(page: playwright.Page, text: str) -> None:
    box = page.get_by_label("How should it sound?")
    box.fill(text)
    box.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("best match first")


def _draw(page: playwright.Page) -> None:
    page.get_by_role("tab", name="Relations").click()
    page.get_by_role("button", name="Draw").click()
    expect(page.locator("img[alt^='Soft relations of 6 clips and 6 descriptions']")).to_be_visible()


def test_typing_and_enter_shows_cards_that_play(
    page: playwright.Page, complaints: list[str], engine: Engine
) -> None:
    expect(page.get_by_text("These voices are synthetic.")).to_be_visible()
    _search(page, "an angry man")
    found = engine.search_text("an angry man", 10)
    expect(page.locator(".hit")).to_have_count(10)
    expect(page.locator(".hit .rank")).to_have_text([str(hit.rank) for hit in found])
    expect(page.locator(".hit .number")).to_have_text(
        [f"{hit.score:.2f}".replace("-", "−") for hit in found]
    )
    seconds = page.locator(".hit audio").first.evaluate(
        "audio => new Promise(done => { audio.onloadedmetadata = () => done(audio.duration);"
        " audio.onerror = () => done(-1); audio.load(); audio.play() })"
    )
    assert seconds == pytest.approx(0.6, abs=0.05)
    assert complaints == []


def test_an_example_fills_the_box_and_runs(page: playwright.Page, complaints: list[str]) -> None:
    page.get_by_role("button", name=EXAMPLES[1]).click()
    expect(page.locator(".hit")).to_have_count(10)
    expect(page.get_by_label("How should it sound?")).to_have_value(EXAMPLES[1])
    assert complaints == []


def test_a_filter_narrows_the_results_at_once(page: playwright.Page) -> None:
    _search(page, "angry")
    page.get_by_role("button", name="Filters and number of results").click()
    page.get_by_label("Gender").click()
    page.get_by_role("option", name="woman", exact=True).click()
    expect(page.get_by_role("status").first).to_have_text("6 clips among: woman, best match first.")
    expect(page.locator(".hit")).to_have_count(6)


def test_an_uploaded_voice_is_read(
    page: playwright.Page, complaints: list[str], voice: Path
) -> None:
    page.get_by_role("tab", name="Match a voice").click()
    page.locator("#voice input[type=file]").set_input_files(voice)
    expect(page.get_by_role("heading", name="How it is spoken")).to_be_visible()
    expect(page.locator(".attribute h3", has_text="Pitch")).to_contain_text("20")
    expect(page.locator(".attribute")).to_have_count(7)
    expect(page.locator(".described li")).to_have_count(5)
    expect(page.locator(".hit")).to_have_count(6)
    assert complaints == []


def test_two_heatmaps_with_words_and_a_table(page: playwright.Page, complaints: list[str]) -> None:
    _draw(page)
    maps = page.locator("img[alt*='6 clips and 6 descriptions']")
    expect(maps).to_have_count(2)
    for image in maps.all():
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 800
    page.get_by_role("button", name="The same numbers as a table").click()
    expect(page.get_by_role("columnheader", name="Relation (share)").first).to_be_visible()
    assert complaints == []


def test_hostile_names_and_texts_stay_text(page: playwright.Page) -> None:
    page.get_by_role("button", name="Filters and number of results").click()
    page.get_by_label("Number of results").first.fill("12")
    _search(page, "angry")
    expect(page.locator(".hit .said", has_text=HOSTILE_TEXT)).to_have_count(1)
    expect(page.locator(".hit .who", has_text=HOSTILE_NAME)).to_have_count(1)
    _draw(page)
    assert page.locator("img[src='x']").count() == 0
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("", "The description is empty"), ("a" * 10_000, "The description has 10,000 characters")],
)
def test_a_mistake_is_told_and_nothing_is_lost(
    page: playwright.Page, text: str, sentence: str
) -> None:
    _search(page, "angry")
    page.get_by_label("How should it sound?").fill(text)
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_test_id("toast-body")).to_contain_text(sentence)
    expect(page.get_by_label("How should it sound?")).to_have_value(text)
    expect(page.locator(".hit")).to_have_count(10)


def test_a_broken_upload_is_told(page: playwright.Page, tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("not audio")
    page.get_by_role("tab", name="Match a voice").click()
    page.locator("#voice input[type=file]").set_input_files(tmp_path / "notes.wav")
    expect(page.get_by_test_id("toast-body")).to_contain_text("'notes.wav' cannot be read as audio")


@pytest.mark.parametrize("page", [390], indirect=True)
def test_nothing_is_wider_than_a_phone(page: playwright.Page, voice: Path) -> None:
    def spare() -> int:
        return page.evaluate("innerWidth - document.documentElement.scrollWidth")

    _search(page, "an angry man")
    assert spare() >= 0
    page.get_by_role("tab", name="Match a voice").click()
    page.locator("#voice input[type=file]").set_input_files(voice)
    expect(page.get_by_role("heading", name="How it is spoken")).to_be_visible()
    assert spare() >= 0
    _draw(page)
    assert spare() >= 0
