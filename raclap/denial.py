"""What a query wants is parted from what it wants left out.

In: a description such as "a man, not angry". Out: "a man" and "angry". A model that compares texts
with voices finds what is denied first of all; a search can subtract it instead. Only values that
the lexicon knows are parted, by lookup. Deliberately not here: how they are subtracted (`ranking`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from raclap import lexicon
from raclap.query import Mention, clean, mentions

_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?|[^\w\s'-]")  # or a mark
_NOT = re.compile(
    r"(?<!\bif )(?<!\bwhy )\b(?:"  # "if not angry" means that it may be
    r"not|no|never|without|less|neither|nor|cannot|(?:is|are|was|does|do|did)n't|hardly|scarcely"
    r"|anything but|rather than|instead of|far from|devoid of|free (?:of|from)|lacking|minus|except"
    r")\b"
)
# What may stand between "not" and what is not wanted; "not only", for one, denies nothing.
_BETWEEN = frozenset(
    lexicon.words(
        "a an the any at all so too very that as much overly really particularly quite more longer "
        "be being been in of with sound sounds sounding seem seems speak speaks speaking want hint "
        "trace sign bit least for"
    )
)
_OR = {"or", "nor"}
_THEIRS = {"he", "she", "him", "his", "her"}
# What is left hanging before "not", as in "a man who is not angry", and after what is not wanted.
_HANGING = re.compile(
    r"(?:[\s,;.!?]|\b(?:but|and|or|who|that|which|is|are|was|it|does|do|did|sounds?|sounding|i|with|in"
    r"|want|please)\b)+$"
)
_LEADING = re.compile(r"^(?:[\s,;.!?]|\b(?:but|and|or|ones?)\b)+")


def parted(text: str) -> tuple[str, str]:
    """Part what a query wants from what it wants left out.

    "A man who is not angry, speaking fast" wants "a man, speaking fast", and nothing "angry".

    Args:
        text: a query; what `query.normalize` made of it, if misspelt words are to count.

    Returns:
        What is wanted, which may be empty, and what is not. A text that denies no value that the
        lexicon knows comes back as it is, with an empty second part.
    """
    cleaned = clean(text)
    words = [*_WORD.finditer(cleaned)]
    named = [each for each in mentions(cleaned) if cleaned[each.start : each.stop] not in _THEIRS]
    kept, denied, done = [], [], 0
    for said in _NOT.finditer(cleaned):
        # "More or less" is a wording itself.
        if said.start() < done or _within(said, named):
            continue
        if gone := _denied(words, said.end(), named):
            kept.append(cleaned[done : said.start()])
            denied += [cleaned[each.start : each.stop] for each in gone]
            done = gone[-1].stop
    if not denied:
        return text, ""
    kept = [_HANGING.sub("", _LEADING.sub("", part)) for part in (*kept, cleaned[done:])]
    return ", ".join(part for part in kept if part), ", ".join(denied)


def _denied(words: Sequence[re.Match[str]], stop: int, named: Sequence[Mention]) -> list[Mention]:
    """Find what is denied from a place on: "any anger", "very angry or sad"."""
    # "Not very sad" denies the sadness; the degree stands between.
    begins = {each.start for each in named}
    degrees = [m for m in named if m.attribute == "intensity" and {m.stop, m.stop + 1} & begins]
    found: list[Mention] = []
    for each in named:
        if each.start < stop or each in degrees:
            continue
        gap = {
            word[0]
            for word in words
            if stop <= word.start() < each.start and not _within(word, degrees)
        }
        if not gap - _OR <= _BETWEEN or bool(found) != bool(gap & _OR):
            break
        found.append(each)
        stop = each.stop
    return found


def _within(word: re.Match[str], stretches: Sequence[Mention]) -> bool:
    return any(each.start <= word.start() < each.stop for each in stretches)
