"""Cleaning and reading of free queries. Run: pytest tests/test_query.py."""

import random
import string
import time

import numpy as np
import pytest

from raclap import lexicon
from raclap.query import (
    clauses,
    looked_up,
    mentioned,
    mentions,
    named,
    normalize,
    positive,
    unchosen,
)
from raclap.style import EVERY_VALUE, Style
from raclap.words import described, notable

ENGLISH = {
    "angry",
    "woman",
    "an",
    "the",
    "kids",
    "are",
    "talking",
    "door",
    "shout",
    "happen",
    "lobby",
    "will",
}


def test_case_space_and_spelling_do_not_matter():
    for text in (
        "an ANGRI  woamn",
        "An angry\twoman",
        "ＡＮ angry woman",
        "an angr\u00ady woman\x00",
    ):
        assert normalize(text, ENGLISH) == "an angry woman"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("femal whipsering fastt", "female whispering fast"),
        ("sad malee voise, hihg pitch", "sad male voice, high pitch"),
        ("extremly furiuos", "extremely furious"),
        ("disapointed", "disappointed"),
        ("angryyyyy", "angry"),
        ("a woman’s voice", "a woman's voice"),
        ("😡 👩", "angry woman"),
        ("❤️", "love"),
        ("angry,loud", "angry, loud"),
    ],
)
def test_mistakes_are_corrected(wrong, right):
    assert normalize(wrong, ENGLISH) == right


def test_known_words_names_and_other_scripts_are_left_alone():
    for text in (
        "kids are talking by the door",
        "it will happen in the lobby",
        "grr",
        "sdfghjklqw",
        "an unsurprised, congested man",  # words, if not the lexicon's
        "unlouder",  # nor is an opposite mistaken for what it denies
    ):
        assert normalize(text, ENGLISH) == text
    assert normalize("happen") == "happen"
    for text in ("怒っている女性", "злая женщина", "ein wütender löwe", "🎻", ""):
        assert normalize(text) == text


def test_every_lexicon_word_stays_as_it_is():
    for word in lexicon.vocabulary():
        assert normalize(word) == word


def test_normalising_twice_changes_nothing():
    rng = random.Random(0)
    letters = string.printable + "éßİſﬁǅ😡\ud800\u200d\ufeff怒"
    for _ in range(500):
        once = normalize("".join(rng.choices(letters, k=30)), ENGLISH)
        assert normalize(once, ENGLISH) == once


def test_marks_around_an_invisible_character_come_into_order():
    once = normalize("\u0300\U000e0020\u0591")
    assert once == normalize(once) == "\u0591\u0300"


def test_a_long_query_is_cleaned_in_time():
    start = time.process_time()
    normalize("qwertyu zxcvbnmas " * 600)
    assert time.process_time() - start < 3.0


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("a frightened woman whispering fast",
         Style(gender="female", emotion="fearful", speed="high", phonation="whispered")),
        ("she is slightly angry", Style(gender="female", emotion="angry", intensity="low")),
        ("a deep sorrow in his voice", Style(gender="male", emotion="sad", intensity="strong")),
        ("a deep, sad voice", Style(emotion="sad", pitch="low")),
        ("very loud", Style(energy="high")),
        ("I'd love to hear an ANGRY man", Style(gender="male", emotion="angry")),
        ("a furious man", Style(gender="male", emotion="angry", intensity="strong")),
        ("slightly furious", Style(emotion="angry", intensity="low")),
        ("hopping mad", Style(emotion="angry", intensity="strong")),
        ("bored stiff", Style(emotion="bored", intensity="strong")),
        ("frightened out of her wits",
         Style(gender="female", emotion="fearful", intensity="strong")),
        ("slightly bored to tears", Style(emotion="bored", intensity="low")),
        ("angry as hell", Style(emotion="angry", intensity="strong")),
        ("so happy", Style(emotion="happy", intensity="strong")),
        ("so, a happy man", Style(gender="male", emotion="happy")),
        ("close to tears", Style(emotion="sad")),
        ("loud as hell", Style(energy="high")),
        ("deadpan", Style(emotion="neutral")),
        ("pleasantly surprised", Style(emotion="surprise_positive")),
        ("under her breath", Style(gender="female", phonation="whispered")),
        ("she cries, then shouts", Style(gender="female", emotion="sad", energy="high")),
        ("make it sand", Style()),
        ("she is shouting at him", Style(gender="female", energy="high")),
        ("a woman crying over her husband", Style(gender="female", emotion="sad")),
        ("he is mad at her", Style(gender="male", emotion="angry")),
        ("his old mother, calm", Style(gender="female", emotion="calm")),
        ("a woman or a man, sad", Style(emotion="sad")),
        ("man/woman", Style()),
        ("a man in high spirits", Style(gender="male", emotion="happy")),
        ("higher than average pitch", Style(pitch="high")),
        ("he couldn't care less", Style(gender="male")),
        ("", Style()),
    ],
)  # fmt: skip
def test_mentioned_values_are_recognised(text, style):
    assert mentioned(text) == style


