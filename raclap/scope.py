"""What a query says of a voice that the model does not hear is left out, and people are told.

In: any text. Out: what is left, and remarks about what is not. The model was never told whose
accent, which language or what age a clip has, so that such words only sway what is found: it takes
an accent for an emphasis. Deliberately not here: what is denied (``denial``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from raclap.query import PRONOUNS, clean, is_known, mentions, normalize

NOTHING = "a voice"  # what is left of a description of which nothing is heard
_TOPICS = ("accents", "languages", "ages")
_ACCENTS = {"accent", "accents", "accented", "dialect", "dialects", "brogue"}
_STRENGTHS = {"strong", "thick", "heavy", "slight", "light", "mild", "soft", "faint", "broad"}
_BEFORE = {
    *("with", "without", "in", "has", "having", "no", "a", "an", "the", "some", "any"),
    *("of", "speaks", "speaking"),
}
_BOUNDS = {*_BEFORE, *PRONOUNS, "their", "and", "or", "but", "who", "that"}
_BOUNDS |= {"voice", "person", "someone", "speaker"}
_UNIT = re.compile(r"[^\W\d_]+|[^\w\s]")  # a word or a mark


def _any(words: str) -> str:
    return f"(?:{'|'.join(words.split())})"


_TONGUES = _any(
    "african american arabic argentinian asian australian austrian bavarian belgian brazilian "
    "british canadian cantonese chinese czech danish dutch egyptian english ethiopian european "
    "filipino finnish french german greek hebrew hindi hungarian indian indonesian iranian irish "
    "israeli italian jamaican japanese kenyan korean latino mandarin mexican nigerian norwegian "
    "pakistani persian polish portuguese romanian russian scottish spanish swahili swedish swiss "
    "tamil texan thai turkish ukrainian urdu vietnamese welsh"
)
_LANGUAGES = re.compile(
    rf"(?:\b(?:speak(?:s|ing)?|talk(?:s|ing)?)(?: in)? |\bin )?\b{_TONGUES}\b"
    r"(?:[- ](?:speaking|language)\b)?"
)
_COUNT = _any(
    r"\d+ one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
)
_DECADE = _any(r"teens twenties thirties forties fifties sixties seventies eighties nineties \d0s")
_OLD = _any(
    "old older oldest young younger youngest youthful elderly aged ageing aging middle-aged "
    "teen teenage teenaged adolescent"
)
_YEARS = re.compile(
    rf"\b{_COUNT}(?:[- ]{_COUNT})?[- ]years?[- ]olds?\b"
    rf"|\b(?:in|of) {_any('his her their')} (?:{_any('early mid late')}[- ])?{_DECADE}"
    rf"|\baged (?:about |around )?{_COUNT}(?:[- ]{_COUNT})?\b"
    rf"|\b(?:{_any('very rather quite really fairly pretty much more slightly')} )*"
    rf"(?:middle )?(?<![\w-]){_OLD}\b(?!-)"
)
_CHILDREN = re.compile(rf"\b{_any('child children kid kids toddler baby infant teenager')}\b")
_WORDS = re.compile(r"[^\W\d_]{3,}|[^\W\d_a-z]+")  # short ones could be of any language
_ARTICLE = re.compile(r"\ban? (?=([a-z]))")
# What makes no sense at the end, once what came after it is gone.
_LOOSE = re.compile(
    rf"(?:(?:^|[ ,.;:!?-]+){_any('a an and or but not with in who that is sounds sounding')})*"
    r"[ ,.;:!?-]*$"
)


def within(text: str) -> tuple[str, tuple[str, ...]]:
    """Leave out of a description what this model does not hear.

    "An angry old man with a thick French accent" is "an angry man".

    Returns:
        The rest, as `query.clean` has it, or `NOTHING` if nothing is left; and what was named of
        "accents", "languages" and "ages". A child is no adult, but stays: the word says more. A
        text without any is as it was.
    """
    cleaned = clean(text)
    plain = clean(_without_accents(cleaned))
    native = _without(_LANGUAGES, plain)
    rest = _without(_YEARS, native)
    young = _without(_CHILDREN, rest) != rest
    named = (plain != cleaned, native != plain, rest != native or young)
    topics = tuple(topic for topic, is_named in zip(_TOPICS, named, strict=True) if is_named)
    return text if rest == cleaned else _mended(rest), topics


def remarks(text: str, vocabulary: Collection[str]) -> list[str]:
    """Say in sentences what of a query is not heard, or that it is hardly English.

    Args:
        text: a query.
        vocabulary: as in `query.normalize`.
    """
    topics = within(text)[1]
    said = [f"{' and '.join(topics).capitalize()} are not heard."] if topics else []
    words = _WORDS.findall(normalize(text, vocabulary))
    if not mentions(text) and sum(map(is_known, words)) < len(words) / 2:
        said.append("Hardly a word of this is known; descriptions are understood in English.")
    return said


def _mended(rest: str) -> str:
    """Put right what a text looks like after something was taken out."""
    rest = re.sub(r" (?=[,.;:!?])", "", clean(rest))
    rest = _ARTICLE.sub(_article, re.sub(r"\b(an?|the), ", r"\1 ", rest))
    return _LOOSE.sub("", re.sub(r"^(?:[ ,.;:!?-]+|(?:and|or|but) )+", "", rest)) or NOTHING


def _without(pattern: re.Pattern[str], cleaned: str) -> str:
    """Take out what matches, but not of a longer wording: "missing an old friend" is sad."""
    worded = [each for each in mentions(cleaned) if each.attribute != "gender"]

    def kept(match: re.Match[str]) -> str:
        start, stop = match.span()
        around = (m for m in worded if m.start <= start and stop <= m.stop)
        return match[0] if any(m.stop - m.start > stop - start for m in around) else ""

    return clean(pattern.sub(kept, cleaned))


def _without_accents(cleaned: str) -> str:
    words = [*_UNIT.finditer(cleaned)]
    places = [place for place, word in enumerate(words) if word[0] in _ACCENTS]
    if not places:
        return cleaned
    named = {at for each in mentions(cleaned) for at in range(each.start, each.stop)}

    def first(place: int, among: Callable[[re.Match[str]], bool]) -> int:
        return next((at + 1 for at in range(place - 1, -1, -1) if not among(words[at])), 0)

    # Whose accent it is and how strong, then "with a"; not what is said of the voice.
    kinds = [first(at, lambda word: _is_kind(word[0], word.start() in named)) for at in places]
    starts = [first(at, lambda word: word[0] in _BEFORE) for at in kinds]
    kept, done = [], 0
    for start, place in zip(starts, places, strict=True):
        kept.append(cleaned[done : words[start].start()])
        done = words[place].end()
    return "".join((*kept, cleaned[done:]))


def _is_kind(word: str, named: bool) -> bool:
    return word in _STRENGTHS or (word.isalpha() and not named and word not in _BOUNDS)


def _article(match: re.Match[str]) -> str:
    return "an " if match[1] in "aeiou" else "a "
