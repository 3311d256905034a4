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
  of its own, in which two values lie the nearer the more they agree; to a text also as the vectors
  of its values, so that it lies where other words for the same would.

Deliberately not here: how these are learned (``finishing``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from raclap.ear import Ear
from raclap.eye import ANSWERS, Eye, shares
from raclap.style import ATTRIBUTES, SIZES, VALUES

VOICES = 600  # that stand for any voice
_EMOTION = ATTRIBUTES.index("emotion")
# Chosen on validation clips; each matters little within a factor of two.
_MEAN = 0.5
_READING = 1.0  # weight of what was read, clip by text, beside the cosine
_SHARPNESS = 2.0  # of a clip's reading, beside the model's own temperature
_COMPOSED = 1.0  # weight of the values' own vectors in a text, beside its vector
_TRUST = 0.7  # in what a text is read for, in log odds: readers met words of training alone
_GLOSSED = 1.5  # weight of what a glossary has to say, in logarithms, beside what was read
_UNMOVED = -3.0  # evidence of a glossary that leaves the odds that something is said as they are
_VOICED = 0.3  # how far a voice is expected where nothing is said of phonation
_NEUTRAL = 0.2  # and no emotion where nothing is said of it or of its intensity
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
        usual: what a training description, not composed yet, has in common with any voice.
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

    def text(self, vectors: Tensor, told: Tensor) -> Tensor:
        """Finish unit vectors (N, D) of texts, given what `told` reads in them (N, V)."""
        composed = _at_most_one(told @ self.centred_text(self.values))
        centred = normalize(self.centred_text(vectors) + _COMPOSED * composed, dim=-1)
        excess = self.common(centred) - self.usual  # (N,)
        freed = normalize(centred - (_HUBNESS / _SPARE) * excess[:, None] * self.spare, dim=-1)
        return normalize(freed + _READING * _at_most_one(told @ self.places), dim=-1)

    def heard(self, vectors: Tensor, summaries: Tensor) -> Tensor:
        """Read clips: (N, V) roots of the probabilities of all values."""
        logits = (_SHARPNESS * self.scale * vectors @ self.values.T).split(SIZES, dim=-1)
        found = [part.softmax(-1) for part in logits]
        found[_EMOTION] = self.ear(summaries)
        return torch.cat(found, dim=-1).sqrt()

    def told(self, vectors: Tensor, summaries: Tensor, evidence: Tensor) -> Tensor:
        """Read texts.

        Args:
            vectors: N texts, as the text tower has them.
            summaries: (N, J), what it pooled of them.
            evidence: (N, V), what `glossary.evidence` says of their new words.

        Returns:
            (N, V) probabilities of all values, which sum to 1 or less by attribute.
        """
        read = (shares(self.reader(self.scale * vectors)) + self.eye(summaries)) / 2
        return glossed(read, evidence)

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


def _at_most_one(vectors: Tensor) -> Tensor:
    """Shorten vectors (N, D) to length 1; a text that says little has little to add."""
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1)


def glossed(told: Tensor, evidence: Tensor) -> Tensor:
    """Weigh what was read (N, V) by evidence (N, V), within each attribute and between them.

    Readers are too sure of new words, so the odds that they give are flattened first. Evidence for
    a value raises it above the others of its attribute, and the more there is for any of these, the
    likelier does the text say something of the attribute. Without evidence, throughout 0, nothing
    more is done.
    """
    new = evidence.amin(-1, keepdim=True) < 0  # (N, 1)
    parts = []
    for read, spoken in zip(told.split(SIZES, dim=-1), evidence.split(SIZES, dim=-1), strict=True):
        says = read.sum(-1, keepdim=True)  # (N, 1), the probability that anything is said
        odds = _TRUST * says.clamp(1e-9, 1 - 1e-6).logit()
        odds = odds + new * (spoken.amax(-1, keepdim=True) - _UNMOVED)
        logits = _TRUST * read.clamp(min=1e-9).log() + _GLOSSED * spoken
        parts.append(odds.sigmoid() * logits.softmax(-1))
    return torch.cat(parts, dim=-1)


def overruled(told: Tensor, known: Tensor) -> Tensor:
    """Put what is known (N, V) in the place of what was read, in the attributes that it is of."""
    parts = zip(told.split(SIZES, dim=-1), known.split(SIZES, dim=-1), strict=True)
    return torch.cat(
        [torch.where(sure.any(-1, keepdim=True), sure, read) for read, sure in parts], -1
    )


def expected(told: Tensor) -> Tensor:
    """Add to what is told (N, V) what goes without saying.

    Who asks for no whisper expects none; who names no emotion, nor how strong it is, expects none.
    """
    parts = {n: p.clone() for n, p in zip(ATTRIBUTES, told.split(SIZES, dim=-1), strict=True)}
    unsaid = {name: 1 - part.sum(-1) for name, part in parts.items()}
    unmoved = unsaid["emotion"] * unsaid["intensity"]
    voiced, neutral = VALUES["phonation"].index("voiced"), VALUES["emotion"].index("neutral")
    parts["phonation"][:, voiced] += _VOICED * unsaid["phonation"]
    parts["emotion"][:, neutral] += _NEUTRAL * unmoved
    return torch.cat([*parts.values()], dim=-1)
