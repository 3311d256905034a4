"""Arithmetic of a search: what is not wanted, what is changed, and how varied an answer is.

In: unit vectors and scores. Out: scores, a vector, rows. Everything is exact and deterministic.
Deliberately not here: models, galleries, clips.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

AGAINST = 1.0
PER_SPEAKER = 2
DUPLICATE = 0.98


def less(wanted: np.ndarray, unwanted: np.ndarray, weight: float = AGAINST) -> np.ndarray:
    """Subtract what a clip has of an unwanted style; a clip that has nothing of it loses nothing.

    Args:
        wanted: (N,) cosines with the query.
        unwanted: (N,) cosines with what is not wanted.
        weight: how much it counts against a clip.

    Returns:
        (N,) wanted - weight * max(0, unwanted).
    """
    return wanted - weight * np.maximum(unwanted, 0)


def blend(start: np.ndarray, directions: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Move a clip's vector in the directions of some changes.

    A direction is a text less a text that says what the clip is like already. The difference keeps
    the change and drops what all texts have in common, which would pull toward their own corner.

    Args:
        start: (D,) unit vector of the clip.
        directions: (M, D), of any length.
        weights: M weights; 0 leaves the clip as it is, 1 counts a change as much as the clip.

    Returns:
        (D,) unit vector of start + sum of weight * direction, directions of unit length.
    """
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    moved = start + np.asarray(weights, dtype=np.float32) @ (directions / np.maximum(lengths, 1e-6))
    return moved / np.maximum(np.linalg.norm(moved), 1e-6)


def varied(vectors: np.ndarray, speakers: Sequence[str], top: int) -> list[int]:
    """Keep the best, but few of one speaker and nothing that sounds the same twice.

    Args:
        vectors: (N, D) unit vectors of the answer, best first.
        speakers: N names; "" is nobody in particular and never too many.
        top: how many at most.

    Returns:
        Places in the answer, in order: at most `PER_SPEAKER` of a speaker, and none whose cosine
        with one that was kept is above `DUPLICATE`.
    """
    kept: list[int] = []
    for place, speaker in enumerate(speakers):
        if len(kept) == top:
            break
        often = speaker and sum(speakers[at] == speaker for at in kept)
        alike = kept and float((vectors[kept] @ vectors[place]).max())
        if not (often and often >= PER_SPEAKER) and not (alike and alike > DUPLICATE):
            kept.append(place)
    return kept
