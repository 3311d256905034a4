"""A clip's vector and its measurements become a `Reading`: how it is spoken, in figures and words.

In: a waveform and a model. Out: a probability for every value of every attribute, told from text
alone (zero-shot), measured levels, and descriptions ranked by how well they fit. Deliberately not
here: galleries, and reading of audio files.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from raclap import audio, denial, glossary, prosody, query, style, wording, words
from raclap.config import InputError
from raclap.files import keeping
from raclap.style import ATTRIBUTES, EVERY_VALUE, LEVELS, SIZES, VALUES, Style

if TYPE_CHECKING:
    from raclap.model import RACLAP

_Key, _Value = TypeVar("_Key"), TypeVar("_Value")
_MEASURED = {
    "pitch": ("f0_hz", "Hz"),
    "speed": ("rate_hz", "syllables/s"),
    "energy": ("energy_db", "dB"),
}
# By which the likeness to this attribute's values is lessened before it becomes probabilities
# (temperature scaling, Guo et al. 2017): intensity was told right less often than was claimed.
# Chosen on validation clips; of the other attributes these claim too much nowhere.
_DOUBT = {"intensity": 0.3}
ANYONE = "a person speaking"  # says nothing of a voice
_SURE = 0.7  # probability from which a description is taken to say a value
_TELLING = 0.8  # and a single word to say something of a voice, whatever it is
_REMEMBERED = 1_024  # of each kind: about as many kilobytes
# Attributes that descriptions of a clip mention.
_SAID = (
    ATTRIBUTES,
    ("gender", "emotion"),
    ("gender", "emotion", "intensity", "phonation"),
    ("gender", "pitch", "speed", "energy", "phonation"),
)
# How much of what its values have in common does not count against a clip: with all of it levels
# that are not wanted are found again.
_COMMON = {"pitch": 0.5, "speed": 0.5, "energy": 0.5, "phonation": 1.0}
_SPARE = 3  # descriptions that are encoded beyond those that are asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A measured level: its name, the number behind it, and that number's unit."""

    value: str
    number: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How one clip is spoken.

    Attributes:
        clip: the path as it was given, or ``recording`` for samples.
        seconds: length, silence included.
        attributes: attribute -> value -> probability; the values of one attribute sum to 1.
        levels: measured ``pitch``, ``speed`` and ``energy``; a whisper has speed alone.
        descriptions: (text, cosine), best first.
    """

    clip: str
    seconds: float
    attributes: dict[str, dict[str, float]]
    levels: dict[str, Level]
    descriptions: list[tuple[str, float]]


def encode_clips(model: RACLAP, waveforms: Sequence[np.ndarray]) -> np.ndarray:
    """Return the unit vectors (N, D) float32 of N waveforms, each (S,) at 16 kHz."""
    return np.asarray(model.encode_speech(list(waveforms)), dtype=np.float32)


def text_vectors(
    model: RACLAP, texts: Sequence[str], *, lookup: bool = True, expecting: bool = True
) -> np.ndarray:
    """Return the unit vectors (M, D) float32 of M texts; see `RACLAP.understand` for the rest."""
    encoded = model.encode_text(list(texts), lookup=lookup, expecting=expecting)
    return np.asarray(encoded, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A description: its (D,) unit vector, what it surely says, and how likely it says anything."""

    vector: np.ndarray
    style: Style
    telling: float


