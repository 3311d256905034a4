"""A free query is cleaned before it is encoded, and read for the values that it names.

In: any text a person may type. Out: text fit for the tokenizer, and the `Style` that the lexicon
recognises in it, which the model heeds and which tells a person why a clip was found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import zip_longest

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from raclap import glossary, lexicon
from raclap.config import InputError
from raclap.style import EVERY_VALUE, Style

_WORD = re.compile(r"(?<![^\W\d_])[a-z]{4,}(?![^\W\d_])")  # Latin words worth correcting
PRONOUNS = {"she": "female", "her": "female", "he": "male", "his": "male", "him": "male"}
_LONG = 6  # letters
_DENYING = ("un", "in", "im", "il", "ir", "dis", "non")  # how an opposite begins
_LONGEST = 8  # words in a phrase of the lexicon
_NOTHING = ("", "")
# What people type besides the lexicon's words, of which descriptions are made. "I'd love to hear"
# asks for no love, nor does "couldn't care less" for sympathy; high spirits are no high pitch.
_TYPED = {
    _NOTHING: "love to, keen to, eager to, curious to, interested in, care less, kids",
    ("gender", "female"): (
        "wife, girlfriend, daughter, aunt, niece, mom, mum, mommy, mummy, grandma, granny, "
        "grandmother, stepmother, stepmom, mother in law, queen, princess, duchess, waitress, "
        "hostess, heroine, nun, bride, widow, spinster, mrs, women, girls, ladies, females, gals, "
        "nan, gran, nanny, auntie, aunty, mama, missus, mistress, maid, maiden, "
        "bridesmaid, midwife, housewife, landlady, stewardess, ballerina, diva, witch, sorceress, "
        "goddess, priestess, empress, heiress, schoolgirl, cowgirl, lassie, damsel, crone, "
        "headmistress, businesswoman, policewoman, saleswoman, godmother, mothers, sisters, wives, "
        "daughters, mums, moms, aunts, grannies, actresses"
    ),
    ("gender", "male"): (
        "husband, boyfriend, son, uncle, nephew, dad, daddy, grandpa, granddad, grandfather, "
        "stepfather, stepdad, father in law, king, prince, lord, landlord, waiter, monk, priest, "
        "groom, widower, codger, mr, men, guys, boys, gentlemen, males, lads, dudes, blokes, "
        "grandad, gramps, papa, fella, fellas, vicar, bishop, friar, pope, emperor, knight, "
        "wizard, sheriff, cowboy, schoolboy, choirboy, bridegroom, butler, headmaster, "
        "businessman, policeman, salesman, fireman, fisherman, anchorman, godfather, fathers, "
        "brothers, husbands, sons, dads, uncles"
    ),
    ("emotion", "happy"): (
        "high spirits, good spirits, tears of joy, crying tears of joy, crying with joy, "
        "crying for joy, weeping with joy"
    ),
    ("emotion", "sad"): "low spirits, poor spirits, low mood",
    ("emotion", "angry"): (
        "quick to anger, quick to take offence, losing their patience, lost their patience, "
        "lose their patience, out of patience, grumbling, complaining"
    ),
    ("emotion", "neutral"): "monotone",
    ("energy", "high"): (
        "scream, screams, screaming, shriek, shrieks, shrieking, raised voice, "
        "raising their voice, raises their voice"
    ),
    ("pitch", "high"): "higher than average pitch, above average pitch, higher than normal pitch",
    ("pitch", "medium"): "mid pitch, mid-pitched",
    ("pitch", "low"): "lower than average pitch, below average pitch, lower than normal pitch",
}
_PLACES = {value: place for place, value in enumerate(EVERY_VALUE)}
MAX_CHARACTERS = 1_000
_STRONG = ("intensity", "strong")
# What makes an emotion strong right after it, as in "bored to tears". "So" does right before.
_UTMOST = (
    "stiff, rigid, senseless, silly, to bits, to death, half to death, to pieces, to tears, "
    "to the bone, to the core, out of their mind, out of their skull, out of their wits, "
    "beyond words, beyond belief, beyond measure, as hell, as anything, like crazy, "
    "uncontrollably, hysterically, inconsolably"
)
_CLOSE = re.compile(r"(?<=[^\W\d_])([,;!?])(?=[^\W\d_])")  # a mark that lacks its space
_CHOICE = re.compile(r"[\s,/]*(?:or|and|/)\s+(?:an?\s+|the\s+)?|\s*/\s*")  # between two genders
_VOICE = re.compile(r" (?:voice|speaker|narrator|actor)s?\b")  # as after "male or female"
_COMPARED = re.compile(r"\bmore (?=[a-z])|\b([a-z]{2,})er\b")
_STILL = {"neutral", "calm", "contentment", "serenity"}  # the extreme of these is not intense
_DEGREES = ("degree", "utter", "modifier")
_JOINTS = re.compile(
    r"[,.:;?!/]|\b(?:and|with|in|at|as if|while|who|that)\b", flags=re.IGNORECASE
)  # where one thing said of a voice may end


def check_text(text: str) -> str:
    """Return a description without surrounding space, or say why it cannot be searched for."""
    text = text.strip()
    seen = clean(text[: MAX_CHARACTERS + 1])  # one ligature may stand for a sentence
    if not seen:
        raise InputError("The description is empty; say how the voice should sound.")
    if (count := max(len(text), len(seen))) > MAX_CHARACTERS:
        raise InputError(
            f"The description has {count:,} characters; shorten it to {MAX_CHARACTERS:,}."
        )
    return text


def normalize(text: str, vocabulary: Collection[str] = ()) -> str:
    """Bring a text into the one form that the text encoder sees.

    Unicode NFKC, lower case, single spaces, after commas too, no control characters, emoji as
    words, and spelling mistakes corrected toward the lexicon: ``an ANGRI  woamn`` becomes
    ``an angry woman``.

    Args:
        text: anything; other scripts pass through.
        vocabulary: whole words that the text encoder knows; like those of the lexicon and of the
            glossary, they are left alone. Any other word may be taken for a mistake.

    Returns:
        The text; normalising it again changes nothing.
    """
    return _WORD.sub(lambda match: _spell(match[0], vocabulary), clean(text))


def clean(text: str) -> str:
    """Do what `normalize` does, but for spelling: the form in which `mentions` counts places."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    plain = "".join(map(_plain, text.replace("’", "'")))
    # Marks that an invisible character kept apart come into their order only now.
    plain = " ".join(unicodedata.normalize("NFKC", plain).split())
    return _CLOSE.sub(r"\1 ", plain)


