"""Clips held against descriptions, pair by pair.

In: clips, descriptions, a `Reader` and a `Gallery`. Out: a `Comparison`: what the model finds, what
its teacher taught it, and how far the styles truly agree. Deliberately not here: drawing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from raclap import audio, prosody
from raclap.config import InputError, RelationConfig
from raclap.index import Gallery
from raclap.ranking import less
from raclap.reading import Reader, encode_clips, text_vectors
from raclap.relation import relation
from raclap.style import WEIGHTS, Style, agreement, levels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Some clips against some descriptions.

    Attributes:
        clips: N names.
        texts: M descriptions.
        similarity: (N, M) float32 cosines, less what a description denies.
        taught: (N, M) float32, the teacher's; the model's own where it has no teacher.
        overlap: (N, M) float32, how far the styles agree, 0 to 1; NaN where one is unknown. What a
            description denies agrees with all other values.
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
    styles = [
        gallery.clips[rows[clip]].style if clip in rows else _measured(waveform)
        for clip, waveform in zip(clips, waveforms, strict=True)
    ]
    similarity = speech @ text_vectors(reader.model, wanted).T
    teacher = reader.model.teacher
    taught = similarity
    if teacher:
        heard = encode_clips(teacher, waveforms)
        taught = heard @ text_vectors(teacher, wanted).T
    named = [reader.named(text) for text in texts]
    denied = [reader.named(unwanted) if unwanted else {} for _, unwanted in sought]
    for m, unwanted in ((m, unwanted) for m, (_, unwanted) in enumerate(sought) if unwanted):
        similarity[:, m] = less(similarity[:, m], speech @ reader.against(unwanted))
        if teacher:
            taught[:, m] = less(taught[:, m], heard @ text_vectors(teacher, [unwanted])[0])
    return Comparison(
        clips=[clip if clip in rows else Path(clip).name for clip in clips],
        texts=[text.strip() for text in texts],
        similarity=similarity,
        taught=taught,
        overlap=np.array(
            [
                [_overlap(style, *said) for said in zip(named, denied, strict=True)]
                for style in styles
            ],
            dtype=np.float32,
        ),
    )


def _measured(waveform: np.ndarray) -> Style:
    """What is known of a recording without labels: no pitch, which is judged by gender."""
    return Style(**levels(prosody.measure(audio.spoken(waveform))))


_Values = Mapping[str, Collection[str]]


def _overlap(clip: Style, wanted: _Values, denied: _Values) -> float:
    """How far a clip agrees with what is wanted and denied; NaN where nothing can be compared."""
    agreed = {
        name: max(agreement(name, value, clip.known[name]) for value in values)
        for name, values in wanted.items()
        if name in clip.known
    }
    for name in (denied.keys() & clip.known.keys()) - wanted.keys():
        agreed[name] = float(clip.known[name] not in denied[name])
    total = sum(WEIGHTS[name] for name in agreed)
    return sum(WEIGHTS[n] * agrees for n, agrees in agreed.items()) / total if total else np.nan
