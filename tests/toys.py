"""Clips without audio, encoders that deserve known figures, and a real model without learning."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
import torch

from raclap import audio, wording
from raclap.config import preset
from raclap.corpus import Clip
from raclap.essr import Protocol
from raclap.model import RACLAP
from raclap.style import VALUES
from raclap.wording import Description

SMALL = Protocol(draws=4, gallery=60, wordings=3, queries=60, pairs=60, resamples=50)
NAMES = ("gender", "emotion", "intensity", "pitch", "speed", "energy")
AXES = {pair: axis for axis, pair in enumerate((n, v) for n in NAMES for v in VALUES[n])}


def make_clips(count, corpus="ravdess", seed=0):
    rng = random.Random(f"{corpus}{seed}")
    few = VALUES | {"emotion": VALUES["emotion"][:5]}
    return [
        Clip(id=f"{corpus}/{n}", path="", corpus=corpus, **{k: rng.choice(few[k]) for k in NAMES})
        for n in range(count)
    ]


def unit(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def know(texts):
    """Encode texts of the plain wording as the sum of one axis for each value they mention."""
    vectors = np.zeros((len(texts), len(AXES)))
    for vector, text in zip(vectors, texts, strict=True):
        for pair in re.findall(r"(\w+)=(\w+)", text):
            vector[AXES[pair]] = 1
    return unit(vectors)


def hear(clips):
    return know([" ".join(f"{k}={v}" for k, v in clip.style.known.items()) for clip in clips])


def guess(texts):
    """Encode texts as vectors that have nothing to do with what they say."""
    return unit([np.random.default_rng(list(text.encode())).normal(size=32) for text in texts])


def tiny_model():
    """Return an untrained model of the preset tiny, calibrated on noise; the same every time."""
    torch.manual_seed(0)
    model = RACLAP.create(preset("tiny").model)
    rng = np.random.default_rng(0)
    clips = [rng.normal(0, 0.1, audio.RATE_HZ).astype(np.float32) for _ in range(8)]
    frames = [model.speech.lower(clip) for clip in clips]
    with torch.no_grad():
        model.speech.calibrate(
            torch.cat([model.speech.pooled(each) for each in frames]),
            torch.cat([each.prosody for each in frames]),
        )
    return model


@pytest.fixture
def plain_wording(monkeypatch):
    """Replace the grammar by ``unseen .123 gender=male pitch=low``, so that toys can read it."""

    def say(style, rng, pool):
        values = " ".join(f"{name}={value}" for name, value in style.known.items())
        return Description(text=f"{pool} {rng.random()} {values}", style=style)

    def partial(style, rng, *, pool, count):
        return say(style.only(rng.sample(list(style.known), count)), rng, pool)

    monkeypatch.setattr(wording, "describe", lambda style, rng, *, pool: say(style, rng, pool))
    monkeypatch.setattr(wording, "partial", partial)
    monkeypatch.setattr(
        wording,
        "prompts",
        lambda name, value, *, pool: [f"{pool} {name}={value}", f"{name}={value}"],
    )
