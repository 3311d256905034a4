"""A gallery as a map: every clip a point, coloured by an attribute, hits and query marked.

In: places, clips, hits. Out: `markupsafe.Markup` that page.js makes zoomable and playable.
Deliberately not here: how places are found (``sketch``), events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import Markup

from raclap.corpus import Clip
from raclap.search import Hit
from raclap.style import VALUES
from raclap.words import TITLES, label, word

MOST_POINTS = 2_000
_COLOURS = 10  # classes c0 to c9 of the style sheet, and "rest"
_SIZE, _EDGE = 1000, 40
_CLEAR = 26  # between a number's middle and anything else that is marked
_AROUND = [
    gap * np.array([np.sin(turn), -np.cos(turn)])
    for gap in (_CLEAR, 1.7 * _CLEAR)
    for turn in np.linspace(0, 2 * np.pi, 12, endpoint=False)
]
NEAREST = 5  # hits around whose middle the query is drawn

_MAP = Markup(
    '<div class="atlas"><div class="zoom"><button type="button" data-zoom="in" '
    'aria-label="Zoom in">+</button><button type="button" data-zoom="out" aria-label="Zoom out">−'
    '</button><button type="button" data-zoom="all">Whole map</button></div>'
    '<svg viewBox="0 0 {size} {size}" role="group" aria-label="{said}">{points}{marks}</svg>'
    '<ul class="legend-keys" aria-label="Colours: {title}">{keys}</ul><div class="now">'
    '<p aria-live="polite">Choose a point to hear it; the arrow keys move between points.</p>'
    '<audio controls preload="none" aria-label="The chosen clip"></audio>'
    '<div class="actions" hidden><button type="button" data-tell="similar">Find similar</button>'
    '<button type="button" data-tell="change">Like this, but …</button>'
    '<button type="button" data-tell="relate">To Relations</button></div></div></div>'
)
_POINT = Markup(
    '<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="9" role="button" tabindex="{tab}" '
    'aria-label="{said}" data-sound="{address}" data-clip="{id}"><title>{said}</title></circle>'
)
_KEY = Markup(
    '<li><button type="button" data-only="{kind}" aria-pressed="false"><i class="{kind}"></i>'
    "{name} <small>{count}</small></button></li>"
)
_RANK = Markup(
    '<text class="rank-mark" x="{:.1f}" y="{:.1f}" style="--x:{:.0f};--y:{:.0f}" '
    'aria-hidden="true">{}</text>'
)
_QUERY = Markup(
    '<path class="query-mark" d="M{x:.1f} {y:.1f}m0 -22l6 16h16l-13 10 5 16-14-10-14 10 5-16-13-10'
    'h16z" role="img" aria-label="about where the description lies"/>'
)


def atlas(
    clips: Sequence[Clip],
    places: np.ndarray,
    address: Callable[[int], str],
    colour: str,
    hits: Sequence[Hit] = (),
) -> Markup:
    """Return the map of a gallery.

    Args:
        clips: N records.
        places: (N, 2) from 0 to 1.
        address: where the page finds the audio of the clip in a row.
        colour: a facet of the gallery.
        hits: what to mark, best first; a description is drawn amid the nearest of them.
    """
    step = -(-len(clips) // MOST_POINTS)
    ranks = {hit.clip.id: hit.rank for hit in hits}
    drawn = [
        (row, clip) for row, clip in enumerate(clips) if row % step == 0 or clip.id in ranks
    ]  # evenly thinned where there are too many to draw
    kinds = _kinds([clip.told(colour) for _, clip in drawn], colour)
    where = _EDGE + (_SIZE - 2 * _EDGE) * places
    # Marked points last, so that none lies under a plain one.
    drawn.sort(key=lambda each: each[1].id in ranks)
    points = [
        _POINT.format(
            kind=kinds[clip.told(colour)] + (" hit-point" if clip.id in ranks else ""),
            x=where[row, 0],
            y=where[row, 1],
            tab=0 if row == drawn[-1][0] else -1,
            said=_said(clip, ranks.get(clip.id)),
            address=address(row),
            id=clip.id,
        )
        for row, clip in drawn
    ]
    at = {clip.id: where[row] for row, clip in drawn}
    marks = []
    if hits:
        marked = [at[id] for id in ranks]
        middle = np.mean(marked[:NEAREST], axis=0)
        asides = zip(ranks.values(), marked, _asides(marked, middle), strict=True)
        numbers = [_RANK.format(*point, *aside, rank) for rank, point, aside in asides]
        star = [_QUERY.format(x=middle[0], y=middle[1])] * (len(hits) > 1)  # or it hides the clip
        marks = [*star, *numbers]
    counts = Counter(kinds[clip.told(colour)] for _, clip in drawn)
    names = {kind: word(colour, value) for value, kind in kinds.items()} | {"rest": _rest(kinds)}
    keys = [
        _KEY.format(kind=kind, name=names[kind], count=counts[kind])
        for kind in dict.fromkeys(kinds.values())
    ]
    return _MAP.format(
        size=_SIZE,
        said=f"Map of {len(drawn)} of {len(clips)} clips, coloured by {TITLES.get(colour, colour)}",
        title=TITLES.get(colour, colour.capitalize()),
        points=Markup("").join(points),
        marks=Markup("").join(marks),
        keys=Markup("").join(keys),
    )


def _kinds(values: Sequence[str], facet: str) -> dict[str, str]:
    """Value -> class of its colour; the commonest values get one each, the others share one."""
    known = [
        value for value, _ in Counter(value for value in values if value).most_common(_COLOURS)
    ]
    order = VALUES.get(facet, ())
    known.sort(key=lambda value: order.index(value) if value in order else 0)
    # What has a place of its own has it in every gallery; the others take what is free.
    places = {value: order.index(value) for value in known if value in order[:_COLOURS]}
    free = (at for at in range(_COLOURS) if at not in places.values())
    kinds = {value: f"c{places[value] if value in places else next(free)}" for value in known}
    return kinds | {value: "rest" for value in values if value not in kinds}


def _rest(kinds: dict[str, str]) -> str:
    values = [value for value, kind in kinds.items() if kind == "rest"]
    names = ["others"] * any(values) + ["not known"] * ("" in values)
    return " or ".join(names)


def _asides(points: Sequence[np.ndarray], star: np.ndarray) -> list[np.ndarray]:
    """How far from each point its number stands, clear of points, star and other numbers.

    Above it, or else wherever there is most room.
    """
    taken, asides = [star, *points], []

    def room(place: np.ndarray) -> int:
        return round(min(_CLEAR, *np.linalg.norm(np.array(taken) - place, axis=1)))

    for point in points:
        asides.append(max(_AROUND, key=lambda aside: room(point + aside)))
        taken.append(point + asides[-1])
    return asides


def _said(clip: Clip, rank: int | None) -> str:
    return f"{label(clip)}, result {rank}" if rank else label(clip)
