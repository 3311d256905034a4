"""A style becomes descriptions: words of the lexicon, set into sentence frames.

In: a `Style` and a source of randomness. Out: `Description`, a text with the style it mentions.
Every subset of the attributes gives natural English, because a frame is a pattern of slots (who,
voice, how, ...) over which the mentioned values are dealt, rather than a sentence with blanks for
each attribute. Deliberately not here: the words themselves and the frames (``lexicon``), and how a
query is cleaned and read (``query``).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest

from raclap.lexicon import (
    POOLS,
    WIDE,
    Frame,
    Wording,
    content,
    frames,
    grades,
    prompt_frames,
    wordings,
)
from raclap.style import LEVELS, Style

__all__ = [
    "POOLS",
    "WIDE",
    "Description",
    "describe",
    "partial",
    "prompts",
]

_ANYONE = tuple(map(Wording.of, ("someone", "somebody", "a person", "a speaker")))
_PEOPLE = tuple(map(Wording.of, ("person", "speaker")))
_SPEAKING = tuple(map(Wording.of, ("speaking", "talking")))
_MOST_PROMPTS = 40
_TAKEN_FOR_GRANTED = ("phonation", "voiced")
_PRONOUNS = {  # they, the, their
    "female": ("she", "her", "her"),
    "male": ("he", "his", "his"),
    "": ("the person", "the", "their"),
}

# Which forms a slot takes, by attribute ("" is any other attribute), and how many values.
_PERSON = {"gender": "person", "emotion": "adjective absolute"}
_SLOTS: dict[str, tuple[int, dict[str, str]]] = {
    "who": (2, _PERSON),
    "person": (2, _PERSON),
    "bare": (2, _PERSON),
    "voice": (
        4,
        {"gender": "tone owner", "emotion": "adjective absolute tone", "": "tone absolute"},
    ),
    "is": (3, {"gender": "tone", "": "adjective absolute tone predicate"}),
    "how": (3, {"gender": "", "": "manner"}),
    "with": (3, {"gender": "", "": "noun"}),
    "doing": (1, {"gender": "", "": "doing"}),
    "tags": (7, {"gender": "person tone", "": "adjective absolute tone predicate noun doing"}),
}
_ATTRIBUTIVE = ("who", "person", "bare", "voice")
_GRADABLE = ("adjective", "tone", "absolute", "noun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A text, and the style that it mentions."""

    text: str
    style: Style


def describe(
    style: Style,
    rng: random.Random,
    *,
    pool: str = "seen",
    attributes: Iterable[str] | None = None,
) -> Description:
    """Put a style into words.

    Args:
        style: what is true of the clip; it has at least one known value to mention.
        rng: the only source of randomness.
        pool: words and frames: ``seen``, ``unseen``, or ``wide``, which is seen and more.
        attributes: which attributes to mention; by default all known ones that are worth saying:
            that a voice is voiced goes without saying. Unknown ones are never mentioned.

    Returns:
        A description whose style is exactly what the text mentions.

    Raises:
        ValueError: there is nothing to mention.
    """
    known = style.known
    worth = [name for name in known if (name, known[name]) != _TAKEN_FOR_GRANTED] or list(known)
    names = worth if attributes is None else set(attributes)
    said = {name: value for name, value in known.items() if name in names}
    if not said:
        raise ValueError("a description needs at least one known attribute to mention; got none")
    text = _Draft(said, rng, pool, mild=style.intensity == "low").write()
    return Description(text=text, style=Style(**said))


def partial(style: Style, rng: random.Random, *, pool: str = "seen", count: int = 2) -> Description:
    """Put only ``count`` known attributes into words, drawn at random; all if fewer are known."""
    known = list(style.known)
    names = rng.sample(known, min(count, len(known)))
    return describe(style, rng, pool=pool, attributes=names)


