"""What is said about how a clip is spoken: attributes, their values, and how far two styles agree.

In: labels of a corpus and a measured :class:`~raclap.prosody.Prosody`. Out: a :class:`Style`.
Words for these values live in ``wording``, not here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from raclap.prosody import Prosody

ATTRIBUTES = ("gender", "emotion", "intensity", "pitch", "speed", "energy", "phonation")

LEVELS = ("low", "medium", "high")

VALUES: dict[str, tuple[str, ...]] = {
    "gender": ("female", "male"),
    "emotion": (
        # the emotions of acted-speech corpora
        *("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised", "bored"),
        # the finer ones of EmoGator's vocal bursts (Buhl 2023)
        *("adoration", "amusement", "awe", "confusion", "contempt", "contentment", "desire"),
        *("disappointment", "distress", "ecstasy", "elation", "embarrassment", "guilt"),
        *("interest", "pain", "pride", "realization", "relief", "romantic_love", "serenity"),
        *("shame", "surprise_negative", "surprise_positive", "sympathy", "triumph"),
    ),
    "intensity": ("low", "normal", "strong"),
    "pitch": LEVELS,
    "speed": LEVELS,
    "energy": LEVELS,
    "phonation": ("whispered", "voiced"),
}

SIZES = [len(VALUES[attribute]) for attribute in ATTRIBUTES]
EVERY_VALUE = [(attribute, value) for attribute in ATTRIBUTES for value in VALUES[attribute]]

_ALIASES = {
    "neutral": "neutral normal natural",
    "calm": "calmness",
    "happy": "happiness joy joyful hap cheerful laughing",
    "sad": "sadness sorrow sorrowful crying",
    "angry": "anger ang rage",
    "fearful": "fear afraid scared anxiety anxious fea terrified",
    "disgust": "disgusted dis",
    "surprised": "surprise pleasant_surprise pleasant_surprised ps",
    "bored": "boredom",
    "contempt": "contemptuous",
    "confusion": "confused",
    "romantic_love": "love",
    "guilt": "guilty",
    "pain": "pained",
    "awe": "awed",
    "interest": "interested",
}
_CANONICAL = {emotion: emotion for emotion in VALUES["emotion"]} | {
    alias: emotion for emotion, aliases in _ALIASES.items() for alias in aliases.split()
}

# Emotions that share a family agree by half: calling a calm voice serene is half right, not wrong.
_FAMILIES = (
    {"neutral", "calm", "serenity", "contentment", "relief"},
    {"neutral", "bored"},
    {"happy", "elation", "ecstasy", "amusement", "triumph", "pride", "contentment"},
    {"sad", "disappointment", "guilt", "shame", "sympathy"},
    {"shame", "embarrassment", "guilt"},
    {"angry", "contempt", "disgust"},
    {"fearful", "distress", "pain", "surprise_negative"},
    {"surprised", "surprise_positive", "surprise_negative", "awe", "realization"},
    {"adoration", "romantic_love", "desire", "awe", "interest"},
    {"confusion", "realization", "interest"},
)


def canonical_emotion(label: str) -> str:
    """Return the project's name for a corpus's emotion label, or ``""`` when it has none."""
    return _CANONICAL.get(label.strip().lower().replace(" ", "_").replace("-", "_"), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How something is spoken. Each field holds one of ``VALUES`` or ``""`` for unknown."""

    gender: str = ""
    emotion: str = ""
    intensity: str = ""
    pitch: str = ""
    speed: str = ""
    energy: str = ""
    phonation: str = ""

    def __post_init__(self) -> None:
        for attribute in ATTRIBUTES:
            value = getattr(self, attribute)
            if value and value not in VALUES[attribute]:
                allowed = ", ".join(VALUES[attribute])
                raise ValueError(f"{attribute} is {value!r}; it must be one of {allowed}, or empty")

    @property
    def known(self) -> dict[str, str]:
        """The attributes that have a value, in the order of ``ATTRIBUTES``."""
        return {name: value for name in ATTRIBUTES if (value := getattr(self, name))}

    def only(self, names: Iterable[str]) -> Style:
        """Return this style with every attribute outside ``names`` unknown."""
        return Style(**{name: getattr(self, name) for name in names})