def _plain(character: str) -> str:
    if character < "\x7f" and character >= " ":
        return character
    if character in lexicon.emoji():
        return f" {lexicon.emoji()[character]} "
    category = unicodedata.category(character)
    # Control characters separate words; format characters, lone surrogates and the selectors
    # that follow emoji are invisible.
    if category == "Cc":
        return " "
    return "" if category in ("Cf", "Cs") or "\ufe00" <= character <= "\ufe0f" else character


def is_known(word: str) -> bool:
    """Whether the lexicon or the dictionary has a lower-case word."""
    return word in _known() or glossary.lists(word)


def _spell(word: str, vocabulary: Collection[str]) -> str:
    # Short words that the text encoder lacks are rather mistyped than meant.
    meant = is_known(word) if len(word) >= _LONG else word in _known() or glossary.knows(word)
    return word if meant or word in vocabulary else _nearest(word)


@cache
def _known() -> frozenset[str]:
    return frozenset(lexicon.vocabulary(wide=True))


@cache
def _targets() -> tuple[str, ...]:
    return tuple(word for word in lexicon.vocabulary() if len(word) >= 3)


@lru_cache(4096)
def _nearest(word: str) -> str:
    """The first plain word at the least distance: one edit, or two in a long word."""
    drawn = re.sub(r"(.)\1{2,}", r"\1\1", word)  # "angryyyy" as "angryy"
    limit = 1 if len(drawn) < 8 else 2
    found = process.extractOne(drawn, _targets(), scorer=OSA.distance, score_cutoff=limit)
    # "Unsurprised" is no mistake for "surprised", known or not.
    return found[0] if found and not _opposed(drawn, found[0]) else word


def _opposed(word: str, other: str) -> bool:
    shorter, longer = sorted((word, other), key=len)
    return longer.removesuffix(shorter) in _DENYING


def clauses(text: str) -> list[str]:
    """Part a description where one thing said of a voice ends and the next begins.

    Returns:
        The clauses, punctuation and joining words left out; empty if there is only one.
    """
    parts = [part.strip() for part in _JOINTS.split(text)]
    parts = [part for part in parts if len(part) > 2]
    return parts if len(parts) > 1 else []


def mentioned(text: str) -> Style:
    """Recognise by lookup which values a query names: the longest wording first, both pools.

    A degree such as "slightly" counts as an intensity only right before an emotion. "A woman or a
    man" asks for neither.

    Args:
        text: a query; what `normalize` made of it, if misspelt words are to count.
    """
    found = named(text)
    if len(found.get("gender", ())) > 1:
        del found["gender"]
    return Style(**{attribute: values[0] for attribute, values in found.items()})


