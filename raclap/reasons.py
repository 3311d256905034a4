"""Why a clip has its score for a description, as HTML: a sum, a picture, the picture as a table.

In: an `Explanation`. Out: `markupsafe.Markup`, and the figures behind it. Deliberately not here:
how a score is divided (`evidence`), events.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from raclap import audio, canvas, exhibits
from raclap.cards import Sound, player
from raclap.evidence import OTHER, Part, Relevance
from raclap.reading import ANYONE
from raclap.search import Explanation
from raclap.sheets import csv_of, data_uri, relevance_rows
from raclap.sketch import outline
from raclap.words import TITLES, signed

_DIGITS = 3  # a word's share of one moment is seldom above 0.05

_VIEW = Markup(
    '<p class="asked">{asked} and {name}</p>{player}<div class="because">{sum}{figure}</div>'
)
_FIGURE = Markup(
    '<figure><img src="{image}" alt="{alt}"><figcaption>{legend}</figcaption>{table}</figure>'
)
_SUM = Markup(
    '<table class="sum"><caption>What adds up to the score</caption><thead><tr><th scope="col">'
    'Said</th><td></td><th scope="col">Adds</th></tr></thead><tbody>{rows}</tbody><tfoot>{ends}'
    "</tfoot></table>"
)
_ROW = Markup(
    '<tr><th scope="row">{said}</th><td class="bar" aria-hidden="true">{bar}</td>'
    '<td class="number">{value}</td></tr>'
)
_BAR = Markup('<i class="{side}" style="left:{left:.1f}%;width:{width:.1f}%"></i>')
_LEGEND = (
    "Orange adds to the score, blue takes from it, against an average voice and a description "
    "that says nothing. A word may fit and still count little where most voices fit it."
)
_TABLE = Markup(
    '<details class="legend"><summary>The picture as a table</summary><div class="scroll" '
    'tabindex="0" role="region" aria-label="What each word adds, and when"><table><thead><tr>'
    '<th scope="col">Word</th>{head}<th scope="col">no place in time</th><th scope="col">in all'
    "</th></tr></thead><tbody>{rows}</tbody></table></div></details>"
)
_TAKE = Markup('<p class="take">Keep this: <a download="why.csv" href="{}">CSV</a>{}</p>')
_PICTURE = Markup(' <a download="why.png" href="data:image/png;base64,{}">PNG</a>')


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A clip, a description, and why they have their score.

    Attributes:
        name: of the clip, to be read.
        address: where the page finds its audio.
        found: the explanation.
    """

    name: str
    address: str
    found: Explanation


def view(case: Case, *, dark: bool = False, narrow: bool = False) -> Markup:
    """Return the sum, the picture of words by time, and its numbers.

    Args:
        case: what to show.
        dark: for a dark page.
        narrow: for a phone.
    """
    found, relevance = case.found, case.found.relevance
    sound = Sound(address=case.address, peaks=outline(found.waveform).tolist())
    asked = "any voice" if found.text == ANYONE else f"“{found.text}”"
    figure = ""
    if _parts(found):
        drawn = _heatmap(found, canvas.DARK if dark else canvas.LIGHT, narrow)
        figure = _FIGURE.format(
            image=f"data:image/png;base64,{_png([drawn])}",
            alt=said(relevance),
            legend=_LEGEND,
            table=_table(relevance),
        )
    return _VIEW.format(
        asked=f"{asked}, but not “{found.without}”" if found.without else asked,
        name=case.name,
        player=player(case.name, sound, len(found.waveform) / audio.RATE_HZ),
        sum=_sum(case),
        figure=figure,
    )


def heading(case: Case) -> str:
    """Return one line: the score, and what adds most to it."""
    best = max(_parts(case.found), key=lambda part: part.contribution, default=None)
    most = f" Most is added by {_named(best)}." if best and best.contribution > 0 else ""
    return f"Score {signed(case.found.score, 2)}.{most}"


