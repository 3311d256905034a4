"""What a dictionary tells of words that training never had.

In: texts. Out: how far the words in them that are new speak for each value. A text encoder guesses
at a word that it was never taught; a dictionary has it beside words that it was: "dejected" is like
"crestfallen", "joylessly" comes of "joyless". The table, ``glossary.npz``, is made by ``glossing``,
from WordNet and the words of training alone, and so is the list of all other words. Deliberately
not here: what is made of the evidence (``finish``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from raclap import lexicon
from raclap.files import digest_of
from raclap.style import SIZES

PATH = Path(__file__).with_name("glossary.npz")
OTHERS = "dictionary.txt"
MOST = 63  # steps in which shares are kept
_LONGEST = 4  # words in an entry
_FLOOR = 0.03  # of the strongest evidence; below it, one value speaks as little as another
# How an English word is bent, and what its plain form ends with instead.
_ENDINGS = (
    *(("ies", "y"), ("es", ""), ("s", ""), ("ied", "y"), ("ed", "e"), ("ed", "")),
    *(("ing", "e"), ("ing", ""), ("er", "e"), ("er", ""), ("est", "e"), ("est", "")),
    *(("iness", "y"), ("ness", ""), ("ily", "y"), ("ably", "able"), ("ibly", "ible")),
    *(("ically", "ic"), ("ly", "")),
)


def forms(word: str) -> Iterator[str]:
    """Yield a word and the plain forms that it may come of: quivering, quivere, quiver."""
    yield word
    for ending, plain in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            stem = word.removesuffix(ending)
            yield stem + plain
            if not plain and stem[-1] == stem[-2]:
                yield stem[:-1]  # sobbing


def knows(word: str) -> bool:
    """Whether a lower-case word, in any form, is in the glossary."""
    return any(form in _rows() for form in forms(word))


def lists(word: str) -> bool:
    """Whether a lower-case word, in any form, is in the dictionary at all."""
    return knows(word) or any(form in _others() for form in forms(word))


def evidence(texts: Sequence[str]) -> np.ndarray:
    """Weigh what the new words of texts speak for.

    Args:
        texts: N texts, spelt as `query.normalize` spells them.

    Returns:
        (N, V) float32 logarithms of shares of the strongest evidence: 0 for the value that most is
        said for, and throughout where no word is new; down to -3.5.
    """
    weights = np.zeros((len(texts), sum(SIZES)), dtype=np.float32)
    for row, text in enumerate(texts):
        for place in _found(text):
            weights[row] += _table()[place]
    most = weights.max(1, keepdims=True)
    shares = np.divide(weights, most, out=np.ones_like(weights), where=most > 0)
    return np.log((shares + _FLOOR) / (1 + _FLOOR))


def digest() -> str:
    """Names the glossary: vectors of texts that an older one had its say in are not these."""
    return digest_of(PATH)


def _found(text: str) -> Iterator[int]:
    """Yield the rows of the table that a text names, the longest entry first."""
    words, start = lexicon.words(text), 0
    while start < len(words):
        length, row = _entry(words[start : start + _LONGEST])
        if row is not None:
            yield row
        start += length


def _entry(words: Sequence[str]) -> tuple[int, int | None]:
    """How many words make up the entry that begins with the first, and its row."""
    rows = _rows()
    for length in range(len(words), 1, -1):
        row = rows.get(" ".join(words[:length]))
        if row is not None:
            return length, row
    if words[0] in lexicon.learned():
        return 1, None
    return 1, next((rows[form] for form in forms(words[0]) if form in rows), None)


@cache
def _rows() -> dict[str, int]:
    with np.load(PATH, allow_pickle=False) as held:
        return {word: row for row, word in enumerate(held["words"].tobytes().decode().split("\n"))}


@cache
def _others() -> frozenset[str]:
    return frozenset(PATH.with_name(OTHERS).read_text(encoding="utf-8").split())


@cache
def _table() -> np.ndarray:
    """How far each entry speaks for each value: (W, V) float32."""
    with np.load(PATH, allow_pickle=False) as held:
        return held["shares"] * (held["strengths"].astype(np.float32)[:, None] / MOST)
