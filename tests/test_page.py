"""The page in a real Chromium. Run: pytest -m browser tests/test_page.py."""

from __future__ import annotations

import csv
import io
import itertools
import re
import shutil
import statistics
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from conftest import (
    CHROMIUM,
    HOSTILE_NAME,
    HOSTILE_TEXT,
    PATIENCE_MS,
    crowded,
    give,
    serious,
)
from stub import write_voice

from raclap.search import Engine, Hit
from raclap.widgets import EXAMPLES

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium; name one in RACLAP_TEST_CHROMIUM"),
]

# Of things to click: those where the pointer finds something else.
COVERED = """all => all.filter(each => {
    each.scrollIntoView({ block: 'nearest' });
    const { x, y, width, height } = each.getBoundingClientRect();
    return !each.contains(document.elementFromPoint(x + width / 2, y + height / 2));
}).map(each => each.innerText)"""


def _announced(page: playwright.Page) -> playwright.Locator:
    """The status line of the open tab."""
    return page.get_by_role("status").filter(visible=True).first


def _search(page: playwright.Page, text: str) -> None:
    box = page.get_by_label("How should it sound?")
    box.fill(text)
    box.press("Enter")
    expect(_announced(page)).to_contain_text("best match first")


def _open(page: playwright.Page, tab: str) -> None:
    page.get_by_role("tab", name=tab, exact=True).click()


def _give(page: playwright.Page, voice: Path) -> None:
    box = page.locator("#voice")
    give(box, voice, box.get_by_label("Play", exact=True))


def _compare(page: playwright.Page) -> None:
    _open(page, "Relations")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".matrix")).to_have_count(3)


def _ids(page: playwright.Page, place: str) -> list[str]:
    """Which clips are shown, in order."""
    return page.locator(f"{place} .hit [data-tell=similar]").evaluate_all(
        "all => all.map(each => each.dataset.clip)"
    )


# ---------------------------------------------------------------------- search


def test_typing_and_enter_shows_cards_that_play(
    page: playwright.Page, complaints: list[str], engine: Engine
) -> None:
    expect(page.get_by_text("These voices are synthetic.")).to_be_visible()
    _search(page, "an angry man")
    found = engine.search_text("an angry man", 10)
    expect(page.locator(".hit .rank")).to_have_text([str(hit.rank) for hit in found])
    expect(page.locator(".hit .number")).to_have_text(
        [f"{hit.score:.2f}".replace("-", "−") for hit in found]
    )
    first, second = page.locator(".player").nth(0), page.locator(".player").nth(1)
    first.get_by_role("button").click()
    expect(first.locator(".clock")).to_contain_text("/ 0.6 s")
    assert first.locator("audio").evaluate("audio => audio.duration") == pytest.approx(0.6, abs=0.1)
    second.get_by_role("button").click()
    assert first.locator("audio").evaluate("audio => audio.paused")
    expect(first).not_to_have_class("player playing")
    told = page.get_by_role("status").all_inner_texts()
    assert not any("common." in each for each in told)  # a text of Gradio's own, untranslated
    assert complaints == []


def test_a_waveform_is_sought_and_played_by_keyboard(page: playwright.Page) -> None:
    _search(page, "an angry man")
    seek = page.get_by_role("slider", name="Position in result 1:")
    seek.focus()
    seek.press("End")
    moved = "at => document.querySelector('.player audio').currentTime > 0.5"
    page.wait_for_function(moved)
    expect(seek).to_have_attribute("aria-valuetext", "0.6 of 0.6 s")
    seek.press("Home")
    for _ in range(20):
        seek.press("ArrowRight")
    expect(seek).to_have_attribute("aria-valuetext", "0.3 of 0.6 s")
    page.locator(".player audio").first.evaluate("audio => { audio.loop = true }")
    page.get_by_role("button", name="Play result 1:").press("Enter")
    page.get_by_role("button", name="Pause result 1:").press("Enter")
    expect(page.get_by_role("button", name="Play result 1:")).to_be_focused()


def test_there_is_something_to_hear_before_anything_is_asked(page: playwright.Page) -> None:
    expect(_announced(page)).to_contain_text("A taste of what is here")
    expect(page.locator("#results .hit")).to_have_count(6)
    expect(page.locator("#results .rank, #results .score")).to_have_count(0)
    styles = page.locator("#results .badges").all_inner_texts()
    assert len(set(styles)) == 6
    expect(page.locator("#more")).to_be_hidden()


def test_clips_are_played_one_after_the_other_without_a_mouse(
    page: playwright.Page, complaints: list[str]
) -> None:
    _search(page, "an angry man")
    page.keyboard.press("ArrowDown")
    play = page.locator("#results .hit .play")
    expect(play.first).to_be_focused()
    page.locator("#results audio").evaluate_all("all => all.forEach(each => { each.loop = true })")
    page.keyboard.press("Enter")
    bar = page.get_by_role("region", name="Now playing")
    expect(bar).to_contain_text("result 1:")
    page.keyboard.press("ArrowDown")
    expect(bar).to_contain_text("result 2:")
    expect(play.nth(1)).to_be_focused()
    expect(page.locator(".player.playing")).to_have_count(1)
    _open(page, "Map")
    bar.get_by_role("button", name="Next clip").click()
    expect(bar).to_contain_text("result 3:")
    bar.get_by_role("button", name="Pause").click()
    expect(page.locator(".player.playing")).to_have_count(0)
    bar.get_by_role("button", name="Close").click()
    expect(bar).to_be_hidden()
    _open(page, "Search")
    page.keyboard.press("/")
    expect(page.get_by_role("tab", name="Search", exact=True)).to_be_focused()
    play.first.focus()
    page.keyboard.press("/")
    expect(page.get_by_label("How should it sound?")).to_be_focused()
    assert complaints == []


