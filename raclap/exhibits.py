"""An explanation as pictures: words by time under the waveform, and a score as a staircase.

In: arrays. Out: :class:`matplotlib.figure.Figure`. Deliberately not here: how a score is divided
(`evidence`), the same as HTML (`reasons`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from raclap.canvas import BLUE, GREY, INK, LIGHT, ORANGE, Paper, blank, entitle, grid, wrap


def relevance(
    matrix: np.ndarray,
    whole: np.ndarray,
    words: Sequence[str],
    edges: np.ndarray,
    waveform: np.ndarray,
    seconds: float,
    *,
    paper: Paper = LIGHT,
    narrow: bool = False,
) -> Figure:
    """Draw which words of a description fit a clip, and when, below the clip's waveform.

    Args:
        matrix: (W, T) cosine that each word adds in each window of time.
        whole: (W,) cosine that each word adds without a place in time.
        words: W words, or groups of words; long ones are wrapped.
        edges: (T + 1,) borders of the windows, seconds.
        waveform: (S,) the clip.
        seconds: its length; the edges lie within it.
        paper: light or dark.
        narrow: for a phone's width.
    """
    names = [wrap(word, 13 if narrow else 24, lines=2) for word in words]
    rows = [0.3 + 0.14 * name.count("\n") for name in names]
    figure = blank(width=4.6 if narrow else 8.2, height=2.1 + sum(rows), ground=paper.ground)
    spec = {
        "height_ratios": (0.75, max(sum(rows), 0.6)),
        "width_ratios": (1, 0.5 if narrow else 0.26),
    }
    (above, corner), (axes, side) = figure.subplots(2, 2, gridspec_kw=spec)
    corner.set_axis_off()
    for each in (above, axes, side):
        each.set_facecolor(paper.ground)
    ends = np.concatenate([[0], np.cumsum(rows)])  # rows of two lines are higher
    middles = (ends[:-1] + ends[1:]) / 2

    _wave(above, waveform, seconds, paper.grey)
    limit = max(float(np.abs(matrix).max()), 1e-6)
    image = axes.pcolormesh(edges, ends, matrix, cmap=paper.diverging, vmin=-limit, vmax=limit)
    image.set(edgecolor=paper.ground, linewidth=1.2)
    axes.set_yticks(middles, names, parse_math=False, color=paper.ink, fontsize=9)
    axes.set_xlabel("seconds", color=paper.ink)
    above.tick_params(labelbottom=False)
    for each in (above, axes):
        each.set_xlim(edges[0], edges[-1])

    totals = matrix.sum(1) + whole
    colours = [paper.less if total < 0 else paper.more for total in totals]  # as in the matrix
    side.barh(middles, totals, np.array(rows) * 0.62, color=colours, zorder=3)
    side.axvline(0, color=paper.grey, lw=0.8)
    for middle, total in zip(middles, totals, strict=True):
        _say(side, total, middle, total < 0, ink=paper.ink)
    reach = max(float(np.abs(totals).max()), 1e-6) * 2
    side.set(xlim=(-reach, reach), yticks=[], xticks=[])
    side.set_xlabel("in all", color=paper.ink)
    for each in (axes, side):
        each.set_ylim(ends[-1], 0)
        each.tick_params(length=0, colors=paper.grey, labelcolor=paper.ink)
        each.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=[corner, side], pad=0.02, fraction=0.09, aspect=26)
    bar.set_label("cosine added", color=paper.ink)
    bar.ax.tick_params(length=0, colors=paper.grey, labelsize=9)
    bar.outline.set_visible(False)
    title = "What each word adds to the score: when, and "
    aside = "on the right\nwith" if narrow else "on the right with"
    entitle(figure, f"{title}{aside} what has no place in time", paper.ink)
    return figure


def account(parts: Sequence[tuple[str, float]], score: float) -> Figure:
    """Draw a score as a staircase of what is added to it or taken from it.

    Args:
        parts: names and contributions that add up to the score, first what stands without any.
        score: their sum.
    """
    names = [wrap(name, 44, lines=2) for name, _ in parts] + ["score"]
    steps = np.array([contribution for _, contribution in parts])
    ends = np.cumsum(steps)
    figure = blank(width=7.6, height=1.2 + 0.4 * len(names))
    axes = figure.add_subplot()
    lefts = np.concatenate([[0.0], ends[:-1], [0.0]])
    widths = np.concatenate([steps, [score]])
    colours = [BLUE if step < 0 else ORANGE for step in steps[1:]]
    axes.barh(range(len(names)), widths, 0.6, lefts, color=[GREY, *colours, INK], zorder=3)
    for row, end in enumerate(ends):  # from the end of each step to the start of the next
        axes.plot([end, end], [row - 0.3, row + 1.3], color=GREY, lw=0.8, zorder=4)
    for row, (left, width) in enumerate(zip(lefts, widths, strict=True)):
        signed = 0 < row < len(names) - 1
        tips = (left, left + width)
        _say(axes, width, row, width < 0, at=min(tips) if width < 0 else max(tips), signed=signed)
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set_yticks(range(len(names)), names, parse_math=False, fontsize=9)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.14)
    axes.set_xlabel("cosine similarity", color=INK)
    grid(axes, "x")
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", labelcolor=INK)
    entitle(figure, "How the score comes about")
    return figure


def _wave(axes: Axes, waveform: np.ndarray, seconds: float, grey: str) -> None:
    """Draw the outline of (S,) samples over time."""
    peaks = [np.abs(piece).max() for piece in np.array_split(waveform, min(len(waveform), 600))]
    time = (np.arange(len(peaks)) + 0.5) * seconds / len(peaks)
    axes.fill_between(time, np.negative(peaks), peaks, color=grey, lw=0)
    axes.set(yticks=[], ylim=(-1.05 * max(peaks), 1.05 * max(peaks)))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _say(
    axes: Axes,
    value: float,
    row: float,
    left: bool,
    *,
    at: float | None = None,
    signed: bool = True,
    ink: str = INK,
) -> None:
    """Write a number beside the end of a horizontal bar."""
    axes.annotate(
        f"{value:{'+' if signed else ''}z.2f}".replace("-", "−"),
        (value if at is None else at, row),
        (-4 if left else 4, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=8.5,
        color=ink,
    )
