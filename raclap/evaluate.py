"""The ESSR benchmark is run on a model, or on its vectors, and becomes one report.

In: clips of the test split and a model, or their vectors. Out: one dictionary that JSON can hold,
whose every figure is ``{"mean", "low", "high"}`` in fractions of one, by section and corpus.
``pooled`` is all clips of speech mixed; vocal bursts are left out of it. What each figure means
is in ``essr``; ``chance`` repeats the sections below each corpus, with what no model at all would
reach. ``confusion`` counts clips: corpus to emotion to what it was taken for. Deliberately not
here: training, and how a report is shown or compared (`results`).
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from raclap import audio, prosody
from raclap.config import InputError
from raclap.corpus import Clip, measured
from raclap.essr import PARTS, SECTIONS, Bench, EncodeText, Protocol, confusion

if TYPE_CHECKING:
    from raclap.model import RACLAP

_CHUNK = 64  # clips decoded at a time
_TEXTS = 1024  # encoded between two steps of the progress bar
_PACKAGES = ("numpy", "torch", "transformers")


def evaluate(model: RACLAP, clips: Sequence[Clip], protocol: Protocol | None = None) -> dict:
    """Run the benchmark on a model.

    Args:
        model: encodes speech and texts.
        clips: the test clips; levels are measured here.
        protocol: how much is drawn.
    """
    clips, speech = listen(model, clips)
    encode = partial(encode_texts, model)
    return report(clips, speech, encode, protocol=protocol, fingerprint=model.fingerprint)


def encode_texts(model: RACLAP, texts: Sequence[str]) -> np.ndarray:
    """Encode many texts, with a progress bar: (M, D) float32 unit vectors of M >= 1.

    Nothing is looked up: what is measured is how words are read that training never had.
    """
    starts = tqdm(range(0, len(texts), _TEXTS), "texts", leave=False, file=sys.stderr)
    chunks = [model.encode_text(texts[start : start + _TEXTS], lookup=False) for start in starts]
    return np.concatenate([chunk.cpu().numpy() for chunk in chunks])


def listen(model: RACLAP, clips: Sequence[Clip]) -> tuple[list[Clip], np.ndarray]:
    """Measure and encode the audio of clips; one that cannot be read is named and left out.

    Returns:
        N clips with their levels, and (N, D) float32 unit vectors.

    Raises:
        InputError: none could be read.
    """
    heard: list[Clip] = []
    vectors: list[np.ndarray] = []
    for start in tqdm(range(0, len(clips), _CHUNK), "clips", leave=False, file=sys.stderr):
        waveforms = []
        for clip in clips[start : start + _CHUNK]:
            try:
                waveforms.append(audio.load(clip.path))
            except InputError as error:
                tqdm.write(f"left out: {error}", file=sys.stderr)
                continue
            heard.append(measured(clip, prosody.measure(audio.spoken(waveforms[-1]))))
        if waveforms:
            vectors.append(model.encode_speech(waveforms).cpu().numpy())
    if not heard:
        raise InputError(f"None of {len(clips)} clips could be read; check the manifest's paths.")
    return heard, np.concatenate(vectors)


def report(
    clips: Sequence[Clip],
    speech: np.ndarray,
    encode_text: EncodeText,
    *,
    protocol: Protocol | None = None,
    fingerprint: str = "",
) -> dict:
    """Run the benchmark on speech vectors.

    Args:
        clips: N clips, styles filled in; those of which nothing is known are left out.
        speech: (N, D) float32 unit vectors.
        encode_text: texts to (n, D) unit vectors; each text is asked for once.
        protocol: how much is drawn.
        fingerprint: of the checkpoint, for the record.

    Raises:
        InputError: if vectors and clips do not match, or a corpus has fewer than two clips.
    """
    protocol = protocol or Protocol()
    speech = np.asarray(speech)
    if speech.ndim != 2 or len(speech) != len(clips) or not np.isfinite(speech).all():
        raise InputError(
            f"Evaluation needs one finite vector for each of {len(clips)} clips, found an array of "
            f"shape {speech.shape}; encode the clips again."
        )
    known = [row for row, clip in enumerate(clips) if clip.style.known]
    clips = [clips[row] for row in known]
    refuse_few(clips)
    bench = Bench(clips, speech[known], encode_text, protocol)
    result: dict = {section: {} for section in (*SECTIONS, "chance", "confusion")}
    for name, rows in bench.groups():
        for part in PARTS:
            for (section, *path), estimate in part(bench, rows).items():
                if math.isfinite(estimate.mean):
                    put(result, (section, name, *path), estimate.plain())
        if confused := confusion(bench, rows):
            put(result, ("confusion", name), confused)
    result["about"] = {
        "checkpoint": fingerprint,
        "manifest": _digest(clips),
        "clips": len(clips),
        **asdict(protocol),
        "versions": {package: version(package) for package in _PACKAGES},
    }
    return result


def refuse_few(clips: Sequence[Clip]) -> None:
    """Refuse a corpus that has a single clip, which nothing can be told apart from."""
    for corpus, count in Counter(clip.corpus for clip in clips).items():
        if count < 2:
            raise InputError(
                f"Corpus {corpus!r} has 1 clip; evaluation needs two or more of known style, so "
                "add some or leave the corpus out."
            )


def put(tree: dict, path: Sequence[str], leaf: dict) -> None:
    """Hang a leaf into nested dictionaries, making those on its way."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = leaf


def _digest(clips: Sequence[Clip]) -> str:
    rows = [[clip.id, clip.corpus, clip.style.known] for clip in clips]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
