"""The arithmetic of a search. Run: pytest tests/test_ranking.py."""

from __future__ import annotations

import numpy as np
import pytest

from raclap.ranking import DUPLICATE, blend, less, varied


def unit(*angles: float) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_only_what_is_unwanted_counts_against_a_clip():
    wanted, unwanted = np.array([0.5, 0.5, 0.5]), np.array([0.4, 0.0, -0.4])
    assert less(wanted, unwanted).tolist() == pytest.approx([0.1, 0.5, 0.5])
    assert less(wanted, unwanted, 0.5).tolist() == pytest.approx([0.3, 0.5, 0.5])


def test_a_blend_is_the_normalised_weighted_sum():
    start, way = unit(0.0)[0], 7 * unit(np.pi / 2)
    assert blend(start, way, [0.0]).tolist() == pytest.approx(start.tolist())
    assert blend(start, way, [1.0]).tolist() == pytest.approx(unit(np.pi / 4)[0].tolist())
    two = blend(start, np.concatenate([way, -way]), [1.0, 1.0])
    assert two.tolist() == pytest.approx(start.tolist())


def test_a_direction_of_no_length_moves_nothing():
    assert blend(unit(1.0)[0], np.zeros((1, 2), np.float32), [2.0]).tolist() == pytest.approx(
        unit(1.0)[0].tolist()
    )


def test_a_blend_that_comes_to_nothing_is_no_error():
    with np.errstate(all="raise"):
        moved = blend(unit(0.0)[0], -unit(0.0), [1.0])
    assert moved.tolist() == [0, 0]


def test_a_varied_answer_has_few_of_a_speaker_and_none_twice():
    vectors = unit(0, 0.5, 1, 2.001, 2, 1.5)
    speakers = ["ann", "ann", "ann", "", "", "bob"]
    assert float(vectors[4] @ vectors[3]) > DUPLICATE > float(vectors[0] @ vectors[1])
    assert varied(vectors, speakers, 10) == [0, 1, 3, 5]
    assert varied(vectors, speakers, 2) == [0, 1]
    assert varied(vectors[:0], [], 2) == []
