"""Models are told apart over training seeds: ``pytest tests/test_differences.py``."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import scipy.stats
from toys import SMALL, hear, know, make_clips, plain_wording

from raclap import differences, evaluate
from raclap.config import InputError

__all__ = ["plain_wording"]  # a fixture
GAINS = (0.01, 0.02, 0.03, 0.04, 0.05)


@pytest.fixture
def report(plain_wording):
    clips = make_clips(40)
    return evaluate.report(clips, hear(clips), know, protocol=SMALL)


def shift(report, by):
    if "mean" in report:
        return {name: value + by for name, value in report.items()}
    return {k: v if k in ("about", "confusion") else shift(v, by) for k, v in report.items()}


def label(report, **about):
    return {**report, "about": report["about"] | about}


def test_the_difference_has_a_paired_t_interval_and_a_narrower_bootstrap(report):
    better = [shift(report, gain) for gain in GAINS]
    found = differences.subtract({"ess": [report] * 5, "ra": better, "same": [report] * 5})
    assert set(found["differences"]) == {"ra", "same"}
    assert "ceiling" not in found["differences"]["ra"]  # no model's
    gain = found["differences"]["ra"]["paired"]["ravdess"]["speech_to_text"]["map10"]
    exact = scipy.stats.ttest_rel(GAINS, [0] * 5).confidence_interval(0.95)
    assert gain["mean"] == pytest.approx(0.03)
    assert (gain["low"], gain["high"]) == pytest.approx((exact.low, exact.high))
    assert gain["low"] < gain["bootstrap"]["low"] < 0.03 < gain["bootstrap"]["high"] < gain["high"]
    same = found["differences"]["same"]["faithful"]["ravdess"]["spearman"]
    assert same == {"mean": 0, "low": 0, "high": 0, "bootstrap": {"low": 0, "high": 0}}
    assert found["about"]["seeds_of_training"] == 5
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    page = differences.document(found)
    assert "# ra minus ess" in page
    assert "+3.0 [+1.0, +5.0]" in page
    assert "chance*" not in page


def test_seeds_are_paired_so_that_what_they_share_cancels(report):
    shared = (0.3, 0.0, 0.2, 0.1, 0.4)
    base = [shift(report, by) for by in shared]
    better = [shift(run, 0.02) for run in base]
    found = differences.subtract({"ess": base, "ra": better})["differences"]["ra"]
    gain = found["partial"]["ravdess"]["precision10"]
    assert (gain["low"], gain["high"]) == pytest.approx((0.02, 0.02))


def test_one_seed_has_no_interval_and_the_page_says_so(report):
    found = differences.subtract({"ess": [report], "ra": [shift(report, 0.02)]})
    gain = found["differences"]["ra"]["partial"]["ravdess"]["precision10"]
    assert gain["mean"] == pytest.approx(0.02)
    assert (gain["low"], gain["high"]) == (None, None)
    assert gain["bootstrap"] == {"low": None, "high": None}
    assert "unknown" in found["about"]["interval"]
    page = differences.document(found)
    assert "how far these differences move with the training seed is unknown" in page
    assert "| ravdess | +2.0 |" in page


def test_what_cannot_be_compared_is_refused(report):
    for name in ("manifest", *asdict(SMALL)):
        if name != "resamples":  # which moves intervals alone
            with pytest.raises(InputError, match="different test clips"):
                differences.subtract({"a": [report], "b": [label(report, **{name: "else"})]})
    with pytest.raises(InputError, match="equally many seeds"):
        differences.subtract({"a": [report], "b": [report, report]})
    with pytest.raises(InputError, match="two or more models"):
        differences.subtract({"a": [report]})
    once = label(report, checkpoint="x")
    with pytest.raises(InputError, match="'b' has two reports of one checkpoint"):
        differences.subtract({"a": [report, report], "b": [once, once]})
    zero, one = (label(report, trained={"stage": "ra", "seed": seed}) for seed in (0, 1))
    with pytest.raises(InputError, match=r"place 1 .* seeds \[0, 1\]"):
        differences.subtract({"a": [zero, one], "b": [one, zero]})


def test_the_picture_shows_the_main_figures_and_their_intervals(report, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(differences, "save", lambda figures, folder: drawn.append(figures))
    for seeds in (5, 1):
        better = [shift(report, gain) for gain in GAINS[:seeds]]
        found = differences.subtract({"ess": [report] * seeds, "ra": better})
        differences.illustrate(found, tmp_path)
    several, one = (figures["differences"] for figures in drawn)
    axes = several.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(differences._MAIN)
    assert axes.lines[1].get_xdata() == pytest.approx([3.0] * len(differences._MAIN))
    assert len(axes.lines) == 2 + len(differences._MAIN)
    assert "over training seeds" in axes.get_xlabel()
    assert len(one.axes[0].lines) == 2
    assert "unknown" in one.axes[0].get_xlabel()
