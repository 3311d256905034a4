"""A reading as HTML. Run: pytest tests/test_portrait.py."""

from __future__ import annotations

import re
from dataclasses import replace

from conftest import HOSTILE_NAME, HOSTILE_TEXT

from raclap.portrait import course, headline, portrait, sentence
from raclap.reading import Level, Reading
from raclap.timeline import Moment
from raclap.words import counted, ended

READ = Reading(
    clip="x.wav",
    seconds=1.0,
    attributes={
        "gender": {"female": 0.8, "male": 0.2},
        "emotion": {"sad": 0.01, "angry": 0.9, "happy": 0.04, "calm": 0.03, "bored": 0.02},
        "pitch": {"low": 0.1, "medium": 0.2, "high": 0.7},
        "energy": {"low": 1.0, "medium": 0.0, "high": 0.0},
        "phonation": {"whispered": 0.4, "voiced": 0.6},
    },
    levels={
        "pitch": Level(value="high", number=231.4, unit="Hz"),
        "speed": Level(value="low", number=3.14, unit="syllables/s"),
        "energy": Level(value="low", number=-4.04, unit="dB"),
    },
    descriptions=[("a furious voice", 0.51), ("a sad voice", -0.02)],
)


def moments(*shares: float) -> list[Moment]:
    return [
        Moment(
            start=1.5 * at,
            seconds=3.0,
            emotion={"angry": share, "sad": 1 - share, "calm": 0.0, "bored": 0.0},
            levels={"pitch": Level(value="low", number=100.0 + at, unit="Hz")},
        )
        for at, share in enumerate(shares)
    ]


def test_probabilities_and_levels_are_said_in_words_and_numbers() -> None:
    html = str(portrait(READ))
    assert ">measured: high pitch, 231 Hz<" in html
    assert ">measured: quiet, 4.0 dB below usual<" in html
    assert html.index(">angry<") < html.index(">happy<")
    assert ">sad<" not in html  # only the four likeliest of many values
    assert "90 %" in html
    assert "very likely" in html
    assert html.index("a furious voice") < html.index("a sad voice")


def test_what_is_likeliest_of_many_is_not_said_to_be_less_likely() -> None:
    shares = {"emotion": {"sad": 0.28, "calm": 0.26, "bored": 0.24, "angry": 0.22}}
    html = str(portrait(replace(READ, attributes=READ.attributes | shares)))
    said = re.findall(r'class="likely">([^<]+)<', html)
    assert said[2:6] == ["likeliest, but unsure", *["less likely"] * 3]


def test_one_sentence_sums_up() -> None:
    assert sentence(READ) == (
        "Sounds like a woman speaking, very likely angry: high pitch for a woman (231 Hz), slow "
        "(3.1 syllables a second), quiet (4.0 dB below usual)."
    )
    unsure = replace(
        READ,
        attributes=READ.attributes
        | {"emotion": {"sad": 0.5, "calm": 0.5}, "phonation": {"whispered": 0.9, "voiced": 0.1}},
        levels={},
    )
    assert sentence(unsure) == "Sounds like a woman whispering, possibly sad."
    disgusted = replace(unsure, attributes=unsure.attributes | {"emotion": {"disgust": 0.7}})
    assert sentence(disgusted) == "Sounds like a woman whispering, likely disgusted."


def test_nobody_whispers_whose_pitch_is_measured() -> None:
    heard = {"phonation": {"whispered": 0.9, "voiced": 0.1}}
    whisper = replace(READ, attributes=READ.attributes | heard)
    assert "a woman speaking" in sentence(whisper)
    assert "a woman whispering" in sentence(replace(whisper, levels={}))


def test_a_whisper_has_no_pitch() -> None:
    heard = {"phonation": {"whispered": 0.9, "voiced": 0.1}}
    whisper = replace(READ, attributes=READ.attributes | heard)
    assert "A whisper has none." not in portrait(whisper)
    html = portrait(replace(whisper, levels={}))
    assert '<h3>Pitch</h3><ul><li class="none">A whisper has none.</li></ul>' in html
    assert ">quiet<" in html


def test_a_sentence_has_one_full_stop() -> None:
    assert ended("Heard 1.0 s of voice.wav") == "Heard 1.0 s of voice.wav."
    for said in ("of ada · “By the door.”", "of ada · “Who?”", "of ada · “By the …”"):
        assert ended(said) == said


def test_nouns_follow_their_number() -> None:
    assert [counted(n, "clip") for n in (0, 1, 2_000)] == ["0 clips", "1 clip", "2,000 clips"]


def test_a_course_shows_the_likeliest_emotions_and_what_was_measured() -> None:
    html = str(course(moments(0.2, 0.9, 0.4)))
    assert re.findall(r"<h3>(\w+)</h3>", html) == ["Angry", "Sad", "Pitch"]
    assert "Angry over time: from 20 to 90 %, at most at 3.0 s, at least at 1.5 s" in html
    assert "Pitch over time: from 100 to 102 Hz" in html
    # 6 s are 600 wide; 90 % of 52 above the ground at 56.
    assert "300.0 9.2" in html
    assert course([]) == ""


def test_a_course_says_at_which_second_each_place_is() -> None:
    html = str(course(moments(0.2, 0.9, 0.4)))
    assert re.findall(r'<span style="left:([\d.]+)%">(\d+)<', html) == [
        (f"{100 * at / 6:.1f}", str(at)) for at in range(7)
    ]
    for seconds, last in ((9.5, 8), (61.0, 60), (600.0, 600)):
        html = str(course([replace(moments(0.2)[0], seconds=seconds)] * 2))
        assert re.findall(r'%">(\d+)<', html)[-1] == str(last)


def test_the_emotion_that_was_read_is_followed_first() -> None:
    assert headline(READ) == "angry"
    html = str(course(moments(0.1, 0.1), headline(READ)))
    assert re.findall(r"<h3>(\w+)</h3>", html) == ["Angry", "Sad", "Pitch"]


def test_an_emotion_that_is_heard_nowhere_is_not_followed() -> None:
    html = str(course(moments(0.95, 0.9, 0.9)))
    assert re.findall(r"<h3>(\w+)</h3>", html) == ["Angry", "Pitch"]


def test_what_would_be_shown_as_nothing_is_left_out_but_for_the_second() -> None:
    shares = {"angry": 0.99, "sad": 0.004, "calm": 0.003, "happy": 0.003}
    html = str(portrait(replace(READ, attributes=READ.attributes | {"emotion": shares})))
    assert re.search(r"<h3>Emotion</h3>.*?</ul>", html)[0].count("<li>") == 2


def test_hostile_texts_are_escaped() -> None:
    hostile = replace(
        READ,
        clip=HOSTILE_NAME,
        attributes=READ.attributes | {"emotion": {HOSTILE_NAME: 1.0}},
        levels={"pitch": Level(value="low", number=1.0, unit=HOSTILE_NAME)},
        descriptions=[(HOSTILE_TEXT, 0.5)],
    )
    html = str(portrait(hostile))
    assert "<img" not in html
    assert "<script" not in html
