"""What a query wants is parted from what it wants left out.

In: a description such as "a man, not angry". Out: "a man" and "angry". A model that compares texts
with voices finds what is denied first of all; a search can subtract it instead. Values that the
lexicon knows are parted by lookup, other words where somebody reads them. Deliberately not here:
who does (`reading`), and how what is denied is subtracted (`ranking`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import zip_longest

import numpy as np

from raclap import lexicon
from raclap.query import Mention, clean, mentions, unchosen
from raclap.style import EVERY_VALUE

# A text and from where to where its words go (W) -> the shares (W, 2) of `RACLAP.denied`.
Told = Callable[[str, Sequence[tuple[int, int]]], np.ndarray]
Likely = Mapping[re.Match[str], Sequence[float]]  # word -> these; empty where nobody tells
_TOLD = 0.5  # share above which a word is taken to be denied, or to deny
_DOUBTED = 0.02  # and up to which it is not, though a rule says so
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?|[^\w\s'-]")  # or a mark
# What denies nothing though it looks so: "no doubt angry", "never been happier".
_FIRM = (
    r"no (?:doubt|question|wonder|matter|less)|no[- ](?:nonsense|frills)|without (?:a |any )?doubt"
    r"|(?:(?<=could )not|couldn'?t|cannot|never)(?: have)? (?:be|been) (?:more|\w+er)"
    r"|never (?:been )?so"
    r"|[\w']+ (?:only|merely|simply|solely|just|care less)"
)
_NOT = re.compile(
    # "If not angry" means that it may be.
    rf"(?<!\bif )(?<!\bor )(?<!\bno )(?<!\bwhy )(?<!\bcare )\b(?!(?:{_FIRM})\b)(?:"
    r"not|no|nobody|never|nothing|less|neither|nor|(?<!\bnot )without|w/o|cannot|hardly|scarcely"
    r"|minus|except"
    r"|(?:is|are|was|were|does|do|did|has|have|had|wo|would|should|could|must|need|ai)n'?t"
    r"|avoid|avoiding|exclude|excluding|used to be"
    r"|(?:any|every)(?:thing|one|body) but|(?:rather|other) than|instead of|far from|none|zero"
    r"|devoid of"
    r"|lack(?:s|ing)?(?: of)?|absence of|free (?:of|from)"
    r")\b"
)
_OPPOSITE = re.compile(r"\b(not )?(?:un([a-z]{4,})|([a-z]{4,})less)\b")
_NON = re.compile(r"\b(?:non[- ]|un-)(?=[a-z])")
# What denies otherwise than by a word before it: "angry -loud", "more sad than angry".
_OTHERWISE = (
    (re.compile(r"(?:(?<=\s)-|(?<!\S)!)(?=[a-z])"), "not "),  # as search engines have it
    (re.compile(r"\bmore (\S+) than (?=\S)"), r"\1, not "),
    (
        re.compile(r"([^\s,;.][^,;.]*?)(?: is| are)? (?:excluded|not (?:wanted|allowed))\b"),
        r"no \1",
    ),
)
_LISTED = {
    *("no", "zero", "without", "w/o", "neither", "lacking", "minus"),
    *("avoid", "avoiding", "exclude", "excluding"),
}
# Whoever tries not to cry sounds as if about to; "try not to shout" is asked of who searches.
_HELD_BACK = re.compile(
    r"\b(?:tries|tried|trying|struggl\w+)(?: \w+)? not to (?:cry|weep|sob|break|lose|snap|explode"
    r"|laugh|giggle|chuckle|smile|grin|scream|shout|yell|panic|tremble|shake|whisper)\b"
)
_NOT_A = re.compile(r"\b(?:not|never|hardly)(?: like)? an? $")  # before a "robot"
_FAINT = {"the", "a", "faint", "faintest", "mildest", "slightest", "smallest", "tiniest", "merest"}
# What may stand between "not" and what is not wanted, as an adverb may right before it.
_BETWEEN = frozenset(
    lexicon.words(
        "a an the any at all so too very that as much overly really exactly quite more longer "
        "anymore be being been is are was were in of with sound sounds sounding seem seems speak "
        "speaks speaking talk talks talking get gets getting become becoming feel feels feeling "
        "act acts acting show shows showing want wanna hear anybody anyone anything hint trace "
        "sign bit least for"
    )
)
_OR = {"or", "nor"}
_FEELING = {"emotion", "emotions", "feeling", "feelings", "expression"}  # none of it is neutral
_THEIRS = {"he", "she", "him", "his", "her"}
# What is left hanging before "not", as in "a man who is not angry", and after what is not wanted.
_HANGING = re.compile(
    r"(?:[\s,;.!?]|\b(?:but|and|or|who|that|which|is|are|was|it|does|do|did|sounds?|sounding|i|with|in"
    r"|want|please|anything|anyone|anybody|an?|the)\b)+$"
)
_LEADING = re.compile(r"^(?:[\s,;.!?]|\b(?:but|and|or|ones?|stuff|please)\b)+")


def parted(
    text: str,
    reads: Callable[[str], bool] = lambda word: False,
    told: Told | None = None,
) -> tuple[str, str]:
    """Part what a query wants from what it wants left out.

    "A man who is not angry, speaking fast" wants "a man, speaking fast", and nothing "angry".

    Args:
        text: a query; what `query.normalize` made of it, if misspelt words are to count.
        reads: says whether a word that the lexicon does not know tells of a voice; asked only of
            words that may be denied.
        told: tells how likely each word is denied, and how likely it denies, if a model was taught
            that; see `RACLAP.denied`.

    Returns:
        What is wanted, which may be empty, and what is not. A text that denies nothing known or
        read comes back as it is, with an empty second part.
    """
    cleaned = _spelt_out(clean(text))
    words = [*_WORD.finditer(cleaned)]
    named = [each for each in mentions(cleaned) if cleaned[each.start : each.stop] not in _THEIRS]
    likely: Likely = {}
    if told:
        shares = told(cleaned, [word.span() for word in words])
        likely = dict(zip(words, shares.tolist(), strict=True))
    held = [each.span() for each in _HELD_BACK.finditer(cleaned)]
    likely = {word: share for word, share in likely.items() if not _overlap(word.span(), held)}
    gone: list[tuple[int, int]] = []  # from where to where something is denied
    cut: list[tuple[int, int]] = []  # the same with what denies it
    done = 0
    for said in _NOT.finditer(cleaned):
        # "More or less" is a wording itself.
        if said.start() < done or _at(said.start(), named):
            continue
        after = [word for word in words if word.start() >= said.end()]
        found = _denied(said[0], after, named, reads)
        if found and not _doubted(found, likely):
            gone += found
            done = found[-1][1]
            cut.append((said.start(), done))
    denying = [word.span() for word, (_, denies) in likely.items() if denies > _TOLD]
    # "A faint trace of anger" is a little of it; "lose every trace of anger" is none.
    little = [(m.start, m.stop) for m in named if (m.attribute, m.value) == ("intensity", "low")]
    if any(not _overlap(each, little) and cleaned[slice(*each)] not in _FAINT for each in denying):
        more = [each for each in _told(cleaned, likely, named, reads) if not _overlap(each, cut)]
        gone += more
        cut += [*more, *denying]
    if not gone:
        return text, ""
    kept = [_HANGING.sub("", _LEADING.sub("", part)) for part in _without(cleaned, cut)]
    denied = [cleaned[start:stop] for start, stop in sorted(gone)]
    return ", ".join(part for part in kept if part), ", ".join(denied)


def _doubted(found: Sequence[tuple[int, int]], likely: Likely) -> bool:
    """Whether a network that was asked is sure that nothing of what a rule found is denied."""
    shares = [denied for word, (denied, _) in likely.items() if _overlap(word.span(), found)]
    return bool(shares) and max(shares) <= _DOUBTED


def _overlap(stretch: tuple[int, int], others: Sequence[tuple[int, int]]) -> bool:
    return any(start < stretch[1] and stop > stretch[0] for start, stop in others)


def _told(
    text: str, likely: Likely, named: Sequence[Mention], reads: Callable[[str], bool]
) -> Iterator[tuple[int, int]]:
    """Yield what is likely denied: words in a row, each as long as what the lexicon has there.

    Words that the lexicon does not have must tell of a voice, or say who speaks. Who wants no
    emotion wants neutral voices, and "a man or a woman" denies neither.
    """
    either = unchosen(text) != text
    found: list[tuple[int, int]] = []
    for word, (denied, _) in likely.items():
        if denied <= _TOLD or word[0] in _FEELING:
            continue
        known = _at(word.start(), named)
        start, stop = (known.start, known.stop) if known else word.span()
        if found and start <= found[-1][1] + 1:
            start, stop = found[-1][0], max(stop, found.pop()[1])
        found.append((start, stop))
    for start, stop in found:
        first = _at(start, named)
        if either and first and first.attribute == "gender":
            continue
        said = any(start <= each.start < stop for each in named)
        if said or _NOT_A.search(text[:start]) or reads(text[start:stop]):
            yield start, stop


def _without(text: str, cut: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Yield what is left of a text between stretches that may overlap."""
    done = 0
    for start, stop in sorted(cut):
        if text[done:start].strip():
            yield text[done:start]
        done = max(done, stop)
    yield text[done:]


