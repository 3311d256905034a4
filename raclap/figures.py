"""Matrices, curves and figures of merit as matplotlib figures.

In: arrays and records. Out: :class:`matplotlib.figure.Figure`, made without pyplot, so that threads
of a server share no state. Colours are safe for colour-blind readers and survive grey print.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import PercentFormatter

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#5F6368"  # Okabe and Ito's
INK = "#202124"
_WIDTH = 40  # characters of a description on one line
_NUMBERED = 14  # a matrix of more rows or columns shows no numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What a picture is drawn on, and the inks that can be read there.

    Attributes:
        ground: the background.
        ink: of words.
        grey: of lines and outlines.
        less: of bars below zero.
        more: of bars above zero.
        diverging: colour map from ``less`` over ``ground`` to ``more``.
    """

    ground: str
    ink: str
    grey: str
    less: str
    more: str
    diverging: str | Colormap


_NIGHT = LinearSegmentedColormap.from_list(  # as bright on either side, dim in the middle
    "night", ["#b5dcff", "#3a92dc", "#2b2b36", "#d2693a", "#ffd0b0"]
)
LIGHT = Paper(ground="white", ink=INK, grey=GREY, less=BLUE, more=ORANGE, diverging="RdBu_r")
DARK = Paper(
    ground="#1d1d25",
    ink="#eeeef2",
    grey="#9c9caa",
    less="#56B4E9",
    more="#F28C5B",
    diverging=_NIGHT,
)


def similarity_heatmap(
    matrix: np.ndarray, clip_labels: Sequence[str], text_labels: Sequence[str]
) -> Figure:
    """Draw how much each clip sounds like each description.

    Clips stand side by side and descriptions below each other, because sentences need the room.

    Args:
        matrix: (N, M) cosine similarities of clips and descriptions, -1 to 1.
        clip_labels: N short names.
        text_labels: M descriptions; long ones are wrapped.
    """
    limit = max(float(np.abs(matrix).max()), 1e-6)  # centred: white is "nothing in common"
    return _heatmap(
        matrix,
        clip_labels,
        text_labels,
        colours={"cmap": "RdBu_r", "vmin": -limit, "vmax": limit},
        number="{:z.2f}",
        meaning="cosine similarity",
        title="How alike clips and descriptions sound",
    )


def relation_heatmap(
    matrix: np.ndarray, clip_labels: Sequence[str], text_labels: Sequence[str]
) -> Figure:
    """Draw how the teacher shares each clip out among the descriptions.

    Args:
        matrix: (N, M) probabilities; each clip's row sums to 1 and is a column of the picture.
        clip_labels: N short names.
        text_labels: M descriptions; long ones are wrapped.
    """
    return _heatmap(
        matrix,
        clip_labels,
        text_labels,
        colours={"cmap": "Blues", "vmin": 0.0, "vmax": max(float(matrix.max()), 1e-6)},
        number="{:.0%}",
        meaning="share of the clip",
        title="How the teacher relates them\nEach clip's column adds up to 100%",
    )


def overlap_heatmap(
    matrix: np.ndarray, clip_labels: Sequence[str], text_labels: Sequence[str]
) -> Figure:
    """Draw how far the styles of clips and descriptions agree.

    Args:
        matrix: (N, M) from 0 to 1; NaN, left blank, where a style is unknown.
        clip_labels: N short names.
        text_labels: M descriptions; long ones are wrapped.
    """
    return _heatmap(
        matrix,
        clip_labels,
        text_labels,
        colours={"cmap": "Greens", "vmin": 0.0, "vmax": 1.0},
        number="{:.0%}",
        meaning="share of what both tell",
        title="How far their styles truly agree",
    )


def png(drawn: Sequence[Figure]) -> bytes:
    """Return figures below each other as one PNG."""
    canvases = [FigureCanvasAgg(figure) for figure in drawn]
    for canvas in canvases:
        canvas.draw()
    pixels = [np.asarray(canvas.buffer_rgba())[..., :3] for canvas in canvases]
    widest = max(each.shape[1] for each in pixels)
    padded = [
        np.pad(each, ((0, 0), (0, widest - each.shape[1]), (0, 0)), constant_values=255)
        for each in pixels
    ]
    file = io.BytesIO()
    imsave(file, np.concatenate(padded), format="png")
    return file.getvalue()


