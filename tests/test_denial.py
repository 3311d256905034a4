"""What a query denies. Run: pytest tests/test_denial.py."""

from __future__ import annotations

import random

import numpy as np
import pytest

from raclap.denial import parted
from raclap.style import ATTRIBUTES, VALUES, Style
from raclap.wording import describe


@pytest.mark.parametrize(
    ("text", "wanted", "denied"),
    [
        ("a man who is not angry, speaking fast", "a man, speaking fast", "angry"),
        ("Not an ANGRY man", "man", "angry"),
        ("a man not angry or sad, slow", "a man, slow", "angry, sad"),
        ("a guy not shouting nor crying", "a guy", "shouting, crying"),
        ("sad, but not crying and not slow", "sad", "crying, slow"),
        ("I don’t want an angry voice!", "voice", "angry"),
        ("a calm woman without any hint of anger", "a calm woman", "anger"),
        ("not very sad", "", "sad"),
        ("no shouting, please.", "", "shouting"),
        ("a man, nothing too loud", "a man", "loud"),
        ("less angry", "", "angry"),
        ("a man, anything but angry", "a man", "angry"),
        ("a sad rather than angry man", "a sad, man", "angry"),
        ("not a terrified lady", "lady", "terrified"),
        ("a voice devoid of anger, far from loud and hardly fast", "a voice", "anger, loud, fast"),
        ("if not loud, then not angry", "if not loud, then", "angry"),
        ("no anger, sadness or fear, a man", "a man", "anger, sadness, fear"),
        ("neither angry, sad nor loud", "", "angry, sad, loud"),
        ("not angry, sad", "sad", "angry"),
        ("not angry, a woman or a man", "a woman or a man", "angry"),
        ("a woman without fear and anger", "a woman", "fear, anger"),
        ("no laughing and shouting", "", "laughing, shouting"),
        ("no anger and a calm voice", "a calm voice", "anger"),
        ("no anger and calmly", "calmly", "anger"),
        ("isnt angry", "", "angry"),
        ("a man who won't shout", "a man", "shout"),
        ("she doesn't talk fast", "she", "fast"),
        ("a woman without showing fear", "a woman", "fear"),
        ("nobody is angry", "", "angry"),
        ("anything other than angry", "", "angry"),
        ("calm, w/o anger", "calm", "anger"),
        ("avoid shouting", "", "shouting"),
        ("none of that angry stuff", "", "angry"),
        ("angry -loud", "angry", "loud"),
        ("zero anger please, just a lady", "just a lady", "anger"),
        ("a man with a total lack of joy", "a man with a total", "joy"),
        ("I don't want anything whispered", "", "whispered"),
        ("sad without raising her voice", "sad", "raising her voice"),
        ("she never shouts", "she", "shouts"),
        ("an unsurprised man", "man", "surprised"),
        ("a fearless woman", "woman", "fear"),
        ("she mustn't sound happy", "she", "happy"),
        ("exclude shouting and crying, a man", "a man", "shouting, crying"),
        ("a man, shouting is excluded", "a man", "shouting"),
        ("a man more worried than angry", "a man worried", "angry"),
        ("he used to be scared, calm", "he, calm", "scared"),
        ("!loud !fast female", "female", "loud, fast"),
        ("I dont wanna hear anybody angry", "", "angry"),
        ("he aint sad", "he", "sad"),
        ("an un-angry dad", "dad", "angry"),
    ],
)
def test_what_is_denied_is_parted_from_what_is_wanted(text, wanted, denied):
    assert parted(text) == (wanted, denied)


@pytest.mark.parametrize(
    "text",
    [
        "an angry man",
        "not only sad but loud",
        "he is more or less loud",
        "neither here nor there",
        "an unhappy man",
        "not unsurprised",
        "he couldn't be happier",
        "more angry than usual",
        "doubtless angry",
        "a hopeless voice",
        "a visibly unmoved man",
        "not without anger",
        "he can't stop laughing",
        "not her angry voice",
        "nothing but angry",
        "he could not care less, loud",
        "loud if not angry",
        "free and happy",
        "doesn't she sound sad",
        "whether or not he is angry",
        "he could not be happier",
        "never been so happy",
        "no doubt angry",
        "without a doubt angry",
        "no less angry",
        "a no-nonsense woman",
        "apart from an angry man, the room is empty",
        "not like a duck",
        "not",
        "  Odd  spacing, kept ",
    ],
)
def test_what_denies_nothing_known_stays_as_it_is(text):
    assert parted(text) == (text, "")