def test_the_first_link_leads_to_the_results(page: playwright.Page, address: str) -> None:
    link = page.get_by_role("link", name="To the results")
    expect(page.locator("#results .hit")).to_have_count(6)
    page.wait_for_timeout(500)  # what is put in place of another loses the focus
    page.keyboard.press("Tab")
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Results")).to_be_focused()
    expect(page).to_have_url(address)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Play example 1:")).to_be_focused()
    _open(page, "Map")
    expect(link).to_have_count(0)


def test_clips_play_on_by_themselves_if_asked(page: playwright.Page) -> None:
    _search(page, "an angry man")
    page.get_by_role("button", name="Play result 9:").click()
    bar = page.get_by_role("region", name="Now playing")
    bar.get_by_role("button", name="Play on").click()
    expect(bar).to_contain_text("result 10:")


def test_the_bar_goes_with_the_clip_that_it_is_of(page: playwright.Page) -> None:
    """It went on to say that a clip was playing which no result was any more."""
    _search(page, "an angry man")
    page.locator("#results audio").nth(8).evaluate("audio => { audio.loop = true }")
    page.get_by_role("button", name="Play result 9:").click()
    bar = page.get_by_role("region", name="Now playing")
    expect(bar).to_contain_text("result 9:")
    page.get_by_role("spinbutton", name="Number of results").first.fill("3")
    expect(page.locator("#results .hit")).to_have_count(3)
    expect(bar).to_be_hidden()
    page.get_by_role("button", name="Play result 1:").click()
    expect(bar).to_contain_text("result 1:")


def test_more_results_are_shown_on_a_click(page: playwright.Page, address: str) -> None:
    page.get_by_role("spinbutton", name="Number of results").first.fill("1")
    _search(page, "an angry man")
    expect(page.locator("#results .hit")).to_have_count(1)
    page.get_by_role("button", name="Show 10 more").press("Enter")
    expect(page.locator("#results .hit")).to_have_count(11)
    expect(page.get_by_role("button", name="Play result 2:")).to_be_focused()
    expect(page.get_by_role("heading", name="Results", level=2)).to_be_attached()
    expect(page).to_have_url(f"{address}?q=an+angry+man&top=11")
    page.get_by_role("button", name="Show 10 more").click()
    expect(page.locator("#results .hit")).to_have_count(12)
    expect(page.get_by_role("button", name="Play result 12:")).to_be_focused()
    expect(page.locator("#more")).to_be_hidden()  # that is all


