"""A reading becomes HTML: a sentence, bars with measured levels, descriptions, a course in time.

In: a `Reading` and `Moment`s. Out: `markupsafe.Markup`. Deliberately not here: events, hits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from raclap.cards import meter
from raclap.reading import Level, Reading, likeliest
from raclap.timeline import Moment
from raclap.words import TITLES, signed, word

_SURELY = ((0.85, "very likely"), (0.6, "likely"), (0.35, "possibly"), (0.0, "perhaps"))
_UNSURE = 0.35
_LIKELY = ((0.85, "very likely"), (0.6, "likely"), (_UNSURE, "possible"), (0.1, "less likely"))
_READING = Markup(
    '<section class="reading"><h2>How it is spoken</h2><p class="sentence">{sentence}</p>'
    '<p class="legend">What the model hears, likeliest first, and what was measured in the sound. '
    "Near the border of two levels they may differ.</p>"
    '<div class="attributes">{attributes}</div><h2>Descriptions that fit best</h2>'
    '<p class="legend">Composed from what was heard; the number is the cosine with the clip.</p>'
    '<ol class="described">{descriptions}</ol></section>'
)
_ATTRIBUTE = Markup('<div class="attribute"><h3>{}{}</h3><ul>{}</ul></div>')
_CHANCE = Markup(
    '<li><span class="name">{}</span>{}<span class="number">{:.0f} %</span>'
    '<span class="likely">{}</span></li>'
)
_DESCRIBED = Markup('<li><span>{}</span><span class="number" title="cosine">{}</span></li>')
_COURSE = Markup(
    '<section class="course"><h2>How it changes</h2><p class="legend">Stretches of {seconds:.1f} '
    "s, each half over the one before, from the beginning to {total:.1f} s. Emotions are shares of "
    "the model’s belief, from 0 to 100 %.</p>{lines}{axis}</section>"
)
AWAITED = Markup(
    '<section class="course"><h2>How it changes</h2><p class="legend">Being listened to …</p>'
    "</section>"
)
_LINE = Markup(
    '<div class="line"><h3>{name}</h3><svg role="img" aria-label="{said}" viewBox="0 0 600 60" '
    'preserveAspectRatio="none"><path class="area" d="{area}"/><path d="{line}"/></svg>'
    '<span class="number">{span}</span></div>'
)
_SHOWN, _FOLLOWED = 4, 3  # values of an attribute as bars; emotions over time, at most
_AXIS = Markup(
    '<div class="line axis" aria-hidden="true"><span></span><div>{}</div>'
    '<span class="number">seconds</span></div>'
)
_TICK = Markup('<span style="left:{:.1f}%">{}</span>')
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120)  # seconds from tick to tick
_TICKS = 8  # at most, after the one at 0
_PITCHLESS = Markup('<li class="none">A whisper has none.</li>')
_WORTH_SAYING = 0.005  # a probability below this would be shown as 0 %
_HEARD = 0.2  # probability at its height, from which an emotion is followed over time
_UNITS = {"pitch": "Hz", "speed": "syllables a second", "energy": "dB"}


def sentence(read: Reading) -> str:
    """Compose one sentence of what is heard and measured."""
    best = {
        name: max(shares.items(), key=lambda item: item[1])
        for name, shares in read.attributes.items()
    }
    emotion, share = best["emotion"]
    gender = word("gender", best["gender"][0])
    manner = "whispering" if _whispers(read) else "speaking"
    levels = [
        f"{word(name, level.value)}{_among(name, gender)} ({_measured(level)})"
        for name, level in read.levels.items()
    ]
    said = f"Sounds like a {gender} {manner}, {_first(_SURELY, share)} {word('emotion', emotion)}"
    return f"{said}: {', '.join(levels)}." if levels else f"{said}."


def portrait(read: Reading) -> Markup:
    """Return a sentence, attribute bars with measured levels, and the ranked descriptions."""
    whispers = _whispers(read)
    return _READING.format(
        sentence=sentence(read),
        attributes=Markup("").join(
            _ATTRIBUTE.format(
                TITLES[attribute],
                _beside(attribute, read.levels.get(attribute)),
                _PITCHLESS if attribute == "pitch" and whispers else _chances(attribute, chances),
            )
            for attribute, chances in read.attributes.items()
        ),
        descriptions=Markup("").join(
            _DESCRIBED.format(text, signed(score, 2)) for text, score in read.descriptions
        ),
    )


def headline(read: Reading) -> str:
    """Return the likeliest emotion, which the sentence names."""
    return likeliest(read.attributes["emotion"])[0]


def course(moments: Sequence[Moment], first: str = "") -> Markup:
    """Return the likeliest emotions and the measured levels over time, one line each.

    Args:
        moments: in order; an empty sequence gives nothing.
        first: an emotion that is shown first, whatever the moments say; of the others, only such
            as are heard somewhere.
    """
    if not moments:
        return Markup("")
    middles = [moment.start + moment.seconds / 2 for moment in moments]
    total = moments[-1].start + moments[-1].seconds
    means = {
        name: np.mean([moment.emotion[name] for moment in moments]) for name in moments[0].emotion
    }
    ranked = sorted(means, key=means.__getitem__, reverse=True)
    ranked = list(dict.fromkeys([first if first in means else ranked[0], *ranked]))[:_FOLLOWED]
    shown = ranked[:1] + [
        name for name in ranked[1:] if max(moment.emotion[name] for moment in moments) >= _HEARD
    ]
    lines = [
        _line(
            word("emotion", name).capitalize(),
            [(at, 100 * moment.emotion[name]) for at, moment in zip(middles, moments, strict=True)],
            total,
            "%",
            (0.0, 100.0),
        )
        for name in shown
    ]
    for name, unit in _UNITS.items():
        points = [
            (at, moment.levels[name].number)
            for at, moment in zip(middles, moments, strict=True)
            if name in moment.levels
        ]
        if len(points) > 1:
            lines.append(_line(TITLES[name], points, total, unit))
    return _COURSE.format(
        seconds=moments[0].seconds, total=total, lines=Markup("").join(lines), axis=_axis(total)
    )


def _whispers(read: Reading) -> bool:
    """Where a pitch is measured the voice sounds, whatever the model hears."""
    return "pitch" not in read.levels and likeliest(read.attributes["phonation"]) == ["whispered"]


def _first(scale: Sequence[tuple[float, str]], share: float) -> str:
    return next((words for least, words in scale if share >= least), "unlikely")


def _likely(share: float, place: int) -> str:
    """Put a share into words; the first of many may have little, and no other has more."""
    if not place and share < _UNSURE:
        return "likeliest, but unsure"
    return _first(_LIKELY, share)


def _line(
    name: str,
    points: Sequence[tuple[float, float]],
    total: float,
    unit: str,
    bounds: tuple[float, float] | None = None,
) -> Markup:
    times, values = np.array(points).T
    low, high = bounds or (values.min(), values.max())
    x = 600 * times / total
    y = 56 - 52 * (values - low) / max(high - low, 1e-9)
    path = " ".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))
    digits = 1 if unit.startswith("syllables") else 0
    least, most = signed(values.min(), digits), signed(values.max(), digits)
    return _LINE.format(
        name=name,
        said=f"{name} over time: from {least} to {most} {unit}, at most at "
        f"{times[values.argmax()]:.1f} s, at least at {times[values.argmin()]:.1f} s",
        line=f"M{path}",
        area=f"M{x[0]:.1f} 60 L{path} L{x[-1]:.1f} 60Z",
        span=f"{least} to {most} {unit}",
    )


def _among(attribute: str, gender: str) -> str:
    """Say whose range a level is told by; others than pitch are alike for all."""
    return f" for a {gender}" if attribute == "pitch" else ""


def _axis(total: float) -> Markup:
    step = next((step for step in _STEPS if total <= step * _TICKS), _STEPS[-1])
    ticks = (_TICK.format(100 * at / total, at) for at in range(0, int(total) + 1, step))
    return _AXIS.format(Markup("").join(ticks))


def _measured(level: Level) -> str:
    if level.unit == "dB":  # of vocal effort, from that of the median clip
        side = "below" if level.number < 0 else "above"
        return f"{signed(abs(level.number), 1)} dB {side} usual"
    number = signed(level.number, 0 if level.unit == "Hz" else 1)
    return f"{number} {level.unit.replace('/s', ' a second')}"


def _beside(attribute: str, level: Level | None) -> Markup:
    if level is None:
        return Markup("")
    said = f"{word(attribute, level.value)}, {_measured(level)}"
    return Markup('<span class="measured">measured: {}</span>').format(said)


def _chances(attribute: str, chances: dict[str, float]) -> Markup:
    ranked = sorted(chances.items(), key=lambda item: -item[1])[:_SHOWN]
    return Markup("").join(
        _CHANCE.format(word(attribute, value), meter(share), 100 * share, _likely(share, at))
        for at, (value, share) in enumerate(ranked)
        if share >= _WORTH_SAYING or at < 2
    )
