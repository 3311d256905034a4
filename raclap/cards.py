"""Hits become HTML that can be played, looked at and read aloud.

In: records of ``search``. Out: `markupsafe.Markup`, whose ``format`` escapes every value, so that
a clip's name or text stays text. Deliberately not here: the page, events, audio itself. What a
button does is in its ``data-`` attributes, which page.js reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from raclap.corpus import Clip
from raclap.search import Hit
from raclap.sheets import csv_of, data_uri, hit_rows, json_of
from raclap.style import Style, agreement
from raclap.words import ORDER, TITLES, listed, name, signed, who, word

# The middle of a scale says little: such badges stay in the background; a voiced voice is no news.
_PLAIN = {"normal", "medium"}

_LEGEND = Markup(
    '<details class="legend"><summary>What the marks, bars and numbers mean{and_keys}</summary>'
    "<p>{marks}The "
    "number is the cosine between the query and the clip, from −1 to 1{less}; it ranks the clips "
    "of one search and is not a percentage. The bar compares each clip with the best one found."
    "</p>{keys}</details>"
)
_NOTHING_SAID = "Understood: nothing in particular, so the order says little."
_MARKS = (
    "✓ marks what you asked for and the clip has, ≈ what comes near it, ✗ what it has instead. "
)
_LESS = ", less that between the clip and what you do not want where it is above 0"
_KEYS = Markup(
    "<p><kbd>↓</kbd> leads from the end of the box to the first clip, and on; <kbd>↑</kbd> leads "
    "back from clip to clip, <kbd>/</kbd> to the box.</p>"
)
_TAKE = Markup(
    '<p class="take">Keep these results: <a download="results.csv" href="{}">CSV</a> '
    '<a download="results.json" href="{}">JSON</a></p>'
)
_CARD = Markup(
    '<li class="hit"><div class="hit-top">{rank}<p class="said">{said}</p></div>{player}'
    '<ul class="badges" aria-label="Style">{badges}</ul>{score}<p class="who">{who} '
    "{save}</p>{actions}</li>"
)
_SAVE = Markup(
    '<a href="{address}" download="{file}" aria-label="Save the audio of {label}">Save</a>'
)
_RANK = Markup('<span class="rank" title="rank">{}</span>')
_SCORE = Markup('<div class="score">{}<span class="number" title="cosine">{}</span></div>')
_PLAYER = Markup(
    '<div class="player"><button type="button" class="play" aria-label="Play {label}"></button>'
    '<div class="track">{wave}<input class="seek" type="range" min="0" max="1000" step="25" '
    'value="0" aria-label="Position in {label}"></div><span class="clock">{clock}</span>'
    '<audio preload="none" src="{address}"></audio></div>'
)
_ACTIONS = Markup(
    '<div class="actions">'
    '<button type="button" data-tell="similar" data-clip="{id}" '
    'aria-label="Find similar: {label}">Find similar</button>'
    '<button type="button" data-tell="change" data-clip="{id}" '
    'aria-label="Like this, but …: {label}">Like this, but …</button>'
    '<button type="button" data-tell="relate" data-clip="{id}" '
    'aria-label="To Relations: {label}">To Relations</button>{why}</div>'
)
_WHY = Markup(
    '<button type="button" data-tell="why" data-clip="{id}" '
    'aria-label="Why {label} was found">Why?</button>'
)
_MORE = Markup(" data-more")
_METER = Markup('<span class="meter" aria-hidden="true"><i style="width:{:.0f}%"></i></span>')
_BADGE = Markup('<li class="{}">{}</li>')
_MET = Markup('<span aria-hidden="true">✓</span> {}<span class="aside">, as asked</span>')
_NEAR = Markup('<span aria-hidden="true">≈</span> {}<span class="aside">, near {}</span>')
_MISSED = Markup('<span aria-hidden="true">✗</span> {}<span class="aside">, not {}</span>')
_UNKNOWN = Markup('<span aria-hidden="true">?</span> {} unknown')


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Where the page finds the audio of a clip, and its outline.

    Attributes:
        address: relative to the page.
        peaks: 0 to 255 each.
    """

    address: str
    peaks: Sequence[int]


