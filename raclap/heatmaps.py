"""Matrices as pictures: clips against descriptions, and what each class is taken for.

In: arrays and counts. Out: :class:`matplotlib.figure.Figure`. Deliberately not here: the same
tables as HTML (`matrix`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from raclap.canvas import DAY, GREY, INK, blank, entitle, tick, wrap

_WIDTH = 40  # characters of a description on one line
_NUMBERED = 14  # a matrix of more rows or columns shows no numbers


def similarity(
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
        colours={"cmap": DAY, "vmin": -limit, "vmax": limit},
        number="{:z.2f}",
        meaning="cosine similarity",
        title="How alike clips and descriptions sound",
    )


def relation(matrix: np.ndarray, clip_labels: Sequence[str], text_labels: Sequence[str]) -> Figure:
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


def overlap(matrix: np.ndarray, clip_labels: Sequence[str], text_labels: Sequence[str]) -> Figure:
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
    figure = blank(width=side + 2.8, height=side + 1.6)
    axes = figure.add_subplot()
    image = axes.imshow(rates, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    names = [value.replace("_", " ") for value in values]
    tick(axes.xaxis, names, room=cell)
    tick(axes.yaxis, names)
    _tile(axes)
    if len(values) <= _NUMBERED:
        _number(axes, image, rates, "{:.0%}")
    axes.set_xlabel("taken for")
    axes.set_ylabel("meant as")
    recall = float(np.diag(rates)[present].mean())
    _key(axes, image, "share of the clips meant so", percent=True)
    entitle(figure, f"Average recall {recall:.0%} of {int(counts.sum()):,} clips")
    return figure


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
    sentences = [wrap(label, _WIDTH, lines=3) for label in text_labels]
    names = [wrap(label, 22, lines=3) for label in clip_labels]
    height = sum(0.16 + 0.19 * max(1.7, sentence.count("\n") + 1) for sentence in sentences)
    cell = max(0.78, 1.8 / clips)
    figure = blank(width=4.6 + cell * clips, height=max(height, 1.2) + 1.9)
    axes = figure.add_subplot()
    image = axes.imshow(matrix.T, aspect="auto", **colours)
    tick(axes.xaxis, names, room=cell)
    tick(axes.yaxis, sentences)
    _tile(axes)
    if max(clips, texts) <= _NUMBERED:
        _number(axes, image, matrix.T, number)
    _key(axes, image, meaning, percent="%" in number)
    entitle(figure, title)
    return figure


def _key(axes: Axes, image: ScalarMappable, meaning: str, *, percent: bool) -> None:
    """Put a colour bar as tall as the matrix beside it."""
    inches = axes.figure.get_figheight()
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, fraction=0.05, aspect=7 * inches)
    bar.set_label(meaning, color=INK)
    bar.ax.tick_params(length=0, colors=GREY, labelsize=9)
    bar.outline.set_visible(False)
    if percent:
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _tile(axes: Axes) -> None:
    """Set the cells of a matrix apart by white lines, and drop frame and tick marks."""
    rows, columns = axes.images[0].get_array().shape
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


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