def said(relevance: Relevance) -> str:
    """Return the picture's alternative text: its shape, and where it is strongest."""
    matrix, edges = relevance.matrix, relevance.edges
    text = (
        f"Heatmap of {len(relevance.words)} words by {matrix.shape[1]} moments, "
        f"{edges[0]:.1f} to {edges[-1]:.1f} s."
    )
    for word, flat, sign in (
        ("added", int(matrix.argmax()), 1),
        ("taken away", int(matrix.argmin()), -1),
    ):
        row, column = np.unravel_index(flat, matrix.shape)
        value = float(matrix[row, column])
        if sign * value > 0:
            text += (
                f" Most is {word} by “{relevance.words[row]}” from {edges[column]:.1f} to "
                f"{edges[column + 1]:.1f} s ({signed(value, _DIGITS, plus=True)})."
            )
    return f"{text} All numbers are in the table below."


def take(case: Case, *, picture: bool) -> Markup:
    """Return links to keep the numbers and, if asked for, both figures, drawn on white."""
    drawn = ""
    if picture:
        account = case.found.account
        sheets = [
            exhibits.account(account.steps(), account.score),
            _heatmap(case.found, canvas.LIGHT, narrow=False),
        ]
        drawn = _PICTURE.format(_png(sheets))
    return _TAKE.format(data_uri(csv_of(relevance_rows(case.found.relevance)), "text/csv"), drawn)


def _heatmap(found: Explanation, paper: canvas.Paper, narrow: bool) -> Figure:
    relevance = found.relevance
    return exhibits.relevance(
        relevance.matrix,
        relevance.whole,
        relevance.words,
        relevance.edges,
        found.waveform,
        len(found.waveform) / audio.RATE_HZ,
        paper=paper,
        narrow=narrow,
    )


def _png(drawn: list[Figure]) -> str:
    return base64.b64encode(canvas.png(drawn)).decode()


def _sum(case: Case) -> Markup:
    """The account as a table with bars on one scale, each from where the one before ends."""
    found = case.found
    steps = [
        (f"any voice: “{ANYONE}”", found.account.rest),
        *((_named(part), part.contribution) for part in _parts(found)),
    ]
    if found.without:
        steps.append((f"but not: “{found.without}”", -found.taken))
    tips = np.cumsum([0.0, *(value for _, value in steps)])
    low, high = min(tips.min(), 0.0), max(tips.max(), 0.0)
    scale = 100 / max(high - low, 1e-6)

    def row(said: str, start: float, value: float, side: str, plus: bool) -> Markup:
        left, width = (min(start, start + value) - low) * scale, abs(value) * scale
        bar = _BAR.format(side=side, left=left, width=width)
        return _ROW.format(said=said, bar=bar, value=signed(value, _DIGITS, plus=plus))

    rows = [
        row(said, start, value, "rest" if at == 0 else "less" if value < 0 else "more", at > 0)
        for at, ((said, value), start) in enumerate(zip(steps, tips[:-1], strict=True))
    ]
    last = row("score", 0.0, found.score, "score-bar", False)
    return _SUM.format(rows=Markup("").join(rows), ends=last)


def _parts(found: Explanation) -> tuple[Part, ...]:
    """What a description asks for; nothing, where it only denies."""
    return () if found.text == ANYONE else found.account.parts


def _named(part: Part) -> str:
    about = "other words" if part.attribute == OTHER else TITLES[part.attribute].lower()
    return f"{about}: “{part.words}”"


def _table(relevance: Relevance) -> Markup:
    head = Markup("").join(
        Markup('<th scope="col">{:.1f}–{:.1f} s</th>').format(start, stop)
        for start, stop in zip(relevance.edges[:-1], relevance.edges[1:], strict=True)
    )
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            word,
            Markup("").join(
                Markup("<td>{}</td>").format(signed(float(value), _DIGITS, plus=True))
                for value in (*row, whole, row.sum() + whole)
            ),
        )
        for word, row, whole in zip(relevance.words, relevance.matrix, relevance.whole, strict=True)
    )
    return _TABLE.format(head=head, rows=rows)
