"""Figures hold what they were given and draw for any size: ``pytest tests/test_figures.py``."""

from __future__ import annotations

import io
import struct
import subprocess
import sys

import numpy as np
import pytest

from raclap import figures

LONG = "A frightened woman is whispering very fast, in a high voice that shakes and never settles"


def draw(figure):
    figure.savefig(file := io.BytesIO(), format="png")
    assert file.getvalue().startswith(b"\x89PNG")
    return figure


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
    figure = draw(
        figures.similarity_heatmap(matrix, [f"clip {n}" for n in range(clips)], [LONG] * texts)
    )
    found = cells(figure)
    assert len(found) == clips * texts
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), matrix.T)
    for (clip, text), number in found.items():
        assert float(number) == pytest.approx(matrix[clip, text], abs=0.006)


def test_clips_stand_side_by_side_and_descriptions_below_each_other():
    figure = draw(figures.similarity_heatmap(make_matrix(2, 3), ["a", "b"], ["x", "y", "z"]))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x", "y", "z"]


def test_similarity_colours_are_centred_on_zero():
    image = (
        figures.similarity_heatmap(make_matrix(3, 3), list("abc"), list("xyz")).axes[0].images[0]
    )
    low, high = image.get_clim()
    assert low == -high
    assert high == pytest.approx(np.abs(make_matrix(3, 3)).max())


def test_relations_are_shares_and_say_so():
    matrix = np.array([[0.75, 0.25], [0.1, 0.9], [0.5, 0.5]])
    figure = draw(figures.relation_heatmap(matrix, list("abc"), ["x", "y"]))
    assert cells(figure)[0, 0] == "75%"
    assert cells(figure)[1, 0] == "10%"
    assert "adds up to 100%" in figure.get_suptitle()
    assert figure.axes[1].get_ylabel() == "share of the clip"


def test_a_large_matrix_has_no_numbers():
    figure = draw(figures.similarity_heatmap(make_matrix(30, 20), ["clip"] * 30, ["text"] * 20))
    assert not figure.axes[0].texts


def test_long_labels_are_wrapped_and_dollar_signs_are_not_mathematics():
    labels = [LONG * 3, "He pays $5 and \\frac{$6", "", "two\nlines\tand a tab"]
    figure = draw(figures.similarity_heatmap(make_matrix(1, 4), ["clip"], labels))
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert max(len(line) for line in shown[0].split("\n")) <= 40
    assert shown[0].endswith("…")
    assert shown[1:] == [labels[1], " ", "two lines and a tab"]


def test_numbers_are_legible_on_every_colour():
    figure = figures.similarity_heatmap(np.array([[-1.0, 0.0, 1.0]]), ["clip"], list("xyz"))
    ink = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert ink == {"−1.00": "white", "0.00": figures.INK, "1.00": "white"}


def make_evidence(words, windows, **changes):
    rng = np.random.default_rng(0)
    given = {
        "matrix": rng.normal(0, 0.02, (words, windows)),
        "whole": rng.normal(0, 0.02, words),
        "words": [f"word {n}" for n in range(words)],
        "edges": np.linspace(0.2, 2.8, windows + 1),
        "waveform": rng.normal(0, 0.1, 48_000),
        "seconds": 3.0,
    }
    return given | changes


@pytest.mark.parametrize(("words", "windows"), [(1, 1), (10, 10), (40, 80)])
def test_evidence_shows_each_word_in_time_and_in_all(words, windows):
    given = make_evidence(words, windows)
    figure = draw(figures.evidence(**given))
    above, axes, side = figure.axes[0], *figure.axes[2:4]
    np.testing.assert_array_equal(axes.collections[0].get_array(), given["matrix"])
    low, high = axes.collections[0].get_clim()
    assert low == -high
    assert above.get_xlim() == axes.get_xlim() == (0.2, 2.8)
    assert [label.get_text() for label in axes.get_yticklabels()] == given["words"]
    totals = given["matrix"].sum(1) + given["whole"]
    assert [patch.get_width() for patch in side.patches] == pytest.approx(list(totals))
    assert axes.get_ylim() == side.get_ylim()


