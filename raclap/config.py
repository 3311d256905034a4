"""Settings as frozen dataclasses, presets that state them, and strict JSON both ways.

``tiny`` is for tests, ``base`` is the smallest that is of use, ``large`` is what ships: a text
encoder that knows more words. ``paper`` names the encoders of Sun et al. (2025).
An unknown key or an impossible value is an error that names the nearest valid one.
"""

from __future__ import annotations

import difflib
import math
import reprlib
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")

ALL_LAYERS, PROSODY_ALONE = -1, -2  # among the choices of layers


class InputError(ValueError):
    """A user's mistake, told in one sentence: what is wrong, what was found, what to do.

    It stays on one line, even where it quotes what a file or a person has given.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(" ".join(line.strip() for line in sentence.splitlines()))


def _require(ok: bool, owner: object, name: str, allowed: str) -> None:
    if not ok:
        value = getattr(owner, name)
        raise InputError(f"{type(owner).__name__}.{name} is {value!r}; it must be {allowed}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechConfig:
    """The speech tower.

    Attributes:
        encoder: hub name or folder of a Whisper, wav2vec 2.0, HuBERT or WavLM encoder.
        frozen_layers: how many lower layers never train (their output can be cached); Whisper only.
        hidden: width of the projection's hidden layer.
        dropout: on the pooled vector and inside the projection, 0 to 1.
        tail_seconds: silence appended before a Whisper encoder, which expects speech to end.
        layers: -1 for learned weights over all layers; 0.. for that hidden state alone;
            -2 for none, so that only the measured prosody is heard.
        prosody: whether the measured prosody joins the pooled vector.
        levels: whether it comes with where each figure lies between low, medium and high.
    """

    encoder: str = "openai/whisper-base"
    frozen_layers: int = 3
    hidden: int = 768
    dropout: float = 0.2
    tail_seconds: float = 0.5
    layers: int = ALL_LAYERS
    prosody: bool = True
    levels: bool = False

    def __post_init__(self) -> None:
        _require(self.frozen_layers >= 0, self, "frozen_layers", "0 or more")
        _require(self.hidden > 0, self, "hidden", "positive")
        _require(0 <= self.dropout < 1, self, "dropout", "from 0 to below 1")
        _require(0 <= self.tail_seconds <= 5, self, "tail_seconds", "from 0 to 5")
        _require(self.layers >= PROSODY_ALONE, self, "layers", "-2, -1, or a hidden state's number")
        _require(self.prosody or not self.levels, self, "levels", "false without prosody")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """The text tower.

    Attributes:
        encoder: hub name or folder of a BERT, RoBERTa or MPNet encoder.
        layers: how many of its layers are kept, from the lowest on; 0 keeps all.
        frozen_layers: how many lower layers, and the embeddings, never train.
        bits: 8 keeps the encoder's matrices in eight bits an entry, so that the checkpoint of a
            larger encoder stays small; 16 keeps half precision.
        hidden: width of the projection's hidden layer.
        dropout: inside the projection, 0 to 1.
        max_tokens: longer descriptions are cut here.
        clauses: weight of a description's clauses, each encoded by itself, beside the whole.
    """

    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"
    layers: int = 0
    frozen_layers: int = 3
    bits: int = 16
    hidden: int = 512
    dropout: float = 0.1
    max_tokens: int = 96
    clauses: float = 2.0

    def __post_init__(self) -> None:
        _require(self.layers >= 0, self, "layers", "0 or more")
        _require(self.frozen_layers >= 0, self, "frozen_layers", "0 or more")
        _require(self.bits in (8, 16), self, "bits", "8 or 16")
        _require(self.hidden > 0, self, "hidden", "positive")
        _require(0 <= self.dropout < 1, self, "dropout", "from 0 to below 1")
        _require(self.max_tokens >= 8, self, "max_tokens", "8 or more")
        _require(0 <= self.clauses < math.inf, self, "clauses", "0 or more, and finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Both towers and the space they share.

    Attributes:
        dim: D, width of the shared space.
        temperature: where the learnable temperature starts (Radford et al. 2021 use 0.07).
        finished: whether vectors are centred, read and freed of hubs after the towers.
    """

    # A checkpoint that does not say so has no levels: SpeechConfig alone leaves them out.
    speech: SpeechConfig = field(default_factory=lambda: SpeechConfig(levels=True))
    text: TextConfig = field(default_factory=TextConfig)
    dim: int = 256
    temperature: float = 0.07
    finished: bool = False

    def __post_init__(self) -> None:
        _require(self.dim > 0, self, "dim", "positive")
        _require(0.005 <= self.temperature <= 1, self, "temperature", "from 0.005 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationConfig:
    """Stage two: soft relations beside the one-hot targets.

    Attributes:
        kind: what relates a clip and a description: ``cross``, the teacher's similarity of the two
            (Sun et al. 2025); ``likelihood``, how likely the teacher finds it that the clip has all
            that the description mentions, asked attribute by attribute; ``within``, the similarity
            of clip and clip, text and text (SmoothCLAP); ``overlap``, the true overlap of their
            styles, which no teacher could better.
        weight: share of the relation term in the loss, 0 to 1; the contrastive term has the rest.
        temperature: of the similarities when they become targets; likelihoods need none.
        student_temperature: of the student in the relation term; 0 takes its learned one.
        wordings: how many wordings of a style the teacher averages over; 1 is plain
            self-distillation.
    """

    kind: str = "cross"
    weight: float = 0.5
    temperature: float = 0.05
    student_temperature: float = 0.0
    wordings: int = 4

    def __post_init__(self) -> None:
        kinds = ("cross", "likelihood", "within", "overlap")
        _require(self.kind in kinds, self, "kind", f"one of {', '.join(kinds)}")
        student = self.student_temperature
        _require(0 <= student < math.inf, self, "student_temperature", "0 or more, and finite")
        _require(0 <= self.weight <= 1, self, "weight", "from 0 to 1")
        _require(0 < self.temperature < math.inf, self, "temperature", "positive, and finite")
        _require(self.wordings >= 1, self, "wordings", "1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One stage of training.

    Attributes:
        loss: of the pairs: ``infonce`` or ``sigmoid`` (SigLIP).
        positives: ``pair``, each description belongs to its clip alone; ``style``, it fits every
            clip of the batch that has all it mentions, and of two that fit, the clip is rather
            asked for that which fits fewer.
        attributes: weight of the term that asks for each attribute by itself; 0 leaves it out.
        reading: weight of the term that asks each description what it says; 0 leaves it out.
        drills: descriptions of one value each, of all values alike, that a step asks this of beside
            those of its clips.
        epochs: passes over the training clips.
        batch: B, clips in a step, 2 or more: one has nothing to be told apart from.
        head_rate: peak learning rate of pooling, prosody branch, projections and temperature.
        speech_rate: peak learning rate of the speech encoder's unfrozen layers; 0 freezes them.
        text_rate: likewise for the text encoder's.
        weight_decay: of AdamW.
        warmup: share of the steps in which the rates rise.
        partial: share of the descriptions that mention only some of what is known.
        same_corpus: share of the batches drawn from a single corpus, where telling corpora apart
            cannot help.
        copies: versions of each training clip to choose from: 1 is the clip as recorded, more
            adds augmented ones.
        average: decay per step of the moving average of the weights that is kept and validated
            (Polyak & Juditsky 1992); 0 keeps the last weights themselves.
        wordings: fixed wordings of each clip to choose from; 0 words it afresh every time. With a
            frozen text encoder, few wordings are encoded once and then remembered.
        seed: the one number that everything random follows from, below 2 to the 32nd.
    """

    loss: str = "infonce"
    positives: str = "pair"
    attributes: float = 0.0
    reading: float = 0.0
    drills: int = 0
    epochs: int = 2
    batch: int = 128
    head_rate: float = 5e-4
    speech_rate: float = 1e-4
    text_rate: float = 1e-4
    weight_decay: float = 0.02
    warmup: float = 0.1
    partial: float = 0.5
    same_corpus: float = 0.5
    copies: int = 3
    average: float = 0.0
    wordings: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "copies"):
            _require(getattr(self, name) >= 1, self, name, "1 or more")
        _require(self.batch >= 2, self, "batch", "2 or more")
        _require(0 <= self.seed < 2**32, self, "seed", "0 or more and below 2**32")
        _require(self.loss in ("infonce", "sigmoid"), self, "loss", "infonce or sigmoid")
        _require(self.positives in ("pair", "style"), self, "positives", "pair or style")
        rates = ("head_rate", "speech_rate", "text_rate", "weight_decay")
        for name in ("wordings", "attributes", "reading", "drills", *rates):
            _require(0 <= getattr(self, name) < math.inf, self, name, "0 or more, and finite")
        _require(0 <= self.average < 1, self, "average", "from 0 to below 1")
        for name in ("warmup", "partial", "same_corpus"):
            _require(0 <= getattr(self, name) <= 1, self, name, "from 0 to 1")


HEADS = TrainConfig(
    epochs=10,
    copies=1,
    head_rate=5e-4,
    speech_rate=0.0,
    text_rate=0.0,
    average=0.999,
    attributes=1.0,
    reading=1.0,
    positives="style",
    wordings=3,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that decides a trained model: its shape and both stages."""

    model: ModelConfig = field(default_factory=ModelConfig)
    relation: RelationConfig = field(default_factory=RelationConfig)
    ess: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            epochs=9, batch=256, head_rate=1e-3, text_rate=5e-5, partial=0.6, average=0.998
        )
    )
    # Heads over encoders that stay as stage one left them: cheap steps, so there are many.
    ra: TrainConfig = field(default_factory=lambda: HEADS)