def _spelt_out(text: str) -> str:
    """Write what denies in another way with a word before what it denies.

    So is "unsurprised" or "fearless", where the lexicon knows "surprised" and "fear" alone.
    """
    for pattern, plain in _OTHERWISE:
        text = pattern.sub(plain, text)
    named = mentions(text)
    text = _NON.sub(lambda word: word[0] if _at(word.start(), named) else "not ", text)
    named = mentions(text)  # in their places now

    def denied(word: re.Match[str]) -> str:
        stem = word[2] or word[3]
        if _at(word.end() - 1, named) or not mentions(stem):
            return word[0]
        return stem if word[1] else f"no {stem}"

    return _OPPOSITE.sub(denied, text)


def _denied(
    denier: str,
    words: Sequence[re.Match[str]],
    named: Sequence[Mention],
    reads: Callable[[str], bool],
) -> list[tuple[int, int]]:
    """Find from where to where something is denied by these words: "any anger", "angry or sad".

    A comma joins more to it if "or" follows, as in "no anger, sadness or fear"; "and" only nouns
    and the like, as in "without fear and anger".
    """
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
        asked = word[0].isalpha() and word[0] not in _FEELING | _THEIRS
        return word.span() if asked and reads(word[0]) else None

    def like(word: re.Match[str]) -> bool:
        """Whether the joint may join this to what is denied first."""
        if joint == ",":  # "not angry, a woman or a man" denies neither of these
            one, two = _at(first.start(), named), _at(word.start(), named)
            return not two or two.attribute != "gender" or bool(one and one.attribute == "gender")
        return joint != "and" or _kind(word[0]) == _kind(first[0]) != ""

    found: list[tuple[int, int]] = []
    first: re.Match[str] | None = None
    sure, joint = 0, denier  # how many of them are denied for certain; what the next is joined by
    for word, after in zip_longest(words, words[1:]):
        start = word.start()
        if found and start < found[-1][1]:
            continue
        joins = word[0] in _OR and joint in ("", ",")
        if joins or (not joint and (word[0] == "," or (word[0] == "and" and denier in _LISTED))):
            joint = word[0]
            continue
        if joint != "and" and (word[0] in _BETWEEN or _at(start, degrees)):
            continue
        if word[0].endswith("ly") and not _at(start, named) and after and told(after):
            continue
        if not joint or (first and not like(word)) or not (stretch := told(word)):
            break
        first = first or word
        found.append(stretch)
        sure, joint = sure if joint == "," else len(found), ""
    return found[:sure]


def _kind(word: str) -> str:
    """Tell what "and" may join: "fear and anger", "laughing and crying", not "anger and calm"."""
    return "ing" if word.endswith("ing") else "noun" if word in _nouns() else ""


@cache
def _nouns() -> frozenset[str]:
    """The words that stand for a value by themselves, such as "anger"."""
    return frozenset(
        wording.text
        for attribute, value in EVERY_VALUE
        for pool in (lexicon.WIDE, "unseen")
        for wording in lexicon.wordings(attribute, value, pool)
        if wording.form == "noun"
    )


def _at(place: int, stretches: Sequence[Mention]) -> Mention | None:
    """Return the stretch that a place is in."""
    return next((each for each in stretches if each.start <= place < each.stop), None)