def test_evidence_draws_dollars_and_nothing_at_all():
    nothing = {"matrix": np.zeros((1, 1)), "whole": np.zeros(1)}
    draw(figures.evidence(**make_evidence(1, 1) | nothing | {"words": ["$5 {$"]}))


def test_an_account_is_a_staircase_to_the_score():
    parts = [("“a person speaking”", 0.4), ("emotion: sad $", 0.2), ("gender: man", -0.3)]
    axes = draw(figures.account(parts, 0.3)).axes[0]
    steps = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
    expected = [(0, 0.4), (0.4, 0.6), (0.6, 0.3), (0, 0.3)]
    np.testing.assert_allclose(steps, expected)
    assert [text.get_text() for text in axes.texts] == ["0.40", "+0.20", "−0.30", "0.30"]
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "score"


def test_confusion_rows_are_shares_of_what_was_meant():
    figure = draw(figures.confusion({"sad": {"sad": 3, "happy": 1}, "happy": {"happy": 2}}))
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, [[1, 0], [0.25, 0.75]])
    assert figure.get_suptitle() == "Average recall 88% of 6 clips"


def test_confusion_survives_thirty_classes():
    figure = draw(figures.confusion({f"class_{n}": {f"class_{29 - n}": 1} for n in range(30)}))
    assert figure.get_suptitle() == "Average recall 0% of 30 clips"


def test_training_curve_draws_each_row_where_it_was_taken_and_marks_the_best():
    rows = [{"step": step, "loss": 5 / (step + 1)} for step in range(200)]
    rows += [{"step": step, "map10": score} for step, score in ((50, 0.1), (100, 0.4), (150, 0.3))]
    figure = draw(
        figures.training_curve(
            rows, losses={"loss": "loss"}, scores={"map10": "mAP@10", "no": "no"}
        )
    )
    above, below = figure.axes
    assert len(above.lines[0].get_xdata()) == 200
    np.testing.assert_array_equal(below.lines[0].get_xydata(), [(50, 0.1), (100, 0.4), (150, 0.3)])
    shown = [text.get_text() for text in below.get_legend().get_texts()]
    assert shown == ["mAP@10 (best 40.0%)"]


def test_training_curve_of_an_empty_run_is_empty():
    draw(figures.training_curve([], losses={"loss": "loss"}, scores={"map10": "mAP@10"}))


def make_section(mean):
    figure = {"map10": {"mean": mean, "low": mean - 0.05, "high": mean + 0.05}}
    return {c: dict.fromkeys(("text_to_speech", "speech_to_text"), figure) for c in ("a", "b")}


def test_paired_bars_stand_under_their_ceiling():
    figure = draw(figures.paired_bars(make_section(0.3), make_section(0.8)))
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert heights == [0.3] * 4 + [0.8] * 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "description to clip",
        "clip to description",
        "perfect knowledge of the style",
    ]


def test_pyplot_and_its_state_are_never_loaded():
    code = "import sys, raclap.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_overlap_is_left_blank():
    matrix = np.array([[1.0, np.nan], [0.25, 0.0]])
    figure = draw(figures.overlap_heatmap(matrix, ["a", "b"], ["x", "y"]))
    assert cells(figure) == {(0, 0): "100%", (1, 0): "25%", (1, 1): "0%"}


def test_figures_of_any_width_make_one_picture():
    drawn = [
        figures.similarity_heatmap(make_matrix(clips, 2), ["a"] * clips, ["x", "y"])
        for clips in (2, 9)
    ]
    sizes = [tuple(np.round(each.get_size_inches() * each.dpi).astype(int)) for each in drawn]
    content = figures.png(drawn)
    width, height = struct.unpack(">II", content[16:24])
    assert content.startswith(b"\x89PNG")
    assert width == pytest.approx(max(size[0] for size in sizes), abs=1)
    assert height == pytest.approx(sum(size[1] for size in sizes), abs=2)