@pytest.mark.parametrize(
    ("text", "wanted", "denied"),
    [
        ("a man who isn't gruvy, slow", "a man, slow", "gruvy"),
        ("not gruvy or plonky", "", "gruvy, plonky"),
        ("neither gruvy nor angry, a woman", "a woman", "gruvy, angry"),
        ("not angry or very gruvy", "", "angry, gruvy"),
        ("not utterly gruvy", "", "gruvy"),  # an adverb of it
        ("not gruvily, a woman", "a woman", "gruvily"),  # an adverb by itself
    ],
)
def test_a_word_that_is_read_is_denied_as_known_ones_are(text, wanted, denied):
    read = {"gruvy", "plonky", "gruvily", "utterly"}
    assert parted(text, read.__contains__) == (wanted, denied)


@pytest.mark.parametrize(
    "text",
    [
        *("not a gruvy", "gruvy, not mauve", "not only gruvy", "not: gruvy", "gruvy or not"),
        *("no emotion, just words", "without any feelings"),  # says how it is spoken
    ],
)
def test_only_what_is_denied_and_read_is_parted(text):
    asked = []
    telling = {"emotion", "feelings"}
    assert parted(text, lambda word: bool(asked.append(word)) or word in telling) == (text, "")
    assert all(word.isalpha() for word in asked)
    assert not {"only", "a", "or"} & {*asked}


@pytest.mark.parametrize("pool", ["wide", "unseen"])
def test_no_description_of_the_grammar_denies_anything(pool):
    rng = random.Random(0)
    said = [
        describe(Style(**{n: rng.choice(VALUES[n]) for n in ATTRIBUTES}), rng, pool=pool).text
        for _ in range(500)
    ]
    assert [text for text in said if parted(text)[1]] == []


def telling(denied: str, denying: str):
    """In the place of a network: it knows these words."""
    kinds = [set(denied.split()), set(denying.split())]

    def told(text, words):
        return np.array([[text[a:b] in kind for kind in kinds] for a, b in words], np.float32)

    return told


@pytest.mark.parametrize(
    ("text", "denied", "denying", "parts"),
    [
        ("spare me the yelling", "yelling", "spare me the", ("", "yelling")),
        ("a calm man, hold the whispers", "whispers", "hold", ("a calm man", "whispers")),
        ("a calm man and hold the tears, fast", "tears", "hold", ("a calm man, fast", "tears")),
        # Words in a row are denied as one, and a wording of the lexicon as a whole.
        ("ditch the deep bass", "deep bass", "ditch the", ("", "deep bass")),
        ("skip high-pitched women", "pitched", "skip", ("women", "high-pitched")),
        # What the rules know is not told twice.
        ("ditch anger, not sad, a man", "anger sad", "ditch not", ("a man", "anger, sad")),
        ("a happy man", "", "", ("a happy man", "")),
        ("a woman or a man", "man", "or", ("a woman or a man", "")),
        # A little of it is not none of it, unless that is what is to go.
        ("faintest trace of joy", "joy", "faintest trace of", ("faintest trace of joy", "")),
        ("low intensity joy, a man", "joy", "low intensity", ("low intensity joy, a man", "")),
        ("lose the trace of joy, a man", "joy", "lose the trace of", ("a man", "joy")),
        # Whoever holds it back is as if about to; who searches may be asked to.
        ("tries hard not to whisper", "whisper", "not to", ("tries hard not to whisper", "")),
        ("please try not to shout", "shout", "please try not to", ("", "shout")),
        ("he tries not to use anger", "anger", "tries not to use", ("he", "anger")),
        # Who it is not, whatever that is.
        ("a man, not a gruvy plonk", "gruvy plonk", "not", ("a man", "gruvy plonk")),
        ("hardly like a plonk", "plonk", "hardly like a", ("", "plonk")),
        ("lose a plonk, a man", "plonk", "lose", ("lose a plonk, a man", "")),
        ("a man trying not to sound sad", "sad", "not to sound", ("a man trying", "sad")),
    ],
)
def test_what_a_network_tells_is_parted_from_the_rest(text, denied, denying, parts):
    assert parted(text, told=telling(denied, denying)) == parts


def test_a_network_that_doubts_parts_nothing():
    doubt = lambda text, words: np.full((len(words), 2), 0.4)  # noqa: E731
    assert parted("spare me the yelling", told=doubt) == ("spare me the yelling", "")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a non-angry man", ("man", "angry")),
        ("everything but sad", ("", "sad")),
        ("non-emotional", ("non-emotional", "")),
    ],
)
def test_other_prefixes_and_exceptions(text, parts):
    assert parted(text) == parts
