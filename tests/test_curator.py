"""The tab of galleries in a real Chromium. Run: pytest -m browser tests/test_curator.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import HOSTILE_NAME, PATIENCE_MS, give, make_engine, serious
from gradio_client import Client
from gradio_client.exceptions import AppError
from home import Host, serving, zipped
from stub import write_voice
from test_page import _announced, _ids, _open, _search, expect, playwright
from test_page import pytestmark as pytestmark

from raclap.curator import at_home
from raclap.interface import build, launch_options
from raclap.shelf import Shelf


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Clips that are called as RAVDESS calls them."""
    folder = tmp_path_factory.mktemp("made")
    names = [f"03-01-0{3 + n}-01-01-01-0{n}.wav" for n in range(1, 5)]
    return {
        name: write_voice(folder / name, 100 + 37 * n).read_bytes() for n, name in enumerate(names)
    }


@pytest.fixture
def host(voices: dict[str, bytes]) -> Iterator[Host]:
    with serving() as host:
        host.record("corpus.zip", zipped(voices))
        yield host


@pytest.fixture
def shelf(host: Host, tmp_path: Path) -> Shelf:
    home = host.home(f"{host.origin}/api/records/1")
    engine = make_engine(tmp_path / "vowels")
    return Shelf(engine, tmp_path / "galleries", {"ravdess": home}, pause=0.05)


@pytest.fixture
def address(shelf: Shelf) -> Iterator[str]:
    page = build(shelf)
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **launch_options(shelf))
    yield url
    page.close()


def taken(shelf: Shelf) -> None:
    shelf.take_corpus("ravdess")
    until = time.monotonic() + PATIENCE_MS / 1000
    while any(job.running for job in shelf.jobs.values()):
        assert time.monotonic() < until
        time.sleep(0.05)


def button(page: playwright.Page, name: str) -> playwright.Locator:
    return page.get_by_role("button", name=name, exact=True)


def own_zip(tmp_path: Path) -> Path:
    body = write_voice(tmp_path / "a.wav", 180).read_bytes()
    (tmp_path / "my voices.zip").write_bytes(
        zipped({"a.wav": body, f"{HOSTILE_NAME[:20]}.wav": body})
    )
    return tmp_path / "my voices.zip"


def take_own(page: playwright.Page, tmp_path: Path) -> None:
    _open(page, "Galleries")
    box = page.locator("#zip")
    give(box, own_zip(tmp_path), box.get_by_text("my voices"))
    expect(box).to_contain_text("my voices")
    button(page, "Index this zip").click()
    expect(button(page, "Search it")).to_be_visible()


# ---------------------------------------------------------------------- a corpus


def test_a_corpus_is_fetched_searched_and_linked_to(
    page: playwright.Page, complaints: list[str], address: str, shelf: Shelf
) -> None:
    _search(page, "an angry man")
    _open(page, "Galleries")
    expect(page.locator(".offer")).to_contain_text("about 0.1 MB")
    expect(page.locator(".offer")).to_contain_text("CC0")
    button(page, "Fetch Vowels").click()
    expect(_announced(page)).to_have_text("Vowels (4 clips) can be searched now.")
    expect(page.locator("#choice")).to_contain_text("Vowels (4 clips)")
    button(page, "Search Vowels").click()
    expect(page.get_by_role("tab", name="Search")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".masthead .gallery")).to_contain_text("4 clips in the gallery “Vowels”")
    expect(_announced(page)).to_contain_text("Understood: angry, man.")  # asked anew
    expect(page.locator(".hit")).to_have_count(4)
    assert page.evaluate("scrollY") == 0
    expect(page).to_have_url(f"{address}?gallery=ravdess&q=an+angry+man")
    with page.expect_response("**/clips/ravdess/*") as heard:
        page.locator(".player button").first.click()
    assert heard.value.ok
    page.get_by_label("Emotion").click()
    page.get_by_role("option", name="angry (1)", exact=True).click()
    expect(page.locator(".hit")).to_have_count(1)
    _open(page, "Map")
    expect(page.locator(".atlas circle")).to_have_count(4)
    page.goto(f"{address}?gallery=ravdess&q=sad")
    expect(page.locator(".hit")).to_have_count(4)
    expect(page.locator(".masthead .gallery")).to_contain_text("Vowels")
    assert complaints == []


