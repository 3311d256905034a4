"""Results as HTML. Run: pytest tests/test_cards.py."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from urllib.parse import unquote

import pytest
from conftest import HOSTILE_NAME, HOSTILE_TEXT

from raclap import cards, words
from raclap.cards import Sound
from raclap.corpus import Clip
from raclap.search import Hit
from raclap.style import Style

CLIP = Clip(
    id="a1",
    path="/a1.wav",
    speaker="ada",
    gender="female",
    emotion="angry",
    intensity="strong",
    pitch="medium",
    phonation="voiced",
    text="Kids are talking by the door.",
    seconds=2.25,
)


def hit(rank: int, score: float, clip: Clip = CLIP) -> Hit:
    return Hit(rank=rank, clip=clip, score=score)


def sounds(clip: Clip) -> Sound:
    return Sound(address=f"clips/{clip.id}", peaks=[0, 255])


def shown(*hits: Hit, **how: object) -> str:
    return str(cards.cards(hits, sounds, **how))


def test_card_shows_rank_words_player_speaker_and_score() -> None:
    html = shown(hit(1, 0.625), hit(2, -0.1))
    assert html.count('<li class="hit">') == 2
    assert html.count('<audio preload="none" src="clips/a1"') == 2
    for part in ("“Kids are talking by the door.”", "speaker ada", "2.2 s", ">0.62<", ">−0.10<"):
        assert part in html
    assert re.findall(r'<li class="(?:said|plain)">([^<]+)</li>', html)[:4] == [
        "angry",
        "intense",
        "woman",
        "mid pitch",
    ]
    assert 'aria-label="Play result 1: angry woman, ada"' in html
    assert html.count('data-clip="a1"') == 2 * 3


def test_a_card_saves_its_audio_and_names_each_thing_once() -> None:
    clip = replace(CLIP, corpus="synthetic", speaker="synthetic/f1", language="en")
    html = shown(hit(1, 0.5, clip))
    assert "speaker synthetic/f1 · en <a" in html
    assert '<a href="clips/a1" download="a1.wav" aria-label="Save the audio of result 1">' in html
    assert "speaker ada · tess <a" in shown(hit(1, 0.5, replace(CLIP, corpus="tess")))


def test_what_a_button_is_called_begins_with_what_it_shows() -> None:
    for said, seen in re.findall(
        r'<(?:button|a) [^>]*aria-label="([^"]+)"[^>]*>([^<]+)<', shown(hit(1, 0.5), query="angry")
    ):
        assert said.startswith(seen.rstrip("?"))


def test_a_taste_has_neither_rank_nor_score() -> None:
    html = str(cards.taste([CLIP], sounds))
    assert 'aria-label="Play example 1: angry woman, ada"' in html
    assert 'data-tell="similar"' in html
    for part in ('class="rank"', 'class="score"', 'data-tell="why"'):
        assert part not in html


def test_an_answer_about_a_clip_can_be_held_against_it() -> None:
    assert 'aria-label="Play angry woman, ada"' in str(cards.source(CLIP, sounds))
    assert cards.source(None, sounds) == ""


def test_marks_say_what_was_asked_for_and_what_is_there_instead() -> None:
    asked = Style(emotion="angry", gender="male", speed="high", phonation="voiced")
    text = re.sub(r"<[^>]+>", "", shown(hit(1, 0.5), asked=asked))
    for mark in ("✓ angry, as asked", "✗ woman, not man", "? speed unknown", "✓ voiced, as asked"):
        assert mark in text
    assert "✓ marks" in text
    assert "✓" not in shown(hit(1, 0.5))


def test_what_is_only_heard_says_so() -> None:
    bare = replace(CLIP, emotion="", gender="", heard_emotion="angry", heard_gender="male")
    text = re.sub(r"<[^>]+>", "", shown(hit(1, 0.5, bare), asked=Style(emotion="angry")))
    assert "✓ heard: angry, as asked" in text
    assert "heard: man" in text
    assert "heard: " not in shown(hit(1, 0.5))
    for other in (cards.taste([bare], sounds), cards.ladder([hit(1, 1, bare)], sounds)):
        assert "heard: angry" in other


def test_either_of_two_values_is_met() -> None:
    asked, named = Style(emotion="happy", speed="low"), {"emotion": ("happy", "angry")}
    text = re.sub(r"<[^>]+>", "", str(cards.badges(CLIP, asked, named)))
    assert "✓ angry, as asked" in text
    sad = replace(CLIP, emotion="sad")
    text = re.sub(r"<[^>]+>", "", str(cards.badges(sad, asked, named)))
    assert "✗ sad, not happy or angry" in text
    line = cards.count([hit(1, 0.5)], {}, asked=asked, named=named)
    assert line.endswith("Understood: happy or angry. Perhaps meant: slow.")  # which is read
    line = cards.count([hit(1, 0.5)], {}, asked=Style(speed="low"), named={})
    assert line.endswith(" first. Perhaps meant: slow.")


def test_what_comes_near_is_not_called_a_miss() -> None:
    sad = replace(CLIP, emotion="sad", speed="high", intensity="normal")
    asked = Style(emotion="disappointment", speed="low", intensity="low", pitch="high")
    html = shown(hit(1, 0.5, sad), asked=asked)
    text = re.sub(r"<[^>]+>", "", html)
    for mark in (
        "≈ sad, near disappointed",
        "≈ moderate, near mild",
        "≈ mid pitch, near high pitch",
        "✗ fast, not slow",
    ):
        assert mark in text
    assert (html.count('class="near"'), html.count('class="missed"')) == (3, 1)


def test_an_outline_is_as_high_as_its_peaks() -> None:
    html = cards.wave([0, 255])
    assert html.count("M1 19.2v1.6M3 2.0v36.0") == 2  # at rest, and lit


def test_results_can_be_kept_as_they_are() -> None:
    html = shown(hit(1, 0.5))
    kept = dict(re.findall(r'download="results\.(\w+)" href="data:[^,]+,([^"]+)"', html))
    (row,) = csv.DictReader(io.StringIO(unquote(kept["csv"])))
    assert (row["id"], row["emotion"], row["score"]) == ("a1", "angry", "0.5")
    assert json.loads(unquote(kept["json"]))[0]["text"] == CLIP.text


def test_a_ladder_says_where_a_clip_stood_before() -> None:
    other, new = replace(CLIP, id="b"), replace(CLIP, id="c")
    before = [hit(1, 0.9), hit(2, 0.8, other)]
    html = cards.ladder([hit(1, 0.9, other), hit(2, 0.8), hit(3, 0.7, new)], sounds, before=before)
    assert re.findall(r'class="moved">([^<]*)<', html) == ["▲ from 2", "▼ from 1", "new"]
    still = cards.ladder(before, sounds, before=before)
    assert re.findall(r'class="moved">([^<]*)<', still) == ["as before"] * 2
    assert set(re.findall(r'class="moved">([^<]*)<', cards.ladder(before, sounds))) == {""}


def test_a_ladder_says_which_clip_it_is_and_saves_it() -> None:
    nobody = Clip(id="trip/take 2", path="/trip/take 2.wav")
    html = cards.ladder([hit(1, 0.9), hit(2, 0.8, nobody)], sounds)
    text = re.sub(r"<[^>]+>", "", html)
    assert "speaker ada Save" in text
    assert "trip/take 2 Save" in text
    assert 'download="take 2.wav" aria-label="Save the audio of 2: trip/take 2"' in html


def test_bars_are_relative_to_the_best_and_stay_within_bounds() -> None:
    html = shown(hit(1, 0.5), hit(2, 0.25), hit(3, -0.5))
    assert re.findall(r"width:(\d+)%", html) == ["100", "50", "0"]
    assert re.findall(r"width:(\d+)%", shown(hit(1, -0.2), hit(2, -0.4))) == ["0", "0"]


def test_meaning_of_the_score_is_told_once() -> None:
    assert shown(hit(1, 0.5), hit(2, 0.4)).count("cosine between") == 1
    assert "do not want" in shown(hit(1, 0.5), without="a man")
    assert "do not want" not in shown(hit(1, 0.5))
    assert shown() == ""


def test_hostile_names_and_texts_are_escaped_everywhere() -> None:
    clip = replace(CLIP, id=HOSTILE_NAME, speaker=HOSTILE_NAME, text=HOSTILE_TEXT)
    html = shown(hit(1, 0.5, clip), hit(2, 0.4, replace(clip, text="")))
    for page in (html, str(cards.ladder([hit(1, 0.5, clip)], sounds))):
        assert "<img" not in page
        assert "<script" not in page
        assert 'onerror="' not in page


@pytest.mark.parametrize(
    ("clip", "name", "label"),
    [
        (CLIP, "angry woman, ada", "angry woman, ada · intense · “Kids are talking by the door.”"),
        (Clip(id="my/file.wav", path="f"), "my/file.wav", "my/file.wav"),
        (replace(CLIP, text="word " * 20, intensity=""), "angry woman, ada", None),
    ],
)
def test_names_are_readable(clip: Clip, name: str, label: str | None) -> None:
    assert words.name(clip) == name
    assert words.label(clip) == label if label else len(words.label(clip)) < 75


@pytest.mark.parametrize(
    ("hits", "where", "line"),
    [
        (2, {}, "2 clips, best match first."),
        (1, {"gender": "male"}, "1 clip among: man, best match first."),
        (0, {"gender": "male", "speed": "high"}, "No clip among: man, fast. Take a filter away."),
    ],
)
def test_count_is_announced(hits: int, where: dict[str, str], line: str) -> None:
    assert cards.count([hit(1, 0.5)] * hits, where) == line
    if hits:
        assert "two of a speaker" in cards.count([hit(1, 0.5)] * hits, where, varied=True)
        unknown = hit(1, 0.5, replace(CLIP, speaker=""))
        assert ", none twice, " in cards.count([unknown] * hits, where, varied=True)


@pytest.mark.parametrize(
    ("asked", "denied", "line"),
    [
        (Style(gender="female", emotion="sad"), "", "Understood: sad, woman."),
        (Style(speed="low"), "angry", "Understood: slow, not “angry”."),
        (Style(), "", "Understood: nothing in particular, so the order says little."),
    ],
)
def test_what_was_understood_is_announced(asked: Style, denied: str, line: str) -> None:
    assert cards.count([hit(1, 0.5)], {}, asked=asked, denied=denied).endswith(f" first. {line}")
    said = {"asked": asked, "denied": denied, "remarks": ["One.", "Two."]}
    assert cards.count([hit(1, 0.5)], {}, **said).endswith(f"{line} One. Two.")
