"""Which words and which moments make the score of a clip and a description.

In: a model, a waveform or its vector, and a text. Out: an `Account`, contributions of what is said
that add up to the score, and a `Relevance`, the same shared out over words and time. Nothing is
random. Both rest on the Shapley value (Shapley 1953; for models Lundberg & Lee 2017), the one
division of a whole that is complete, symmetric and linear and gives nothing to what adds nothing.
A score is the dot product of two unit vectors, so each is divided by itself and the parts are
multiplied:

* text: v = v0 + sum_w psi_w. A set of phrases is worth the vector of the text with all others left
  out, the empty set that of "a person speaking" (v0, which mentions nothing).
* clip: u = u0 + sum_t phi_t. A set of time windows is worth the vector of their frames pooled
  alone, the empty set that of the average training clip (u0). The measured prosody has no place in
  time and stays as it is, in u0 too.

    u . v = u . v0  +  sum_w psi_w . u0  +  sum_w sum_t psi_w . phi_t
            (rest)     (whole)              (matrix)

By linearity a phrase's psi . u is exactly its Shapley value of the score, and psi . phi_t the
share of it that window t brings in. Within a phrase, words share by a simpler rule
(`word_by_time`). Contributions are against the average: a true word may count below zero where the
model finds it less fitting than "a person speaking", and still, as a rule, for more than in clips
it is false of. Hidden states are computed once, from the whole clip: a frame has heard its
surroundings, so that the borders in time are soft. Deliberately not here: drawing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from raclap import audio, query
from raclap.reading import ANYONE, surely

if TYPE_CHECKING:
    from raclap.model import RACLAP

OTHER = ""  # the attribute of words of which neither lexicon nor model knows what they are about
_MOST_WINDOWS = 10  # in at most 15 s; 2 to the power of this many sets are pooled
_LEAST_SECONDS = 0.25  # shorter windows hold hardly a syllable
_MOST_UNITS = 7  # as many as there are attributes; twice as many texts with each one more
_MOST_PIECES = 8  # rows of one unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a description says of one thing, and what that adds to the score.

    Attributes:
        attribute: what the words are about, as the lexicon has it, or the model reads them;
            ``""`` if neither knows.
        value: what they say of it, ``""`` for such words.
        words: the words, ``…`` where others stand between them.
        contribution: cosine that they add; negative where they do not fit the clip.
    """

    attribute: str
    value: str
    words: str
    contribution: float

    @property
    def name(self) -> str:
        """The words, and what they are about."""
        return f"{self.attribute}: {self.words}" if self.attribute else f"“{self.words}”"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A score as a sum: ``rest`` and the contributions of all ``parts``.

    Attributes:
        score: cosine of clip and description.
        parts: in the order of the text.
        rest: cosine with a description that says nothing, "a person speaking".
    """

    score: float
    parts: tuple[Part, ...]
    rest: float

    def steps(self) -> list[tuple[str, float]]:
        """What adds up to the score, ``rest`` first, under names for a picture."""
        said = [(part.name, part.contribution) for part in self.parts]
        return [(f"“{ANYONE}”", self.rest), *said]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relevance:
    """A score shared out: ``rest``, ``whole.sum()`` and ``matrix.sum()`` add up to it.

    Attributes:
        score: cosine of clip and description.
        words: W words, or groups of words, in the order of the text.
        edges: (T + 1,) borders of the windows in seconds of the clip as given.
        matrix: (W, T) float32 cosine that a word adds through a window.
        whole: (W,) float32 cosine that a word adds through nothing in particular: what it has in
            common with the average clip and with this clip's measured prosody.
        moments: (T,) float32 cosine that a window adds to the score, that of saying nothing
            included.
        rest: see `Account`.
    """

    score: float
    words: tuple[str, ...]
    edges: np.ndarray
    matrix: np.ndarray
    whole: np.ndarray
    moments: np.ndarray
    rest: float

    @property
    def seconds(self) -> np.ndarray:
        """(T,) centres of the windows."""
        return (self.edges[:-1] + self.edges[1:]) / 2


@dataclass(frozen=True, slots=True)
class _Unit:
    """Words of a text, by their places, that come and go together."""

    attribute: str
    value: str
    places: tuple[int, ...]


def accounts(model: RACLAP, clips: np.ndarray, text: str) -> list[Account]:
    """Account for the scores of some clips.

    A part is what the text says of one attribute, all words that the lexicon does not know are
    another one; if the model surely reads one thing in these, that is what they are about. Where
    the lexicon knows no word the words themselves are the parts, neighbours joined if there are
    more than seven. Contributions are exact Shapley values.

    Args:
        model: encodes the text with each set of parts left out, at most 256 texts.
        clips: (N, D) unit vectors.
        text: a description.
    """
    words, units = _units(model, text)
    nothing, shares = _divided(model, words, units)
    rest = clips.astype(np.float64) @ nothing  # (N,)
    added = clips.astype(np.float64) @ shares.T  # (N, U)
    return [
        Account(
            score=float(rest[n] + added[n].sum()),
            parts=tuple(
                Part(
                    attribute=unit.attribute,
                    value=unit.value,
                    words=_label(words, unit.places),
                    contribution=float(contribution),
                )
                for unit, contribution in zip(units, added[n], strict=True)
            ),
            rest=float(rest[n]),
        )
        for n in range(len(clips))
    ]


def word_by_time(model: RACLAP, waveform: np.ndarray, text: str) -> Relevance:
    """Say which words of a description fit a clip, and when.

    Windows are equal, at least 0.25 s, and at most ten in what the model hears as one (15 s). A
    part of `accounts` that has several words is divided among them: each gets the mean of what it
    adds first and what it adds last (its Shapley value if words act at most in pairs) and an equal
    share of what is then missing. So the rows of a part add up to its contribution.

    Args:
        model: hears the clip once, and encodes the texts that `accounts` needs and two a word.
        waveform: (S,) float32 at 16 kHz, untrimmed.
        text: a description.
    """
    words, units = _units(model, text)
    nothing, shares = _divided(model, words, units)
    pieces, rows = _spread(model, words, units, nothing, shares)  # (W, D)
    edges, empty, moments = _heard(model, waveform)
    clip, said = empty + moments.sum(0), nothing + rows.sum(0)  # (D,) each
    return Relevance(
        score=float(clip @ said),
        words=tuple(_label(words, piece) for piece in pieces),
        edges=edges,
        matrix=(rows @ moments.T).astype(np.float32),
        whole=(rows @ empty).astype(np.float32),
        moments=(moments @ said).astype(np.float32),
        rest=float(clip @ nothing),
    )


def shapley(values: np.ndarray) -> np.ndarray:
    """Divide what all players reach together (Shapley 1953), by counting over all sets.

    Args:
        values: (2**n, D) what each set of players is worth; bit k of a row's number says whether
            player k is in the set.

    Returns:
        (n, D) shares; they add up to ``values[-1] - values[0]``.
    """
    players = len(values).bit_length() - 1
    inside = np.arange(len(values))[None] >> np.arange(players)[:, None] & 1  # (n, 2**n)
    others = inside.sum(0) - inside
    weight = np.array([1 / (players * math.comb(players - 1, k)) for k in range(players)])
    return np.where(inside, 1, -1) * weight[others] @ values


# ---------------------------------------------------------------------------------- the text


def _units(model: RACLAP, text: str) -> tuple[list[str], list[_Unit]]:
    """Split a text, once cleaned, into words, and these into what is said of each attribute."""
    text = model.clean(text)
    words = text.split() or [text]
    ends = np.cumsum([len(word) + 1 for word in words])  # single spaces: the text was cleaned
    owner: dict[int, str] = {}
    values: dict[str, str] = {}
    for mention in query.mentions(text):
        first, last = np.searchsorted(ends, [mention.start, mention.stop - 1], side="right")
        for place in range(first, last + 1):
            if owner.setdefault(place, mention.attribute) == mention.attribute:
                values.setdefault(mention.attribute, mention.value)
    if not owner:
        runs = np.array_split(np.arange(len(words)), min(len(words), _MOST_UNITS))
        return words, [_Unit(OTHER, "", tuple(run.tolist())) for run in runs]
    places: dict[str, list[int]] = {}
    for place in range(len(words)):
        places.setdefault(owner.get(place, OTHER), []).append(place)
    named = OTHER
    if OTHER in places:  # what the lexicon does not know, the model may read
        others = " ".join(words[place] for place in places[OTHER])
        read = surely(np.asarray(model.understand([others])[1][0])).known
        if len(read) == 1 and not read.keys() & places.keys():
            [(named, values[OTHER])] = read.items()
    return words, [
        _Unit(named if name == OTHER else name, values.get(name, ""), tuple(at))
        for name, at in places.items()
    ]


def _divided(
    model: RACLAP, words: Sequence[str], units: Sequence[_Unit]
) -> tuple[np.ndarray, np.ndarray]:
    """Divide a text's vector: (D,) of a text that says nothing, and (U, D) of the units."""
    sets = [
        [place for k, unit in enumerate(units) if chosen >> k & 1 for place in unit.places]
        for chosen in range(2 ** len(units))
    ]
    vectors = _encoded(model, words, sets)
    return vectors[0], shapley(vectors)