def _heatmap(
    matrix: np.ndarray,
    clip_labels: Sequence[str],
    text_labels: Sequence[str],
    *,
    colours: Mapping[str, str | float],
    number: str,
    meaning: str,
    title: str,
) -> Figure:
    clips, texts = matrix.shape
    sentences = [_wrap(label, _WIDTH, lines=3) for label in text_labels]
    names = [_wrap(label, 22, lines=3) for label in clip_labels]
    height = sum(0.16 + 0.19 * max(1.7, sentence.count("\n") + 1) for sentence in sentences)
    cell = max(0.78, 1.8 / clips)
    figure = _canvas(width=4.6 + cell * clips, height=max(height, 1.2) + 1.9)
    axes = figure.add_subplot()
    image = axes.imshow(matrix.T, aspect="auto", **colours)
    _tick(axes.xaxis, names, room=cell)
    _tick(axes.yaxis, sentences)
    _tile(axes)
    if max(clips, texts) <= _NUMBERED:
        _number(axes, image, matrix.T, number)
    _key(axes, image, meaning, percent="%" in number)
    _title(figure, title)
    return figure


def evidence(
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
    names = [_wrap(word, 13 if narrow else 24, lines=2) for word in words]
    rows = [0.3 + 0.14 * name.count("\n") for name in names]
    figure = _canvas(width=4.6 if narrow else 8.2, height=2.1 + sum(rows), ground=paper.ground)
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
    _title(figure, f"{title}{aside} what has no place in time", paper.ink)
    return figure


def account(parts: Sequence[tuple[str, float]], score: float) -> Figure:
    """Draw a score as a staircase of what is added to it or taken from it.

    Args:
        parts: names and contributions that add up to the score, first what stands without any.
        score: their sum.
    """
    names = [_wrap(name, 44, lines=2) for name, _ in parts] + ["score"]
    steps = np.array([contribution for _, contribution in parts])
    ends = np.cumsum(steps)
    figure = _canvas(width=7.6, height=1.2 + 0.4 * len(names))
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
    axes.grid(axis="x", color="#DADCE0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=GREY)
    axes.tick_params(axis="y", labelcolor=INK)
    _title(figure, "How the score comes about")
    return figure


def confusion(taken: Mapping[str, Mapping[str, int]]) -> Figure:
    """Draw what the clips of each class are taken for; rows sum to 100%.

    Args:
        taken: by class, how many of its clips were taken for which class.
    """
    values = sorted({*taken, *(guess for row in taken.values() for guess in row)})
    counts = np.array([[taken.get(a, {}).get(b, 0) for b in values] for a in values], dtype=float)
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    present = counts.sum(axis=1) > 0
    cell = max(0.34 if len(values) > _NUMBERED else 0.7, 1.8 / len(values))
    side = cell * len(values)
    figure = _canvas(width=side + 2.8, height=side + 1.6)
    axes = figure.add_subplot()
    image = axes.imshow(rates, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    names = [value.replace("_", " ") for value in values]
    _tick(axes.xaxis, names, room=cell)
    _tick(axes.yaxis, names)
    _tile(axes)
    if len(values) <= _NUMBERED:
        _number(axes, image, rates, "{:.0%}")
    axes.set_xlabel("taken for")
    axes.set_ylabel("meant as")
    recall = float(np.diag(rates)[present].mean())
    _key(axes, image, "share of the clips meant so", percent=True)
    _title(figure, f"Average recall {recall:.0%} of {int(counts.sum()):,} clips")
    return figure


def training_curve(
    rows: Sequence[Mapping[str, float]],
    *,
    losses: Mapping[str, str],
    scores: Mapping[str, str],
) -> Figure:
    """Draw a run: losses above, validation figures below, over the steps.

    Args:
        rows: lines of ``history.jsonl``; each has ``step`` and whichever figures were taken then.
        losses: by key of the rows, the name to show.
        scores: the same for figures in fractions of one; the best of each is marked.
    """
    figure = _canvas(width=9.6, height=5.4)
    above, below = figure.subplots(2, 1, sharex=True)
    for axes, shown in ((above, losses), (below, scores)):
        for (key, name), colour in zip(shown.items(), _cycle(len(shown)), strict=True):
            points = np.array([(row["step"], row[key]) for row in rows if key in row], dtype=float)
            if not len(points):
                continue
            step, value = points.T
            dense = len(step) > 60
            axes.plot(step, value, color=colour, alpha=0.3 if dense else 1, lw=1 if dense else 1.8)
            if dense:
                axes.plot(step, _smooth(value), color=colour, lw=1.8)
            best = int(np.nanargmax(value))
            if axes is below:
                axes.plot(step[best], value[best], "o", color=colour, ms=6)
                name = f"{name} (best {value[best]:.1%})"
            axes.plot([], [], color=colour, lw=1.8, label=name)
        _grid(axes)
        axes.margins(x=0.02, y=0.16)
        if axes.lines:
            axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.02))
    above.set_ylabel("loss")
    below.set_ylabel("validation")
    below.set_xlabel("training step")
    below.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def paired_bars(
    paired: Mapping[str, Mapping], ceiling: Mapping[str, Mapping], metric: str = "map10"
) -> Figure:
    """Draw paired retrieval by corpus, both directions, under the ceiling of perfect knowledge.

    Args:
        paired: section of a report: corpus to direction to metric to mean, low and high.
        ceiling: the section of that name.
        metric: ``r1``, ``r5``, ``r10`` or ``map10``.
    """
    names = {"text_to_speech": "description to clip", "speech_to_text": "clip to description"}
    figure = _canvas(width=max(2.4 + 1.35 * len(paired), 4.8), height=4.2)
    axes = figure.add_subplot()
    places, width = np.arange(len(paired)), 0.36
    beside = {name: places + side * 0.38 for name, side in zip(names, (-0.5, 0.5), strict=True)}
    for (direction, name), colour in zip(names.items(), (BLUE, ORANGE), strict=True):
        for corpus, x in zip(paired, beside[direction], strict=True):
            found = paired[corpus][direction][metric]
            axes.bar(x, found["mean"], width, color=colour, label=name, zorder=3)
            name = None  # the legend needs it once
            axes.plot([x, x], [found["low"], found["high"]], color=INK, lw=1.4, zorder=4)
            number, above = f"{100 * found['mean']:.0f}", (x, max(found["mean"], found["high"]))
            axes.annotate(number, above, (0, 3), textcoords="offset points", ha="center", zorder=5)
    best = [ceiling[corpus][name][metric]["mean"] for name in names for corpus in paired]
    grey = {"color": "#E8EAED", "label": "perfect knowledge of the style", "zorder": 2}
    axes.bar(np.concatenate(list(beside.values())), best, width, **grey)
    axes.set_xticks(places, list(paired))
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    label = "mAP@10" if metric == "map10" else f"R@{metric[1:]}"
    axes.set_ylabel(f"{label} with its 95% interval")
    _grid(axes)
    figure.legend(loc="outside upper left", ncols=3 if len(paired) > 3 else 2, frameon=False)
    return figure


def difference_intervals(
    found: Mapping[str, Mapping[str, Mapping[str, float | None]]], base: str, where: str
) -> Figure:
    """Draw how far models are from a first one, with intervals, in points of a hundred.

    Args:
        found: by model, by the figure's name: mean, low and high in fractions of one; low and high
            are None where the interval is unknown.
        base: name of the first model, which zero stands for.
        where: what the figures were taken on.
    """
    labels = list(dict.fromkeys(label for row in found.values() for label in row))
    figure = _canvas(width=7.6, height=1.5 + len(labels) * (0.24 + 0.16 * len(found)))
    axes = figure.add_subplot()
    axes.axvline(0, color=GREY, lw=1.2, zorder=1)
    step = 0.7 / len(found)
    for turn, ((model, row), colour) in enumerate(
        zip(found.items(), _cycle(len(found)), strict=True)
    ):
        places = [labels.index(label) + (turn - (len(found) - 1) / 2) * step for label in row]
        means = [100 * each["mean"] for each in row.values()]
        axes.plot(means, places, "o", color=colour, ms=6, zorder=3, label=model)
        for place, each in zip(places, row.values(), strict=True):
            if each["low"] is not None:
                ends = [100 * each["low"], 100 * each["high"]]
                axes.plot(ends, [place, place], color=colour, lw=1.8, zorder=2)
    axes.set_yticks(range(len(labels)), labels, color=INK)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    known = any(each["low"] is not None for row in found.values() for each in row.values())
    interval = "95% interval over training seeds" if known else "interval unknown: one seed"
    axes.set_xlabel(f"points of 100 above {base}; {interval}")
    _grid(axes, "x")
    figure.legend(loc="outside upper right", ncols=4, frameon=False)
    _title(figure, f"Differences to {base}: {where}")
    return figure


def ratios(found: Mapping[str, float], goals: Mapping[str, float]) -> Figure:
    """Draw how many times slower others are.

    Args:
        found: name -> times slower, 1 being as fast.
        goals: name -> what it should be at least.
    """
    figure = _canvas(width=6.4, height=1.2 + 0.5 * len(found))
    axes = figure.add_subplot()
    places = np.arange(len(found))
    axes.barh(places, list(found.values()), 0.6, color=BLUE, zorder=3)
    for place, (name, value) in zip(places, found.items(), strict=True):
        label = None if place else "goal"
        axes.plot(
            [goals[name]] * 2, [place - 0.4, place + 0.4], color=ORANGE, zorder=4, label=label
        )
        number = f"{value:.1f}"
        axes.annotate(number, (value, place), (4, 0), textcoords="offset points", va="center")
    _tick(axes.yaxis, list(found))
    axes.invert_yaxis()
    axes.set_xlabel("times slower than RA-CLAP, from waveform to vector")
    _grid(axes, "x")
    figure.legend(loc="outside upper right", frameon=False)
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


def _canvas(*, width: float, height: float, ground: str = "white") -> Figure:
    return Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor=ground)


