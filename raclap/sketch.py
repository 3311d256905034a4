"""What a page draws of a gallery: each clip's waveform in outline, and its place on a map.

In: a `Gallery`. Out: a `Sketch`, computed once and kept beside the gallery where that can be
written. Deliberately not here: drawing, torch.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from raclap import audio
from raclap.files import keeping
from raclap.index import Gallery

BARS = 64
FILE = "sketch.npz"
_MOST_NEIGHBOURS = 3_000  # t-SNE of more clips takes too long for a first start
_SEED = 0
_SAME = 1e-6  # of unit vectors: less is rounding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sketch:
    """Outlines and places of N clips.

    Attributes:
        peaks: (N, BARS) uint8, the loudest sample of each stretch against the clip's loudest; 0
            throughout where a file cannot be read.
        places: (N, 2) float32 from 0 to 1; what sounds alike lies close.
    """

    peaks: np.ndarray
    places: np.ndarray


def sketch(gallery: Gallery) -> Sketch:
    """Return the sketch of a gallery, from beside it or made anew."""
    key = _key(gallery)
    file = gallery.folder / FILE if gallery.folder else None
    kept = _read(file, key) if file else None
    if kept:
        return kept
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # soundfile decodes outside Python
        peaks = np.stack(list(pool.map(peaks_of, (clip.path for clip in gallery.clips))))
    drawn = Sketch(peaks=peaks, places=places(np.asarray(gallery.vectors)))
    if file:
        with keeping(file) as part, part.open("wb") as opened:
            np.savez(opened, key=np.array(key), peaks=drawn.peaks, places=drawn.places)
    return drawn


def outline(samples: np.ndarray) -> np.ndarray:
    """Return the (BARS,) uint8 peaks of (S,) samples."""
    stretches = np.array_split(samples, BARS)
    loudest = np.array([np.abs(stretch).max(initial=0) for stretch in stretches])
    return np.round(255 * loudest / max(loudest.max(), 1e-9)).astype(np.uint8)


def places(vectors: np.ndarray) -> np.ndarray:
    """Lay clips out on a square, neighbours side by side; the same every time.

    t-SNE (van der Maaten & Hinton 2008) by cosine, or principal components of a gallery too large
    or too small for it.

    Args:
        vectors: (N, D) float32 unit vectors.

    Returns:
        (N, 2) float32 from 0 to 1; 0.5 where nothing differs.
    """
    apart = np.linalg.norm(vectors - vectors[:1], axis=1)
    if len(vectors) < 3 or apart.max() < _SAME:
        return _spread(np.stack([apart, np.zeros_like(apart)], axis=1))
    from sklearn.decomposition import PCA  # sklearn takes a while to import
    from sklearn.manifold import TSNE

    count = len(vectors)
    if 8 <= count <= _MOST_NEIGHBOURS:
        perplexity = min(30.0, (count - 1) / 3)
        flat = TSNE(
            metric="cosine", init="pca", perplexity=perplexity, random_state=_SEED
        ).fit_transform(vectors)
    else:
        dims = min(2, *vectors.shape)
        found = PCA(dims, random_state=_SEED).fit_transform(vectors)
        flat = np.pad(found, ((0, 0), (0, 2 - dims)))
    return _spread(flat)


def _spread(flat: np.ndarray) -> np.ndarray:
    low, span = flat.min(axis=0), np.ptp(flat, axis=0)
    varies = span > _SAME
    return np.where(varies, (flat - low) / np.where(varies, span, 1), 0.5).astype(np.float32)


def peaks_of(path: str) -> np.ndarray:
    """Return the (BARS,) uint8 outline of an audio file; 0 throughout where it cannot be read."""
    try:
        with soundfile.SoundFile(path) as file:
            samples = audio.mixed(file)
    except (OSError, RuntimeError, ValueError):  # gone or damaged since it was indexed
        return np.zeros(BARS, np.uint8)
    return outline(samples)


def _key(gallery: Gallery) -> str:
    names = "\0".join(clip.id for clip in gallery.clips).encode()
    return hashlib.sha256(names + np.asarray(gallery.vectors).tobytes()).hexdigest()


def _read(file: Path, key: str) -> Sketch | None:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            if str(arrays["key"]) != key:
                return None
            return Sketch(peaks=arrays["peaks"], places=arrays["places"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
