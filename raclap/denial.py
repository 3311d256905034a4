"""What a query wants is parted from what it wants left out.

In: a description such as "a man, not angry". Out: "a man" and "angry". A model that compares texts
with voices finds what is denied first of all; a search can subtract it instead. Values that the
lexicon knows are parted by lookup, other words where somebody reads them. Deliberately not here:
who does (`reading`), and how what is denied is subtracted (`ranking`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import zip_longest

from raclap import lexicon
from raclap.query import Mention, clean, mentions

_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?|[^\w\s'-]")  # or a mark
_NOT = re.compile(
    r"(?<!\bif )(?<!\bwhy )(?<!\bcare )\b(?:"  # "if not angry" means that it may be
    r"not|no|never|nothing|without|less|neither|nor|cannot|(?:is|are|was|does|do|did)n't|hardly|scarcely"
    r"|anything but|rather than|instead of|far from|devoid of|free (?:of|from)|lacking|minus|except"
    r")\b(?! (?:only|merely|simply|solely|just|care less)\b)"  # "not only angry" is angry
)
# What may stand between "not" and what is not wanted, as an adverb may right before it.
_BETWEEN = frozenset(
    lexicon.words(
        "a an the any at all so too very that as much overly really exactly quite more longer "
        "be being been in of with sound sounds sounding seem seems speak speaks speaking want hint "
        "trace sign bit least for"
    )
)
_OR = {"or", "nor"}
_FEELING = {"emotion", "emotions", "feeling", "feelings", "expression"}  # none of it is neutral
_THEIRS = {"he", "she", "him", "his", "her"}
# What is left hanging before "not", as in "a man who is not angry", and after what is not wanted.
_HANGING = re.compile(
    r"(?:[\s,;.!?]|\b(?:but|and|or|who|that|which|is|are|was|it|does|do|did|sounds?|sounding|i|with|in"
    r"|want|please)\b)+$"
)
_LEADING = re.compile(r"^(?:[\s,;.!?]|\b(?:but|and|or|ones?)\b)+")


def parted(text: str, reads: Callable[[str], bool] = lambda word: False) -> tuple[str, str]:
    """Part what a query wants from what it wants left out.

    "A man who is not angry, speaking fast" wants "a man, speaking fast", and nothing "angry".

    Args:
        text: a query; what `query.normalize` made of it, if misspelt words are to count.
        reads: says whether a word that the lexicon does not know tells of a voice; asked only of
            words that may be denied.

    Returns:
        What is wanted, which may be empty, and what is not. A text that denies nothing known or
        read comes back as it is, with an empty second part.
    """
    cleaned = clean(text)
    words = [*_WORD.finditer(cleaned)]
    named = [each for each in mentions(cleaned) if cleaned[each.start : each.stop] not in _THEIRS]
    kept, denied, done = [], [], 0
    for said in _NOT.finditer(cleaned):
        # "More or less" is a wording itself.
        if said.start() < done or _at(said.start(), named):
            continue
        after = [word for word in words if word.start() >= said.end()]
        if gone := _denied(after, named, reads):
            kept.append(cleaned[done : said.start()])
            denied += [cleaned[start:stop] for start, stop in gone]
            done = gone[-1][1]
    if not denied:
        return text, ""
    kept = [_HANGING.sub("", _LEADING.sub("", part)) for part in (*kept, cleaned[done:])]
    return ", ".join(part for part in kept if part), ", ".join(denied)


def _denied(
    words: Sequence[re.Match[str]], named: Sequence[Mention], reads: Callable[[str], bool]
) -> list[tuple[int, int]]:
    """Find from where to where something is denied by these words: "any anger", "angry or sad"."""
    # "Not very sad" denies the sadness; the degree stands between.
    begins = {each.start for each in named}
    degrees = [
        m
        for m in named
        if m.attribute == "intensity" and {m.stop, m.stop + 1} & begins and _at(m.start, named) is m
    ]

    def told(word: re.Match[str]) -> tuple[int, int] | None:
        if known := _at(word.start(), named):
            return known.start, known.stop
        telling = word[0].isalpha() and word[0] not in _FEELING and reads(word[0])
        return word.span() if telling else None

    found: list[tuple[int, int]] = []
    joined = True  # to the "not", or by "or" to what is denied already
    for word, after in zip_longest(words, words[1:]):
        start = word.start()
        if (found and start < found[-1][1]) or word[0] in _BETWEEN or _at(start, degrees):
            continue
        if word[0] in _OR and not joined:
            joined = True
            continue
        if word[0].endswith("ly") and not _at(start, named) and after and told(after):
            continue
        stretch = joined and told(word)
        if not stretch:
            break
        found.append(stretch)
        joined = False
    return found


def _at(place: int, stretches: Sequence[Mention]) -> Mention | None:
    """Return the stretch that a place is in."""
    return next((each for each in stretches if each.start <= place < each.stop), None)
