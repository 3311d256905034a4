"""Hidden states of a pretrained encoder, weighted over layers, pooled over valid time, projected.

In: waveforms or token ids. Out: (B, D) vectors, not yet of unit length. Each tower's encoder is
cut in two: a *lower* part that never trains, whose output may be cached, and an *upper* part.

* speech: Whisper's encoder run at the clip's real length, or wav2vec 2.0, HuBERT, WavLM
* text: BERT, RoBERTa or MPNet, mean-pooled
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu
from transformers import PreTrainedModel, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from raclap import prosody
from raclap.audio import RATE_HZ
from raclap.config import PROSODY_ALONE, InputError, SpeechConfig, TextConfig
from raclap.precision import ATTENTION, reduce
from raclap.style import CUTS, MIN_NUCLEI

# All of a Whisper layer's multiplications by weights, and whether only what rounds again to
# bfloat16 takes their results.
_LINEAR = {f"self_attn.{name}_proj": name != "out" for name in ("q", "k", "v", "out")}
_LINEAR |= {"fc1": True, "fc2": False}
_RECENT = 64  # texts whose states are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """What the lower part of a speech encoder gives for a batch, padded at the end.

    Attributes:
        hidden: (B, T, C) the lower part's last hidden state.
        attended: (B,) frames that belong to the clip, its silent tail included.
        valid: (B,) frames that hold the clip itself; only these are pooled.
        lower: (B, J, 2, H) mean and standard deviation over time of the J states below ``hidden``.
        prosody: (B, P) measured prosody.
    """

    hidden: Tensor
    attended: Tensor
    valid: Tensor
    lower: Tensor
    prosody: Tensor

    @classmethod
    def collate(cls, clips: Sequence[Frames]) -> Frames:
        """Join frames of single clips into one padded batch, in whatever precision they have."""
        return cls(
            hidden=nn.utils.rnn.pad_sequence([c.hidden[0] for c in clips], batch_first=True),
            attended=torch.cat([c.attended for c in clips]),
            valid=torch.cat([c.valid for c in clips]),
            lower=torch.cat([c.lower for c in clips]),
            prosody=torch.cat([c.prosody for c in clips]),
        )

    def on(self, device: torch.device) -> Frames:
        """Return the same in full precision on ``device``, where the tower computes."""
        return Frames(
            hidden=self.hidden.to(device).float(),
            attended=self.attended.to(device),
            valid=self.valid.to(device),
            lower=self.lower.to(device).float(),
            prosody=self.prosody.to(device),
        )

    @classmethod
    def settled(cls, pooled: Tensor, prosody: Tensor) -> Frames:
        """Hold statistics of all states (B, L, 2, H): nothing is left for the upper part."""
        none = torch.zeros(len(pooled), dtype=torch.long)
        hidden = pooled.new_zeros(len(pooled), 0, pooled.shape[-1])
        return cls(hidden=hidden, attended=none, valid=none, lower=pooled, prosody=prosody)


def mask_of(lengths: Tensor, longest: int) -> Tensor:
    """Return (B, T) bool, true where a frame is within its clip's length."""
    return torch.arange(longest, device=lengths.device)[None, :] < lengths[:, None]


def statistics(hidden: Tensor, valid: Tensor) -> Tensor:
    """Pool (B, T, H) over the first ``valid`` (B,) frames into (B, 2, H): mean, deviation."""
    mask = mask_of(valid, hidden.shape[1])[..., None].to(hidden.dtype)  # (B, T, 1)
    count = mask.sum(1).clamp(min=1)
    mean = (hidden * mask).sum(1) / count  # (B, H)
    variance = ((hidden - mean[:, None]).square() * mask).sum(1) / count
    return torch.stack([mean, (variance + 1e-6).sqrt()], dim=1)