def _spread(
    model: RACLAP,
    words: Sequence[str],
    units: Sequence[_Unit],
    nothing: np.ndarray,
    shares: np.ndarray,
) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """Divide each unit's share among its words: W places in order of the text, and (W, D)."""
    everything = nothing + shares.sum(0)
    found: list[tuple[tuple[int, ...], np.ndarray]] = []
    for unit, share in zip(units, shares, strict=True):
        runs = np.array_split(unit.places, min(len(unit.places), _MOST_PIECES))
        pieces = [tuple(run.tolist()) for run in runs]
        if len(pieces) == 1:
            found.append((pieces[0], share))
            continue
        without = [sorted(set(range(len(words))) - set(piece)) for piece in pieces]
        vectors = _encoded(model, words, [*pieces, *without])
        first, last = vectors[: len(pieces)] - nothing, everything - vectors[len(pieces) :]
        rows = (first + last) / 2
        found += zip(pieces, rows + (share - rows.sum(0)) / len(rows), strict=True)
    found.sort(key=lambda pair: pair[0])
    return [piece for piece, _ in found], np.stack([row for _, row in found])


def _encoded(model: RACLAP, words: Sequence[str], sets: Sequence[Sequence[int]]) -> np.ndarray:
    """Return (N, D) float64 of the text with only some of its words; none of them say nothing."""
    texts = [
        " ".join(words[place] for place in sorted(chosen)) if chosen else ANYONE for chosen in sets
    ]
    return model.encode_text(texts).numpy().astype(np.float64)


