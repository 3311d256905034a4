"""A training as curves, and what was measured as bars and intervals.

In: rows of a log, sections of a report. Out: :class:`matplotlib.figure.Figure`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from raclap.canvas import BLUE, GREEN, GREY, INK, ORANGE, blank, entitle, grid, tick


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
    figure = blank(width=9.6, height=5.4)
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
        grid(axes)
        axes.margins(x=0.02, y=0.16)
        if axes.lines:
            axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.02))
    above.set_ylabel("loss")
    below.set_ylabel("validation")
    below.set_xlabel("training step")
    below.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def paired_bars(paired: Mapping[str, Mapping], ceiling: Mapping[str, Mapping]) -> Figure:
    """Draw mAP@10 by corpus, both directions, under the ceiling of perfect knowledge.

    Args:
        paired: section of a report: corpus to direction to metric to mean, low and high.
        ceiling: the section of that name.
    """
    names = {"text_to_speech": "description to clip", "speech_to_text": "clip to description"}
    figure = blank(width=max(2.4 + 1.35 * len(paired), 4.8), height=4.2)
    axes = figure.add_subplot()
    places, width = np.arange(len(paired)), 0.36
    beside = {name: places + side * 0.38 for name, side in zip(names, (-0.5, 0.5), strict=True)}
    for (direction, name), colour in zip(names.items(), (BLUE, ORANGE), strict=True):
        for corpus, x in zip(paired, beside[direction], strict=True):
            found = paired[corpus][direction]["map10"]
            axes.bar(x, found["mean"], width, color=colour, label=name, zorder=3)
            name = None  # the legend needs it once
            axes.plot([x, x], [found["low"], found["high"]], color=INK, lw=1.4, zorder=4)
            number, above = f"{100 * found['mean']:.0f}", (x, max(found["mean"], found["high"]))
            axes.annotate(number, above, (0, 3), textcoords="offset points", ha="center", zorder=5)
    best = [ceiling[corpus][name]["map10"]["mean"] for name in names for corpus in paired]
    grey = {"color": "#E8EAED", "label": "perfect knowledge of the style", "zorder": 2}
    axes.bar(np.concatenate(list(beside.values())), best, width, **grey)
    axes.set_xticks(places, list(paired))
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylabel("mAP@10 with its 95% interval")
    grid(axes)
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
    figure = blank(width=7.6, height=1.5 + len(labels) * (0.24 + 0.16 * len(found)))
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
    grid(axes, "x")
    figure.legend(loc="outside upper right", ncols=4, frameon=False)
    entitle(figure, f"Differences to {base}: {where}")
    return figure


def ratios(found: Mapping[str, float], goals: Mapping[str, float]) -> Figure:
    """Draw how many times slower others are.

    Args:
        found: name -> times slower, 1 being as fast.
        goals: name -> what it should be at least.
    """
    figure = blank(width=6.4, height=1.2 + 0.5 * len(found))
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
    tick(axes.yaxis, list(found))
    axes.invert_yaxis()
    axes.set_xlabel("times slower than RA-CLAP, from waveform to vector")
    grid(axes, "x")
    figure.legend(loc="outside upper right", frameon=False)
    return figure


def _cycle(count: int) -> list[str]:
    return [(BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")[n % 6] for n in range(count)]


def _smooth(values: np.ndarray) -> np.ndarray:
    """Centred mean over a twentieth of the run."""
    window = np.ones(max(len(values) // 20, 1))
    total, count = (np.convolve(each, window, "same") for each in (values, np.ones_like(values)))
    return total / count