def prompts(attribute: str, value: str, *, pool: str = "seen") -> list[str]:
    """Return 10 to 40 fixed texts that mention only this value.

    Each of its wordings is in one of them; of more than 40 wordings, the first 40, taken from its
    forms in turn. The embedding of a value is the mean over these texts.
    """
    templates = prompt_frames(pool)
    listed = _in_turn(wordings(attribute, value, pool))[:_MOST_PROMPTS]
    texts: list[str] = []
    for turn in range(3):
        for place, wording in enumerate(listed):
            options = templates[wording.form]
            shift = (place + turn) % len(options)
            rotated = options[shift:] + options[:shift]
            # The first with the fewest repeats such as "the voice sounds full-voiced".
            template = min(rotated, key=lambda text: len(content(text) & wording.content))
            plain = wording.text.replace("{their}", "their")
            texts.append(template.format(plain, a=f"{_article(plain)} {plain}"))
        if len(texts) >= 10:
            break
    return list(dict.fromkeys(texts))[:_MOST_PROMPTS]


def _in_turn(listed: Iterable[Wording]) -> list[Wording]:
    """The first wording of every form, then the second of every form, and so on."""
    by_form: dict[str, list[Wording]] = {}
    for wording in listed:
        by_form.setdefault(wording.form, []).append(wording)
    return [wording for row in zip_longest(*by_form.values()) for wording in row if wording]


@cache
def _options(
    attribute: str, value: str, pool: str, slot: str, tame: bool, gradable: bool
) -> tuple[Wording, ...]:
    """Wordings of a value that fit a slot; ``tame`` leaves out what is already extreme."""
    forms = _SLOTS[slot][1]
    fitting = forms.get(attribute, forms.get("", "")).split()
    return tuple(
        wording
        for wording in wordings(attribute, value, pool)
        if wording.form in fitting
        and not (tame and wording.form == "absolute")
        and not (gradable and wording.form not in _GRADABLE)
    )


