"""What is to be said by whom and how: one seed becomes a list of clips to act.

In: a seed, the speakers and a count. Out: `Take` records. Not here: sound.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
INTENSITIES = ("normal", "strong")
LEVELS = ("low", "medium", "high")
WHISPERED_SHARE = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """One synthetic person: a base voice moved to a pitch and a vocal-tract length."""

    name: str
    gender: str
    split: str
    voice: str
    f0_hz: float
    tract: float  # vocal-tract length against the base voice's; above 1 is longer, so darker
    brightness: float  # dB an octave that bring the base voice to an average vocal effort


def _speaker(name: str, split: str, voice: str, *figures: float) -> Speaker:
    gender = {"f": "female", "m": "male"}[name[0]]
    f0_hz, tract, brightness = figures
    return Speaker(
        name=name,
        gender=gender,
        split=split,
        voice=voice,
        f0_hz=f0_hz,
        tract=tract,
        brightness=brightness,
    )


SPEAKERS = (
    _speaker("f1", "train", "hibari-heart", 224, 1.00, 0.0),
    _speaker("f2", "train", "kokoro-alpha", 252, 0.98, -0.4),
    _speaker("f3", "train", "kokoro-gongitsune", 233, 1.03, 2.3),
    _speaker("f4", "valid", "kokoro-tebukuro", 260, 0.96, -1.2),
    _speaker("f5", "test", "kokoro-nezumi", 243, 1.01, 0.0),
    _speaker("m1", "train", "kokoro-kumo", 126, 1.00, 3.3),
    _speaker("m2", "train", "kokoro-kumo-gongitsune", 148, 1.09, 3.8),
    _speaker("m3", "train", "flite-rms", 134, 0.98, 3.2),
    _speaker("m4", "valid", "kokoro-kumo-tebukuro", 140, 1.06, 3.0),
    _speaker("m5", "test", "flite-awb", 152, 1.02, 1.8),
)

GALLERY_SENTENCES = (
    "The train to the city leaves at nine.",
    "There is a letter for you on the table.",
    "She put the keys back in the drawer.",
    "The shop on the corner opens at ten.",
    "They are moving into the house next door.",
    "I left the blue bag beside the window.",
    "He is going to call us after lunch.",
    "The meeting was moved to the second floor.",
    "We walked along the river until noon.",
    "You can see the whole street from here.",
    "The new neighbours have a brown dog.",
    "There were twelve people in the room.",
    "I heard it from my brother this morning.",
    "The book is on the shelf, next to the lamp.",
    "It has been raining since the early afternoon.",
    "Someone is waiting for you at the door.",
    "They painted the kitchen, and then the hall.",
    "The bus stops right in front of the school.",
    "I think I have seen this picture before.",
    "Her sister works at the post office.",
    "We need two more chairs for tonight.",
    "The old bridge is closed until Monday.",
    "He told me about it on the phone.",
    "My coat is in the back of the car.",
)

POOL_SENTENCES = (
    "The last ferry comes back around six.",
    "There are three apples left in the bowl.",
    "He wrote his name at the top of the page.",
    "The garden is behind the yellow house.",
    "We are having soup and bread for dinner.",
    "I put your jacket on the chair.",
    "She is learning to play the piano.",
    "The lights went on all over the town.",
    "They asked me to come a little earlier.",
    "Our teacher has a desk near the wall.",
    "You should look at the other side.",
    "The museum is open every day but Tuesday.",
    "It takes an hour to get to the lake.",
    "I have the tickets here in my pocket.",
    "The children are playing in the yard.",
    "He sold the car, and he bought a bicycle.",
    "There is some paper under the table.",
    "We met them at the station on Friday.",
    "The water in the kettle is almost ready.",
    "I did not know that you lived here.",
    "The man with the hat is my uncle.",
    "She will send the photographs tomorrow.",
    "The road turns left after the farm.",
    "Nobody told me that the door was open.",
)

# Where an emotion usually lies; a clip takes such a level almost half of the time, else any.
USUAL = {
    "neutral": ("medium", "medium", "medium"),
    "calm": ("low", "low", "low"),
    "happy": ("high", "medium", "high"),
    "sad": ("low", "low", "low"),
    "angry": ("high", "high", "high"),
    "fearful": ("high", "high", "medium"),
    "disgust": ("low", "low", "medium"),
    "surprised": ("high", "medium", "medium"),
}
USUAL_SHARE = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One clip to act; pitch, speed and energy are asked for here and measured elsewhere."""

    name: str
    speaker: Speaker
    text: str
    emotion: str
    intensity: str
    phonation: str
    pitch: str
    speed: str
    energy: str