def test_every_tab_follows_the_choice_and_other_visitors_keep_theirs(
    page: playwright.Page, complaints: list[str], address: str, shelf: Shelf
) -> None:
    taken(shelf)
    other = page.context.new_page()
    other.goto(address)
    _open(page, "Galleries")
    page.get_by_role("radio", name="Vowels (4 clips)").check()
    expect(page.locator(".masthead .gallery")).to_contain_text("4 clips")
    _search_in(page, "Search", "sad")
    clip = _ids(page, "#results")[0]
    page.get_by_role("button", name="Find similar: result 1", exact=True).click()
    expect(page.get_by_role("heading", name="Clips that sound most alike")).to_be_visible()
    alike = [hit.clip.id for hit in shelf["ravdess"].search_clip(clip, 7, varied=True)]
    assert _ids(page, "#alike") == [id for id in alike if id != clip]
    _open(page, "Search")
    page.get_by_role("button", name="Like this, but …: result 2", exact=True).click()
    button(page, "slower").click()
    expect(page.locator(".sides section").nth(1).locator(".ladder > li")).to_have_count(3)
    _open(page, "Relations")
    page.get_by_role("button", name="Compare").click()
    expect(_announced(page)).to_have_text("4 clips against 6 descriptions.")
    _search_in(other, "Search", "sad")
    expect(other.locator(".hit")).to_have_count(10)
    assert complaints == []


def _search_in(page: playwright.Page, tab: str, text: str) -> None:
    _open(page, tab)
    _search(page, text)


def test_a_transfer_shows_how_far_it_is_stops_and_resumes(
    page: playwright.Page, complaints: list[str], host: Host, shelf: Shelf
) -> None:
    host.seconds = 30.0
    _open(page, "Galleries")
    button(page, "Fetch Vowels").click()
    expect(page.get_by_role("progressbar", name="Downloading")).to_be_visible()
    expect(page.locator(".taking").first).to_contain_text("of 0.1 MB")
    page.reload()
    _open(page, "Galleries")
    expect(page.get_by_role("progressbar", name="Downloading")).to_be_visible()
    button(page, "Stop Vowels").click()
    expect(page.locator(".taking").first).to_contain_text("Stopped. What has been done is kept.")
    host.seconds = 0.0
    button(page, "Resume Vowels").click()
    expect(button(page, "Search Vowels")).to_be_visible()
    assert host.asked[-1][1].startswith("bytes=")
    assert complaints == []


def test_a_bad_home_is_told_on_the_page(
    page: playwright.Page, complaints: list[str], host: Host
) -> None:
    body = host.files["/files/corpus.zip"]
    host.files["/files/corpus.zip"] = body[:-1] + b"?"
    _open(page, "Galleries")
    button(page, "Fetch Vowels").click()
    expect(page.locator(".trouble")).to_contain_text("corpus.zip from 127.0.0.1 is damaged")
    host.files["/files/corpus.zip"] = body
    button(page, "Fetch Vowels").click()
    expect(button(page, "Search Vowels")).to_be_visible()
    assert complaints == []


def test_for_a_gallery_that_is_gone_the_first_one_answers(
    page: playwright.Page, address: str
) -> None:
    page.goto(f"{address}?gallery=nonsense&q=sad")
    said = "The gallery of this address is not here (any more); this is “vowels”."
    expect(page.get_by_test_id("toast-body")).to_contain_text(said)
    expect(page.locator(".hit")).to_have_count(10)
    expect(page.get_by_label("How should it sound?")).to_have_value("sad")
    expect(page.locator(".masthead .gallery")).to_contain_text("12 clips")


