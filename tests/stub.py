"""A model without learning: fixed projections of plain features, for the rooms that use a model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile
import torch

from raclap import audio, query
from raclap.style import EVERY_VALUE

DIM = 8
SAD = EVERY_VALUE.index(("emotion", "sad"))


class StubModel:
    """Encodes speech by its band energies and text by its letters; same in, same out."""

    dim = DIM
    scale = 10.0
    vocabulary = frozenset()
    negation = None  # it was not taught what denies
    text = SimpleNamespace(remember=lambda: None)  # nothing it does takes long

    def __init__(self, fingerprint: str = "stub", seed: int = 0, teacher: StubModel | None = None):
        rng = np.random.default_rng(seed)
        self.fingerprint, self.teacher = fingerprint, teacher
        self._ear = rng.normal(size=(16, DIM))
        self._eye = rng.normal(size=(128, DIM))
        self.clips_encoded = self.texts_encoded = 0

    def clean(self, text: str) -> str:
        return query.normalize(text)

    def encode_speech(self, clips: list[str | Path | np.ndarray]) -> torch.Tensor:
        self.clips_encoded += len(clips)
        waveforms = [each if isinstance(each, np.ndarray) else audio.load(each) for each in clips]
        bands = [np.array_split(np.abs(np.fft.rfft(each)), 16) for each in waveforms]
        return _unit(np.log([[band.mean() + 1e-6 for band in each] for each in bands]) @ self._ear)

    def encode_text(
        self, texts: list[str], *, lookup: bool = True, expecting: bool = True
    ) -> torch.Tensor:
        self.texts_encoded += len(texts)
        counts = [np.bincount([ord(c) % 128 for c in text], minlength=128) for text in texts]
        return _unit(np.array(counts) @ self._eye)

    def understand(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """It reads one word, ``xyzzy``, and takes it for sad."""
        told = torch.zeros(len(texts), len(EVERY_VALUE))
        told[:, SAD] = torch.tensor([0.9 * ("xyzzy" in text) for text in texts])
        return self.encode_text(texts), told


def _unit(vectors: np.ndarray) -> torch.Tensor:
    vectors = torch.from_numpy(vectors.astype(np.float32))
    return torch.nn.functional.normalize(vectors, dim=1)


def write_voice(path: Path, f0_hz: float = 150.0, seconds: float = 0.6) -> Path:
    """Write something like a sung vowel: harmonics, a slow swell, a little noise."""
    rng = np.random.default_rng(int(f0_hz))
    time = np.arange(int(seconds * audio.RATE_HZ)) / audio.RATE_HZ
    tone = sum(np.sin(2 * np.pi * f0_hz * n * time) / n for n in range(1, 12))
    samples = 0.1 * tone * (1 + 0.5 * np.sin(8 * np.pi * time)) + rng.normal(0, 1e-3, time.size)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, audio.RATE_HZ)
    return path