@pytest.mark.parametrize(("attribute", "value"), EVERY_VALUE)
def test_the_words_of_the_page_are_known(attribute, value):
    """What it reads out can be asked for as it stands."""
    style = Style(**{attribute: value})
    found = mentioned(described(style)).known
    assert found | {"intensity": "strong"} == notable(style).known | {"intensity": "strong"}
    assert "intensity" not in found or value == "ecstasy"  # which nobody shows a little of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a Frightened  woman", [("emotion", "frightened"), ("gender", "woman")]),
        ("she is slightly angry",
         [("intensity", "slightly"), ("emotion", "angry"), ("gender", "she")]),
        ("very loud, under her breath",
         [("energy", "very loud"), ("phonation", "under her breath"), ("gender", "her")]),
        ("petrified", [("emotion", "petrified"), ("intensity", "petrified")]),
        ("it is very odd", []),
    ],
)  # fmt: skip
def test_mentions_say_where_they_are(text, found):
    cleaned = normalize(text, ENGLISH)
    assert [(each.attribute, cleaned[each.start : each.stop]) for each in mentions(text)] == found


def test_what_is_looked_up_has_equal_shares_of_its_attribute():
    texts = [
        *("she sounds sad, or sad and ANGRY, or angry", "it is very odd", "breathy"),
        *("a man or a woman", "he shouts at her"),
    ]
    told = [
        {value: float(share) for value, share in zip(EVERY_VALUE, row, strict=True) if share}
        for row in looked_up(texts)
    ]
    assert told == [
        {("gender", "female"): 1.0, ("emotion", "sad"): 0.5, ("emotion", "angry"): 0.5},
        {},
        {("phonation", "whispered"): 1.0},
        {("gender", "female"): 0.5, ("gender", "male"): 0.5},
        {("gender", "male"): 1.0, ("energy", "high"): 1.0},
    ]
    assert looked_up(texts).dtype == np.float32
    assert looked_up([]).shape == (0, len(EVERY_VALUE))


def test_all_values_are_named_in_order():
    found = named("a happy or sad man, loud, happy")
    assert found == {"emotion": ("happy", "sad"), "gender": ("male",), "energy": ("high",)}
    assert named("a man or a woman") == {"gender": ("male", "female")}
    assert named("a calm man shouting at her")["gender"] == ("male",)


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        ("angrier", "angry"),
        ("louder and slower", "loud and slow"),
        ("Sadder, more gentle", "sad, gentle"),
        ("a woman whispering under her breath", "a woman whispering under her breath"),
        ("in the manner of a listener", "in the manner of a listener"),
        ("a crooner, calmer", "a crooner, calm"),
        ("with more air than voice, more sad", "with more air than voice, sad"),
    ],
)
def test_a_comparative_is_read_as_its_positive(asked, known):
    assert positive(asked) == known


def test_what_a_wording_says_is_no_comparative():
    for attribute, value in EVERY_VALUE:
        for pool in (lexicon.WIDE, "unseen"):
            for wording in lexicon.wordings(attribute, value, pool):
                text = wording.text.replace("{their}", "their")
                assert mentioned(positive(text)) == mentioned(text), text


def test_clauses_part_what_is_said():
    text = "A frightened woman, whispering fast and with a high pitch."
    assert clauses(text) == ["A frightened woman", "whispering fast", "a high pitch"]
    assert clauses("an angry man") == clauses("") == clauses("...") == []
    assert clauses("a thin band of sound") == []  # joining words are whole words


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("an angry woman or man", "an angry person"),
        ("a man or a woman who is sad", "a person who is sad"),
        ("a male or female voice", "a voice"),
        ("male/female", "person"),
        ("she shouts at him", "she shouts at him"),
        ("a happy man or a sad woman", "a happy man or a sad woman"),
        ("a boy or a man", "a boy or a man"),
    ],
)
def test_a_choice_of_genders_says_nothing(text, left):
    assert unchosen(text) == left
