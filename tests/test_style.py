"""Attributes, levels and overlap. Run: python -m pytest tests/test_style.py."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from raclap import style
from raclap.prosody import NAMES, Prosody
from raclap.style import ATTRIBUTES, VALUES, Style, canonical_emotion, levels, overlap


def measured(**figures):
    return Prosody(**(dict.fromkeys(NAMES, 0.0) | {"seconds": 2.0, "voiced": 0.9} | figures))


def random_styles(count):
    rng = random.Random(0)
    return [
        Style(**{name: rng.choice((*VALUES[name], "")) for name in ATTRIBUTES})
        for _ in range(count)
    ]


@pytest.mark.parametrize("gender", VALUES["gender"])
def test_pitch_is_cut_by_gender(gender):
    low, high = style.PITCH_HZ[gender]
    found = [
        levels(measured(f0_hz=hz), gender)["pitch"] for hz in (low - 0.1, low, high - 0.1, high)
    ]
    assert found == ["low", "medium", "medium", "high"]


def test_one_voice_is_high_for_a_man_and_low_for_a_woman():
    assert levels(measured(f0_hz=200), "male")["pitch"] == "high"
    assert levels(measured(f0_hz=200), "female")["pitch"] == "low"
    assert levels(measured(f0_hz=200))["pitch"] == ""


@pytest.mark.parametrize(
    ("level", "figure", "cuts"),
    [("speed", "rate_hz", style.SPEED_HZ), ("energy", "energy_db", style.ENERGY_DB)],
)
def test_speed_and_energy_cut_points(level, figure, cuts):
    values = (cuts[0] - 0.01, cuts[0], cuts[1] - 0.01, cuts[1])
    found = [levels(measured(**{figure: value}))[level] for value in values]
    assert found == ["low", "medium", "medium", "high"]


def test_too_few_syllables_have_no_speed():
    assert levels(measured(rate_hz=4.0, seconds=0.5))["speed"] == ""
    assert levels(measured(rate_hz=4.0, seconds=0.8))["speed"] == "medium"


def test_a_count_survives_single_precision():
    """Figures are cached as float32: three syllables in 0.7 s are still three."""
    for seconds in np.arange(0.3, 3, 0.01):
        figures = {"rate_hz": float(np.float32(3 / seconds)), "seconds": float(np.float32(seconds))}
        assert levels(measured(**figures))["speed"], seconds


def test_phonation_is_told_only_when_certain():
    found = [levels(measured(voiced=share), "male") for share in (0.0, 0.09, 0.1, 0.29, 0.3)]
    assert [each["phonation"] for each in found] == ["whispered", "whispered", "", "", "voiced"]
    assert [bool(each["pitch"]) for each in found] == [False] * 4 + [True]


def test_phonation_that_is_heard_counts_where_measuring_cannot_tell():
    """And then a whisper is quiet, whatever its noise is like."""
    found = [levels(measured(voiced=v, energy_db=9), "", "whispered") for v in (0.0, 0.2, 0.3)]
    assert [each["phonation"] for each in found] == ["whispered", "whispered", "voiced"]
    assert [each["energy"] for each in found] == ["low", "low", "high"]


def test_measured_levels_are_values_of_a_style():
    found = levels(measured(f0_hz=150, rate_hz=5, energy_db=9), "male")
    assert Style(**found).known == {
        "pitch": "medium",
        "speed": "high",
        "energy": "high",
        "phonation": "voiced",
    }


def test_every_emotion_is_its_own_canonical_name():
    assert [canonical_emotion(name) for name in VALUES["emotion"]] == list(VALUES["emotion"])


@pytest.mark.parametrize(
    ("label", "emotion"),
    [
        ("Anger", "angry"),
        ("FEAR", "fearful"),
        ("anxiety", "fearful"),
        ("sadness", "sad"),
        ("joy", "happy"),
        ("disgusted", "disgust"),
        ("Pleasant Surprise", "surprised"),
        ("pleasant-surprise", "surprised"),
        (" boredom ", "bored"),
        ("Romantic Love", "romantic_love"),
        ("Surprise (Negative)", ""),
        ("hungry", ""),
        ("", ""),
    ],
)
def test_aliases(label, emotion):
    assert canonical_emotion(label) == emotion


def test_an_alias_belongs_to_one_emotion():
    aliases = [alias for names in style._ALIASES.values() for alias in names.split()]
    assert len(aliases) == len(set(aliases))
    assert set(aliases) & set(VALUES["emotion"]) == {"neutral"}  # which is its own alias
    assert set(style._ALIASES) <= set(VALUES["emotion"])


def test_families_are_of_emotions():
    named = set().union(*style._FAMILIES)
    assert named <= set(VALUES["emotion"])


def test_a_value_outside_the_list_is_refused():
    with pytest.raises(ValueError, match="emotion is 'hungry'; it must be one of neutral, calm"):
        Style(emotion="hungry")


def test_overlap_is_symmetric_and_within_0_and_1():
    for a, b in itertools.product(random_styles(40), repeat=2):
        assert overlap(a, b) == overlap(b, a)
        assert 0 <= overlap(a, b) <= 1


def test_a_style_agrees_fully_with_itself_and_with_what_it_satisfies():
    for each in random_styles(50):
        assert overlap(each, each) == (1.0 if each.known else 0.0)
        part = each.only(("emotion", "pitch"))
        assert overlap(each, part) == (1.0 if part.known else 0.0)


@pytest.mark.parametrize(
    ("a", "b", "value"),
    [
        ({"emotion": "angry"}, {"emotion": "sad"}, 0.0),
        ({"emotion": "calm"}, {"emotion": "serenity"}, 0.5),
        ({"pitch": "low"}, {"pitch": "medium"}, 0.5),
        ({"pitch": "low"}, {"pitch": "high"}, 0.0),
        ({"intensity": "normal"}, {"intensity": "strong"}, 0.5),
        ({"gender": "male"}, {"gender": "female"}, 0.0),
        ({"gender": "male"}, {"emotion": "sad"}, 0.0),
        ({"emotion": "sad", "gender": "male"}, {"emotion": "sad", "gender": "female"}, 2 / 3),
        ({"emotion": "sad", "pitch": "low"}, {"emotion": "angry", "pitch": "low"}, 1 / 3),
        ({"emotion": "sad", "pitch": "low"}, {"emotion": "sad"}, 1.0),
    ],
)
def test_overlap_by_hand(a, b, value):
    assert overlap(Style(**a), Style(**b)) == pytest.approx(value)


def test_only_forgets_the_rest():
    clip = Style(emotion="sad", gender="male", pitch="low")
    assert clip.only(("gender", "speed")).known == {"gender": "male"}
    assert list(clip.known) == ["gender", "emotion", "pitch"]