def preset(name: str) -> Config:
    """Return the settings called ``name``: ``tiny``, ``base``, ``large`` or ``paper``."""
    if name not in PRESETS:
        raise InputError(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


PRESETS = {
    "tiny": Config(
        model=ModelConfig(
            speech=SpeechConfig(encoder="tiny-whisper", frozen_layers=1, hidden=32, dropout=0.0),
            text=TextConfig(encoder="tiny-bert", frozen_layers=0, hidden=32, dropout=0.0),
            dim=16,
        ),
        ess=TrainConfig(
            epochs=20, batch=8, copies=1, head_rate=5e-3, speech_rate=1e-3, text_rate=1e-3
        ),
        ra=TrainConfig(
            epochs=2, batch=8, copies=1, head_rate=1e-3, speech_rate=0.0, text_rate=1e-3
        ),
    ),
    "base": Config(),
    "large": Config(
        model=ModelConfig(
            text=TextConfig(encoder="sentence-transformers/all-mpnet-base-v2", layers=5, bits=8)
        )
    ),
    "paper": Config(
        model=ModelConfig(
            speech=SpeechConfig(
                encoder="microsoft/wavlm-base-plus", frozen_layers=0, prosody=False
            ),
            text=TextConfig(encoder="FacebookAI/roberta-base", frozen_layers=0),
            dim=512,
        ),
        ess=TrainConfig(head_rate=1e-4, speech_rate=1e-5, text_rate=1e-5),
    ),
}


def to_dict(config: object) -> dict[str, Any]:
    """Return the plain, JSON-ready form of a configuration."""
    return asdict(config)  # type: ignore[call-overload]


def from_dict(kind: type[T], values: dict[str, Any]) -> T:
    """Build a configuration from its plain form.

    Raises:
        InputError: an unknown key (the nearest valid one is named), a wrong type or value.
    """
    types = get_type_hints(kind)
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    built: dict[str, Any] = {}
    for key, value in values.items():
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}."
            raise InputError(f"{kind.__name__} has no setting {key!r}; {hint}")
        wanted = types[key]
        if is_dataclass(wanted) and isinstance(value, dict):
            value = from_dict(wanted, value)
        elif wanted is float and type(value) is int:
            with suppress(OverflowError):  # it stays what it is, and is refused
                value = float(value)
        if type(value) is not wanted:
            raise InputError(
                f"{kind.__name__}.{key} is {reprlib.repr(value)}; it must be of type "
                f"{wanted.__name__}."
            )
        built[key] = value
    return kind(**built)
