"""A trained model's unit vectors become better ones: centred, read, and freed of hubs.

In: unit vectors of clips or of texts. Out: unit vectors of the same width. Three faults that
training leaves, each mended by what is learned of the training clips once the weights stand still:

* All clips lie to one side of the space, all texts to another. Half of each side's mean is taken
  off, as Mu & Viswanath (2018, All-but-the-Top) do with words.
* Some texts are near to every voice and are ranked high for all. Half of what a text has in common
  with any voice is taken off its score (Bogolin et al. 2022, QB-Norm). It travels in a spare
  direction of the space, in which every clip has the same small part.
* Words that training never had, and voices, land between the values that they mean. Each vector is
  read: how likely is each value of each attribute, for a text "does not say" among them. An `Eye`
  reads the text, too, and an `Ear` the emotion of the clip, from what the towers pooled; a glossary
  has its say where a text has words that training never had. What was read is added in directions
  of its own, in which two values lie the nearer the more they agree.

Deliberately not here: how these are learned (``finishing``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from raclap.ear import Ear
from raclap.eye import ANSWERS, Eye, shares
from raclap.style import ATTRIBUTES, SIZES

VOICES = 600  # that stand for any voice
_EMOTION = ATTRIBUTES.index("emotion")
# Chosen on validation clips; each matters little within a factor of two.
_MEAN = 0.5
_READING = 1.0  # weight of what was read, clip by text, beside the cosine
_SHARPNESS = 2.0  # of a clip's reading, beside the model's own temperature
_GLOSSED = 1.5  # of what a glossary has to say, in logarithms, beside what was read
_HUBNESS = 0.5
_SPARE = 0.3  # a clip's part in the spare direction


class Finish(nn.Module):
    """What is done to vectors after both towers; until it is learned it holds zeros.

    Args:
        dim: D.
        heard: I, width of the summaries that the ear hears.
        written: J, width of those that the eye reads.

    Attributes:
        speech_mean: (D,) mean vector of training clips.
        text_mean: (D,) of their descriptions.
        values: (V, D) unit vectors of all values of all attributes, in order.
        places: (V, D) what each value adds to a vector.
        reader: logits of what a text says of each attribute: its values, then nothing.
        eye: reads a text once more; the mean of both counts.
        ear: tells the emotion of a clip.
        spare: (D,) unit vector in which neither clips nor texts differ.
        voices: (``VOICES``, D) centred vectors of training clips.
        usual: what a training description has in common with any voice.
        scale: 1 / temperature.
    """

    def __init__(self, dim: int, heard: int, written: int) -> None:
        super().__init__()
        self.register_buffer("speech_mean", torch.zeros(dim))
        self.register_buffer("text_mean", torch.zeros(dim))
        self.register_buffer("values", torch.zeros(sum(SIZES), dim))
        self.register_buffer("places", torch.zeros(sum(SIZES), dim))
        self.register_buffer("spare", torch.zeros(dim))
        self.register_buffer("voices", torch.zeros(VOICES, dim))
        self.register_buffer("usual", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.reader = nn.Linear(dim, sum(ANSWERS))
        self.eye = Eye(written)
        self.ear = Ear(heard)

    def speech(self, vectors: Tensor, summaries: Tensor) -> Tensor:
        """Finish unit vectors (N, D) of clips, given their summaries (N, I) too."""
        read = normalize(self.heard(vectors, summaries) @ self.places, dim=-1)
        return normalize(self.centred_speech(vectors) + read + _SPARE * self.spare, dim=-1)

    def text(self, vectors: Tensor, summaries: Tensor, evidence: Tensor) -> Tensor:
        """Finish unit vectors (N, D) of texts.

        Args:
            vectors: N texts, as the text tower has them.
            summaries: (N, J), what it pooled of them.
            evidence: (N, V), what `glossary.evidence` says of their new words.
        """
        centred = self.centred_text(vectors)
        excess = self.common(centred) - self.usual  # (N,)
        freed = normalize(centred - (_HUBNESS / _SPARE) * excess[:, None] * self.spare, dim=-1)
        read = glossed(self.told(vectors, summaries), evidence) @ self.places
        # Who mentions little adds little: a text that says nothing has no value to add.
        read = read / read.norm(dim=-1, keepdim=True).clamp(min=1)
        return normalize(freed + _READING * read, dim=-1)

    def heard(self, vectors: Tensor, summaries: Tensor) -> Tensor:
        """Read clips: (N, V) roots of the probabilities of all values."""
        logits = (_SHARPNESS * self.scale * vectors @ self.values.T).split(SIZES, dim=-1)
        found = [part.softmax(-1) for part in logits]
        found[_EMOTION] = self.ear(summaries)
        return torch.cat(found, dim=-1).sqrt()

    def told(self, vectors: Tensor, summaries: Tensor) -> Tensor:
        """Read texts: (N, V) probabilities of all values, which sum to 1 or less by attribute."""
        return (shares(self.reader(self.scale * vectors)) + self.eye(summaries)) / 2

    def centred_speech(self, vectors: Tensor) -> Tensor:
        """Take half of the mean clip off: (N, D) unit vectors."""
        return normalize(vectors - _MEAN * self.speech_mean, dim=-1)

    def centred_text(self, vectors: Tensor) -> Tensor:
        """Take half of the mean text off: (N, D) unit vectors."""
        return normalize(vectors - _MEAN * self.text_mean, dim=-1)

    def common(self, centred: Tensor) -> Tensor:
        """What centred texts (N, D) have in common with any voice: (N,) a soft maximum."""
        nearness = (self.scale * centred @ self.voices.T).logsumexp(-1) - math.log(VOICES)
        return nearness / self.scale


def glossed(told: Tensor, evidence: Tensor) -> Tensor:
    """Weigh what was read (N, V) by evidence (N, V), within each attribute.

    How surely a text says something of an attribute stays; which value it says may change.
    """
    weighed = told * (_GLOSSED * evidence).exp()
    parts = []
    for before, after in zip(told.split(SIZES, dim=-1), weighed.split(SIZES, dim=-1), strict=True):
        total = after.sum(-1, keepdim=True).clamp(min=1e-9)
        parts.append(after * before.sum(-1, keepdim=True) / total)
    return torch.cat(parts, dim=-1)