def test_the_latest_question_wins(
    page: playwright.Page, address: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, over = engine.search_text, threading.Event()

    def slow(*asked: object, **how: object) -> list[Hit]:
        over.wait(PATIENCE_MS / 1000)
        return search(*asked, **how)

    monkeypatch.setattr(engine, "search_text", slow)
    box = page.get_by_label("How should it sound?")
    for text in ("an angry man", "a sad woman"):
        box.fill(text)
        box.press("Enter")
    page.wait_for_timeout(500)  # both are asked while the first one is at work
    over.set()
    expect(_announced(page)).to_contain_text("Understood: sad, woman.")
    expect(page).to_have_url(f"{address}?q=a+sad+woman")
    expect(box).to_have_value("a sad woman")


def test_filters_alone_show_what_satisfies_them(page: playwright.Page, address: str) -> None:
    page.get_by_label("Gender").click()
    page.get_by_role("option", name="woman (6)", exact=True).click()
    said = "6 clips: woman. Describe a style above to rank them."
    expect(_announced(page)).to_have_text(said)
    expect(page.locator("#results .hit")).to_have_count(6)
    expect(page.locator("#results .score, #results .rank")).to_have_count(0)
    expect(page).to_have_url(f"{address}?gender=female")
    page.goto(f"{address}?gender=female&top=4")
    expect(_announced(page)).to_contain_text("6 clips: woman. Here are 4 of them, as different as")
    expect(page.locator("#results .hit")).to_have_count(4)
    page.get_by_role("button", name="Show 10 more").click()
    expect(_announced(page)).to_have_text(said)
    page.get_by_role("button", name="Clear filters").click()
    expect(_announced(page)).to_contain_text("A taste of what is here")
    expect(page).to_have_url(address)


def test_back_leads_to_the_query_before(page: playwright.Page, address: str) -> None:
    page.goto(f"{address}?__theme=dark")
    for query in ("an angry man", "a sad woman"):
        _search(page, query)
        words = query.replace(" ", "+")
        expect(page).to_have_url(f"{address}?__theme=dark&q={words}")
    page.go_back()
    expect(page.get_by_label("How should it sound?")).to_have_value("an angry man")
    expect(_announced(page)).to_contain_text("Understood: angry, man.")


def test_back_leads_from_a_tab_that_there_is_to_the_first(
    page: playwright.Page, address: str
) -> None:
    page.goto(f"{address}?tab=nonsense")
    expect(page.locator("#results .hit")).to_have_count(6)
    _open(page, "Map")
    expect(page).to_have_url(f"{address}?tab=map")
    page.go_back()
    expect(page.get_by_label("How should it sound?")).to_be_visible()


def test_back_leads_to_the_tab_before(page: playwright.Page, address: str) -> None:
    page.goto(address)
    _search(page, "an angry man")
    page.evaluate("window.kept = true")
    clip = _ids(page, "#results")[0]
    page.locator("#results .hit button[data-tell=similar]").first.click()
    expect(page.get_by_role("tab", name="Voice", exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    expect(page.locator("#alike h2")).to_be_visible()
    expect(page).to_have_url(f"{address}?q=an+angry+man&tab=voice&clip={quote_plus(clip)}")
    page.go_back()
    expect(page.get_by_label("How should it sound?")).to_be_visible()
    expect(_announced(page)).to_contain_text("Understood: angry, man.")
    assert page.evaluate("window.kept")  # nothing was loaded anew
    page.go_forward()
    expect(page.get_by_label("How should it sound?")).to_be_hidden()
    page.reload()
    expect(page.get_by_role("tab", name="Voice", exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    expect(page.locator("#alike h2")).to_have_attribute("data-of", clip)
    _open(page, "Search")
    expect(page).to_have_url(f"{address}?q=an+angry+man")
    expect(_announced(page)).to_contain_text("Understood: angry, man.")


def test_filters_that_leave_nothing_say_which_to_take_away(
    page: playwright.Page, address: str, engine: Engine
) -> None:
    clips = engine.gallery.clips
    held = {(clip.emotion, clip.speaker) for clip in clips}
    emotion, speaker = next(
        pair
        for one, two in itertools.product(clips, clips)
        if (pair := (one.emotion, two.speaker)) not in held
    )
    page.goto(f"{address}?q=angry&emotion={emotion}&speaker={speaker}")
    expect(_announced(page)).to_contain_text("Take a filter away.")
    with_emotion = sum(clip.emotion == emotion for clip in clips)
    with_speaker = sum(clip.speaker == speaker for clip in clips)
    expect(page.locator("#results li")).to_contain_text(
        [f": {with_speaker} clip", f"without {speaker}: {with_emotion} clip"]
    )


def test_what_is_wanted_and_not_wanted_at_once_is_said(page: playwright.Page) -> None:
    page.get_by_label("But not").fill("an angry man")
    _search(page, "a furious man")
    said = "Asked for and not wanted at once: angry, man."
    expect(_announced(page)).to_contain_text(said)


def test_an_example_fills_the_box_and_runs(page: playwright.Page, complaints: list[str]) -> None:
    page.get_by_role("button", name=EXAMPLES[1]).click()
    expect(page.locator(".hit")).to_have_count(10)
    expect(page.get_by_label("How should it sound?")).to_have_value(EXAMPLES[1])
    assert complaints == []


def test_marks_tell_what_fits_and_what_does_not(page: playwright.Page, engine: Engine) -> None:
    _search(page, "an angry man")
    for hit, card in zip(
        engine.search_text("an angry man", 10), page.locator(".hit").all(), strict=True
    ):
        fits = [hit.clip.emotion == "angry", hit.clip.gender == "male"]
        expect(card.locator(".met")).to_have_count(sum(fits))
        expect(card.locator(".missed")).to_have_count(2 - sum(fits))


def test_what_no_lookup_finds_is_marked_as_the_model_reads_it(page: playwright.Page) -> None:
    _search(page, "xyzzy, whoever it is")
    expect(_announced(page)).to_have_text("10 clips, best match first. Perhaps meant: sad.")
    expect(page.locator(".hit .met, .hit .near, .hit .missed")).to_have_count(10)
    _search(page, "qwrt")
    said = "nothing in particular, so the order says little. Hardly a word of this is known;"
    expect(_announced(page)).to_contain_text(said)
    expect(page.locator(".hit .met, .hit .near, .hit .missed")).to_have_count(0)


def test_what_is_not_heard_is_said(page: playwright.Page) -> None:
    _search(page, "an old man, sad")
    said = "10 clips, best match first. Understood: sad, man. Ages are not heard."
    expect(_announced(page)).to_have_text(said)


def test_what_a_query_denies_is_said_and_not_marked(page: playwright.Page, engine: Engine) -> None:
    _search(page, "a man, not angry")
    said = "10 clips, best match first. Understood: man, not “angry”."
    expect(_announced(page)).to_have_text(said)
    ids = [hit.clip.id for hit in engine.search_text("a man", 10, without="angry")]
    shown = page.locator(".hit [data-tell=similar]").all()
    assert [each.get_attribute("data-clip") for each in shown] == ids
    expect(page.locator(".hits")).to_have_attribute("data-text", "a man")
    expect(page.locator(".hits")).to_have_attribute("data-without", "angry")


def test_a_filter_narrows_the_results_at_once(page: playwright.Page) -> None:
    _search(page, "angry")
    page.get_by_label("Gender").click()
    page.get_by_role("option", name="woman (6)", exact=True).click()
    expect(_announced(page)).to_have_text(
        "6 clips among: woman, best match first. Understood: angry."
    )
    expect(page.locator(".hit")).to_have_count(6)
    expect(page.get_by_label("Language")).to_have_count(0)  # one language filters nothing
    page.get_by_role("button", name="Clear filters").click()
    expect(page.locator(".hit")).to_have_count(10)
    page.get_by_label("Gender").focus()
    expect(page.get_by_role("option", name="woman (6)", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("option", name="sad (3)", exact=True)).to_be_visible()
    expect(page.get_by_role("listbox")).to_have_count(1)  # what is tabbed past closes
    page.wait_for_timeout(500)  # nobody chooses within one frame of a list's opening
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".hit")).to_have_count(3)


def test_every_choice_of_a_filter_can_be_clicked(page: playwright.Page) -> None:
    """At the top of the page some lay under the box above them."""
    page.add_style_tag(content=".options li { min-height: 4rem }")  # as long as with more choices
    for box in page.locator("#filters").get_by_role("combobox").filter(visible=True).all():
        page.evaluate("scrollTo(0, 0)")
        box.click()
        expect(page.get_by_role("option").first).to_be_visible()
        page.wait_for_timeout(300)  # it comes from below
        assert page.get_by_role("option").evaluate_all(COVERED) == []
        page.mouse.click(640, 5)


def test_a_list_of_choices_goes_with_its_filter(page: playwright.Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 600})
    page.get_by_label("Emotion").click()
    expect(page.get_by_role("option").first).to_be_visible()
    page.locator("#filters").evaluate("filters => filters.scrollBy(0, 60)")
    page.wait_for_function(
        "() => { const [list, box] = ['.options', '.wrap:has(> .options)'].map(each =>"
        " document.querySelector(`#filters ${each}`).getBoundingClientRect());"
        " return document.querySelector('#filters').scrollTop > 30 &&"
        " Math.min(Math.abs(list.bottom - box.top), Math.abs(list.top - box.bottom)) < 3 }",
        timeout=PATIENCE_MS / 4,
    )


def test_a_number_out_of_bounds_is_brought_within(page: playwright.Page) -> None:
    _search(page, "angry")
    box = page.get_by_role("spinbutton", name="Number of results").first
    for typed, shown, count in (("100", "50", 12), ("0", "1", 1), ("", "1", 1), ("7", "7", 7)):
        box.press("Control+A")
        box.press("Delete")
        box.press_sequentially(typed)
        box.press("Tab")
        expect(box).to_have_value(shown)
        expect(page.locator(".hit")).to_have_count(count)
    page.get_by_test_id("reset-button").first.click()
    expect(box).to_have_value("10")
    expect(page.locator(".hit")).to_have_count(10)
    expect(page.get_by_test_id("toast-body")).to_have_count(0)


def test_nothing_sweeps_for_who_wants_no_motion(page: playwright.Page) -> None:
    page.evaluate("document.querySelector('main').classList.add('pending')")
    moves = (
        "getComputedStyle(document.querySelector('.gradio-container'), '::before').animationName"
    )
    assert page.evaluate(moves) == "sweep"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moves) == "none"


def test_no_tab_moves_under_the_pointer(page: playwright.Page) -> None:
    tabs = page.get_by_role("tab")
    places = set()
    for name in ("Search", "Voice", "Blend", "Relations", "Galleries"):
        _open(page, name)
        places.add(tabs.first.bounding_box()["y"])
    assert len(places) == 1


def test_what_is_in_focus_is_ringed(page: playwright.Page) -> None:
    tab = page.get_by_role("tab", name="Search", exact=True)
    box = page.get_by_label("How should it sound?")
    for each in (box, page.get_by_label("Varied voices").first, tab):
        each.focus()
        expect(each).to_have_css("outline-style", "solid")
        expect(each).to_have_css("outline-width", "2px")
    expect(tab).to_have_css("outline-offset", "-2px")  # further out it is cut off
    page.get_by_label("Gender").focus()
    rings = "all => all.filter(each => getComputedStyle(each).outlineWidth === '2px').length"
    assert page.locator(".wrap").evaluate_all(rings) == 1  # the list's own, not the page's


def test_a_link_reproduces_the_page(
    page: playwright.Page, address: str, complaints: list[str], engine: Engine
) -> None:
    page.get_by_label("But not").fill("someone loud")
    page.get_by_label("Varied voices").first.check()
    expect(_announced(page)).to_contain_text("at most two of a speaker")  # what is left, but loud
    _search(page, "an angry & sad man")
    expect(_announced(page)).to_contain_text("angry or sad, man")
    found = engine.search_text("an angry & sad man", 10, without="someone loud", varied=True)
    assert _ids(page, "#results") == [hit.clip.id for hit in found]
    expect(page).to_have_url(f"{address}?q=an+angry+%26+sad+man&not=someone+loud&varied=true")
    page.goto(f"{page.url}&gender=male&emotion=nonsense&top=2")
    expect(page.locator(".hit")).to_have_count(2)
    expect(page.get_by_label("How should it sound?")).to_have_value("an angry & sad man")
    expect(page.get_by_label("But not")).to_have_value("someone loud")
    expect(_announced(page)).to_have_text(
        "2 clips among: man, at most two of a speaker, best match first. "
        "Understood: angry or sad, man, not “someone loud”."
    )
    assert complaints == []


def test_a_link_may_ask_for_too_many_results(page: playwright.Page, address: str) -> None:
    page.goto(f"{address}?q=angry&top={'9' * 5_000}")
    expect(page.locator("#results .hit")).to_have_count(12)
    expect(page.get_by_role("spinbutton", name="Number of results").first).to_have_value("50")


def test_results_are_downloaded(page: playwright.Page, engine: Engine) -> None:
    _search(page, "an angry man")
    with page.expect_download() as kept:
        page.get_by_role("link", name="CSV").click()
    assert kept.value.suggested_filename == "results.csv"
    rows = list(csv.DictReader(io.StringIO(Path(kept.value.path()).read_text("utf-8"))))
    found = engine.search_text("an angry man", 10)
    assert [row["emotion"] for row in rows] == [hit.clip.emotion for hit in found]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("", "The description is empty"), ("a" * 10_000, "The description has 10,000 characters")],
)
def test_a_mistake_is_told_and_nothing_is_lost(
    page: playwright.Page, text: str, sentence: str
) -> None:
    _search(page, "angry")
    page.get_by_label("How should it sound?").fill(text)
    page.wait_for_timeout(500)  # nobody types and clicks within one frame of a busy browser
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_test_id("toast-body")).to_contain_text(sentence)
    expect(page.get_by_label("How should it sound?")).to_have_value(text)
    expect(page.locator(".hit")).to_have_count(10)
    expect(_announced(page)).to_have_text(
        "Not answered. Below is still what was found for “angry”."
    )
    _search(page, "sad")
    expect(_announced(page)).to_contain_text("Understood: sad.")


