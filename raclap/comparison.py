"""Clips held against descriptions, pair by pair.

In: clips, descriptions, a `Reader` and a `Gallery`. Out: a `Comparison`: what the model finds, what
its teacher taught it, and how far the styles truly agree. Deliberately not here: drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from raclap import audio
from raclap.config import InputError, RelationConfig
from raclap.index import Gallery
from raclap.ranking import less
from raclap.reading import Reader, encode_clips, text_vectors
from raclap.relation import relation
from raclap.style import Style, overlap


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Some clips against some descriptions.

    Attributes:
        clips: N names.
        texts: M descriptions.
        similarity: (N, M) float32 cosines, less what a description denies.
        taught: (N, M) float32, the teacher's cosines with what a description wants; the model's
            own where it has no teacher.
        overlap: (N, M) float32, how far the styles agree, 0 to 1; NaN where one is unknown.
    """

    clips: list[str]
    texts: list[str]
    similarity: np.ndarray
    taught: np.ndarray
    overlap: np.ndarray

    @property
    def relation(self) -> np.ndarray:
        """(N, M) float32, the soft targets of the training; each row sums to 1."""
        return self.relation_at(RelationConfig().temperature)

    def relation_at(self, temperature: float) -> np.ndarray:
        """Return (N, M) soft targets; near 0 the best takes all, a high temperature shares out."""
        return relation(torch.from_numpy(self.taught), temperature).numpy()


def compare(
    reader: Reader, gallery: Gallery, clips: Sequence[str | Path], texts: Sequence[str]
) -> Comparison:
    """Hold clips against descriptions.

    Args:
        reader: the model behind the gallery, and its teacher.
        gallery: whose clips may be named by id.
        clips: ids of gallery clips, or audio files.
        texts: descriptions.

    Raises:
        InputError: nothing to compare, an empty text, or no usable audio.
    """
    if not clips or not texts:
        raise InputError("Choose at least one clip and one description to compare.")
    sought, rows = [reader.sought(text) for text in texts], gallery.rows
    wanted = [text for text, _ in sought]
    files = [gallery.clips[rows[clip]].path if clip in rows else str(clip) for clip in clips]
    waveforms = [audio.load(file) for file in files]
    speech = np.stack(
        [
            gallery.vectors[rows[clip]] if clip in rows else reader.hear(waveform)
            for clip, waveform in zip(clips, waveforms, strict=True)
        ]
    )
    similarity = speech @ text_vectors(reader.model, wanted).T
    for scores, (_, unwanted) in zip(similarity.T, sought, strict=True):
        if unwanted:
            scores[:] = less(scores, speech @ reader.against(unwanted))
    teacher = reader.model.teacher
    return Comparison(
        clips=[clip if clip in rows else Path(clip).name for clip in clips],
        texts=[text.strip() for text in texts],
        similarity=similarity,
        taught=encode_clips(teacher, waveforms) @ text_vectors(teacher, wanted).T
        if teacher
        else similarity,
        overlap=_overlaps(
            [gallery.clips[rows[clip]].style if clip in rows else Style() for clip in clips],
            [reader.mentioned(text) for text in texts],
        ),
    )


def _overlaps(clips: Sequence[Style], texts: Sequence[Style]) -> np.ndarray:
    """(N, M) float32 overlaps of styles; NaN for two that have no attribute in common."""
    return np.array(
        [
            [overlap(a, b) if a.known.keys() & b.known.keys() else np.nan for b in texts]
            for a in clips
        ],
        dtype=np.float32,
    )
