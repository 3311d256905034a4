"""Results as HTML. Run: pytest tests/test_cards.py."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from conftest import HOSTILE_NAME, HOSTILE_TEXT

from raclap import cards
from raclap.corpus import Clip
from raclap.search import Hit, Level, Reading

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
    return Hit(rank=rank, clip=clip, score=score, path=clip.path)


def shown(*hits: Hit) -> str:
    return str(cards.cards(hits, lambda clip: f"clips/{clip.id}"))


def test_card_shows_rank_words_player_speaker_and_score() -> None:
    html = shown(hit(1, 0.625), hit(2, -0.1))
    assert html.count('<li class="hit">') == 2
    assert html.count('<audio controls preload="none" src="clips/a1"') == 2
    for words in ("“Kids are talking by the door.”", "speaker ada", "2.2 s", ">0.62<", ">−0.10<"):
        assert words in html
    assert re.findall(r'<li class="\w+ ?\w*">([^<]+)</li>', html)[:4] == [
        "angry",
        "intense",
        "woman",
        "mid pitch",
    ]


def test_bars_are_relative_to_the_best_and_stay_within_bounds() -> None:
    html = shown(hit(1, 0.5), hit(2, 0.25), hit(3, -0.5))
    assert re.findall(r"width:(\d+)%", html) == ["100", "50", "0"]
    assert re.findall(r"width:(\d+)%", shown(hit(1, -0.2), hit(2, -0.4))) == ["0", "0"]


def test_meaning_of_the_score_is_told_once() -> None:
    assert shown(hit(1, 0.5), hit(2, 0.4)).count("cosine between") == 1
    assert shown() == ""


def test_hostile_names_and_texts_are_escaped_everywhere() -> None:
    clip = replace(CLIP, id=HOSTILE_NAME, speaker=HOSTILE_NAME, text=HOSTILE_TEXT)
    html = shown(hit(1, 0.5, clip), hit(2, 0.4, replace(clip, text="")))
    read = Reading(
        clip=HOSTILE_NAME,
        seconds=1.0,
        attributes={"emotion": {HOSTILE_NAME: 1.0}},
        levels={"emotion": Level(value="low", number=1.0, unit=HOSTILE_NAME)},
        descriptions=[(HOSTILE_TEXT, 0.5)],
    )
    for page in (html, str(cards.reading(read))):
        assert "<img" not in page
        assert "<script" not in page
        assert 'onerror="' not in page


def test_reading_says_probabilities_and_levels_in_words_and_numbers() -> None:
    read = Reading(
        clip="x.wav",
        seconds=1.0,
        attributes={
            "emotion": {"sad": 0.01, "angry": 0.9, "happy": 0.04, "calm": 0.03, "bored": 0.02},
            "pitch": {"low": 0.1, "medium": 0.2, "high": 0.7},
            "energy": {"low": 1.0, "medium": 0.0, "high": 0.0},
        },
        levels={
            "pitch": Level(value="high", number=231.4, unit="Hz"),
            "energy": Level(value="low", number=-4.04, unit="dB"),
        },
        descriptions=[("a furious voice", 0.51), ("a sad voice", -0.02)],
    )
    html = str(cards.reading(read))
    assert "231 Hz" in html
    assert "−4.0 dB" in html
    assert html.index(">angry<") < html.index(">happy<")
    assert ">sad<" not in html  # only the four likeliest of many values
    assert "90 %" in html
    assert "very likely" in html
    assert html.index("a furious voice") < html.index("a sad voice")


@pytest.mark.parametrize(
    ("clip", "name", "label"),
    [
        (CLIP, "angry woman, ada", "angry woman, ada · intense · “Kids are talking by the door.”"),
        (Clip(id="my/file.wav", path="f"), "my/file.wav", "my/file.wav"),
        (replace(CLIP, text="word " * 20, intensity=""), "angry woman, ada", None),
    ],
)
def test_names_are_readable(clip: Clip, name: str, label: str | None) -> None:
    assert cards.name(clip) == name
    assert cards.label(clip) == label if label else len(cards.label(clip)) < 75


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