def test_from_key_to_results_takes_a_moment(page: playwright.Page) -> None:
    """Median over warm text queries; the page and its queue, without the model's 10 ms."""
    _search(page, "warm")
    times = []
    for number in range(7):
        page.get_by_label("How should it sound?").fill(f"an angry man {number}")
        page.evaluate(
            "() => { document.querySelector('.hits').remove(); const from = performance.now();"
            " window.took = new Promise((done, late) => { setTimeout(late, 20000); new"
            " MutationObserver((_, all) => { if (document.querySelector('.hits .hit')) {"
            " all.disconnect(); done(performance.now() - from) } })"
            ".observe(document.body, {childList: true, subtree: true}) }) }"
        )
        page.get_by_label("How should it sound?").press("Enter")
        times.append(page.evaluate("window.took") / 1000)
    median = statistics.median(times)
    print(f"key to results: median {median:.2f} s of {[round(each, 2) for each in times]}")
    assert median < 2  # the goal on an idle machine is 0.6 s; a busy one is given some slack


# ---------------------------------------------------------------------- voice


def test_an_uploaded_voice_is_read(
    page: playwright.Page, complaints: list[str], voice: Path, engine: Engine
) -> None:
    _open(page, "Voice")
    _give(page, voice)
    expect(page.get_by_role("heading", name="How it is spoken")).to_be_visible()
    expect(page.locator(".sentence")).to_contain_text("Sounds like a")
    expect(page.locator(".attribute h3", has_text="Pitch")).to_contain_text("20")
    expect(page.locator(".attribute")).to_have_count(7)
    expect(page.locator(".described li")).to_have_count(5)
    alike = engine.search_clip(str(voice), 6, varied=True)
    assert _ids(page, "#alike") == [hit.clip.id for hit in alike]
    expect(page.locator(".course")).to_have_count(0)  # two seconds have one style
    assert complaints == []


