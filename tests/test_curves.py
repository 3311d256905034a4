"""Curves and bars hold what they were given: ``pytest tests/test_curves.py``."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import drawn

from raclap import curves

WAYS = ("text_to_speech", "speech_to_text")


def test_training_curve_draws_each_row_where_it_was_taken_and_marks_the_best():
    rows = [{"step": step, "loss": 5 / (step + 1)} for step in range(200)]
    rows += [{"step": step, "map10": score} for step, score in ((50, 0.1), (100, 0.4), (150, 0.3))]
    figure = drawn(
        curves.training_curve(rows, losses={"loss": "loss"}, scores={"map10": "mAP@10", "no": "no"})
    )
    above, below = figure.axes
    assert len(above.lines[0].get_xdata()) == 200
    np.testing.assert_array_equal(below.lines[0].get_xydata(), [(50, 0.1), (100, 0.4), (150, 0.3)])
    shown = [text.get_text() for text in below.get_legend().get_texts()]
    assert shown == ["mAP@10 (best 40.0%)"]


def test_training_curve_of_an_empty_run_is_empty():
    drawn(curves.training_curve([], losses={"loss": "loss"}, scores={"map10": "mAP@10"}))


def make_section(mean):
    figure = {"map10": {"mean": mean, "low": mean - 0.05, "high": mean + 0.05}}
    return {c: dict.fromkeys(WAYS, figure) for c in ("a", "b")}


def test_paired_bars_stand_under_their_ceiling():
    figure = drawn(curves.paired_bars(make_section(0.3), make_section(0.8)))
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert heights == [0.3] * 4 + [0.8] * 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "description to clip",
        "clip to description",
        "perfect knowledge of the style",
    ]


def test_each_bar_stands_under_the_ceiling_of_its_corpus_and_direction():
    wanted = {(c, d): n / 10 for n, (d, c) in enumerate(((d, c) for d in WAYS for c in "ab"), 1)}
    paired, ceiling = (
        {
            c: {
                d: {"map10": dict.fromkeys(("mean", "low", "high"), share * wanted[c, d])}
                for d in WAYS
            }
            for c in "ab"
        }
        for share in (1, 2)
    )
    patches = drawn(curves.paired_bars(paired, ceiling)).axes[0].patches
    bars = {patch.get_x() + patch.get_width() / 2: patch.get_height() for patch in patches[:4]}
    assert len(set(bars.values())) == 4
    for patch in patches[4:]:
        under = bars[patch.get_x() + patch.get_width() / 2]
        assert patch.get_height() == pytest.approx(2 * under)


def test_a_long_run_is_smoothed_by_the_mean_of_a_twentieth():
    rows = [{"step": step, "loss": step % 2} for step in range(200)]
    rough, smooth, _ = (
        drawn(curves.training_curve(rows, losses={"loss": "loss"}, scores={})).axes[0].lines
    )
    assert set(rough.get_ydata()) == {0, 1}
    assert smooth.get_ydata()[10:-10] == pytest.approx(0.5)
