"""What is not heard is left out of a query and named. Run: python -m pytest tests/test_scope.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raclap import lexicon
from raclap.query import mentioned
from raclap.scope import remarks, within
from raclap.style import EVERY_VALUE


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("A man with a British accent", "a man"),
        ("an angry man with a thick French accent, loud", "an angry man, loud"),
        ("French accented woman whispering", "woman whispering"),
        ("a Scottish brogue, calm", "calm"),
        ("angry accent", "angry"),
        ("a calm woman in a southern American accent, speaking fast",
         "a calm woman, speaking fast"),
        ("no accent, calm, no dialect", "calm"),
        ("she speaks with an accent and sounds sad", "she and sounds sad"),
        ("an accent", "a voice"),
    ],
)  # fmt: skip
def test_accents_are_left_out(text, rest):
    assert within(text) == (rest, ("accents",))
    assert within(rest) == (rest, ())


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a woman speaking French", "a woman"),
        ("speaking in Polish, angrily", "angrily"),
        ("an Italian man shouting", "a man shouting"),
        ("a Spanish-speaking woman", "a woman"),
        ("in Japanese", "a voice"),
    ],
)
def test_languages_are_left_out(text, rest):
    assert within(text) == (rest, ("languages",))
    assert within(rest) == (rest, ())


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("an old man", "a man"),
        ("a young, excited woman", "an excited woman"),
        ("a very old, tired woman", "a tired woman"),
        ("a woman in her late thirties, calm", "a woman, calm"),
        ("someone in their 20s whispering", "someone whispering"),
        ("a 35-year-old man, bored", "a man, bored"),
        ("a thirty five year old woman shouting", "a woman shouting"),
        ("a man aged 40", "a man"),
        ("a man who sounds old", "a man"),
        ("a middle-aged man", "a man"),
        ("older and slower", "slower"),
        ("a woman, not old", "a woman"),
        ("Young", "a voice"),
        ("a child laughing", "a child laughing"),
    ],
)
def test_ages_are_left_out_but_children_stay(text, rest):
    assert within(text) == (rest, ("ages",))
    assert within(rest)[0] == rest


@pytest.mark.parametrize(
    "text", ["An Angry  Man", "unaccented, slow", "an old-fashioned voice", "a girl, bold", "a", ""]
)
def test_other_texts_are_as_they_were(text):
    assert within(text) == (text, ())


def test_several_are_named_in_order():
    text = "an old French man with a strong accent, sad"
    assert within(text) == ("a man, sad", ("accents", "languages", "ages"))


WORDS = st.sampled_from(
    [
        "a",
        "an",
        "old",
        "very",
        "French",
        "speaking",
        "accent",
        "man",
        ",",
        "-",
        "who",
        "sounds",
        "in",
    ]
)


@given(st.lists(WORDS))
def test_what_is_left_has_nothing_more_to_leave_out(words):
    rest, _ = within(" ".join(words))
    assert within(rest) == (rest, ())


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("a man, sad", ""),
        ("an old man", "Ages"),
        ("a child with a French accent", "Accents and ages"),
        ("angry kids", "Ages"),
        ("missing an old friend", ""),
    ],
)
def test_people_are_told_what_is_not_heard(text, topics):
    assert remarks(text, ()) == ([f"{topics} are not heard."] if topics else [])


@pytest.mark.parametrize(
    "text",
    [
        "怒った女性",
        "가 나 다",
        "злая женщина",
        "una mujer enojada",
        "voz grave y lenta",
        "asdf qwer zxcv",
    ],
)
def test_people_are_told_that_hardly_a_word_is_known(text):
    (remark,) = remarks(text, ())
    assert remark.startswith("Hardly a word")


@pytest.mark.parametrize("text", ["rough", "rough, coarse timbre", "authoritative", "passive"])
def test_english_words_are_known_though_they_say_nothing_of_a_voice(text):
    assert not remarks(text, ())


@pytest.mark.parametrize("name", ["queries.json", "queries2.json", "queries3.json"])
def test_no_english_query_is_taken_for_another_language(name):
    asked = json.loads(Path(__file__).with_name(name).read_text())
    told = [remarks(each["query"], ()) for each in asked]
    assert not [said for said in told if any("Hardly" in one for one in said)]
    assert not remarks("", ())
    assert not remarks("12, ...", ())


def test_what_a_wording_says_stays():
    """Who is "missing an old friend" is sad, and "as if it were all greek" names no language."""
    for attribute, value in EVERY_VALUE:
        for pool in (lexicon.WIDE, "unseen"):
            for wording in lexicon.wordings(attribute, value, pool):
                rest, topics = within(wording.text)
                if topics and attribute != "gender":
                    assert mentioned(rest) == mentioned(wording.text), wording.text
    assert within("missing an old friend") == ("missing an old friend", ())
    assert within("an old man missing an old friend")[1] == ("ages",)
