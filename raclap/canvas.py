"""What every picture is drawn on and with: inks that can be told apart, labels, axes, PNG.

Figures are made without pyplot, so that threads of a server share no state. Colours are safe for
colour-blind readers and survive grey print. Deliberately not here: what is drawn (`heatmaps`,
`curves`, `exhibits`).
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import imsave

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#5F6368"  # Okabe and Ito's
INK = "#202124"


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
DAY = LinearSegmentedColormap.from_list(  # from less to more, in the colours of the bars
    "day", ["#00466f", BLUE, "#9cc8e2", "#f7f7f9", "#f3b98f", ORANGE, "#803800"]
)
LIGHT = Paper(ground="white", ink=INK, grey=GREY, less=BLUE, more=ORANGE, diverging=DAY)
DARK = Paper(
    ground="#1d1d25",
    ink="#eeeef2",
    grey="#9c9caa",
    less="#56B4E9",
    more="#F28C5B",
    diverging=_NIGHT,
)


def blank(*, width: float, height: float, ground: str = "white") -> Figure:
    """Return an empty picture of so many inches."""
    return Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor=ground)


def entitle(figure: Figure, title: str, ink: str = INK) -> None:
    """Write a title over a picture, where it begins on the left."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=ink)


def wrap(label: str, width: int, *, lines: int) -> str:
    """Break a label into lines of at most ``width`` characters; what is beyond ``lines`` is cut."""
    rows = textwrap.wrap(
        " ".join(label.split()), width, max_lines=lines, placeholder=" …", break_on_hyphens=False
    )
    return "\n".join(rows) or " "


def tick(axis: Axis, labels: Sequence[str], room: float = np.inf) -> None:
    """Name the cells of an axis, aslant where a name is wider than ``room`` inches."""
    # A description may contain a dollar sign, which is not mathematics here.
    axis.set_ticks(range(len(labels)), labels, parse_math=False, color=INK, fontsize=9)
    widest = max(len(line) for label in labels for line in label.split("\n"))
    if widest * 0.075 > room:
        for label in axis.get_ticklabels():
            label.set(rotation=38, ha="right", rotation_mode="anchor")


def grid(axes: Axes, axis: str = "y") -> None:
    """Draw pale lines across an axis behind the data, and only the frame's lower side."""
    axes.grid(axis=axis, color="#DADCE0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, colors=GREY)


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