def agreement(attribute: str, a: str, b: str) -> float:
    """How far two known values of one attribute agree, from 0 to 1.

    Equal values agree fully. Neighbours on an ordered scale, and emotions of one family, by half.
    """
    if a == b:
        return 1.0
    if attribute in ("pitch", "speed", "energy", "intensity"):
        scale = VALUES[attribute]
        return 0.5 if abs(scale.index(a) - scale.index(b)) == 1 else 0.0
    if attribute == "emotion" and any(a in family and b in family for family in _FAMILIES):
        return 0.5
    return 0.0


# Emotion is what most queries are about and the other attributes correlate with it.
WEIGHTS = dict.fromkeys(ATTRIBUTES, 1.0) | {"emotion": 2.0}


def overlap(a: Style, b: Style) -> float:
    """How far two styles agree, from 0 to 1: the weighted mean over the attributes both know.

    Two styles with nothing in common to compare overlap by 0.
    """
    ours, theirs = a.known, b.known
    shared = [name for name in ours if name in theirs]
    total = sum(WEIGHTS[name] for name in shared)
    if not total:
        return 0.0
    score = sum(WEIGHTS[name] * agreement(name, ours[name], theirs[name]) for name in shared)
    return score / total


# Cut points between low, medium and high: terciles over the training speakers of RAVDESS, nEMO
# and ASED, each corpus weighing the same. They are absolute: one clip cannot know its corpus.
PITCH_HZ = {"female": (217.0, 274.0), "male": (121.0, 185.0)}
SPEED_HZ = (4.0, 4.7)
ENERGY_DB = (-3.4, 3.7)
MIN_NUCLEI = 3  # fewer syllables are too few to speak of a rate
# Voiced share of the speech: in between, a creaky, breathy or noisy clip is neither for certain.
WHISPERED_BELOW, VOICED_FROM = 0.10, 0.30
# Every scale of `levels`: the measured figure, and where its middle begins and ends.
CUTS = (
    ("f0_hz", *PITCH_HZ["female"]),
    ("f0_hz", *PITCH_HZ["male"]),
    ("rate_hz", *SPEED_HZ),
    ("energy_db", *ENERGY_DB),
    ("voiced", WHISPERED_BELOW, VOICED_FROM),
)


def _level(value: float, cuts: tuple[float, float]) -> str:
    return LEVELS[(value >= cuts[0]) + (value >= cuts[1])]


def levels(prosody: Prosody, gender: str = "", phonation: str = "") -> dict[str, str]:
    """Name the measured levels of a clip.

    Args:
        prosody: what was measured.
        gender: ``female`` or ``male``; pitch is judged against that gender's range, so it stays
            unknown when the gender is.
        phonation: what else tells of it; counts where measuring cannot tell.

    Returns:
        ``pitch`` (Hz), ``speed`` (syllable nuclei a second), ``energy`` (vocal effort) and
        ``phonation``; ``""`` where it cannot be told. A whisper has low energy whatever its
        spectrum, which is that of noise and would pass for a shout's.
    """
    voiced = prosody.voiced >= VOICED_FROM
    if voiced or prosody.voiced < WHISPERED_BELOW:
        phonation = "voiced" if voiced else "whispered"
    countable = round(prosody.rate_hz * prosody.seconds) >= MIN_NUCLEI
    return {
        "pitch": _level(prosody.f0_hz, PITCH_HZ[gender]) if gender and voiced else "",
        "speed": _level(prosody.rate_hz, SPEED_HZ) if countable else "",
        "energy": LEVELS[0] if phonation == "whispered" else _level(prosody.energy_db, ENERGY_DB),
        "phonation": phonation,
    }