def named(text: str) -> dict[str, tuple[str, ...]]:
    """Return all values that a query names, by attribute and in its order; see `mentioned`."""
    found: dict[str, dict[str, None]] = {}
    for mention in _of_speaker(text):
        found.setdefault(mention.attribute, {})[mention.value] = None
    return {attribute: tuple(values) for attribute, values in found.items()}


def looked_up(texts: Sequence[str]) -> np.ndarray:
    """Recognise by lookup what N texts name, as in `mentions`.

    Args:
        texts: queries; what `normalize` made of them, if misspelt words are to count.

    Returns:
        (N, V) float32, all values of all attributes in order: of an attribute that is named, equal
        shares for its values that are; 0 throughout of others.
    """
    told = np.zeros((len(texts), len(EVERY_VALUE)), dtype=np.float32)
    for row, text in zip(told, texts, strict=True):
        for attribute, values in named(text).items():
            for value in values:
                row[_PLACES[attribute, value]] = 1 / len(values)
    return told


def unchosen(text: str) -> str:
    """Leave out a choice of genders: "an angry woman or man" is "an angry person".

    A text tower hears both, and finds the one that is nearer to it.

    Args:
        text: what `clean` made of a query.
    """
    people = _people(text, mentions(text))
    if not (other := _chosen(text, people)):
        return text
    before, after = text[: people[0].start], text[other.stop :]
    return f"{before}{'' if _VOICE.match(after) else 'person'}{after}".replace("  ", " ")


def _of_speaker(text: str) -> list[Mention]:
    """Find what is mentioned, less the gender of others: "she shouts at him" is of a woman.

    Who is named first speaks. Both genders stay where they are a choice, as in "a woman or a man".
    """
    found, cleaned = mentions(text), clean(text)
    people = _people(cleaned, found)
    if not _chosen(cleaned, people):
        people = [each for each in people if each.value == people[0].value]
    return [each for each in found if each.attribute != "gender" or each in people]


def _people(text: str, found: Sequence[Mention]) -> list[Mention]:
    """Keep the genders of a cleaned text in order; not "his" in "his wife", nor "girlish man"'s."""
    people = sorted((m for m in found if m.attribute == "gender"), key=lambda m: m.start)
    while len(people) > 1 and _owns(text, *people[:2]):
        del people[0]
    return [
        one
        for one, two in zip_longest(people, people[1:])
        if not two or two.value == one.value or text[one.stop : two.start].strip()
    ]


def _chosen(text: str, people: Sequence[Mention]) -> Mention | None:
    """Return the first of another gender than the first, if it may be either."""
    other = next((each for each in people if each.value != people[0].value), None)
    return other if other and _CHOICE.fullmatch(text[people[0].stop : other.start]) else None