# ---------------------------------------------------------------------- one's own


def test_a_zip_is_indexed_for_its_owner_alone(
    page: playwright.Page,
    complaints: list[str],
    browser: playwright.Browser,
    address: str,
    tmp_path: Path,
) -> None:
    other = browser.new_context().new_page()
    other.goto(address)
    take_own(page, tmp_path)
    button(page, "Search it").click()
    expect(page.locator(".masthead .gallery")).to_contain_text("2 clips in the gallery “my voices”")
    _search(page, "sad")
    expect(page.locator(".hit")).to_have_count(2)
    assert page.locator("img[src='x']").count() == 0
    _open(other, "Galleries")
    expect(other.get_by_role("radio")).to_have_count(1)
    other.context.close()
    assert complaints == []


def test_ones_own_is_still_listed_after_a_reload_and_deleted_on_a_click(
    page: playwright.Page, complaints: list[str], address: str, shelf: Shelf, tmp_path: Path
) -> None:
    take_own(page, tmp_path)
    button(page, "Search it").click()
    _search(page, "sad")
    page.reload()
    expect(page.locator(".hit")).to_have_count(2)
    _open(page, "Galleries")
    expect(page.get_by_role("radio", name="my voices (2 clips)")).to_be_checked()
    expect(page.locator(".taking").last).to_contain_text("my voices (2 clips): ready.")
    button(page, "Delete now").click()
    expect(_announced(page)).to_have_text("my voices (2 clips) is deleted.")
    expect(page.get_by_role("radio")).to_have_count(1)
    expect(page.get_by_role("radio", name="vowels (12 clips)")).to_be_checked()
    expect(button(page, "Delete now")).to_have_count(0)
    expect(page.locator(".masthead .gallery")).to_contain_text("12 clips in the gallery “vowels”")
    expect(page).to_have_url(f"{address}?tab=galleries&q=sad")  # asked of the first gallery now
    assert not [*shelf.folder.glob("visitors/*")]
    assert complaints == []


def test_each_of_ones_own_is_searched_and_deleted(
    page: playwright.Page, complaints: list[str], shelf: Shelf, tmp_path: Path
) -> None:
    take_own(page, tmp_path)
    box = page.locator("#zip")
    (tmp_path / "bad.zip").write_bytes(zipped({"../a.wav": b"1"}))
    own_zip(tmp_path).rename(tmp_path / "other.zip")
    for name in ("bad", "other"):
        box.get_by_label("Clear").click()
        give(box, tmp_path / f"{name}.zip", box.get_by_text(name))
        button(page, "Index this zip").click()
        if name == "bad":
            expect(page.locator(".trouble")).to_be_visible()
            expect(button(page, "Search it")).to_have_count(1)
    expect(page.locator(".owned li")).to_contain_text(["other (2", "my voices (2"])
    expect(page.locator(".trouble")).to_have_count(0)
    button(page, "Delete now").last.click()
    expect(_announced(page)).to_have_text("my voices (2 clips) is deleted.")
    expect(page.locator(".owned li")).to_have_count(1)  # the list follows the announcement
    expect(page.locator(".owned li")).to_contain_text(["other (2"])
    button(page, "Search it").click()
    expect(page.locator(".masthead .gallery")).to_contain_text("2 clips in the gallery “other”")
    assert complaints == []


def test_ones_own_that_is_gone_vanishes_quietly(
    page: playwright.Page, complaints: list[str], shelf: Shelf, tmp_path: Path
) -> None:
    take_own(page, tmp_path)
    (own,) = (place.name for place in shelf.folder.glob("visitors/*"))
    shelf.remove(own)
    page.reload()
    _open(page, "Galleries")
    expect(page.get_by_role("radio")).to_have_count(1)
    expect(page.locator(".taking").last).to_be_empty()
    take_own(page, tmp_path)  # what is remembered of the lost one is not in the way
    assert complaints == []


