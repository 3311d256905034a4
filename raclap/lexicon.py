"""The words and sentence frames, read from ``lexicon.toml``, ``wider.toml`` and ``frames.toml``.

In: the tables, which people edit. Out: immutable `Wording` and `Frame` records. Deliberately
not here: how they are combined (``wording``) and how a query is read (``query``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from string import Formatter

from raclap.style import EVERY_VALUE, VALUES

# Plain words, some of them kept from training; and all that training may use: seen and more.
POOLS = ("seen", "unseen")
WIDE = "wide"

# Words that may recur in one sentence and that say nothing about a voice.
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a about after all an and as at be by for from if in into is it me of off on or out over"
        " that the their they this through to under up was were what while who with you",
    )
)


def words(text: str) -> tuple[str, ...]:
    """Split a text into its lower-case words; a hyphen or an apostrophe ends a word."""
    return tuple(re.findall(r"[^\W\d_]+", text.lower()))


def telling(text: str) -> list[str]:
    """The words of a text that say something, in order."""
    return [word for word in words(text) if word not in _FUNCTION_WORDS]


def content(text: str) -> frozenset[str]:
    """The beginnings of the words that matter, by which a sentence avoids repeating itself.

    Four letters tell enough: slow and slowly, speaker and speaking are repeats.
    """
    return frozenset(word[:4] for word in telling(text))


@dataclass(frozen=True, slots=True)
class Wording:
    """One way to say a value.

    Attributes:
        text: the words, where ``{their}`` stands for her, his or their.
        form: how it fits into a sentence, one of the forms that ``lexicon.toml`` lists.
        content: see `content`.
    """

    text: str
    form: str
    content: frozenset[str]

    @classmethod
    def of(cls, text: str, form: str = "") -> Wording:
        """Make a wording of a text."""
        return cls(text, form, content(text))


@dataclass(frozen=True)
class Frame:
    """One sentence pattern of ``frames.toml``."""

    template: str

    @cached_property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """The template in pieces, each with the slot that it is left out without, or ``""``."""
        pieces = re.split(r"(\[[^]]*\])", self.template)
        return tuple(
            (piece[1:-1], _mentions(piece)[0]) if piece[0] == "[" else (piece, "")
            for piece in pieces
            if piece
        )

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """The slots that can mention a value."""
        return tuple(_mentions(self.template))

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The slots that must mention a value."""
        always = "".join(text for text, optional in self.parts if not optional)
        return tuple(slot for slot in _mentions(always) if slot not in ("who", "doing"))

    @cached_property
    def content(self) -> frozenset[str]:
        """The frame's own content words."""
        return content(re.sub(r"\{\w+\}", "", self.template))

    @cached_property
    def sentence(self) -> bool:
        """Whether it takes capital letters."""
        return self.template.endswith((".", "?"))


def _mentions(template: str) -> list[str]:
    names = [name for _, name, _, _ in Formatter().parse(template) if name]
    return [name for name in names if name not in ("the", "their", "they")]


@cache
def _table(name: str) -> dict:
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _plain(pool: str) -> str:
    """The pool whose table holds the plain words of a pool."""
    return "seen" if pool == WIDE else pool


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


@cache
def wordings(attribute: str, value: str, pool: str) -> tuple[Wording, ...]:
    """All wordings of a value in one pool, by form and in the order of the tables."""
    forms: Mapping[str, str] = _table("lexicon.toml")[attribute][value][_plain(pool)]
    more = _table("wider.toml").get(attribute, {}).get(value, {}) if pool == WIDE else {}
    return tuple(
        Wording.of(text, form)
        for form in dict.fromkeys([*forms, *more])
        for listed in (forms, more)
        if form in listed
        for text in _split(listed[form])
    )


@cache
def frames(pool: str) -> tuple[Frame, ...]:
    """All sentence frames of one pool."""
    parts = dict.fromkeys((_plain(pool), pool))  # the wide pool has two
    return tuple(Frame(template) for part in parts for template in _table("frames.toml")[part])


@cache
def prompt_frames(pool: str) -> Mapping[str, list[str]]:
    """By form, the frames that turn one wording into a text; ``{a}`` adds the article."""
    return _table("frames.toml")["prompts"][pool]


@cache
def grades(pool: str) -> tuple[Wording, ...]:
    """Adverbs before a tone or a manner of a low or high level, such as very."""
    return tuple(map(Wording.of, _split(_table("lexicon.toml")["grade"][_plain(pool)])))


@cache
def emoji() -> Mapping[str, str]:
    """Words for emoji that show how someone feels."""
    return _table("lexicon.toml")["emoji"]


@cache
def learned() -> frozenset[str]:
    """Every word that training can meet."""
    return frozenset(word for text in (*_said(WIDE), *_prompting("seen")) for word in words(text))


@cache
def vocabulary(*, wide: bool = False) -> tuple[str, ...]:
    """Every word of the plain tables, or of all; without repeats, in a fixed order."""
    texts = [*VALUES, *(value for values in VALUES.values() for value in values)]
    for pool in (*POOLS, WIDE) if wide else POOLS:
        texts += _said(pool)
    texts += _split(_table("lexicon.toml")["spelling"]["known"])
    for pool in POOLS:
        texts += _prompting(pool)
    texts += ["she her he his they their herself himself an and"]
    return tuple(dict.fromkeys(word for text in texts for word in words(text)))


def _said(pool: str) -> list[str]:
    """Wordings, degrees and frames of a pool, less the frames' slots."""
    texts = [w.text for each in EVERY_VALUE for w in wordings(*each, pool)]
    texts += [wording.text for wording in grades(pool)]
    return texts + [re.sub(r"\{\w+\}", " ", frame.template) for frame in frames(pool)]


def _prompting(pool: str) -> list[str]:
    """The frames of prompts, less their slots."""
    return [re.sub(r"\{\w*\}", " ", t) for each in prompt_frames(pool).values() for t in each]