def _owns(text: str, one: Mention, two: Mention) -> bool:
    """Whether the first is "his" or "her" and the second, with a word between at most, is owned."""
    between = text[one.stop : two.start].split()
    return text[one.start : one.stop] in ("his", "her") and len(between) < 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A stretch of a cleaned text, ``text[start:stop]``, that names a value of an attribute."""

    attribute: str
    value: str
    start: int
    stop: int


@lru_cache(1024)
def mentions(text: str) -> tuple[Mention, ...]:
    """Find what `mentioned` recognises, and where: phrases in order, then extremes, then pronouns.

    A degree before another attribute, as in "very loud", belongs to that phrase. An emotion whose
    word is extreme already, as in "furious" or "scared to death", is intense where no intensity is
    named. An answer to one query asks this of it, and of its parts, a score of times.

    Args:
        text: a query; the places are those in what `clean` makes of it.
    """
    # Punctuation parts "a deep, sad voice" from "deep sadness".
    matches = list(re.finditer(r"[^\W\d_]+|[^\w\s'-]", clean(text)))
    tokens = tuple(match[0] for match in matches)
    meanings, degrees, extreme = _phrases()
    found: list[Mention] = []
    strong: list[tuple[int, int]] = []  # from and to which token an emotion is said to be extreme

    def note(meaning: tuple[str, str], start: int, stop: int) -> None:
        places = {"start": matches[start].start(), "stop": matches[stop - 1].end()}
        found.append(Mention(attribute=meaning[0], value=meaning[1], **places))

    start, leading = 0, (0, 0)  # a degree that was passed over, from and to which token
    while start < len(tokens):
        length, degree = _longest(degrees, tokens, start)
        after, meaning = _longest(meanings, tokens, start + length)
        if degree and meaning[:1] == ("emotion",):
            note(degree, start, start + length)
        elif degree:
            leading = (start, start + length)
            length = 0
            after, meaning = _longest(meanings, tokens, start)
        if meaning and meaning != _NOTHING:
            begin, stop = start + length, start + length + after
            note(meaning, leading[0] if leading[1] == begin else begin, stop)
            utmost = _longest(_utmost(), tokens, stop)[0] if meaning[0] == "emotion" else 0
            if utmost or _phrase(tokens, begin, after) in extreme:
                strong.append((stop, stop + utmost) if utmost else (begin, stop))
            length += utmost
        start += length + after or 1
    if not any(each.attribute == "intensity" for each in found):
        for stretch in strong:
            note(_STRONG, *stretch)
    for place, word in enumerate(tokens):
        if word in PRONOUNS:
            note(("gender", PRONOUNS[word]), place, place + 1)
    return tuple(found)


def positive(text: str) -> str:
    """Bring comparatives of the lexicon's words to the form it knows: ``angrier`` to ``angry``.

    Args:
        text: a change that is asked for, as in "angrier and slower".

    Returns:
        The text with "more" dropped; words without a known positive stay.
    """
    text = clean(text)
    known = mentions(text)

    def plain(match: re.Match[str]) -> str:
        if any(each.start <= match.start() and match.end() <= each.stop for each in known):
            return match[0]  # "a crooner" and "with more air than voice" are no comparatives
        return _positive(match[1]) or match[0] if match[1] else ""

    return _COMPARED.sub(plain, text)


def _positive(stem: str) -> str:
    """Return the word of which this, with "er", is the comparative; none if it is not known."""
    # angri-er, loud-er, strang-er, sadd-er
    forms = [re.sub("i$", "y", stem), stem, f"{stem}e", re.sub(r"(.)\1$", r"\1", stem)]
    # "man" is a word, too, but no "manner" of being one.
    return next((form for form in forms if mentioned(form).known.keys() - {"gender"}), "")


_Phrases = Mapping[tuple[str, ...], tuple[str, str]]


def _longest(phrases: _Phrases, tokens: tuple[str, ...], start: int) -> tuple[int, tuple[str, ...]]:
    """How many tokens from ``start`` make up a known phrase, and what it means."""
    for length in range(min(_LONGEST, len(tokens) - start), 0, -1):
        phrase = _phrase(tokens, start, length)
        if phrase in phrases:
            return length, phrases[phrase]
    return 0, ()


def _phrase(tokens: tuple[str, ...], start: int, length: int) -> tuple[str, ...]:
    return tuple("their" if t in PRONOUNS else t for t in tokens[start : start + length])


@cache
def _phrases() -> tuple[_Phrases, _Phrases, frozenset[tuple[str, ...]]]:
    """What each phrase of the lexicon means, and each degree, less an article; what is extreme."""
    meanings = {
        lexicon.words(phrase): meaning
        for meaning, phrases in _TYPED.items()
        for phrase in phrases.split(", ")
    }
    degrees, extreme = {("so",): _STRONG}, set()
    for attribute, value in EVERY_VALUE:
        for pool in (lexicon.WIDE, "unseen"):
            for wording in lexicon.wordings(attribute, value, pool):
                phrase = lexicon.words(re.sub(r"^an? ", "", wording.text))
                table = degrees if wording.form in _DEGREES else meanings
                table.setdefault(phrase, (attribute, value))
                if wording.form == "doing" and len(phrase) == 1:  # "she shouts", "he cries"
                    for third in _thirds(*phrase):
                        table.setdefault((third,), (attribute, value))
                if wording.form == "absolute" and attribute == "emotion" and value not in _STILL:
                    extreme.add(phrase)
    # Some wordings end so themselves, as "scared to death" does.
    felt = {phrase for phrase, (attribute, _) in meanings.items() if attribute == "emotion"}
    ended = {(*phrase, *end) for phrase in felt for end in _utmost()}
    return meanings, degrees, frozenset(extreme | felt & ended)


def _thirds(gerund: str) -> Iterator[str]:
    """Yield what may be said of a third person who does this; some of it is no word."""
    stem = gerund.removesuffix("ing")
    yield f"{stem}s"
    yield f"{stem}es"
    if stem.endswith("y"):
        yield f"{stem[:-1]}ies"
    if stem[-2:-1] == stem[-1:]:
        yield f"{stem[:-1]}s"  # sobs


@cache
def _utmost() -> _Phrases:
    return {lexicon.words(phrase): _STRONG for phrase in _UTMOST.split(", ")}
