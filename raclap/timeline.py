"""How the style of a longer recording changes from beginning to end.

In: a waveform and a `Reader`. Out: `Moment`s, stretches that overlap by half. Deliberately not
here: the clip as a whole (`reading`), and drawing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raclap import audio, prosody
from raclap.reading import Level, Reader, encode_clips, measured_levels, named_levels

LONG_SECONDS = 6.0  # a shorter clip has one style
_MOMENT_SECONDS = 3.0
_MOST_MOMENTS = 24
_PAUSE = 1e-4  # 40 dB below the mean power


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A stretch of a longer clip.

    Attributes:
        start: seconds from the beginning.
        seconds: its length.
        emotion: value -> probability.
        levels: as of a `Reading`; a stretch without syllables has no speed.
    """

    start: float
    seconds: float
    emotion: dict[str, float]
    levels: dict[str, Level]


def follow(reader: Reader, waveform: np.ndarray) -> list[Moment]:
    """Tell how the style changes within a clip.

    Args:
        reader: tells how a stretch is spoken.
        waveform: (S,) float32 at 16 kHz.

    Returns:
        Stretches of 3 s or more, each half over the one before and at most 24; none for a clip
        of 6 s or less, and none where it is silent.
    """
    total = len(waveform) / audio.RATE_HZ
    if total <= LONG_SECONDS:
        return []
    seconds = max(_MOMENT_SECONDS, 2 * total / (_MOST_MOMENTS + 1))
    count = int(2 * total / seconds) - 1
    size = int(seconds * audio.RATE_HZ)
    starts = np.linspace(0, len(waveform) - size, count).astype(int)
    loud = np.square(waveform).mean() * _PAUSE
    parts = [(at, waveform[at : at + size]) for at in starts]
    spoken = [
        (at, part) for at, part in parts if np.square(part).mean() > loud and not audio.silent(part)
    ]
    vectors = encode_clips(reader.model, [part for _, part in spoken])
    moments = []
    for (at, part), vector in zip(spoken, vectors, strict=True):
        heard, measured = reader.probabilities(vector), prosody.measure(audio.spoken(part))
        named = named_levels(measured, heard)
        moments.append(
            Moment(
                start=at / audio.RATE_HZ,
                seconds=seconds,
                emotion=heard["emotion"],
                levels=measured_levels(measured, named),
            )
        )
    return moments