def gallery(seed: int) -> list[Take]:
    """Plan the bundled gallery: 36 takes a speaker, 32 of them every emotion and intensity alike.

    Neutral has no strong form, so its four takes are all normal. Each speaker whispers every
    emotion once: half of them within those 32, the other half as a take of its own in the emotion's
    usual manner, so that a query for a whispering woman or man has five answers in any emotion.
    """
    rng = random.Random(f"gallery {seed}")
    takes = []
    for number, speaker in enumerate(SPEAKERS):
        texts = _dealt(GALLERY_SENTENCES, rng)
        for place, emotion in enumerate(EMOTIONS):
            whispered = rng.randrange(4) if (number + place) % 2 == 0 else None
            for index, (intensity, turn) in enumerate(itertools.product(INTENSITIES, (1, 2))):
                turn = turn + 2 * (emotion == "neutral" and intensity == "strong")
                intensity = "normal" if emotion == "neutral" else intensity
                takes.append(
                    Take(
                        name=f"{speaker.name}-{emotion}-{intensity}-{turn}",
                        speaker=speaker,
                        text=next(texts),
                        emotion=emotion,
                        intensity=intensity,
                        phonation="whispered" if index == whispered else "voiced",
                        **_levels(emotion, rng),
                    )
                )
    return takes + _further_whispers(takes, seed)


def _further_whispers(takes: Sequence[Take], seed: int) -> list[Take]:
    rng = random.Random(f"whispers {seed}")
    heard = {(take.speaker, take.emotion) for take in takes if take.phonation == "whispered"}
    missing = [pair for pair in itertools.product(SPEAKERS, EMOTIONS) if pair not in heard]
    return [
        Take(
            name=f"{speaker.name}-{emotion}-{intensity}-whispered",
            speaker=speaker,
            text=text,
            emotion=emotion,
            intensity=intensity,
            phonation="whispered",
            **dict(zip(("pitch", "speed", "energy"), USUAL[emotion], strict=True)),
        )
        for (speaker, emotion), text in zip(missing, _dealt(GALLERY_SENTENCES, rng), strict=False)
        for intensity in ["normal" if emotion == "neutral" else rng.choice(INTENSITIES)]
    ]


def pool(count: int, splits: Sequence[str], seed: int) -> list[Take]:
    """Plan `count` further takes by the speakers of `splits`, in sentences the gallery has not."""
    rng = random.Random(f"pool {seed}")
    speakers = [speaker for speaker in SPEAKERS if speaker.split in splits]
    texts = _dealt(POOL_SENTENCES, rng)
    takes = []
    for number, (emotion, speaker) in enumerate(
        itertools.islice(itertools.cycle(itertools.product(EMOTIONS, speakers)), count)
    ):
        intensity = "normal" if emotion == "neutral" else rng.choice(INTENSITIES)
        takes.append(
            Take(
                name=f"pool{seed}-{number:05d}-{speaker.name}-{emotion}",
                speaker=speaker,
                text=next(texts),
                emotion=emotion,
                intensity=intensity,
                phonation="whispered" if rng.random() < WHISPERED_SHARE else "voiced",
                **_levels(emotion, rng),
            )
        )
    return takes


def _levels(emotion: str, rng: random.Random) -> dict[str, str]:
    return {
        attribute: usual if rng.random() < USUAL_SHARE else rng.choice(LEVELS)
        for attribute, usual in zip(("pitch", "speed", "energy"), USUAL[emotion], strict=True)
    }


def _dealt(texts: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Deal the sentences like cards, reshuffled whenever they run out."""
    while True:
        yield from rng.sample(texts, len(texts))