def test_a_long_voice_is_followed_in_time(page: playwright.Page, tmp_path: Path) -> None:
    long = write_voice(tmp_path / "long.wav", 205, 9.0)
    _open(page, "Voice")
    _give(page, long)
    lines = page.get_by_role("img", name="over time")
    expect(page.get_by_role("img", name="Pitch over time")).to_be_visible()
    assert lines.count() >= 2
    said = page.locator(".sentence").inner_text()
    emotion = page.locator(".course h3").first.inner_text().lower()
    assert f" {emotion}:" in said


def test_a_voice_is_recorded_and_recorded_again(
    page: playwright.Page, complaints: list[str]
) -> None:
    _open(page, "Voice")
    page.locator("#voice").get_by_label("Record audio").click()
    for _ in range(2):
        page.locator("#voice button.record-button").click()
        page.wait_for_timeout(1500)
        page.locator("#voice button.stop-button").click()
        expect(page.get_by_role("heading", name="How it is spoken")).to_be_visible()
        expect(_announced(page)).to_contain_text(re.compile(r"Heard \d"))
        expect(page.locator(".attribute h3", has_text="Pitch")).to_contain_text("18")
        page.locator("#voice").get_by_label("Clear").click()
    assert complaints == []


def test_an_uploaded_voice_and_a_clip_never_sound_together(
    page: playwright.Page, tmp_path: Path
) -> None:
    """Gradio's player keeps its sound where the document cannot see it."""
    page.evaluate(
        "() => { window.begun = new Set(); const play = HTMLMediaElement.prototype.play;"
        " HTMLMediaElement.prototype.play = function () { this.loop = true; begun.add(this);"
        " return play.call(this) } }"
    )
    sounding = "() => [...begun].filter(each => !each.paused).length"
    _open(page, "Voice")
    _give(page, write_voice(tmp_path / "voice.wav", 205, 2.0))
    expect(page.locator("#alike .play").first).to_be_visible()
    page.locator("#voice").get_by_label("Play", exact=True).click()
    page.wait_for_function("() => [...begun].some(each => !each.paused)")
    page.locator("#alike .play").first.click()
    expect(page.locator("#alike .playing")).to_have_count(1)
    assert page.evaluate(sounding) == 1
    page.locator("#voice").get_by_label("Play", exact=True).click()
    expect(page.locator("#alike .playing")).to_have_count(0)
    assert page.evaluate(sounding) == 1
    _open(page, "Blend")
    bar = page.get_by_role("region", name="Now playing")
    expect(bar).to_contain_text("Your voice")
    expect(bar.get_by_role("button")).to_have_count(2)  # nothing before it, nothing after
    label = page.get_by_text("How much of that")
    page.set_viewport_size({"width": 1280, "height": int(label.bounding_box()["y"]) + 40})
    box = label.bounding_box()
    at = [box["x"] + 9, box["y"] + 9]
    over = "at => document.elementFromPoint(...at).closest('#now-playing') !== null"
    assert page.evaluate(over, at)
    bar.get_by_role("button", name="Pause").click()
    assert page.evaluate(sounding) == 0
    bar.get_by_role("button", name="Play").click()
    _open(page, "Voice")
    page.locator("#voice").get_by_label("Clear").click()
    expect(bar).to_be_hidden()


def test_a_link_leads_to_the_reading_of_a_clip(page: playwright.Page, address: str) -> None:
    _search(page, "an angry man")
    first, second = _ids(page, "#results")[:2]
    page.goto(f"{address}?tab=voice&clip={quote_plus(second)}")
    alike = page.locator("#alike h2")
    expect(alike).to_have_attribute("data-of", second)
    page.evaluate("clip => window.raclap.channels.similar({ clip })", first)
    expect(alike).to_have_attribute("data-of", first)
    expect(page).to_have_url(f"{address}?tab=voice&clip={quote_plus(first)}")
    _open(page, "Map")
    expect(page).to_have_url(f"{address}?tab=map")
    page.go_back()
    expect(page).to_have_url(f"{address}?tab=voice&clip={quote_plus(first)}")
    page.goto(f"{address}?tab=voice&clip=of-nobody")
    expect(page.get_by_test_id("toast-body")).to_contain_text("This clip is not in the gallery.")


def test_clips_like_a_found_one(page: playwright.Page, engine: Engine) -> None:
    _search(page, "an angry man")
    clip = _ids(page, "#results")[1]
    page.get_by_role("button", name="Find similar: result 2", exact=True).click()
    expect(page.get_by_role("tab", name="Voice")).to_have_attribute("aria-selected", "true")
    heading = page.get_by_role("heading", name="Clips that sound most alike")
    expect(heading).to_be_focused()
    expect(heading).to_be_in_viewport()
    expect(page.locator("#alike .play").first).to_be_in_viewport()
    source = page.locator(".source audio")
    expect(source).to_have_attribute("src", f"clips/{engine.gallery.rows[clip]}")
    alike = [hit.clip.id for hit in engine.search_clip(clip, 7, varied=True)]
    assert _ids(page, "#alike") == [id for id in alike if id != clip][:6]


