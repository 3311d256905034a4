"""Why a clip was found, on the page over a real but untrained model.

Run: pytest -m browser tests/test_panel.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import CHROMIUM, give, make_engine, serious
from toys import tiny_model

from raclap.index import Gallery
from raclap.interface import build, launch_options
from raclap.search import Engine
from raclap.shelf import Shelf

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium; name one in RACLAP_TEST_CHROMIUM"),
]
TEXT = "a frightened woman whispering fast"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine whose model has a speech tower, over the clips of the other page tests."""
    clips = make_engine(tmp_path_factory.mktemp("vowels")).gallery.clips
    model = tiny_model()
    vectors = model.encode_speech([clip.path for clip in clips]).numpy()
    return Engine(model, Gallery.build(vectors, clips, model.fingerprint, name="vowels", note=""))


@pytest.fixture(scope="module")
def shelf(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A shelf with a second gallery: the last clips of the first one, in the other order."""
    folder = tmp_path_factory.mktemp("galleries")
    clips = [replace(clip, id=f"other-{clip.id}") for clip in engine.gallery.clips[:5:-1]]
    vectors = engine.gallery.vectors[:5:-1]
    model = engine.model.fingerprint
    Gallery.build(vectors, clips, model, name="Others", note="").save(folder / "others")
    return Shelf(engine, folder, homes={})


@pytest.fixture(scope="module")
def address(shelf: Shelf) -> Iterator[str]:
    page = build(shelf)
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **launch_options(shelf))
    yield url
    page.close()


def _sum(page: playwright.Page) -> list[float]:
    texts = page.locator("#why .sum .number").all_inner_texts()
    return [float(text.replace("−", "-")) for text in texts]


def _search(page: playwright.Page, text: str = TEXT, count: int = 10) -> None:
    page.get_by_label("How should it sound?").fill(text)
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".hit")).to_have_count(count)


def test_a_result_says_why(
    page: playwright.Page,
    complaints: list[str],
    engine: Engine,
) -> None:
    _search(page)
    assert page.locator("#why").is_hidden()
    button = page.get_by_role("button", name="Why result 2 was found")
    button.click()
    expect(page.get_by_role("heading", name="Why this score")).to_be_focused()
    expect(page.locator("#why .because")).to_be_visible()
    hit = engine.search_text(TEXT, 2)[1]
    *parts, score = _sum(page)
    assert score == pytest.approx(hit.score, abs=0.001)
    assert sum(parts) == pytest.approx(score, abs=0.0005 * (len(parts) + 1))
    picture = page.get_by_role("img", name="Heatmap of 5 words by")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 1000
    for name, start in (("CSV", b"words,start,stop,adds"), ("PNG", b"\x89PNG")):
        with page.expect_download() as kept:
            page.locator("#why").get_by_role("link", name=name).click()
        assert Path(kept.value.path()).read_bytes().startswith(start)
    page.keyboard.press("Escape")
    expect(page.locator("#why")).to_be_hidden()
    expect(button).to_be_focused()
    assert complaints == []


@pytest.mark.parametrize("page", [(390, "light"), (640, "light")], indirect=True, ids=str)
def test_a_panel_that_is_scrolled_keeps_its_name_and_its_close(page: playwright.Page) -> None:
    page.set_viewport_size({"width": page.viewport_size["width"], "height": 450})
    _search(page)
    page.get_by_role("button", name="Why result 1 was found").click()
    panel = page.get_by_role("dialog", name="Why this score")
    expect(panel.locator(".because")).to_be_visible()
    panel.evaluate("panel => panel.scrollTo(0, panel.scrollHeight)")
    assert panel.evaluate("panel => panel.scrollTop") > 100
    expect(page.get_by_role("heading", name="Why this score")).to_be_in_viewport()
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()


def test_a_panel_that_was_closed_early_stays_closed(page: playwright.Page) -> None:
    _search(page)
    page.get_by_role("button", name="Why result 1 was found").click()
    page.keyboard.press("Escape")
    expect(page.locator("#why .because")).to_be_attached()  # the answer came all the same
    page.wait_for_timeout(500)
    expect(page.locator("#why")).to_be_hidden()


def test_what_is_not_wanted_is_told(page: playwright.Page, engine: Engine) -> None:
    page.get_by_label("But not").fill("a man")
    _search(page)
    page.get_by_role("button", name="Why result 1 was found").click()
    expect(page.locator("#why .sum")).to_contain_text("but not: “a man”")
    hit = engine.search_text(TEXT, 1, without="a man")[0]
    assert _sum(page)[-1] == pytest.approx(hit.score, abs=0.001)


def test_the_panel_follows_the_choice_of_gallery(
    page: playwright.Page, complaints: list[str], shelf: Shelf
) -> None:
    page.get_by_role("tab", name="Galleries").click()
    page.get_by_role("radio", name="Others (6 clips)").check()
    expect(page.locator(".masthead .gallery")).to_contain_text("“Others”")
    page.get_by_role("tab", name="Search").click()
    page.get_by_label("But not").fill("a man")
    _search(page, count=6)
    page.get_by_role("button", name="Why result 1 was found").click()
    expect(page.locator("#why .because")).to_be_visible()
    others = shelf["others"]
    (hit,) = others.search_text(TEXT, 1, without="a man")
    assert _sum(page)[-1] == pytest.approx(hit.score, abs=0.001)
    sound = f"clips/others/{others.gallery.rows[hit.clip.id]}"
    assert page.locator("#why audio").get_attribute("src").endswith(sound)
    page.get_by_role("tab", name="Relations").click()
    expect(page.locator("#why")).to_be_hidden()
    page.get_by_label("Descriptions, one a line").fill(TEXT)
    page.get_by_role("button", name="Compare").click()
    row = page.get_by_role("table", name="Similarity").get_by_role("row").nth(1)
    with page.expect_response("**/clips/others/0") as heard:
        row.get_by_role("button").first.click()
    assert heard.value.ok
    expect(page.locator("#why .because")).to_be_visible()
    first = others.gallery.clips[0]
    score = others.compare([first.id], [TEXT]).similarity[0, 0]
    assert _sum(page)[-1] == pytest.approx(float(score), abs=0.001)
    assert complaints == []


def test_only_results_of_a_description_are_asked(page: playwright.Page) -> None:
    _search(page)
    page.get_by_role("button", name="Find similar: result 2", exact=True).click()
    expect(page.locator("#alike .hit").first).to_be_visible()
    expect(page.locator("#alike [data-tell=why]")).to_have_count(0)


@pytest.mark.parametrize("page", [(390, "dark")], indirect=True, ids=str)
def test_a_cell_says_why_on_a_phone_in_the_dark(
    page: playwright.Page,
    complaints: list[str],
    engine: Engine,
    voice: Path,
) -> None:
    page.get_by_role("tab", name="Relations").click()
    page.get_by_role("button", name="Recordings of your own").click()
    own = page.locator("#own")
    give(own, voice, own.get_by_text("voice"))
    expect(own.get_by_text("voice")).to_be_visible()
    page.get_by_label("Descriptions, one a line").fill(f"calm\n{TEXT}")
    page.get_by_role("button", name="Compare").click()
    row = page.get_by_role("table", name="Similarity").get_by_role("row").nth(2)
    cell = row.get_by_role("button").last
    with page.expect_request("**/*voice.wav"):
        cell.click()
    expect(page.locator("#why .because")).to_be_visible()
    expect(page.locator("#why .asked")).to_have_text(f"“{TEXT}” and voice.wav")
    expect(page.locator("#why [role=status].status")).to_contain_text("Score ")
    score = engine.compare([str(voice)], [TEXT]).similarity[0, 0]
    assert _sum(page)[-1] == pytest.approx(float(score), abs=0.001)
    assert page.evaluate("innerWidth - document.documentElement.scrollWidth") >= 0
    shown = page.get_by_role("img", name="Heatmap of")
    assert shown.evaluate("image => image.naturalWidth") < 800
    corner = (
        "image => { const c = document.createElement('canvas').getContext('2d');"
        " c.drawImage(image, 0, 0);"
        " return Math.max(...c.getImageData(0, 0, 1, 1).data.slice(0, 3)) }"
    )
    assert shown.evaluate(corner) < 64
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#why")).to_be_hidden()
    assert complaints == []


def test_many_clips_scroll_in_their_own_box_and_labels_stay(
    page: playwright.Page,
) -> None:
    page.set_viewport_size({"width": 390, "height": 900})
    _search(page)
    for number in range(1, 10):
        page.get_by_role("button", name=f"To Relations: result {number}", exact=True).click()
        expect(page.get_by_test_id("toast-body").last).to_contain_text("In Relations now")
    page.get_by_role("tab", name="Relations").click()
    page.get_by_role("button", name="Compare").click()
    box = page.get_by_role("region", name="Similarity")
    label = box.get_by_role("rowheader").first
    before = label.bounding_box()["x"]
    box.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.matrix').scrollLeft > 60")
    assert label.bounding_box()["x"] == pytest.approx(before, abs=13)
    assert page.evaluate("innerWidth - document.documentElement.scrollWidth") >= 0


@pytest.mark.parametrize(
    "page", [(1280, "light"), (1280, "dark"), (390, "light")], indirect=True, ids=str
)
def test_axe_finds_no_serious_violation_in_the_panel(page: playwright.Page) -> None:
    _search(page, "a man")
    page.get_by_role("button", name="Why result 1 was found").click()
    expect(page.locator("#why .because")).to_be_visible()
    page.locator("#why summary").click()
    page.wait_for_timeout(300)
    assert serious(page, "#why") == []
