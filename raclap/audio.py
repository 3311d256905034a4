"""Any file or array becomes one mono float32 waveform at 16 kHz, or an error that says why not.

Nothing here is random: long audio is cut into fixed windows whose vectors are averaged later,
never cropped at a random place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from numbers import Real
from pathlib import Path

import numpy as np
import soundfile

from raclap.config import InputError

EDITION = 1  # raised when a recording becomes another waveform: what was kept of it is out of date
RATE_HZ = 16_000
MIN_SECONDS = 0.1
MAX_SECONDS = 600.0
MAX_RATE_HZ = 192_000
WINDOW_SECONDS = 15.0
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".aiff", ".aif")

_FRAME = 400  # 25 ms, the grain at which silence is judged
_SILENT_DBFS = -75.0
_QUIET_DBFS = -50.0  # of what the model learned from, hardly a clip in 200 is quieter
_TRIM_DB = 40.0  # below the loud part by this much counts as silence at the ends
_MARGIN = 1_600  # 0.1 s kept around speech: onsets and decays carry style
_LOUD_SECONDS = 0.3  # of a clip beyond 6 s that are its loud part, however long it is silent
_HOT = 2.0  # a peak above it is no clipping, but another scale
_LOUDEST = 1e6  # above any scale that samples are written at; beyond it single precision ends
_OPPOSITE = 100  # channels whose mean has this much less power than one of them cancel each other
_KERNEL = 4_000_000  # numbers in torchaudio's filters: 44,100 Hz takes 70,000, a prime 700,000,000
_UNTOLD = (1 << 63) - 1  # libsndfile's length of FLAC whose header has none: it was streamed
_BLOCK = 1 << 16  # samples decoded at a time: a few bytes may stand for many silent channels


def load(path: str | Path) -> np.ndarray:
    """Read an audio file.

    Args:
        path: wav, flac, mp3, ogg or opus; to 192 kHz, any channel count; 0.1 s to 10 minutes.

    Returns:
        (S,) float32 in about [-1, 1], mono, 16 kHz, untrimmed; of a file that was cut short, what
        is there.

    Raises:
        InputError: no such file, not audio, empty, silent, too short or too long, or a FLAC that
            was cut short.
    """
    path = Path(path)
    try:
        size = path.stat().st_size if path.is_file() else -1
    except OSError:  # a name that no file can have
        size = -1
    if size < 0:
        raise InputError(f"There is no file {path.name[:80]!r}; give the path of an audio file.")
    if size == 0:
        raise InputError(f"{path.name!r} is empty (0 bytes); give an audio file.")
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz = file.samplerate
            # An hour at 192 kHz would take gigabytes: judge by the header, then by what was read.
            _check_rate(rate_hz, path.name)
            # That of an MP3 may be a guess from its first frame.
            if file.format != "MP3" and len(file) != _UNTOLD:
                _check_length(len(file) / rate_hz, path.name)
            samples = mixed(file)
    except InputError:
        raise
    except UnicodeEncodeError as error:  # libsndfile wants names in UTF-8
        raise InputError(
            f"The name of {path.name!r}, or of a folder it is in, is not UTF-8; rename it."
        ) from error
    # A name that ends in .raw is a TypeError: soundfile would have to be told what it holds.
    except (soundfile.LibsndfileError, RuntimeError, OSError, TypeError, ValueError) as error:
        raise InputError(
            f"{path.name!r} cannot be read as audio; wav, flac, mp3, ogg and opus can."
        ) from error
    return from_samples(samples, rate_hz, name=path.name)


def from_samples(samples: np.ndarray, rate_hz: int, *, name: str = "The audio") -> np.ndarray:
    """Bring samples to mono float32 at 16 kHz.

    Args:
        samples: (S,) or (S, C), float in [-1, 1] or any integer type at full scale; floats of
            another scale, with a peak above 2, are brought to a peak of 1, and what is very quiet
            to -50 dBFS where it is loudest.
        rate_hz: sampling rate of ``samples``, a whole number to 192,000.
        name: what to call the audio in an error.

    Returns:
        (S,) float32, mono, 16 kHz.

    Raises:
        InputError: wrong type, shape or rate, not finite, silent, too short or too long.
    """
    try:
        samples = np.asarray(samples)
    except ValueError as error:  # rows of different lengths
        raise InputError(f"{name} is no array of samples; it must be (S,) or (S, C).") from error
    if samples.ndim not in (1, 2) or 0 in samples.shape[1:]:
        raise InputError(
            f"{name} has shape {samples.shape} at {rate_hz} Hz; it must be (S,) or (S, C)."
        )
    if samples.dtype.kind not in "fiub":
        raise InputError(f"{name} holds {samples.dtype}, not samples; give floats or integers.")
    _check_rate(rate_hz, name)
    rate_hz = int(rate_hz)
    _check_length(samples.shape[0] / rate_hz, name)
    if np.issubdtype(samples.dtype, np.integer):
        info = np.iinfo(samples.dtype)
        middle = 0 if info.min < 0 else (int(info.max) + 1) // 2  # unsigned 8-bit rests at 128
        samples = (samples.astype(np.float32) - middle) / (int(info.max) - middle + 1)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is told in the next lines
        samples = samples.astype(np.float32, copy=False)
    if not np.isfinite(samples).all():
        raise InputError(
            f"{name} holds samples that are not numbers (NaN or infinite); export it again."
        )
    if np.abs(samples).max() > _LOUDEST:
        raise InputError(f"{name} has samples above {_LOUDEST:.0e}; full scale is 1.")
    mono = _mono(lambda: [samples]) if samples.ndim == 2 else samples
    if (peak := np.abs(mono).max()) > _HOT:
        mono = mono / peak
    # Zeros at the ends were put there later, and have no offset; a few may be the sound's own.
    zeros = [int((mono[::way] != 0).argmax()) for way in (1, -1)]
    before, after = (count if count > _FRAME else 0 for count in zeros)
    recorded = slice(before, len(mono) - after)
    offset = mono[recorded].mean(dtype=np.float64)
    if 20 * np.log10(abs(offset) + 1e-12) > _SILENT_DBFS:  # it is no sound, but would pass for it
        mono = mono.copy()
        mono[recorded] -= np.float32(offset)
    mono = _resampled(mono, rate_hz)
    if silent(mono):
        raise InputError(f"{name} is silent; record or choose something with a voice in it.")
    return np.ascontiguousarray(_raised(mono), dtype=np.float32)


def mixed(file: soundfile.SoundFile) -> np.ndarray:
    """Read a file's first ten minutes as (S,), one block of all channels at a time."""
    size = max(1, _BLOCK // file.channels)
    # Between blocks soundfile would seek to where it is: MP3 suffers, an untold end is never found.
    file.seekable = lambda: False

    def blocks() -> Iterator[np.ndarray]:
        if file.tell():
            file.seek(0)
        left = int(MAX_SECONDS * file.samplerate) + 1
        while left and len(block := file.read(min(size, left), dtype="float32", always_2d=True)):
            yield block
            left -= len(block)

    return _mono(blocks)


def silent(waveform: np.ndarray) -> bool:
    """Whether a waveform of (S,) at 16 kHz is refused as silent."""
    return _loudest(waveform) < _SILENT_DBFS


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
    return _within(_loud(waveform), 0, len(waveform)) or (0, len(waveform))


def stretches(waveform: np.ndarray) -> list[tuple[int, int]]:
    """Return from where to where a model hears a waveform of (S,) as one.

    What `trim` keeps is one stretch of up to 15 s. More is cut into equal windows, each of which
    is trimmed in turn; where nobody speaks there is none.
    """
    heard = _loud(waveform)
    start, stop = extent(waveform)
    count = max(1, int(np.ceil((stop - start) / (WINDOW_SECONDS * RATE_HZ))))
    if count == 1:
        return [(start, stop)]
    edges = np.linspace(start, stop, count + 1).astype(int).tolist()
    found = [_within(heard, *window) for window in pairwise(edges)]
    return [each for each in found if each]


def spoken(waveform: np.ndarray) -> np.ndarray:
    """Return (S',) what `stretches` leaves of a waveform: all speech, without long silences."""
    return np.concatenate([waveform[start:stop] for start, stop in stretches(waveform)])


def loud_part(levels: np.ndarray, hop_seconds: float) -> float:
    """Return the level above which a clip's loud part is.

    It is the 95th percentile, but of more than 6 s what 0.3 s exceed: otherwise a pause that
    outlasts the speech by far would be taken for the loud part.

    Args:
        levels: (T,) levels or powers.
        hop_seconds: from one to the next.
    """
    share = min(0.05, _LOUD_SECONDS / (len(levels) * hop_seconds))
    return float(np.percentile(levels, 100 * (1 - share)))


def _mono(blocks: Callable[[], Iterable[np.ndarray]]) -> np.ndarray:
    """Mix blocks of (S_i, C) samples into (S,); where channels take each other out, the loudest.

    Args:
        blocks: gives them from the beginning, a second time if need be.
    """
    means, power = [np.zeros(0, np.float32)], np.zeros(1)
    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks():
            means.append(block.mean(axis=1))
            power = power + np.square(block).sum(axis=0, dtype=np.float64)  # (C,)
        mono = np.concatenate(means)
        if np.square(mono).sum(dtype=np.float64) < power.max() / _OPPOSITE:
            loudest = power.argmax()
            mono = np.concatenate([block[:, loudest] for block in blocks()])
    return mono


def _resampled(mono: np.ndarray, rate_hz: int) -> np.ndarray:
    """Bring (S,) samples to 16 kHz."""
    if rate_hz == RATE_HZ:
        return mono
    shared = math.gcd(rate_hz, RATE_HZ)
    up, down = RATE_HZ // shared, rate_hz // shared
    if up * down > _KERNEL:  # torchaudio tabulates a filter for every phase
        from scipy.signal import resample_poly

        return resample_poly(mono, up, down)
    import torch  # a text query needs no audio at all
    from torchaudio.functional import resample

    return resample(torch.from_numpy(np.ascontiguousarray(mono)), rate_hz, RATE_HZ).numpy()


def _raised(mono: np.ndarray) -> np.ndarray:
    """Raise what is quieter than nearly all that a model learned from: it would hear less there."""
    return mono * 10 ** (max(0.0, _QUIET_DBFS - _loudest(mono)) / 20)


def _loudest(waveform: np.ndarray) -> float:
    """The level of the loudest frame of (S,), dBFS."""
    return float(10 * np.log10(_frame_power(waveform).max() + 1e-24))


def _check_rate(rate_hz: float, name: str) -> None:
    whole = isinstance(rate_hz, Real) and math.isfinite(rate_hz) and rate_hz == int(rate_hz)
    if not whole or not 1 <= rate_hz <= MAX_RATE_HZ:
        raise InputError(
            f"{name} is at {rate_hz} Hz; a sampling rate must be a whole number from 1 to "
            f"{MAX_RATE_HZ:,}."
        )


def _check_length(seconds: float, name: str) -> None:
    if seconds < MIN_SECONDS:
        short = math.floor(100 * seconds) / 100  # 0.0999 is not 0.1
        raise InputError(f"{name} lasts {short:.2f} s; at least {MIN_SECONDS} s is needed.")
    if seconds > MAX_SECONDS:  # how much more is not known of what was read so far
        most = f"{MAX_SECONDS / 60:.0f}"
        raise InputError(f"{name} lasts more than {most} minutes; cut it to {most} or less.")


def _loud(waveform: np.ndarray) -> np.ndarray:
    """Whether each 25 ms frame of (S,) is within 40 dB of the loud part."""
    power = _frame_power(waveform)
    return power > loud_part(power, _FRAME / RATE_HZ) * 10 ** (-_TRIM_DB / 10)


def _within(loud: np.ndarray, start: int, stop: int) -> tuple[int, int] | None:
    """Where somebody speaks between two samples, with a margin; None if nobody does."""
    first = start // _FRAME
    places = np.flatnonzero(loud[first : -(-stop // _FRAME)]) + first
    if not places.size:
        return None
    return (
        max(start, int(places[0]) * _FRAME - _MARGIN),
        min(stop, (int(places[-1]) + 1) * _FRAME + _MARGIN),
    )


def _frame_power(waveform: np.ndarray) -> np.ndarray:
    """Mean power of each 25 ms frame; the last, partial one counts too."""
    padded = np.pad(waveform.astype(np.float64), (0, -len(waveform) % _FRAME))
    return np.square(padded.reshape(-1, _FRAME)).mean(axis=1)