def count(
    hits: Sequence[Hit],
    where: dict[str, str],
    *,
    varied: bool = False,
    asked: Style | None = None,
    named: Mapping[str, Sequence[str]] | None = None,
    denied: str = "",
    remarks: Sequence[str] = (),
) -> str:
    """Return the line that announces a result and tells what was understood of the query.

    Args:
        hits: best first.
        where: the filter.
        varied: few clips of one speaker.
        asked: what the query is understood to ask for; ``None`` where there is no query.
        named: all values that it names, by attribute; see `query.named`. Others are only read in
            it, and may be wrong; by default ``asked`` is named.
        denied: what is not wanted.
        remarks: what else is to be said of the query; see `scope.remarks`.
    """
    only = f" among: {listed(where)}" if where else ""
    if not hits:
        return f"No clip{only}. Take a filter away."
    told = any(hit.clip.speaker for hit in hits)  # nobody can be counted who is not known
    few = f", {'at most two of a speaker' if told else 'none twice'}" if varied else ""
    line = f"{len(hits)} clip{'s' if len(hits) > 1 else ''}{only}{few}, best match first."
    if asked is None:
        return line
    read = {name: (value,) for name, value in asked.known.items()}
    named = read if named is None else named
    said = [_any_of(name, named[name]) for name in ORDER if name in named]
    said += [f"not “{denied}”"] if denied else []
    guessed = [_any_of(name, read[name]) for name in ORDER if name in read.keys() - named.keys()]
    understood = [f"Understood: {', '.join(said)}."] if said else []
    understood += [f"Perhaps meant: {', '.join(guessed)}."] if guessed else []
    return " ".join([line, *(understood or [_NOTHING_SAID]), *remarks])


def cards(
    hits: Sequence[Hit],
    sounds: Callable[[Clip], Sound],
    asked: Style | None = None,
    named: Mapping[str, Sequence[str]] | None = None,
    *,
    query: str = "",
    without: str = "",
    more: bool = False,
) -> Markup:
    """Return a ranked list, each clip with player, style, words, speaker and score.

    Args:
        hits: best first.
        sounds: audio and outline of a clip.
        asked: what the query is understood to ask for; marks where a clip has it, comes near it or
            has it not.
        named: all values that it names, by attribute; see `query.named`.
        query: the description that they were found by; with one, each can be asked why.
        without: the description that was subtracted from the scores.
        more: whether there are others to show.
    """
    if not hits:
        return Markup("")
    asked = asked or Style()
    best = max(hits[0].score, 1e-6)
    shown = Markup("").join(
        _card(
            hit.clip,
            sounds(hit.clip),
            f"result {hit.rank}",
            badges(hit.clip, asked, named),
            rank=_RANK.format(hit.rank),
            score=_SCORE.format(meter(hit.score / best), signed(hit.score, 2)),
            ask=bool(query),
        )
        for hit in hits
    )
    rows = hit_rows(hits)
    return Markup(
        '<div class="results-top">{}{}</div>'
        '<ol class="hits" data-text="{}" data-without="{}"{}>{}</ol>'
    ).format(
        _LEGEND.format(
            marks=_MARKS if asked.known else "",
            less=_LESS if without else "",
            and_keys=", and which keys there are" if query else "",
            keys=_KEYS if query else "",
        ),
        _TAKE.format(data_uri(csv_of(rows), "text/csv"), data_uri(json_of(rows), "text/json")),
        query,
        without,
        _MORE if more else "",
        shown,
    )


def taste(clips: Sequence[Clip], sounds: Callable[[Clip], Sound], *, more: bool = False) -> Markup:
    """Return clips that nothing ranks yet: cards without rank and score; see `cards`."""
    return Markup('<ol class="hits"{}>{}</ol>').format(
        _MORE if more else "",
        Markup("").join(
            _card(clip, sounds(clip), f"example {at}", badges(clip, Style()))
            for at, clip in enumerate(clips, start=1)
        ),
    )


def _card(
    clip: Clip,
    sound: Sound,
    said: str,
    style: Markup,
    *,
    rank: Markup | str = "",
    score: Markup | str = "",
    ask: bool = False,
) -> Markup:
    """Return a clip to hear, see and go on from; ``said`` tells it from the others aloud."""
    why = _WHY.format(id=clip.id, label=said) if ask else ""
    return _CARD.format(
        rank=rank,
        said=f"“{clip.text}”" if clip.text else clip.id,
        player=player(f"{said}: {name(clip)}", sound, clip.seconds),
        badges=style,
        score=score,
        who=who(clip),
        save=_save(clip, sound, said),
        actions=_ACTIONS.format(id=clip.id, label=said, why=why),
    )


