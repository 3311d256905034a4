"""Matrices hold what they were given and draw for any size: ``pytest tests/test_heatmaps.py``."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import drawn

from raclap import canvas, heatmaps

LONG = "A frightened woman is whispering very fast, in a high voice that shakes and never settles"


def make_matrix(clips, texts):
    return np.random.default_rng(0).uniform(-0.5, 0.9, size=(clips, texts))


def cells(figure):
    axes = figure.axes[0]
    return {
        tuple(map(int, text.get_position())): text.get_text().replace("−", "-")
        for text in axes.texts
    }


@pytest.mark.parametrize("clips", [1, 3, 12])
@pytest.mark.parametrize("texts", [1, 5, 12])
def test_every_cell_of_a_small_matrix_carries_its_number(clips, texts):
    matrix = make_matrix(clips, texts)
    figure = drawn(heatmaps.similarity(matrix, [f"clip {n}" for n in range(clips)], [LONG] * texts))
    found = cells(figure)
    assert len(found) == clips * texts
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), matrix.T)
    for (clip, text), number in found.items():
        assert float(number) == pytest.approx(matrix[clip, text], abs=0.006)


def test_clips_stand_side_by_side_and_descriptions_below_each_other():
    figure = drawn(heatmaps.similarity(make_matrix(2, 3), ["a", "b"], ["x", "y", "z"]))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x", "y", "z"]


def test_similarity_colours_are_centred_on_zero():
    image = heatmaps.similarity(make_matrix(3, 3), list("abc"), list("xyz")).axes[0].images[0]
    low, high = image.get_clim()
    assert low == -high
    assert high == pytest.approx(np.abs(make_matrix(3, 3)).max())


def test_relations_are_shares_and_say_so():
    matrix = np.array([[0.75, 0.25], [0.1, 0.9], [0.5, 0.5]])
    figure = drawn(heatmaps.relation(matrix, list("abc"), ["x", "y"]))
    assert cells(figure)[0, 0] == "75%"
    assert cells(figure)[1, 0] == "10%"
    assert "adds up to 100%" in figure.get_suptitle()
    assert figure.axes[1].get_ylabel() == "share of the clip"


def test_a_large_matrix_has_no_numbers():
    figure = drawn(heatmaps.similarity(make_matrix(30, 20), ["clip"] * 30, ["text"] * 20))
    assert not figure.axes[0].texts


def test_long_labels_are_wrapped_and_dollar_signs_are_not_mathematics():
    labels = [LONG * 3, "He pays $5 and \\frac{$6", "", "two\nlines\tand a tab"]
    figure = drawn(heatmaps.similarity(make_matrix(1, 4), ["clip"], labels))
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert max(len(line) for line in shown[0].split("\n")) <= 40
    assert shown[0].endswith("…")
    assert shown[1:] == [labels[1], " ", "two lines and a tab"]


def test_numbers_are_legible_on_every_colour():
    figure = heatmaps.similarity(np.array([[-1.0, 0.0, 1.0]]), ["clip"], list("xyz"))
    ink = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert ink == {"−1.00": "white", "0.00": canvas.INK, "1.00": "white"}


def test_confusion_rows_are_shares_of_what_was_meant():
    figure = drawn(heatmaps.confusion({"sad": {"sad": 3, "happy": 1}, "happy": {"happy": 2}}))
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, [[1, 0], [0.25, 0.75]])
    assert figure.get_suptitle() == "Average recall 88% of 6 clips"


def test_confusion_survives_thirty_classes():
    figure = drawn(heatmaps.confusion({f"class_{n}": {f"class_{29 - n}": 1} for n in range(30)}))
    assert figure.get_suptitle() == "Average recall 0% of 30 clips"


def test_an_unknown_overlap_is_left_blank():
    matrix = np.array([[1.0, np.nan], [0.25, 0.0]])
    figure = drawn(heatmaps.overlap(matrix, ["a", "b"], ["x", "y"]))
    assert cells(figure) == {(0, 0): "100%", (1, 0): "25%", (1, 1): "0%"}