class _Draft:
    """One description in the making."""

    def __init__(self, said: dict[str, str], rng: random.Random, pool: str, *, mild: bool) -> None:
        self.said, self.rng, self.pool = said, rng, pool
        # Two times in three the intensity rides on the emotion ("very angry"); otherwise it is a
        # mention of its own. Nobody is "very neutral".
        self.rides = (
            "intensity" in said
            and said.get("emotion", "neutral") != "neutral"
            and rng.random() < 0.67
        )
        # "Slightly furious" contradicts itself.
        self.tame = mild or (self.rides and said["intensity"] == "normal")
        self.used: set[str] = set()
        self.graded = False

    def write(self) -> str:
        pending = [name for name in self.said if not (self.rides and name == "intensity")]
        candidates = frames(self.pool)
        while True:
            frame = self.rng.choice(candidates)
            dealt = self._deal(frame, pending)
            if dealt is not None:
                return self._render(frame, dealt)

    def _options(self, name: str, slot: str) -> tuple[Wording, ...]:
        gradable = self.rides and name == "emotion"
        tame = self.tame and name == "emotion"
        return _options(name, self.said[name], self.pool, slot, tame, gradable)

    def _deal(self, frame: Frame, names: list[str]) -> dict[str, list[str]] | None:
        """Deal the attributes over the slots, or None if this frame cannot hold them."""
        left = self.rng.sample(names, len(names))
        dealt: dict[str, list[str]] = {slot: [] for slot in frame.slots}
        # A frame with a person in it says there who that is: "a woman", not "a person".
        person = next((slot for slot in frame.slots if slot in _ATTRIBUTIVE), None)
        if person and "gender" in left:
            left.remove("gender")
            dealt[person].append("gender")
        for slot in frame.required:
            if dealt[slot]:
                continue
            taker = next((name for name in left if self._options(name, slot)), None)
            if taker is None:
                return None
            left.remove(taker)
            dealt[slot].append(taker)
        for name in left:
            room = [
                slot
                for slot, holds in dealt.items()
                if len(holds) < _SLOTS[slot][0] and self._options(name, slot)
            ]
            if not room:
                return None
            dealt[self.rng.choice(room)].append(name)
        return dealt

    def _pick(self, options: tuple[Wording, ...]) -> Wording:
        """Choose a wording, if possible one that repeats no word of the sentence so far."""
        for _ in range(5):
            wording = self.rng.choice(options)
            if wording.content.isdisjoint(self.used):
                break
        self.used |= wording.content
        return wording

    def _say(self, name: str, slot: str) -> str:
        wording = self._pick(self._options(name, slot))
        if self.rides and name == "emotion":
            return self._with_degree(wording, slot)
        if (
            self.said[name] in (LEVELS[0], LEVELS[-1])
            and name in ("pitch", "speed", "energy")
            and (wording.form == "tone" or wording.text.endswith("ly"))
            and not self.graded
            and self.rng.random() < 0.3
        ):
            self.graded = True  # once is enough
            return f"{self._pick(grades(self.pool)).text} {wording.text}"
        return wording.text

    def _with_degree(self, wording: Wording, slot: str) -> str:
        """An emotion with the degree that its intensity gives it."""
        form = {"absolute": "utter", "noun": "modifier"}.get(wording.form, "degree")
        degrees = tuple(
            degree
            for degree in wordings("intensity", self.said["intensity"], self.pool)
            # "A little angry" follows its noun: a woman who sounds a little angry.
            if degree.form == form
            and not (slot in (*_ATTRIBUTIVE, "tags") and degree.text.startswith("a "))
        )
        return f"{self._pick(degrees).text} {wording.text}"

    def _render(self, frame: Frame, dealt: dict[str, list[str]]) -> str:
        self.used |= frame.content
        they, the, their = _PRONOUNS[self.said.get("gender", "")]
        values = {slot: self._fill(slot, names) for slot, names in dealt.items()}
        values |= {"they": they, "the": the, "their": their}
        text = "".join(
            part.format_map(values)
            for part, optional in frame.parts
            if not optional or dealt[optional]
        )
        text = text.replace("{their}", their)
        if frame.sentence:
            text = re.sub(r"(^|[.] )([a-z])", lambda match: match[1] + match[2].upper(), text)
        return text

    def _fill(self, slot: str, names: list[str]) -> str:
        if slot in ("who", "person", "bare"):
            return self._who(names, article=slot != "bare")
        if slot == "voice":
            return self._voice(names)
        if slot == "doing" and not names:
            return self._pick(_SPEAKING).text
        said = [self._say(name, slot) for name in names]
        if slot == "tags":
            return ", ".join(re.sub(r"^an? ", "", text) for text in said)
        if slot == "how":  # adverbs first, phrases after them
            said.sort(key=lambda text: text.count(" "))
        return " and ".join(filter(None, (", ".join(said[:-1]), *said[-1:])))

    def _who(self, names: list[str], *, article: bool) -> str:
        if not names and article:
            return self._pick(_ANYONE).text
        noun = self._say("gender", "who") if "gender" in names else self._pick(_PEOPLE).text
        phrase = f"{self._say('emotion', 'who')} {noun}" if "emotion" in names else noun
        return f"{_article(phrase)} {phrase}" if article else phrase

    def _voice(self, names: list[str]) -> str:
        self.used |= content("voice")
        adjectives = ", ".join(self._say(name, "voice") for name in names if name != "gender")
        gender = self._say("gender", "voice") if "gender" in names else ""
        phrase = " ".join(filter(None, (adjectives, gender, "voice")))
        return f"{_article(phrase)} {phrase}"


def _article(phrase: str) -> str:
    """The indefinite article for a phrase: by its first sound, as far as our words need."""
    return "an" if phrase[0] in "aeiou" and not phrase.startswith(("eu", "uni", "one")) else "a"
