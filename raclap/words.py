"""Words for clips, styles and values, as a page says them.

In: attributes, values, styles, clips. Out: short plain text. Deliberately not here: descriptions
that a model learns from (``wording``), HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from raclap.corpus import Clip
from raclap.style import ATTRIBUTES, Style

TITLES = {name: name.capitalize() for name in ATTRIBUTES} | {
    "phonation": "Voicing",
    "corpus": "Source",
}

_NUMBERS = re.compile(r"([0-9]+)")
_WORDS = {
    "emotion": {  # all as adjectives: "likely disgusted", "a disgusted woman"
        "disgust": "disgusted",
        "adoration": "adoring",
        "amusement": "amused",
        "awe": "awed",
        "confusion": "confused",
        "contempt": "contemptuous",
        "contentment": "content",
        "desire": "desirous",
        "disappointment": "disappointed",
        "distress": "distressed",
        "ecstasy": "ecstatic",
        "elation": "elated",
        "embarrassment": "embarrassed",
        "guilt": "guilty",
        "interest": "interested",
        "pain": "pained",
        "pride": "proud",
        "realization": "realizing",
        "relief": "relieved",
        "romantic_love": "loving",
        "serenity": "serene",
        "shame": "ashamed",
        "surprise_negative": "unpleasantly surprised",
        "surprise_positive": "pleasantly surprised",
        "sympathy": "sympathetic",
        "triumph": "triumphant",
    },
    "gender": {"female": "woman", "male": "man"},
    "intensity": {"low": "mild", "normal": "moderate", "strong": "intense"},
    "pitch": {"low": "low pitch", "medium": "mid pitch", "high": "high pitch"},
    "speed": {"low": "slow", "medium": "medium pace", "high": "fast"},
    "energy": {"low": "quiet", "medium": "mid volume", "high": "loud"},
}
_DEGREES = {"low": "slightly", "strong": "very"}
_UNMOVED = ("", "neutral")  # emotions of no degree
ORDER = ("emotion", "intensity", "gender", "pitch", "speed", "energy", "phonation")


def word(attribute: str, value: str) -> str:
    """Return a value of an attribute as one would say it: ``pitch``, ``low`` is "low pitch"."""
    return _WORDS.get(attribute, {}).get(value, value.replace("_", " "))


def listed(values: Mapping[str, str]) -> str:
    """Return values by attribute as one would list them: "woman, high pitch"."""
    return ", ".join(word(*item) for item in values.items())


def notable(style: Style) -> Style:
    """Leave of a style what is worth saying: not that it is voiced, or moved as usual."""
    moved = style.emotion not in _UNMOVED and style.intensity in _DEGREES
    return replace(
        style,
        intensity=style.intensity if moved else "",
        phonation=style.phonation if style.phonation == "whispered" else "",
    )


def described(style: Style) -> str:
    """Describe what is `notable` of a style: "a very sad woman, whispering, low pitch".

    A grammar can say it in many ways, but calls adults girls and fathers; nobody's age is heard.
    """
    known = dict(notable(style).known)
    who = [
        _DEGREES.get(known.pop("intensity", ""), ""),
        word("emotion", known.pop("emotion", "")),
        word("gender", known.pop("gender", "person")),
    ]
    person = " ".join(filter(None, who))
    if known.pop("phonation", ""):
        person = f"{person}, whispering"
    article = "an" if person[0] in "aeiou" else "a"
    return ", ".join([f"{article} {person}", *(word(*each) for each in known.items())])


def heading(attribute: str, clips: Iterable[Clip]) -> str:
    """Return what to call an attribute of clips, and whether labels or a model tell its values."""
    title = TITLES.get(attribute, attribute.capitalize())
    labelled = {bool(getattr(clip, attribute)) for clip in clips if clip.told(attribute)}
    if False not in labelled:
        return title
    return f"{title}, labelled or heard" if True in labelled else f"{title}, as heard"


def name(clip: Clip) -> str:
    """Return a short, readable name, e.g. for the axis of a figure: "angry woman, ada"."""
    style = " ".join(word(key, getattr(clip, key)) for key in ("emotion", "gender")).strip()
    return ", ".join(part for part in (style, clip.speaker) if part) if style else clip.id


def label(clip: Clip) -> str:
    """Return a line to choose a clip by: its name, intensity and what is said."""
    said = clip.text if len(clip.text) <= 48 else f"{clip.text[:46].rstrip()}…"
    intensity = word("intensity", clip.intensity) if clip.intensity in ("low", "strong") else ""
    parts = (name(clip), intensity, f"“{said}”" if said else "")
    return " · ".join(part for part in parts if part)


def natural(text: str) -> list[str | tuple[int, str]]:
    """Return what to sort a text by so that its numbers stand in their order: 2 before 10."""
    parts = _NUMBERS.split(text.lower())  # a number is every other one
    parts[1::2] = [(len(digits), digits) for digits in (part.lstrip("0") for part in parts[1::2])]
    return parts


def who(clip: Clip) -> str:
    """Return speaker, language and source, as far as they are known, each once."""
    speaker = f"speaker {clip.speaker}" if clip.speaker else ""
    source = "" if clip.speaker.startswith(f"{clip.corpus}/") else clip.corpus
    return " · ".join(part for part in (speaker, clip.language, source) if part)


def ended(said: str) -> str:
    """Return a sentence with its full stop, unless what it quotes at its end brings one."""
    return said if said.rstrip("”").endswith((".", "!", "?", "…")) else f"{said}."


def counted(number: int, noun: str) -> str:
    """Return a number of things in words: "1 clip", "2,000 clips"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def signed(number: float, digits: int, *, plus: bool = False) -> str:
    """Return a number with a true minus sign and, if asked for, a plus; zero has neither."""
    text = f"{number:{'+' if plus else ''}z.{digits}f}".replace("-", "−")
    return text if any(digit in "123456789" for digit in text) else text.lstrip("+")
