"""A small corpus whose sound tells gender and emotion, for a training that can learn."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from raclap.audio import RATE_HZ
from raclap.corpus import Clip

_EMOTIONS = {"sad": (2, 0.98), "angry": (6, 0.4), "happy": (5, 0.8), "calm": (3, 0.95)}
_F0_HZ = {"male": 110, "female": 220}
_SECONDS = 0.9


def hums(folder: Path, splits: Sequence[str]) -> list[Clip]:
    """Write eight clips for each split, of two voices and four emotions, by speakers of its own."""
    return [
        Clip(
            id=(name := f"{gender}-{emotion}-{number}"),
            path=str(_write(folder / f"{name}.wav", gender, emotion, number)),
            corpus="hums",
            split=split,
            speaker=f"{gender}{number}",
            gender=gender,
            emotion=emotion,
            seconds=_SECONDS,
        )
        for number, split in enumerate(splits)
        for gender, emotion in itertools.product(_F0_HZ, _EMOTIONS)
    ]


def history(folder: Path) -> list[dict]:
    """Read the log of a training."""
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def _write(path: Path, gender: str, emotion: str, speaker: int) -> Path:
    """Write a hum whose syllables and brightness tell the emotion, and whose pitch the gender."""
    rate_hz, tilt = _EMOTIONS[emotion]
    time = np.arange(int(_SECONDS * RATE_HZ)) / RATE_HZ
    f0_hz = _F0_HZ[gender] * (1 + 0.04 * speaker) * (1.25 if emotion in ("angry", "happy") else 1)
    tone = sum(np.sin(2 * np.pi * f0_hz * n * time) * tilt**n for n in range(1, 25)) / 6
    hum = tone * (1 - np.cos(2 * np.pi * rate_hz * time)) / 2
    noise = np.random.default_rng(speaker).normal(0, 1e-3, time.size)
    soundfile.write(path, 0.3 * hum + noise, RATE_HZ)
    return path