def test_no_zip_and_a_bad_zip_are_told(page: playwright.Page, tmp_path: Path) -> None:
    _open(page, "Galleries")
    button(page, "Index this zip").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("There is no zip yet")
    (tmp_path / "bad.zip").write_bytes(zipped({"../a.wav": b"1"}))
    box = page.locator("#zip")
    give(box, tmp_path / "bad.zip", box.get_by_text("bad"))
    expect(box).to_contain_text("bad")
    button(page, "Index this zip").click()
    expect(page.locator(".trouble")).to_contain_text("would not stay in its folder")


def test_a_folder_of_this_machine_is_indexed(
    page: playwright.Page, complaints: list[str], tmp_path: Path
) -> None:
    write_voice(tmp_path / "kitchen" / "a.wav", 180)
    _open(page, "Galleries")
    page.get_by_label("A folder of this machine").fill(str(tmp_path / "kitchen"))
    page.get_by_label("A folder of this machine").press("Enter")
    button(page, "Search it").click()
    expect(page.locator(".masthead .gallery")).to_contain_text("1 clip in the gallery “kitchen”")
    assert complaints == []


@pytest.mark.parametrize(
    ("client", "headers", "home"),
    [
        ("127.0.0.1", {"host": "127.0.0.1:7860"}, True),
        ("127.0.0.1", {"host": "localhost:7860", "origin": "http://localhost:7860"}, True),
        ("::1", {"host": "[::1]:7860"}, True),
        ("127.0.0.1", {"host": "voices.example"}, False),
        ("127.0.0.1", {"host": "127.0.0.1:7860", "origin": "https://voices.example"}, False),
        ("127.0.0.1", {"host": "127.0.0.1:7860", "x-forwarded-for": "1.2.3.4"}, False),
        ("10.0.0.7", {"host": "127.0.0.1:7860"}, False),
        ("127.0.0.1", {}, False),
    ],
)
def test_who_sits_at_this_machine(client: str, headers: dict[str, str], home: bool) -> None:
    request = SimpleNamespace(client=SimpleNamespace(host=client), headers=headers)
    assert at_home(request) == home


# ---------------------------------------------------------------------- programs


def test_programs_list_and_choose_galleries(address: str, shelf: Shelf) -> None:
    taken(shelf)
    client = Client(address, verbose=False)
    listed = client.predict(api_name="/galleries")["galleries"]
    assert [(each["name"], each["clips"]) for each in listed] == [("", 12), ("ravdess", 4)]
    found = client.predict("sad", gallery="ravdess", api_name="/search_by_text")["hits"]
    assert {hit["audio"] for hit in found} == {f"clips/ravdess/{row}" for row in range(4)}
    assert len(client.predict("sad", api_name="/search_by_text")["hits"]) == 10
    with pytest.raises(AppError, match="There is no gallery"):
        client.predict("sad", gallery="../vowels", api_name="/search_by_text")


# ---------------------------------------------------------------------- looks


@pytest.mark.parametrize(
    "page", [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], indirect=True, ids=str
)
def test_the_tab_fits_and_axe_finds_nothing_serious(
    page: playwright.Page, host: Host, shelf: Shelf, tmp_path: Path
) -> None:
    def fine() -> None:
        page.wait_for_timeout(400)
        assert page.evaluate("innerWidth - document.documentElement.scrollWidth") >= 0
        assert serious(page) == []

    _open(page, "Galleries")
    expect(button(page, "Fetch Vowels")).to_be_visible()
    fine()
    host.answers = [404]
    button(page, "Fetch Vowels").click()
    expect(page.locator(".trouble")).to_be_visible()
    fine()
    host.seconds = 20.0
    button(page, "Fetch Vowels").click()
    expect(page.get_by_role("progressbar", name="Downloading")).to_be_visible()
    fine()
    button(page, "Stop Vowels").click()
    host.seconds = 0.0
    button(page, "Resume Vowels").click()
    expect(button(page, "Search Vowels")).to_be_visible()
    fine()
