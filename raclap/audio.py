"""Any file or array becomes one mono float32 waveform at 16 kHz, or an error that says why not.

Nothing here is random: long audio is cut into fixed windows whose vectors are averaged later,
never cropped at a random place.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from raclap.config import InputError

RATE_HZ = 16_000
MIN_SECONDS = 0.1
MAX_SECONDS = 600.0
WINDOW_SECONDS = 15.0
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".aiff", ".aif")

_FRAME = 400  # 25 ms, the grain at which silence is judged
_SILENT_DBFS = -75.0
_TRIM_DB = 40.0  # below the loud part by this much counts as silence at the ends
_MARGIN = 1_600  # 0.1 s kept around speech: onsets and decays carry style


def load(path: str | Path) -> np.ndarray:
    """Read an audio file.

    Args:
        path: wav, flac, mp3, ogg or opus; any rate and channel count; 0.1 s to 10 minutes.

    Returns:
        (S,) float32 in about [-1, 1], mono, 16 kHz, untrimmed.

    Raises:
        InputError: no such file, not audio, empty, truncated, silent, too short or too long.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {path.name!r}; give the path of an audio file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path.name!r} is empty (0 bytes); give an audio file.")
    try:
        with soundfile.SoundFile(path) as file:
            # An hour at 192 kHz would take gigabytes: judge by the header, then by what was read.
            _check_length(len(file) / file.samplerate, path.name)
            most = int(MAX_SECONDS * file.samplerate) + 1
            samples, rate_hz = file.read(most, dtype="float32", always_2d=True), file.samplerate
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path.name!r} cannot be read as audio; wav, flac, mp3, ogg and opus can."
        ) from error
    return from_samples(samples, rate_hz, name=path.name)


def from_samples(samples: np.ndarray, rate_hz: int, *, name: str = "The audio") -> np.ndarray:
    """Bring samples to mono float32 at 16 kHz.

    Args:
        samples: (S,) or (S, C), float in [-1, 1] or any integer type at full scale.
        rate_hz: sampling rate of ``samples``.
        name: what to call the audio in an error.

    Returns:
        (S,) float32, mono, 16 kHz.

    Raises:
        InputError: wrong shape, not finite, silent, too short or too long.
    """
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or 0 in samples.shape[1:] or rate_hz <= 0:
        raise InputError(
            f"{name} has shape {samples.shape} at {rate_hz} Hz; it must be (S,) or (S, C)."
        )
    _check_length(samples.shape[0] / rate_hz, name)
    if np.issubdtype(samples.dtype, np.integer):
        info = np.iinfo(samples.dtype)
        middle = 0 if info.min < 0 else (int(info.max) + 1) // 2  # unsigned 8-bit rests at 128
        samples = (samples.astype(np.float32) - middle) / (int(info.max) - middle + 1)
    samples = samples.astype(np.float32, copy=False)
    if not np.isfinite(samples).all():
        raise InputError(
            f"{name} holds samples that are not numbers (NaN or infinite); export it again."
        )
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    if rate_hz != RATE_HZ:
        import torch  # a text query needs no audio at all
        from torchaudio.functional import resample

        mono = resample(torch.from_numpy(np.ascontiguousarray(mono)), rate_hz, RATE_HZ).numpy()
    loudest = np.sqrt(_frame_power(mono).max())
    if 20 * np.log10(loudest + 1e-12) < _SILENT_DBFS:
        raise InputError(f"{name} is silent; record or choose something with a voice in it.")
    return np.ascontiguousarray(mono, dtype=np.float32)


def trim(waveform: np.ndarray) -> np.ndarray:
    """Cut silence from both ends, keeping 0.1 s around what remains.

    Silence is judged against the clip's own loud part, so that quiet recordings keep their speech.

    Args:
        waveform: (S,) float32 at 16 kHz.

    Returns:
        (S',) a view of ``waveform``, S' <= S.
    """
    start, stop = extent(waveform)
    return waveform[start:stop]


def extent(waveform: np.ndarray) -> tuple[int, int]:
    """Return the samples between which :func:`trim` keeps a waveform of (S,)."""
    power = _frame_power(waveform)
    loud = np.flatnonzero(power > np.percentile(power, 95) * 10 ** (-_TRIM_DB / 10))
    if loud.size == 0:
        return 0, len(waveform)
    start = max(0, int(loud[0]) * _FRAME - _MARGIN)
    return start, min(len(waveform), (int(loud[-1]) + 1) * _FRAME + _MARGIN)


def windows(waveform: np.ndarray) -> list[np.ndarray]:
    """Cut a waveform into equal windows of at most 15 s, in order and without overlap.

    Args:
        waveform: (S,) float32 at 16 kHz.

    Returns:
        One or more (S_i,) views that together are the whole waveform.
    """
    count = max(1, int(np.ceil(len(waveform) / (WINDOW_SECONDS * RATE_HZ))))
    return np.array_split(waveform, count)


def _check_length(seconds: float, name: str) -> None:
    if seconds < MIN_SECONDS:
        raise InputError(f"{name} lasts {seconds:.2f} s; at least {MIN_SECONDS} s is needed.")
    if seconds > MAX_SECONDS:
        raise InputError(
            f"{name} lasts {seconds / 60:.0f} minutes; cut it to {MAX_SECONDS / 60:.0f} or less."
        )


def _frame_power(waveform: np.ndarray) -> np.ndarray:
    """Mean power of each 25 ms frame; the last, partial one counts too."""
    padded = np.pad(waveform.astype(np.float64), (0, -len(waveform) % _FRAME))
    return np.square(padded.reshape(-1, _FRAME)).mean(axis=1)