class WhisperBackbone(nn.Module):
    """Whisper's encoder at the clip's real length: convolutions, then layers cut in two.

    Padding to 30 s, as Whisper was trained, costs ten times more for a 3 s clip and hears no more.
    """

    def __init__(self, encoder: PreTrainedModel, config: SpeechConfig) -> None:
        super().__init__()
        self.encoder = encoder
        self.cut = min(config.frozen_layers, len(encoder.layers))
        self.tail = int(config.tail_seconds * RATE_HZ)
        self.mel = WhisperFeatureExtractor(feature_size=encoder.config.num_mel_bins)
        reduce(encoder.layers, _LINEAR)
        encoder.set_attn_implementation(ATTENTION)
        self.states, self.width = len(encoder.layers) + 1, encoder.config.d_model

    @property
    def layers(self) -> nn.ModuleList:
        """What takes one hidden state to the next."""
        return self.encoder.layers

    @property
    def frozen(self) -> list[nn.Module]:
        """Modules that never train."""
        return [
            self.encoder.conv1,
            self.encoder.conv2,
            self.encoder.embed_positions,
            *self.encoder.layers[: self.cut],
        ]

    def spectrogram(self, waveform: np.ndarray) -> Tensor:
        """Return the log-mel spectrogram (1, M, T) of (S,) samples and the silent tail."""
        padded = np.pad(waveform, (0, self.tail + -len(waveform) % 320))
        with torch.autocast("cpu", enabled=False):  # the extractor hands its result to numpy
            return self.mel(
                padded, sampling_rate=RATE_HZ, padding="do_not_pad", return_tensors="pt"
            ).input_features.to(self.encoder.conv1.weight)

    def lower(self, waveform: np.ndarray) -> tuple[Tensor, int, Tensor]:
        """Run the frozen part on one clip of (S,) samples.

        Returns:
            hidden (1, T, H), the number of valid frames, and statistics (1, J, 2, H).
        """
        encoder, valid = self.encoder, -(-len(waveform) // 320)
        mel = self.spectrogram(waveform)
        hidden = gelu(encoder.conv2(gelu(encoder.conv1(mel)))).transpose(1, 2)  # (1, T, H)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        length, below = torch.tensor([valid], device=hidden.device), []
        for layer in encoder.layers[: self.cut]:
            below.append(statistics(hidden, length))
            hidden = layer(hidden, None)
        empty = hidden.new_zeros(1, 0, 2, self.width)
        return hidden, valid, torch.stack(below, dim=1) if below else empty

    def upper(self, hidden: Tensor, attended: Tensor) -> Iterator[Tensor]:
        """Yield the hidden states (B, T, H) from the cut to the last layer."""
        mask = mask_of(attended, hidden.shape[1])[:, None, None, :]  # (B, 1, 1, T)
        mask = None if mask.all() else mask.expand(-1, -1, hidden.shape[1], -1)
        layers = self.encoder.layers[self.cut :]
        for layer in layers:
            yield hidden
            hidden = layer(hidden, mask)
        yield self.encoder.layer_norm(hidden) if len(layers) else hidden


class WaveBackbone(nn.Module):
    """wav2vec 2.0, HuBERT or WavLM: the convolutional feature encoder is the frozen lower part.

    The convolutions run clip by clip, because the base models normalise over time, padding
    included, and a clip must get the same vector alone and in a batch.
    """

    def __init__(self, encoder: PreTrainedModel) -> None:
        super().__init__()
        self.encoder = encoder
        encoder.config.layerdrop = 0.0  # a dropped layer would have no hidden state to pool
        encoder.config.apply_spec_augment = False
        self.states, self.width = len(encoder.encoder.layers) + 1, encoder.config.hidden_size

    @property
    def layers(self) -> nn.ModuleList:
        """What takes one hidden state to the next."""
        return self.encoder.encoder.layers

    @property
    def frozen(self) -> list[nn.Module]:
        """Modules that never train."""
        return [self.encoder.feature_extractor]

    def lower(self, waveform: np.ndarray) -> tuple[Tensor, int, Tensor]:
        """Run the convolutions on one clip of (S,) samples; see :meth:`WhisperBackbone.lower`."""
        samples = torch.from_numpy(waveform)[None].to(self.encoder.device, self.encoder.dtype)
        # Below the receptive field of 400 samples there is no frame at all.
        samples = nn.functional.pad(samples, (0, max(0, 400 - samples.shape[1])))
        samples = (samples - samples.mean()) / (samples.var() + 1e-7).sqrt()
        hidden = self.encoder.feature_extractor(samples).transpose(1, 2)  # (1, T, C)
        return hidden, hidden.shape[1], hidden.new_zeros(1, 0, 2, self.width)

    def upper(self, hidden: Tensor, attended: Tensor) -> Iterator[Tensor]:
        """Yield the hidden states (B, T, H) of all transformer layers, the input first."""
        hidden = self.encoder.feature_projection(hidden)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden  # HuBERT returns it bare
        mask = mask_of(attended, hidden.shape[1])
        with _recorded(self.layers) as inputs:
            last = self.encoder.encoder(hidden, attention_mask=mask).last_hidden_state
        yield from [*inputs, last]


@contextmanager
def _recorded(layers: nn.ModuleList) -> Iterator[list[Tensor]]:
    """Collect what enters each layer while the block runs, in this thread alone."""
    inputs: list[Tensor] = []
    own = threading.get_ident()

    def keep(_: nn.Module, args: tuple) -> None:
        if threading.get_ident() == own:  # others encode with the same layers meanwhile
            inputs.append(args[0])

    hooks = [layer.register_forward_pre_hook(keep) for layer in layers]
    try:
        yield inputs
    finally:
        for hook in hooks:
            hook.remove()


def margins(measured: Tensor) -> Tensor:
    """Tell where measured prosody (B, P) lies on the scales that are cut into levels.

    The levels that descriptions speak of are measured, but narrow beside the range of what is
    measured (a medium speed is 4.0 to 4.7 syllables a second), so that a network would blur them.

    Returns:
        (B, M) from -1, below a cut point, to 1, above it: two for each of ``CUTS``, and whether
        there are syllables enough to speak of a rate. Around a cut point it is a slope over about a
        fifth of the way to the next.
    """
    figures = dict(zip(prosody.NAMES, measured.unbind(-1), strict=True))
    syllables = figures["rate_hz"] * figures["seconds"] - (MIN_NUCLEI - 0.5)
    sides = [
        (figures[name] - cut) / (0.1 * (high - low))
        for name, low, high in CUTS
        for cut in (low, high)
    ]
    return torch.stack([*sides, 5 * syllables], dim=-1).tanh()


_MARGINS = 2 * len(CUTS) + 1


class SpeechTower(nn.Module):
    """Waveforms to (B, D), after Sun et al. (2025), section 2.1, with a deviation beside the mean.

    v = W2 relu(W1 [sum_l a_l mean_l ; sum_l b_l std_l ; g(prosody)]), a and b softmax-ed weights,
    g a small network. With ``levels`` it reads :func:`margins`, too, each as far as the pooled
    states open it.
    Statistics are standardised per state and channel with figures of the training clips
    (:meth:`calibrate`): some of Whisper's channels are hundreds of times larger than others.

    Args:
        encoder: a Whisper encoder, or a wav2vec 2.0, HuBERT or WavLM model.
        config: see :class:`SpeechConfig`.
        dim: D.

    Raises:
        InputError: the encoder has no such hidden state as ``config.layers`` asks for.
    """

    def __init__(self, encoder: PreTrainedModel, config: SpeechConfig, dim: int) -> None:
        super().__init__()
        self.config = config
        whisper = isinstance(encoder, WhisperEncoder)
        self.backbone = WhisperBackbone(encoder, config) if whisper else WaveBackbone(encoder)
        states, width = self.backbone.states, self.backbone.width
        if config.layers >= states:
            raise InputError(
                f"SpeechConfig.layers is {config.layers}; this encoder's hidden states are 0 to "
                f"{states - 1}."
            )
        self.layer_weights = nn.Parameter(torch.zeros(2, states))
        self.register_buffer("center", torch.zeros(states, 2, width))
        self.register_buffer("spread", torch.ones(states, 2, width))
        measured = len(prosody.NAMES)
        self.register_buffer("prosody_center", torch.zeros(measured))
        self.register_buffer("prosody_spread", torch.ones(measured))
        inputs = measured + _MARGINS * config.levels
        self.summary_width = 2 * width + inputs
        self.prosody = nn.Sequential(nn.Linear(inputs, 128), nn.GELU(), nn.Linear(128, 128))
        if config.levels:  # a cut point of women's pitch says nothing of a man
            self.gate = nn.Linear(2 * width, _MARGINS)
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)
        self.projection = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(2 * width + 128, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, dim),
        )
        for module in self.backbone.frozen:
            module.requires_grad_(False)

    @torch.no_grad()
    def lower(self, waveform: np.ndarray) -> Frames:
        """Bring one trimmed clip of (S,) samples at 16 kHz to the point where training begins."""
        hidden, valid, below = self.backbone.lower(waveform)
        measured = prosody.measure(waveform).vector() if self.config.prosody else None
        size = len(prosody.NAMES)
        return Frames(
            hidden=hidden,
            attended=torch.tensor([hidden.shape[1]], device=hidden.device),
            valid=torch.tensor([valid], device=hidden.device),
            lower=below,
            prosody=(
                torch.zeros(1, size) if measured is None else torch.from_numpy(measured)[None]
            ).to(hidden.device),
        )

    def pooled(self, frames: Frames) -> Tensor:
        """Return (B, L, 2, H): mean and deviation over valid time of every hidden state."""
        if frames.lower.shape[1] == self.backbone.states:
            return frames.lower
        upper = [
            statistics(state.float(), frames.valid)
            for state in self.backbone.upper(frames.hidden, frames.attended)
        ]
        return torch.cat([frames.lower.float(), torch.stack(upper, dim=1)], dim=1)

    @torch.no_grad()
    def states(self, waveform: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return what :meth:`pooled` pools of one clip: all states, and the measured prosody.

        Args:
            waveform: (S,) samples of a trimmed clip at 16 kHz.

        Returns:
            (L, T, H) hidden states over the T valid frames, and (1, P).
        """
        with _recorded(self.backbone.layers) as inputs:
            frames = self.lower(waveform)
            *_, last = self.backbone.upper(frames.hidden, frames.attended)
        return torch.cat([*inputs, last])[:, : int(frames.valid)].float(), frames.prosody

    def summary(self, pooled: Tensor, measured: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Standardise pooled statistics (B, L, 2, H) and prosody (B, P), and sum over states.

        Returns:
            (B, 2H) statistics, (B, P) prosody, and (B, M) of :func:`margins`, M = 0 without levels.
        """
        pooled = (pooled - self.center) / self.spread
        if self.config.layers == PROSODY_ALONE:
            view = torch.zeros_like(pooled[:, 0])
        elif self.config.layers >= 0:
            view = pooled[:, self.config.layers]  # (B, 2, H)
        else:
            view = torch.einsum("blsh,sl->bsh", pooled, self.layer_weights.softmax(-1))
        heard = (measured - self.prosody_center) / self.prosody_spread
        levels = margins(measured) if self.config.levels else measured[:, :0]
        return view.flatten(1), heard, levels

    def head(self, view: Tensor, heard: Tensor, levels: Tensor) -> Tensor:
        """Turn what :meth:`summary` returns into (B, D)."""
        if self.config.levels:
            heard = torch.cat([heard, 2 * self.gate(view).sigmoid() * levels], dim=-1)
        return self.projection(torch.cat([view, self.prosody(heard)], dim=1))

    def project(self, pooled: Tensor, measured: Tensor) -> Tensor:
        """Turn pooled statistics (B, L, 2, H) and prosody (B, P) into (B, D)."""
        return self.head(*self.summary(pooled, measured))

    def forward(self, frames: Frames) -> Tensor:
        """Turn frames into (B, D)."""
        return self.project(self.pooled(frames), frames.prosody)

    def calibrate(self, pooled: Tensor, measured: Tensor) -> None:
        """Set the standardisation from training clips: (N, L, 2, H) and (N, P)."""
        self.center.copy_(pooled.mean(0))
        self.spread.copy_(pooled.std(0).clamp(min=1e-3))
        self.prosody_center.copy_(measured.mean(0))
        self.prosody_spread.copy_(measured.std(0).clamp(min=1e-3))


class TextTower(nn.Module):
    """Token ids to (B, D): encoder, mean over real tokens, two fully connected layers.

    Args:
        encoder: a BERT, RoBERTa or MPNet model without a pooling head.
        config: see :class:`TextConfig`.
        dim: D.
    """

    def __init__(self, encoder: PreTrainedModel, config: TextConfig, dim: int) -> None:
        super().__init__()
        self.encoder, self.longest = encoder, config.max_tokens
        self._recent: dict[tuple[int, ...], Tensor] | None = None  # token ids -> hidden states
        for layer in encoder.encoder.layer:
            named = [n for n, module in layer.named_modules() if isinstance(module, nn.Linear)]
            reduce([layer], dict.fromkeys(named, False))
        self.projection = nn.Sequential(
            nn.Linear(encoder.config.hidden_size, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, dim),
        )
        for module in self.frozen(config.frozen_layers):
            module.requires_grad_(False)
        shared = getattr(encoder.encoder, "relative_attention_bias", None)
        if shared is not None and config.frozen_layers:
            shared.requires_grad_(False)  # its gradient would come through the frozen layers

    @property
    def summary_width(self) -> int:
        """J, of what `RACLAP.read` pools of a text."""
        return 2 * self.encoder.config.hidden_size

    def frozen(self, layers: int) -> list[nn.Module]:
        """Modules that never train when the lower ``layers`` are frozen.

        Not among them is MPNet's table of relative positions, which all its layers share:
        checkpoints keep it with the upper ones, where it once trained.
        """
        return [self.encoder.embeddings, *self.encoder.encoder.layer[:layers]]

    def pooled(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Return (N, H): the mean over the hidden states of each text's token ids."""
        return torch.stack([states.mean(0) for states in self.states(texts)])

    def remember(self) -> None:
        """Keep the states of what was encoded last; to be called once the weights stand still.

        A query is encoded to tell what it denies, and again to tell what it says.
        """
        self._recent = {}

    def states(self, texts: Sequence[Sequence[int]]) -> Sequence[Tensor]:
        """Return the encoder's last hidden states (T, H) of each text's T token ids."""
        if self._recent is None:
            return self._encoded(texts)
        keys = [tuple(text) for text in texts]
        known = {key: self._recent.get(key) for key in keys}
        if new := [key for key, states in known.items() if states is None]:
            made = dict(zip(new, self._encoded(new), strict=True))
            known |= made
            # Made anew and set at once: other threads may be at it.
            self._recent = dict([*(self._recent | made).items()][-_RECENT:])
        return [known[key] for key in keys]

    def _encoded(self, texts: Sequence[Sequence[int]]) -> Sequence[Tensor]:
        """Encode texts (T each) to states (T, H) each.

        Texts lie one behind the other in rows, in which each attends to itself alone. So only the
        ends of rows are padded, and all that a query is read in takes one pass over the weights.
        """
        rows = [*_rows([len(text) for text in texts], self.longest)]

        def laid(values: Callable[[int], Sequence[int]], padding: int) -> Tensor:
            each = [torch.tensor([v for text in row for v in values(text)]) for row in rows]
            padded = nn.utils.rnn.pad_sequence(each, batch_first=True, padding_value=padding)
            return padded.to(self.encoder.device)  # (R, L)

        owner = laid(lambda text: [text] * len(texts[text]), -1)
        other = owner[:, None, :, None] != owner[:, None, None, :]  # (R, 1, L, L)
        padding = self.encoder.embeddings.position_embeddings.padding_idx
        first = 0 if padding is None else padding + 1
        place = laid(lambda text: range(len(texts[text])), 0)
        hidden = self.encoder(
            input_ids=laid(lambda text: texts[text], 0),
            position_ids=place + first,
            attention_mask=torch.zeros_like(other, dtype=torch.float32).masked_fill(
                other, -torch.inf
            ),
        ).last_hidden_state  # (R, L, H)
        return hidden[owner >= 0].split([len(text) for text in texts])

    def forward(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Turn the token ids of N texts into (N, D)."""
        return self.projection(self.pooled(texts))


def _rows(lengths: Sequence[int], most: int) -> Iterator[range]:
    """Part texts, in order, into rows of up to ``most`` tokens, or of one text that is longer."""
    start, held = 0, 0
    for text, length in enumerate(lengths):
        if held and held + length > most:
            yield range(start, text)
            start, held = text, 0
        held += length
    yield range(start, len(lengths))