def test_a_voice_stays_until_another_is_chosen_or_it_is_removed(
    page: playwright.Page, complaints: list[str], voice: Path
) -> None:
    for tab, place, picker, start in (
        ("Voice", "#voice", "Or a clip of the gallery", "Upload or record a voice"),
        ("Blend", "#start", "Like this clip", "Pick or upload a clip"),
    ):
        _open(page, tab)
        box, picked = page.locator(place), page.get_by_label(picker)
        give(box, voice, box.get_by_label("Play", exact=True))
        expect(_announced(page)).not_to_be_empty()
        said = _announced(page).inner_text()
        picked.focus()
        page.keyboard.press("Tab")
        page.wait_for_timeout(500)  # for what should not come
        expect(_announced(page)).to_have_text(said)
        expect(box.get_by_label("Play", exact=True)).to_be_visible()
        box.get_by_label("Clear").click()
        expect(page.locator(".empty", has_text=start)).to_be_visible()
        expect(_announced(page)).to_be_empty()
        picked.focus()
        page.wait_for_timeout(500)  # nobody chooses within one frame of a list's opening
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(_announced(page)).not_to_be_empty()
    expect(page.get_by_test_id("toast-body")).to_have_count(0)
    assert complaints == []


def test_similar_clips_follow_their_number_at_once(page: playwright.Page, voice: Path) -> None:
    _open(page, "Voice")
    _give(page, voice)
    expect(page.locator("#alike .hit").first).to_be_visible()
    page.get_by_label("Varied voices").last.uncheck()
    expect(page.locator("#alike .hit")).to_have_count(6)
    page.get_by_role("spinbutton", name="Number of similar clips").fill("3")
    expect(page.locator("#alike .hit")).to_have_count(3)


def test_a_broken_upload_is_told(page: playwright.Page, tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("not audio")
    _open(page, "Voice")
    toast = page.get_by_test_id("toast-body")
    give(page.locator("#voice"), tmp_path / "notes.wav", toast)
    expect(toast).to_contain_text("'notes.wav' cannot be read as audio")


def test_nothing_to_read_is_told(page: playwright.Page) -> None:
    _open(page, "Voice")
    page.get_by_role("button", name="Read this voice").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("There is no voice yet")


def test_who_comes_when_the_queue_is_full_is_told_so_and_may_ask_again(
    page: playwright.Page, address: str, engine: Engine
) -> None:
    _search(page, "an angry man")
    shown = _ids(page, "#results")
    with crowded(address, engine):
        page.get_by_label("How should it sound?").fill("a sad woman")
        page.get_by_label("How should it sound?").press("Enter")
        expect(page.get_by_test_id("toast-body")).to_contain_text(
            "32 requests are waiting already; please try again in a moment."
        )
        assert _ids(page, "#results") == shown
    page.get_by_label("How should it sound?").press("Enter")
    best = engine.search_text("a sad woman", 1)[0].clip.id
    assert best != shown[0]
    expect(page.locator("#results .hit [data-tell=similar]").first).to_have_attribute(
        "data-clip", best
    )


# ---------------------------------------------------------------------- blend


def test_a_found_clip_is_blended_with_a_change(
    page: playwright.Page, complaints: list[str], engine: Engine
) -> None:
    _search(page, "an angry man")
    clip = _ids(page, "#results")[0]
    page.get_by_role("button", name="Like this, but …: result 1", exact=True).click()
    expect(page.get_by_role("tab", name="Blend")).to_have_attribute("aria-selected", "true")
    expect(_announced(page)).to_contain_text("say what should change")
    page.get_by_role("button", name="slower", exact=True).click()
    expect(_announced(page)).to_have_text("The clip with slower × 2.0.")
    expect(page.get_by_label("But …", exact=True)).to_have_value("slower")
    after = page.locator(".sides section").nth(1).locator(".ladder > li")
    wanted = [hit.clip for hit in engine.blend(clip, {"slower": 2.0}, 11) if hit.clip.id != clip]
    addresses = [f"clips/{engine.gallery.rows[each.id]}" for each in wanted[:10]]
    played = after.locator("audio").evaluate_all("all => all.map(each => each.getAttribute('src'))")
    assert played == addresses
    expect(after.first.locator(".moved")).not_to_be_empty()
    page.get_by_label("But …", exact=True).fill("older")
    page.get_by_label("But …", exact=True).press("Enter")
    expect(_announced(page)).to_have_text("The clip with older × 2.0. Ages are not heard.")
    assert complaints == []


# ---------------------------------------------------------------------- relations


def test_three_tables_a_temperature_and_files(page: playwright.Page, complaints: list[str]) -> None:
    _compare(page)
    expect(_announced(page)).to_have_text("6 clips against 6 descriptions.")
    tops = "all => all.map(each => Math.round(each.getBoundingClientRect().y))"
    rows = page.locator(".matrix tbody tr").evaluate_all(tops)
    assert rows[:6] == rows[6:12] == rows[12:]  # abreast, and level
    table = page.get_by_role("table", name="Soft relation")
    before = table.locator("td").all_inner_texts()
    page.get_by_role("spinbutton", name="Temperature").fill("0.5")
    expect(page.get_by_text("at temperature 0.50")).to_be_visible()
    assert table.locator("td").all_inner_texts() != before
    for name, start in (("CSV", b"clip,name,description"), ("PNG", b"\x89PNG")):
        link = page.locator("#relations-take").get_by_role("link", name=name)
        expect(link).to_be_visible()
        with page.expect_download() as kept:
            link.click()
        assert Path(kept.value.path()).read_bytes().startswith(start)
    with page.expect_request("**/clips/*"):
        table.locator("td button").first.click()
    assert complaints == []


def test_more_clips_can_be_chosen_wherever_the_page_stands(page: playwright.Page) -> None:
    """The list keeps clear of its field, which grew with the clips and left it no room."""
    page.set_viewport_size({"width": 1280, "height": 720})
    _open(page, "Relations")
    page.add_style_tag(content="body { padding-bottom: 60rem }")
    box = page.get_by_role("combobox", name="Clips of the gallery")
    for scrolled in (0, 150, 300):
        page.evaluate(f"scrollTo(0, {scrolled})")
        box.press("ArrowDown")
        options = page.get_by_role("listbox")
        expect(options).to_be_visible()
        assert options.bounding_box()["height"] > 90
        page.keyboard.press("Escape")
        page.mouse.click(5, 5)


def test_own_clips_and_suggested_descriptions(
    page: playwright.Page, voice: Path, complaints: list[str]
) -> None:
    _search(page, "an angry man")
    page.get_by_role("button", name="To Relations: result 9", exact=True).click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("In Relations now")
    _open(page, "Relations")
    page.get_by_role("button", name="Recordings of your own").click()
    own = page.locator("#own")
    give(own, voice, own.get_by_text("voice"))
    expect(own.get_by_text("voice")).to_be_visible()
    page.get_by_role("button", name="Suggest from the clips").click()
    expect(page.get_by_label("Descriptions, one a line")).not_to_have_value("\n".join(EXAMPLES))
    page.get_by_role("button", name="Compare").click()
    expect(_announced(page)).to_contain_text(" clips against ")
    cell = page.get_by_role("table", name="Similarity").locator("tr").nth(1).locator("button").last
    assert "voice.wav" in cell.get_attribute("aria-label")
    with page.expect_response(lambda answer: "voice.wav" in answer.url) as heard:
        cell.click()
    assert heard.value.ok
    overlap = page.get_by_role("table", name="True overlap").locator("tr").nth(1)
    expect(overlap.locator("td").last).to_have_text("–unknown")
    expect(page.locator(".matrices.many")).to_be_visible()  # below each other: seven clips or more
    whole = "all => all.every(each => each.scrollWidth <= each.clientWidth)"
    assert page.locator(".matrix").evaluate_all(whole)
    assert complaints == []


# ---------------------------------------------------------------------- map


def test_a_map_to_hear_to_recolour_and_to_zoom(
    page: playwright.Page, complaints: list[str], engine: Engine
) -> None:
    _open(page, "Map")
    points = page.locator(".atlas circle")
    expect(points).to_have_count(12)
    page.get_by_label("Mark a description").fill("an angry old man")
    page.get_by_role("button", name="Mark").click()
    expect(page.locator(".hit-point")).to_have_count(10)
    expect(_announced(page)).to_contain_text("the star lies amid the first five. Nearest:")
    expect(_announced(page)).to_contain_text("Ages are not heard.")
    expect(page.get_by_role("img", name="where the description lies")).to_be_visible()
    with page.expect_request("**/clips/*"):
        points.nth(3).dispatch_event("click")
    said = points.nth(3).get_attribute("aria-label")
    expect(page.locator(".atlas .now p")).to_have_text(said)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator(".atlas .now p")).not_to_have_text(said)
    page.get_by_role("button", name="Zoom in").click()
    assert page.locator(".atlas svg").get_attribute("viewBox").endswith("600 600")
    page.get_by_role("button", name="Whole map").click()
    assert page.locator(".atlas svg").get_attribute("viewBox").endswith("1000 1000")
    page.get_by_role("button", name="angry 3").click()
    expect(page.locator(".atlas .faded")).to_have_count(9)
    page.get_by_role("button", name="Zoom in").click()
    looked, chosen = page.locator(".atlas svg"), page.locator(".atlas .now p").text_content()
    at = looked.get_attribute("viewBox")
    page.get_by_label("Colour by").click()
    page.get_by_role("option", name="Gender").click()
    expect(page.get_by_role("button", name="woman 6")).to_be_visible()
    expect(looked).to_have_attribute("viewBox", at)
    expect(page.locator(".atlas circle.chosen")).to_have_attribute("aria-label", chosen)
    page.get_by_label("Mark a description").fill("a happy woman")
    page.get_by_role("button", name="Mark").click()
    expect(looked).to_have_attribute("viewBox", "0 0 1000 1000")  # marks may be anywhere
    assert complaints == []


