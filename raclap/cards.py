"""Hits and readings become HTML that can be played, looked at and read aloud.

In: records of ``search``. Out: `markupsafe.Markup`, whose ``format`` escapes every value, so that
a clip's name or text stays text. Deliberately not here: the page, events, audio itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from raclap.corpus import Clip
from raclap.search import Hit, Level, Reading
from raclap.style import ATTRIBUTES

TITLES = {name: name.capitalize() for name in ATTRIBUTES} | {"phonation": "Voicing"}

_WORDS = {
    "emotion": {
        "surprise_negative": "unpleasantly surprised",
        "surprise_positive": "pleasantly surprised",
    },
    "gender": {"female": "woman", "male": "man"},
    "intensity": {"low": "mild", "normal": "moderate", "strong": "intense"},
    "pitch": {"low": "low pitch", "medium": "mid pitch", "high": "high pitch"},
    "speed": {"low": "slow", "medium": "medium pace", "high": "fast"},
    "energy": {"low": "quiet", "medium": "medium effort", "high": "loud"},
}
# The middle of a scale says little: such badges stay in the background; a voiced voice is no news.
_PLAIN = {"normal", "medium"}
_ORDER = ("emotion", "intensity", "gender", "pitch", "speed", "energy", "phonation")

_LIKELY = ((0.85, "very likely"), (0.6, "likely"), (0.35, "possible"), (0.1, "less likely"))

_LEGEND = Markup(
    '<p class="legend">The number is the cosine between the query and the clip, from −1 to 1; it '
    "ranks the clips of one search and is not a percentage. The bar compares each clip with the "
    "best one found.</p>"
)
_HIT = Markup(
    '<li class="hit"><div class="hit-top"><span class="rank" title="rank">{rank}</span>'
    '<p class="said">{said}</p></div><ul class="badges" aria-label="Style">{badges}</ul>'
    '<audio controls preload="none" src="{address}" aria-label="Play result {rank}: {label}">'
    '</audio><div class="score">{meter}<span class="number" title="cosine">{score}</span></div>'
    '<p class="who">{who}</p></li>'
)
_METER = Markup('<span class="meter" aria-hidden="true"><i style="width:{:.0f}%"></i></span>')
_READING = Markup(
    '<section class="reading"><h2>How it is spoken</h2>'
    '<p class="legend">What the model hears, likeliest first, and what was measured in the sound.'
    '</p><div class="attributes">{attributes}</div><h2>Descriptions that fit best</h2>'
    '<ol class="described">{descriptions}</ol></section>'
)
_ATTRIBUTE = Markup('<div class="attribute"><h3>{}{}</h3><ul>{}</ul></div>')
_CHANCE = Markup(
    '<li><span class="name">{}</span>{}<span class="number">{:.0f} %</span>'
    '<span class="likely">{}</span></li>'
)
_DESCRIBED = Markup('<li><span>{}</span><span class="number" title="cosine">{}</span></li>')


def word(attribute: str, value: str) -> str:
    """Return a value of an attribute as one would say it: ``pitch``, ``low`` is "low pitch"."""
    return _WORDS.get(attribute, {}).get(value, value.replace("_", " "))


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


def count(hits: Sequence[Hit], where: dict[str, str]) -> str:
    """Return the line that announces a result."""
    only = f" among: {', '.join(word(*item) for item in where.items())}" if where else ""
    if not hits:
        return f"No clip{only}. Take a filter away."
    return f"{len(hits)} clip{'s' if len(hits) > 1 else ''}{only}, best match first."


def cards(hits: Sequence[Hit], address: Callable[[Clip], str]) -> Markup:
    """Return a ranked list, each clip with player, style, words, speaker and score.

    Args:
        hits: best first.
        address: where the page finds the audio of a clip.
    """
    if not hits:
        return Markup("")
    best = max(hits[0].score, 1e-6)
    shown = Markup("").join(
        _HIT.format(
            rank=hit.rank,
            said=f"“{hit.clip.text}”" if hit.clip.text else hit.clip.id,
            badges=_badges(hit.clip),
            address=address(hit.clip),
            label=label(hit.clip),
            who=_who(hit.clip),
            meter=_meter(hit.score / best),
            score=_signed(hit.score, 2),
        )
        for hit in hits
    )
    return _LEGEND + Markup('<ol class="hits">{}</ol>').format(shown)


def reading(read: Reading, most: int = 4) -> Markup:
    """Return attribute bars with measured levels, and the ranked descriptions.

    Args:
        read: what the engine says of a clip.
        most: values shown of an attribute with many.
    """
    return _READING.format(
        attributes=Markup("").join(
            _ATTRIBUTE.format(
                TITLES[attribute],
                _measured(read.levels.get(attribute)),
                _chances(attribute, chances, most),
            )
            for attribute, chances in read.attributes.items()
        ),
        descriptions=Markup("").join(
            _DESCRIBED.format(text, _signed(score, 2)) for text, score in read.descriptions
        ),
    )


def likely(probability: float) -> str:
    """Return a probability in words."""
    return next((words for least, words in _LIKELY if probability >= least), "unlikely")


def _badges(clip: Clip) -> Markup:
    item = Markup('<li class="{} {}">{}</li>')
    return Markup("").join(
        item.format(attribute, "plain" if value in _PLAIN else "", word(attribute, value))
        for attribute in _ORDER
        if (value := getattr(clip, attribute)) not in ("", "voiced")
    )


def _who(clip: Clip) -> str:
    seconds = f"{clip.seconds:.1f} s" if clip.seconds else ""
    speaker = f"speaker {clip.speaker}" if clip.speaker else ""
    return " · ".join(part for part in (speaker, clip.language, clip.corpus, seconds) if part)


def _signed(number: float, digits: int) -> str:
    return f"{number:.{digits}f}".replace("-", "−")


def _meter(share: float) -> Markup:
    return _METER.format(100 * min(1.0, max(0.0, share)))


def _measured(level: Level | None) -> Markup:
    if level is None:
        return Markup("")
    number = _signed(level.number, 0 if level.unit == "Hz" else 1)
    unit = level.unit.replace("/s", " a second")
    return Markup('<span class="measured">{} {}, measured</span>').format(number, unit)


def _chances(attribute: str, chances: dict[str, float], most: int) -> Markup:
    ranked = sorted(chances.items(), key=lambda item: -item[1])[:most]
    return Markup("").join(
        _CHANCE.format(word(attribute, value), _meter(share), 100 * share, likely(share))
        for value, share in ranked
    )