class Reader:
    """Tells how clips are spoken by holding their vectors against texts.

    Args:
        model: the model that makes the clips' vectors.
        cache: file that keeps the vectors of all attribute values, so that the next start is
            quick; it is made again when the model or the wording changed.
    """

    def __init__(self, model: RACLAP, cache: Path | None = None) -> None:
        self.model, self._cache = model, cache
        self._heard: dict[bytes, np.ndarray] = {}  # digest of a waveform -> its vector
        self._known: dict[str, np.ndarray] = {}  # candidate description -> its vector
        self._asked: dict[str, Asked] = {}  # by query
        self._parted: dict[str, tuple[str, str]] = {}  # likewise
        self._unwanted: dict[str, np.ndarray] = {}  # description -> what counts against a clip

    @cached_property
    def classes(self) -> dict[str, np.ndarray]:
        """Attribute -> (V, D) unit vectors, one a value: the mean over all wordings of it."""
        prompts = {
            (name, value): [
                text
                for pool in ("seen", "unseen")
                for text in wording.prompts(name, value, pool=pool)
            ]
            for name, value in EVERY_VALUE
        }
        key = hashlib.sha256(
            json.dumps([self.model.fingerprint, glossary.digest(), *prompts.values()]).encode()
        ).hexdigest()
        classes = self._read_cache(key)
        if classes is None:
            means = {at: self._mean(texts) for at, texts in prompts.items()}
            classes = {
                name: np.stack([means[name, value] for value in VALUES[name]])
                for name in ATTRIBUTES
            }
            self._write_cache(key, classes)
        return classes

    def hear(self, waveform: np.ndarray) -> np.ndarray:
        """Return the vector (D,) of a waveform; who asks twice about one clip waits once."""
        key = hashlib.sha256(np.ascontiguousarray(waveform)).digest()
        return _recalled(self._heard, key, lambda: encode_clips(self.model, [waveform])[0])

    def read(self, waveform: np.ndarray, name: str = "recording", top: int = 5) -> Reading:
        """Tell how a clip is spoken.

        Args:
            waveform: (S,) float32 at 16 kHz, as `audio.load` gives it.
            name: what to call it.
            top: how many descriptions at most, 1 or more.
        """
        if top < 1:
            raise InputError(f"The number of descriptions is {top}; it must be 1 or more.")
        vector = self.hear(waveform)
        attributes = self.probabilities(vector)
        measured = prosody.measure(audio.spoken(waveform))
        named = named_levels(measured, attributes)
        return Reading(
            clip=name,
            seconds=len(waveform) / audio.RATE_HZ,
            attributes=attributes,
            levels=measured_levels(measured, named),
            descriptions=self._descriptions(vector, attributes, named, top),
        )

    def parted(self, text: str) -> tuple[str, str]:
        """Part what a description wants from what it wants left out; see `denial.parted`.

        A word that the lexicon does not know is asked of the model.
        """

        def parted() -> tuple[str, str]:
            wanted, unwanted = denial.parted(
                self.model.clean(text),
                reads=lambda word: self.asked(word).telling >= _TELLING,
                told=self.model.denied if self.model.negation else None,
            )
            return (wanted, unwanted) if unwanted else (text, "")

        return _recalled(self._parted, text, parted)

    def sought(self, text: str, without: str = "") -> tuple[str, str]:
        """Part what is searched for from what counts against a clip.

        Args:
            text: a description; what it denies, as in "a man, not angry", is not wanted. It may be
                empty if something is not wanted.
            without: what else is not wanted.

        Returns:
            Two descriptions, the second of which may be empty.

        Raises:
            InputError: both are empty, or one is too long.
        """
        without = query.check_text(without) if without.strip() else ""
        alone = without and not text.strip()
        wanted, denied = ("", "") if alone else self.parted(query.check_text(text))
        unwanted = [denied, without]
        return wanted or ANYONE, ", ".join(part for part in unwanted if part)

    def against(self, unwanted: str) -> np.ndarray:
        """Return the (D,) unit vector whose cosine counts against a clip.

        Of a level or a phonation that is named alone, what that attribute's values have in common
        is taken off: "loud" takes along all that whispers lack, and "whispered" what is calm. Women
        and men are unlike enough, and an emotion has more than one other.
        """

        def encoded() -> np.ndarray:
            (vector,) = text_vectors(self.model, [unwanted], expecting=False)
            named = query.mentioned(self.model.clean(unwanted)).known.keys()
            for attribute in named if len(named) == 1 else ():
                share = _COMMON.get(attribute, 0.0)
                vector = vector - share * self.classes[attribute].mean(axis=0)
            return vector / np.linalg.norm(vector)

        return _recalled(self._unwanted, unwanted, encoded)

    def mentioned(self, text: str) -> Style:
        """Return the values that a description asks for, its spelling mistakes put right."""
        return query.mentioned(self.model.clean(self.parted(text)[0]))

    def named(self, text: str) -> dict[str, tuple[str, ...]]:
        """Return all values that a description asks for, by attribute; see `query.named`."""
        return query.named(self.model.clean(self.parted(text)[0]))

    def asked(self, text: str) -> Asked:
        """Encode a description and read it; who asks twice, as with another filter, waits once."""

        def encoded() -> Asked:
            vectors, told = (np.asarray(each) for each in self.model.understand([text]))
            return Asked(
                vector=vectors[0].astype(np.float32),
                style=surely(told[0]),
                telling=max(float(shares.sum()) for _, shares in _by_attribute(told[0])),
            )

        return _recalled(self._asked, text, encoded)

    def understood(self, text: str) -> Style:
        """Return what a description asks for: what it mentions, else what the model reads in it."""
        wanted = self.parted(text)[0]
        read = self.asked(wanted).style.known if wanted else {}
        return Style(**{**read, **self.mentioned(text).known})

    def probabilities(self, vector: np.ndarray) -> dict[str, dict[str, float]]:
        """Return attribute -> value -> probability for one clip's (D,) vector."""
        told = {}
        for name, vectors in self.classes.items():
            sureness = _DOUBT.get(name, 1.0) * self.model.scale
            logits = (sureness * (vectors @ vector)).astype(np.float64)
            weights = np.exp(logits - logits.max())
            shares = (weights / weights.sum()).tolist()
            told[name] = dict(zip(VALUES[name], shares, strict=True))
        return told

    def _descriptions(
        self,
        vector: np.ndarray,
        attributes: dict[str, dict[str, float]],
        named: dict[str, str],
        top: int,
    ) -> list[tuple[str, float]]:
        """Compose descriptions from what is plausible; (text, cosine), best first."""
        said = dict(_compose(_plausible(attributes, named)))
        # Encoding takes most of the time, so only what will be among the best is encoded.
        likely = sorted(said, key=lambda text: -self._nearness(said[text], vector))
        texts = likely[: top + _SPARE]
        known = {text: self._known.get(text) for text in texts}
        if new := [text for text, encoded in known.items() if encoded is None]:
            known |= zip(new, text_vectors(self.model, new), strict=True)
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            self._known |= {text: known[text] for text in new}
        scores = np.stack([*known.values()]) @ vector
        order = np.argsort(-scores, kind="stable")[:top]
        return [(texts[at], float(scores[at])) for at in order]

    def _nearness(self, said: Style, vector: np.ndarray) -> float:
        """Foretell the cosine between a clip's (D,) vector and a description of ``said``."""
        values = [
            self.classes[name][VALUES[name].index(value)] for name, value in said.known.items()
        ]
        whole = np.sum(values, axis=0)
        return float(whole @ vector / np.linalg.norm(whole))

    def _mean(self, texts: Sequence[str]) -> np.ndarray:
        # Nothing is looked up: clips are told as the benchmark tells them.
        mean = text_vectors(self.model, texts, lookup=False).mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _read_cache(self, key: str) -> dict[str, np.ndarray] | None:
        if self._cache is None:
            return None
        try:
            with np.load(self._cache, allow_pickle=False) as arrays:
                if str(arrays["key"]) != key:
                    return None
                return {name: arrays[name] for name in ATTRIBUTES}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def _write_cache(self, key: str, classes: dict[str, np.ndarray]) -> None:
        if self._cache is not None:
            with keeping(self._cache) as part, part.open("wb") as file:
                np.savez(file, key=np.array(key), **classes)


