"""A trained model's unit vectors become better ones: centred, read, and freed of hubs.

In: unit vectors of clips or of texts. Out: unit vectors of the same width. Three faults that
training leaves, each mended by what is learned of the training clips once the weights stand still:

* All clips lie to one side of the space, all texts to another. Half of each side's mean is taken
  off, as Mu & Viswanath (2018, All-but-the-Top) do with words.
* Words that training never had, and voices, land between the values that they mean. Each vector is
  read: a softmax over the values of each attribute, for a text with "does not say" among them. The
  values it finds are added to it.
* Some texts are near to every voice and are ranked high for all. Half of what a text has in common
  with any voice is taken off its score (Bogolin et al. 2022, QB-Norm). It travels in a spare
  direction of the space, in which every clip has the same small part.

Deliberately not here: how these are learned (``finishing``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from raclap.style import SIZES

VOICES = 600  # that stand for any voice
# Chosen on validation clips; each matters little within a factor of two.
_MEAN = 0.5
_READING = 0.5
_SHARPNESS = 2.0  # of a clip's reading, beside the model's own temperature
_HUBNESS = 0.5
_SPARE = 0.3  # a clip's part in the spare direction


class Finish(nn.Module):
    """What is done to vectors after both towers; until it is learned it holds zeros.

    Args:
        dim: D.

    Attributes:
        speech_mean: (D,) mean vector of training clips.
        text_mean: (D,) of their descriptions.
        values: (V, D) unit vectors of all values of all attributes, in order.
        reader: logits of what a text says of each attribute: its values, then nothing.
        spare: (D,) unit vector in which neither clips nor texts differ.
        voices: (``VOICES``, D) finished vectors of training clips, before ``spare``.
        usual: what a training description has in common with any voice.
        scale: 1 / temperature.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("speech_mean", torch.zeros(dim))
        self.register_buffer("text_mean", torch.zeros(dim))
        self.register_buffer("values", torch.zeros(sum(SIZES), dim))
        self.register_buffer("spare", torch.zeros(dim))
        self.register_buffer("voices", torch.zeros(VOICES, dim))
        self.register_buffer("usual", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.reader = nn.Linear(dim, sum(SIZES) + len(SIZES))

    def speech(self, vectors: Tensor) -> Tensor:
        """Finish unit vectors (N, D) of clips."""
        return normalize(self.heard(vectors) + _SPARE * self.spare, dim=-1)

    def text(self, vectors: Tensor) -> Tensor:
        """Finish unit vectors (N, D) of texts."""
        told = self.told(vectors)
        excess = self.common(told) - self.usual  # (N,)
        return normalize(told - (_HUBNESS / _SPARE) * excess[:, None] * self.spare, dim=-1)

    def heard(self, vectors: Tensor) -> Tensor:
        """Centre and read clips: (N, D)."""
        logits = (_SHARPNESS * self.scale * vectors @ self.values.T).split(SIZES, dim=-1)
        found = torch.cat([part.softmax(-1) for part in logits], dim=-1)
        return self._read(vectors - _MEAN * self.speech_mean, found)

    def told(self, vectors: Tensor) -> Tensor:
        """Centre and read texts: (N, D)."""
        logits = self.reader(self.scale * vectors).split([size + 1 for size in SIZES], dim=-1)
        found = torch.cat([part.softmax(-1)[:, :-1] for part in logits], dim=-1)
        return self._read(vectors - _MEAN * self.text_mean, found)

    def common(self, told: Tensor) -> Tensor:
        """What texts (N, D) have in common with any voice: (N,) a soft maximum of cosines."""
        nearness = (self.scale * told @ self.voices.T).logsumexp(-1) - math.log(VOICES)
        return nearness / self.scale

    def _read(self, centred: Tensor, found: Tensor) -> Tensor:
        """Add the values that were found: (N, V) shares, which sum to 1 or less by attribute."""
        values = found @ normalize(self.values - _MEAN * self.text_mean, dim=-1)
        # Who mentions little adds little: a text that says nothing has no value to add.
        values = values / values.norm(dim=-1, keepdim=True).clamp(min=1)
        return normalize(normalize(centred, dim=-1) + _READING * values, dim=-1)
