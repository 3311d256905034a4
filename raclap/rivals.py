"""Other speech encoders, for their cost alone: random weights take as long as trained ones.

In: waveforms at 16 kHz. Out: functions that bring one all the way to a vector, feature extraction
included. Resampling to a rival's own rate is done beforehand and is not part of its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torchaudio.functional import resample
from transformers import (
    ClapAudioConfig,
    ClapAudioModelWithProjection,
    ClapFeatureExtractor,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WavLMModel,
)

from raclap.audio import RATE_HZ
from raclap.model import RACLAP


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """An encoder to be measured against.

    Attributes:
        prepare: (S,) at 16 kHz to what it is given; not timed.
        encode: that to a vector.
        goal: how many times slower than ours it should be.
        weights: how many it has.
    """

    prepare: Callable[[np.ndarray], np.ndarray]
    encode: Callable[[np.ndarray], torch.Tensor]
    goal: float
    weights: int


def rivals(model: RACLAP) -> dict[str, Rival]:
    """Return the encoders to measure against, by name; ``model`` lends its Whisper encoder."""
    return {
        "Whisper-base padded to 30 s": _whisper(model),
        "CLAP audio tower (HTSAT)": _clap(),
        "WavLM-Large": _wavlm(),
    }


def _whisper(model: RACLAP) -> Rival:
    """The same encoder, in full precision, run as transformers does: always on 30 s."""
    backbone = model.speech.backbone

    def encode(waveform: np.ndarray) -> torch.Tensor:
        given = backbone.mel(waveform, sampling_rate=RATE_HZ, return_tensors="pt")
        with torch.no_grad():  # outside inference mode its layers stay in full precision
            return backbone.encoder(given.input_features).last_hidden_state.mean(1)

    return Rival(prepare=np.asarray, encode=encode, goal=6.0, weights=_size(backbone.encoder))


def _clap() -> Rival:
    """The audio tower of laion/clap-htsat-unfused: 10 s at 48 kHz, shorter clips repeated."""
    tower = ClapAudioModelWithProjection(ClapAudioConfig()).eval()
    features = ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")

    def prepare(waveform: np.ndarray) -> np.ndarray:
        return resample(torch.from_numpy(waveform), RATE_HZ, 48_000).numpy()

    @torch.inference_mode()
    def encode(waveform: np.ndarray) -> torch.Tensor:
        return tower(**features(waveform, sampling_rate=48_000, return_tensors="pt")).audio_embeds

    return Rival(prepare=prepare, encode=encode, goal=2.0, weights=_size(tower))


def _wavlm() -> Rival:
    """WavLM-Large, as ParaSpeechCLAP uses, at the clip's own length, averaged over time."""
    config = WavLMConfig(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
    )
    encoder = WavLMModel(config).eval()
    features = Wav2Vec2FeatureExtractor(do_normalize=True)

    @torch.inference_mode()
    def encode(waveform: np.ndarray) -> torch.Tensor:
        given = features(waveform, sampling_rate=RATE_HZ, return_tensors="pt")
        return encoder(given.input_values).last_hidden_state.mean(1)

    return Rival(prepare=np.asarray, encode=encode, goal=12.0, weights=_size(encoder))


def _size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