def _recalled(memory: dict[_Key, _Value], key: _Key, make: Callable[[], _Value]) -> _Value:
    """Return what a memory has, or make it; a full memory, by other threads' too, is emptied."""
    value = memory.get(key)
    if value is None:
        value = make()
        if len(memory) >= _REMEMBERED:
            memory.clear()
        memory[key] = value
    return value


def surely(told: np.ndarray) -> Style:
    """Keep what is told of a text (V,), see `RACLAP.understand`, with a probability of `_SURE`."""
    return Style(
        **{
            name: VALUES[name][int(shares.argmax())]
            for name, shares in _by_attribute(told)
            if shares.max() >= _SURE
        }
    )


def _by_attribute(told: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each attribute, and what is told (V,) of its values."""
    return zip(ATTRIBUTES, np.split(told, np.cumsum(SIZES)[:-1]), strict=True)


def named_levels(measured: prosody.Prosody, heard: dict[str, dict[str, float]]) -> dict[str, str]:
    """Name the levels of a clip of the gender and, where that is not measured, phonation heard."""
    gender, phonation = (likeliest(heard[name])[0] for name in ("gender", "phonation"))
    return style.levels(measured, gender, phonation)


def measured_levels(measured: prosody.Prosody, named: dict[str, str]) -> dict[str, Level]:
    """Return the levels that could be told, with the numbers behind them.

    A whisper is quiet whatever its number, which is that of noise.
    """
    whispered = named["phonation"] == "whispered"
    return {
        level: Level(value=named[level], number=float(getattr(measured, of)), unit=unit)
        for level, (of, unit) in _MEASURED.items()
        if named[level] and not (whispered and level == "energy")
    }


def likeliest(shares: dict[str, float], count: int = 1) -> list[str]:
    """Return the ``count`` most probable values, best first."""
    return sorted(shares, key=shares.__getitem__, reverse=True)[:count]


def _plausible(attributes: dict[str, dict[str, float]], named: dict[str, str]) -> Iterator[Style]:
    """Yield styles near what was heard: likely feelings, then neighbours of measured levels."""
    gender = likeliest(attributes["gender"])[0]
    said = Style(**named, gender=gender)
    emotions, intensities = (
        likeliest(attributes["emotion"], 3),
        likeliest(attributes["intensity"], 2),
    )
    for emotion, intensity in itertools.product(emotions, intensities):
        yield replace(said, emotion=emotion, intensity=intensity)
    best = replace(said, emotion=emotions[0], intensity=intensities[0])
    for name in _MEASURED:
        if named[name]:
            at = LEVELS.index(named[name])
            for near in LEVELS[max(0, at - 1) : at] + LEVELS[at + 1 : at + 2]:
                yield replace(best, **{name: near})


def _compose(styles: Iterator[Style]) -> Iterator[tuple[str, Style]]:
    """Yield a full and some shorter descriptions of each style, and what each says."""
    for each in styles:
        for names in _SAID:
            part = Style(**{name: value for name, value in each.known.items() if name in names})
            if (said := words.notable(part)).known:
                yield words.described(said), said
