"""Clips against descriptions as tables. Run: pytest tests/test_matrix.py."""

from __future__ import annotations

import re

import numpy as np
from conftest import HOSTILE_NAME, HOSTILE_TEXT

from raclap.comparison import Comparison
from raclap.matrix import matrices

FOUND = Comparison(
    clips=["a", "b"],
    texts=["low", "high", HOSTILE_TEXT],
    similarity=np.array([[0.5, -0.25, 0.0], [0.1, 0.2, 0.3]], np.float32),
    taught=np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], np.float32),
    overlap=np.array([[1.0, 0.5, np.nan], [np.nan] * 3], np.float32),
)


def cells(html: str) -> list[list[str]]:
    """Values of each of the three tables, by rows."""
    tables = re.findall(r"<tbody>(.*?)</tbody>", html)
    return [re.findall(r">([^<>]+)</(?:button|span)></td>", table) for table in tables]


def test_three_tables_have_the_numbers_of_the_comparison() -> None:
    html = str(matrices(FOUND, ["ann", HOSTILE_NAME], ["clips/0", "clips/1"], 0.25))
    similarity, relation, overlap = cells(html)
    assert similarity == ["0.50", "0.10", "−0.25", "0.20", "0.00", "0.30"]
    assert relation == ["96%", "33%", "2%", "33%", "2%", "33%"]
    assert overlap == ["100%", "unknown", "50%", "unknown", "unknown", "unknown"]
    assert "at temperature 0.25" in html
    assert "without labels, in measured levels alone" in html


def test_more_tables_than_fit_beside_each_other_stand_below_each_other() -> None:
    def wide(count: int) -> bool:
        found = Comparison(
            clips=[str(number) for number in range(count)],
            texts=["low"],
            similarity=np.zeros((count, 1), np.float32),
            taught=np.zeros((count, 1), np.float32),
            overlap=np.zeros((count, 1), np.float32),
        )
        return "matrices many" in matrices(found, found.clips, found.clips, 0.25)

    assert [wide(6), wide(7)] == [False, True]


def test_a_cell_plays_its_clip_and_says_so() -> None:
    html = str(matrices(FOUND, ["ann", "bob"], ["clips/0", "clips/1"], 0.25))
    assert html.count('data-sound="clips/0"') == 1 + 3 + 3 + 2
    assert 'data-cell="0 1" aria-label="−0.25, play clip 1: ann, and say why"' in html
    assert re.findall(r'"below" style="--strength:(\d+)%"', html) == ["50"]


def test_hostile_names_are_escaped() -> None:
    html = str(matrices(FOUND, ["ann", HOSTILE_NAME], ["clips/0", "clips/1"], 0.25))
    assert "<img" not in html
    assert "<script" not in html
