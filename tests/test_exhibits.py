"""Pictures of an explanation hold what they were given: ``pytest tests/test_exhibits.py``."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import drawn

from raclap import exhibits


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
    figure = drawn(exhibits.relevance(**given))
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
    drawn(exhibits.relevance(**make_evidence(1, 1) | nothing | {"words": ["$5 {$"]}))


def test_an_account_is_a_staircase_to_the_score():
    parts = [("“a person speaking”", 0.4), ("emotion: sad $", 0.2), ("gender: man", -0.3)]
    axes = drawn(exhibits.account(parts, 0.3)).axes[0]
    steps = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
    expected = [(0, 0.4), (0.4, 0.6), (0.6, 0.3), (0, 0.3)]
    np.testing.assert_allclose(steps, expected)
    assert [text.get_text() for text in axes.texts] == ["0.40", "+0.20", "−0.30", "0.30"]
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "score"