def _label(words: Sequence[str], places: Sequence[int]) -> str:
    """Join words, with an ellipsis where others stand between them, bare of outer punctuation."""
    bare = {place: words[place].strip(",.;:!?") or words[place] for place in places}
    text = bare[places[0]]
    for before, place in pairwise(places):
        text += f"{' ' if place == before + 1 else ' … '}{bare[place]}"
    return text


# ---------------------------------------------------------------------------------- the clip


@torch.inference_mode()
def _heard(model: RACLAP, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide a clip's vector in time: (T + 1,) edges in seconds, (D,) of no time, (T, D)."""
    stretches = audio.stretches(waveform)
    edges, total, empty, moments = [stretches[0][0] / audio.RATE_HZ], 0.0, 0.0, []
    for start, stop in stretches:
        if start / audio.RATE_HZ > edges[-1] + 1e-3:  # where nobody speaks nothing is added
            edges.append(start / audio.RATE_HZ)
            moments.append(np.zeros((1, model.dim)))
        states, prosody = model.speech.states(waveform[start:stop])
        seconds, frames = (stop - start) / audio.RATE_HZ, states.shape[1]
        count = int(min(_MOST_WINDOWS, max(1, seconds // _LEAST_SECONDS), frames))
        borders = np.linspace(0, frames, count + 1).round().astype(int)
        vectors = _pooled(model, states, prosody, borders).numpy().astype(np.float64) * seconds
        empty, total = empty + vectors[0], total + vectors[-1]
        moments.append(shapley(vectors))
        edges += (edges[-1] + borders[1:] / frames * seconds).tolist()
    # A long clip's vector is the mean over its windows, brought to length one by a factor that is
    # taken as given.
    length = np.linalg.norm(total)
    return np.array(edges), empty / length, np.concatenate(moments) / length


def _pooled(model: RACLAP, states: Tensor, prosody: Tensor, borders: np.ndarray) -> Tensor:
    """Return (2**T, D): unit vectors of all sets of windows, as if they were the whole clip.

    Args:
        model: its speech tower projects.
        states: (L, F, H) hidden states of F frames.
        prosody: (1, P).
        borders: (T + 1,) frames at which windows begin and end.
    """
    tower, (layers, _, width) = model.speech, states.shape
    middle = states.mean(1, keepdim=True)  # (L, 1, H); sums of squares are exact near the mean
    pieces = [(states - middle)[:, a:b] for a, b in pairwise(borders.tolist())]
    sums = torch.stack([piece.sum(1) for piece in pieces]).flatten(1)  # (T, L * H)
    squares = torch.stack([piece.square().sum(1) for piece in pieces]).flatten(1)
    lengths = torch.from_numpy(np.diff(borders)).float()
    numbers = torch.arange(2 ** len(pieces))[:, None]
    inside = (numbers >> torch.arange(len(pieces)) & 1).float()  # (2**T, T)
    vectors = []
    for chosen in inside.split(256):
        count = (chosen @ lengths).clamp(min=1)[:, None]
        mean = chosen @ sums / count
        spread = (chosen @ squares / count - mean.square()).clamp(min=0) + 1e-6
        mean = mean.view(-1, layers, width) + middle[:, 0]
        pooled = torch.stack([mean, spread.sqrt().view_as(mean)], dim=2)  # (_, L, 2, H)
        pooled[chosen.sum(1) == 0] = tower.center
        vectors.append(model.speech_vectors(pooled, prosody.expand(len(pooled), -1)))
    return torch.cat(vectors)