def _cycle(count: int) -> list[str]:
    return [(BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")[n % 6] for n in range(count)]


def _smooth(values: np.ndarray) -> np.ndarray:
    """Centred mean over a twentieth of the run."""
    window = np.ones(max(len(values) // 20, 1))
    total, count = (np.convolve(each, window, "same") for each in (values, np.ones_like(values)))
    return total / count


def _wrap(label: str, width: int, *, lines: int) -> str:
    rows = textwrap.wrap(
        " ".join(label.split()), width, max_lines=lines, placeholder=" …", break_on_hyphens=False
    )
    return "\n".join(rows) or " "


def _title(figure: Figure, title: str, ink: str = INK) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=ink)


def _key(axes: Axes, image: ScalarMappable, meaning: str, *, percent: bool) -> None:
    """Put a colour bar as tall as the matrix beside it."""
    inches = axes.figure.get_figheight()
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05, aspect=7 * inches)
    bar.set_label(meaning, color=INK)
    bar.ax.tick_params(length=0, colors=GREY, labelsize=9)
    bar.outline.set_visible(False)
    if percent:
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _tick(axis: Axis, labels: Sequence[str], room: float = np.inf) -> None:
    """Name the cells of an axis, aslant where a name is wider than ``room`` inches."""
    # A description may contain a dollar sign, which is not mathematics here.
    axis.set_ticks(range(len(labels)), labels, parse_math=False, color=INK, fontsize=9)
    widest = max(len(line) for label in labels for line in label.split("\n"))
    if widest * 0.075 > room:
        for label in axis.get_ticklabels():
            label.set(rotation=38, ha="right", rotation_mode="anchor")


def _tile(axes: Axes) -> None:
    """Set the cells of a matrix apart by white lines, and drop frame and tick marks."""
    rows, columns = axes.images[0].get_array().shape
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def _grid(axes: Axes, axis: str = "y") -> None:
    axes.grid(axis=axis, color="#DADCE0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, colors=GREY)


def _number(axes: Axes, image: ScalarMappable, matrix: np.ndarray, form: str) -> None:
    """Write each value into its cell, dark on light colours and light on dark ones."""
    for (row, column), value in np.ndenumerate(matrix):
        if np.isnan(value):
            continue
        red, green, blue, _ = image.to_rgba(value)
        light = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5
        axes.text(
            column,
            row,
            form.format(value).replace("-", "−"),
            ha="center",
            va="center",
            fontsize=8.5,
            color=INK if light else "white",
        )