def test_a_map_that_is_dragged_plays_nothing(page: playwright.Page) -> None:
    """A drag ends in a click, and the point that went along under the mouse was played."""
    _open(page, "Map")
    page.get_by_role("button", name="Zoom in").click()
    points = page.locator(".atlas circle")
    away = points.evaluate_all(
        "all => all.map(({ cx, cy }) => Math.hypot(cx.baseVal.value - 500, cy.baseVal.value - 500))"
    )
    point = points.nth(away.index(min(away)))
    point.hover()
    before = point.bounding_box()
    x, y = (before[at] + before[size] / 2 for at, size in (("x", "width"), ("y", "height")))
    page.mouse.down()
    page.mouse.move(x + 30, y + 20, steps=4)
    page.mouse.up()
    assert point.bounding_box() != before
    expect(page.locator(".atlas .now .actions")).to_be_hidden()
    point.click()
    said = point.get_attribute("aria-label")
    expect(page.locator(".atlas .now p")).to_have_text(said)


def test_a_finger_moves_the_map_that_is_zoomed_and_else_the_page(
    browser: playwright.Browser, address: str
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(address)
    _open(page, "Map")
    drawn = page.locator(".atlas svg")
    expect(drawn).to_be_visible()
    view = page.context.new_cdp_session(page)

    def swipe() -> None:
        box = drawn.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        for kind, by in (("touchStart", 0), *(("touchMove", by) for by in range(10, 101, 10))):
            view.send(
                "Input.dispatchTouchEvent",
                {"type": kind, "touchPoints": [{"x": x, "y": y - by}]},
            )
        view.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    swipe()
    page.wait_for_function("scrollY > 0")
    assert drawn.get_attribute("viewBox") == "0 0 1000 1000"
    page.get_by_role("button", name="Zoom in").click()
    before, scrolled = drawn.get_attribute("viewBox").split(), page.evaluate("scrollY")
    swipe()
    x, y, *_ = drawn.get_attribute("viewBox").split()
    assert x == before[0]
    assert float(y) > float(before[1]) + 100
    assert page.evaluate("scrollY") == scrolled
    context.close()


# ---------------------------------------------------------------------- everywhere


def test_small_buttons_fit_a_finger_and_say_what_they_take_away(page: playwright.Page) -> None:
    for tab, small in (
        ("Voice", ".source-selection button"),
        ("Blend", ".source-selection button"),
        ("Relations", ".token-remove"),
    ):
        _open(page, tab)
        buttons = page.locator(small).filter(visible=True)
        expect(buttons.first).to_be_visible()
        for box in [each.bounding_box() for each in buttons.all()]:
            assert min(box["width"], box["height"]) >= 24
    removers = page.locator(".token > .token-remove")
    left = page.locator(".token").all_inner_texts()[1:]
    removers.first.click()
    expect(removers).to_have_count(len(left))
    for said, remover in zip(left, removers.all(), strict=True):
        expect(remover).to_have_attribute("title", f"Remove {said}")


def test_hostile_names_and_texts_stay_text(page: playwright.Page) -> None:
    page.get_by_role("spinbutton", name="Number of results").first.fill("12")
    _search(page, "angry")
    expect(page.locator(".hit .said", has_text=HOSTILE_TEXT)).to_have_count(1)
    expect(page.locator(".hit .who", has_text=HOSTILE_NAME)).to_have_count(1)
    _compare(page)
    _open(page, "Map")
    expect(page.locator(".atlas circle")).to_have_count(12)
    assert page.locator("img[src='x']").count() == 0
    assert page.evaluate("window.hacked") is None


def test_the_code_that_is_shown_works(page: playwright.Page, tmp_path: Path, voice: Path) -> None:
    page.get_by_role("button", name="Use from code").click()
    shutil.copy(voice, tmp_path / "voice.wav")
    for name, run in (("Python", [sys.executable, "-c"]), ("curl", ["bash", "-euc"])):
        page.get_by_role("button", name=f"Copy {name}").click()
        expect(page.get_by_role("button", name=f"Copy {name}")).to_have_text("Copied")
        code = page.evaluate("navigator.clipboard.readText()")
        done = subprocess.run(
            [*run, code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
        )
        answers = done.stdout.count("event: complete") if name == "curl" else None
        assert answers in (None, 5), textwrap.shorten(done.stdout, 500)
        assert "vowel" in done.stdout


def test_where_there_is_no_clipboard_code_is_selected(
    page: playwright.Page, complaints: list[str]
) -> None:
    """As over plain HTTP from another machine, where the button did nothing."""
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Use from code").click()
    page.get_by_role("button", name="Copy curl").click()
    expect(page.get_by_role("button", name="Copy curl")).to_have_text("Now press Ctrl+C")
    code = page.get_by_role("region", name="curl").locator("code").inner_text()
    assert page.evaluate("getSelection().toString()").strip() == code.strip()
    assert complaints == []


@pytest.mark.parametrize(
    "page", [(1280, "light"), (1280, "dark"), (390, "light")], indirect=True, ids=str
)
def test_axe_finds_no_serious_violation(page: playwright.Page, voice: Path) -> None:
    def fine() -> None:
        page.wait_for_function("!document.querySelector('.pending')")  # dimmed until it is there
        page.wait_for_timeout(300)  # colours change over a moment
        assert serious(page) == []

    fine()
    _search(page, "an angry man")
    fine()
    _open(page, "Voice")
    _give(page, voice)
    expect(page.get_by_role("heading", name="Clips that sound most alike")).to_be_visible()
    fine()
    _open(page, "Blend")
    page.get_by_label("Like this clip").click()
    page.get_by_role("option").nth(2).click()
    page.get_by_role("button", name="slower", exact=True).click()
    expect(page.locator(".ladder")).to_have_count(2)
    fine()
    _compare(page)
    fine()
    _open(page, "Map")
    expect(page.locator(".atlas circle")).to_have_count(12)
    fine()
    page.get_by_role("button", name="Use from code").click()
    fine()


@pytest.mark.parametrize("page", [(390, "light")], indirect=True, ids=str)
def test_on_a_phone_an_answer_comes_into_view(page: playwright.Page, voice: Path) -> None:
    page.get_by_role("button", name=EXAMPLES[1]).click()
    expect(page.locator(".hit").first).to_be_in_viewport()
    _open(page, "Voice")
    _give(page, voice)
    expect(page.get_by_role("heading", name="How it is spoken")).to_be_in_viewport()
    _open(page, "Search")
    page.get_by_role("button", name="Find similar: result 2", exact=True).click()
    expect(_announced(page)).to_contain_text("Heard 0.6 s of")
    expect(page.locator("#alike .play").first).to_be_in_viewport()
    _open(page, "Search")
    page.get_by_role("button", name="Like this, but …: result 1", exact=True).click()
    before = page.get_by_role("heading", name="Like the clip").bounding_box()
    assert page.get_by_role("heading", name="With the change").bounding_box()["y"] < before["y"]
    _open(page, "Map")
    page.locator(".atlas circle").first.dispatch_event("click")
    point, legend = page.locator(".atlas .now"), page.locator(".legend-keys")
    assert point.bounding_box()["y"] < legend.bounding_box()["y"]


@pytest.mark.parametrize("page", [(390, "light")], indirect=True, ids=str)
def test_on_a_phone_a_filter_says_at_once_what_it_leaves(page: playwright.Page) -> None:
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("Emotion").click()
    page.get_by_role("option", name="sad (3)", exact=True).click()
    expect(_announced(page)).to_contain_text("3 clips: sad.")
    assert page.evaluate(
        "() => { const line = document.querySelector('.beside .status').getBoundingClientRect();"
        " const first = document.querySelector('#results .hit').getBoundingClientRect();"
        " return line.bottom <= innerHeight && first.top > innerHeight }"
    )


@pytest.mark.parametrize("page", [(390, "light")], indirect=True, ids=str)
def test_nothing_is_wider_than_a_phone(page: playwright.Page, voice: Path) -> None:
    def spare() -> int:
        return page.evaluate("innerWidth - document.documentElement.scrollWidth")

    _search(page, "an angry man")
    assert spare() >= 0
    _open(page, "Voice")
    _give(page, voice)
    expect(page.get_by_role("heading", name="How it is spoken")).to_be_visible()
    assert spare() >= 0
    _open(page, "Blend")
    assert spare() >= 0
    _compare(page)
    assert spare() >= 0
    _open(page, "Map")
    expect(page.locator(".atlas circle")).to_have_count(12)
    assert spare() >= 0