def _save(clip: Clip, sound: Sound, said: str) -> Markup:
    return _SAVE.format(address=sound.address, file=Path(clip.path).name, label=said)


def ladder(
    hits: Sequence[Hit],
    sounds: Callable[[Clip], Sound],
    asked: Style | None = None,
    before: Sequence[Hit] = (),
) -> Markup:
    """Return a compact list that may say of each clip where it stood before.

    Args:
        hits: the ranking now, best first.
        sounds: audio and outline of a clip.
        asked: what a description names; marks where a clip has it, comes near it or has it not.
        before: the ranking to compare it with; may be longer than ``hits``.
    """
    ranks = {hit.clip.id: hit.rank for hit in before}
    item = Markup(
        '<li><span class="rank">{}</span>{}<div><ul class="badges" aria-label="Style">{}</ul>'
        '<p class="who">{} {}</p></div><span class="moved">{}</span></li>'
    )
    return Markup('<ol class="ladder">{}</ol>').format(
        Markup("").join(
            item.format(
                hit.rank,
                player(f"{hit.rank}: {name(hit.clip)}", sound, hit.clip.seconds),
                badges(hit.clip, asked or Style()),
                f"speaker {hit.clip.speaker}" if hit.clip.speaker else name(hit.clip),
                _save(hit.clip, sound, f"{hit.rank}: {name(hit.clip)}"),
                _moved(ranks.get(hit.clip.id), hit.rank) if before else "",
            )
            for hit, sound in ((hit, sounds(hit.clip)) for hit in hits)
        )
    )


def player(said: str, sound: Sound, seconds: float) -> Markup:
    """Return a play button, the waveform to seek in, and a clock."""
    return _PLAYER.format(
        label=said,
        wave=wave(sound.peaks),
        address=sound.address,
        clock=f"{seconds:.1f} s" if seconds else "",
    )


def source(clip: Clip | None, sounds: Callable[[Clip], Sound]) -> Markup:
    """Return the player of a clip that an answer is about; a recording has Gradio's own."""
    if clip is None:
        return Markup("")
    return Markup('<div class="source">{}</div>').format(
        player(name(clip), sounds(clip), clip.seconds)
    )


def wave(peaks: Sequence[int]) -> Markup:
    """Return an outline twice: at rest, and lit as far as it was played."""
    strokes = "".join(
        f"M{2 * at + 1} {20 - half:.1f}v{2 * half:.1f}"
        for at, half in enumerate(max(0.8, 18 * peak / 255) for peak in peaks)
    )
    drawn = Markup(
        '<svg class="{}" viewBox="0 0 {} 40" preserveAspectRatio="none" aria-hidden="true">'
        '<path d="{}"/></svg>'
    )
    return Markup("").join(drawn.format(kind, 2 * len(peaks), strokes) for kind in ("rest", "lit"))


def badges(clip: Clip, asked: Style, named: Mapping[str, Sequence[str]] | None = None) -> Markup:
    """Return a clip's style as badges; those of what was asked for say how far it fits.

    What no label tells, and is only heard, says so.
    """
    shown = []
    for attribute in ORDER:
        value, first = clip.told(attribute), getattr(asked, attribute)
        wanted = (named or {}).get(attribute) or ((first,) if first else ())
        said = word(attribute, value)
        if value != getattr(clip, attribute):
            said = f"heard: {said}"
        if value in wanted:
            shown.append(_BADGE.format("met", _MET.format(said)))
        elif wanted and value:
            near = any(agreement(attribute, value, each) > 0 for each in wanted)
            kind, mark = ("near", _NEAR) if near else ("missed", _MISSED)
            shown.append(_BADGE.format(kind, mark.format(said, _any_of(attribute, wanted))))
        elif wanted:
            shown.append(_BADGE.format("plain", _UNKNOWN.format(TITLES[attribute].lower())))
        elif value not in ("", "voiced"):
            shown.append(_BADGE.format("plain" if value in _PLAIN else "said", said))
    return Markup("").join(shown)


def _any_of(attribute: str, values: Sequence[str]) -> str:
    return " or ".join(word(attribute, value) for value in values)


def meter(share: float) -> Markup:
    """Return a bar, ``share`` of it lit."""
    return _METER.format(100 * min(1.0, max(0.0, share)))


def _moved(before: int | None, now: int) -> str:
    if before is None:
        return "new"
    if before == now:
        return "as before"
    return f"{'▲' if before > now else '▼'} from {before}"
