"""Acting: a neutral utterance becomes the same sentence in an asked style, through WORLD.

In: neutral samples and a `Direction`. Out: acted samples at 16 kHz. The emotion recipes follow what
Juslin & Laukka (2003) gathered about vocal expression; the textures that tell emotions of equal
level apart (tremor, creak, roughness, syllable accents, breaths) are our own choice in that spirit.
Not here: who says what (plan.py), base voices (voices.py), files (make.py).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, fields, replace

import numpy as np
import pyworld
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.signal import butter, find_peaks, sosfilt

RATE_HZ = 16000
FRAME_SECONDS = 0.005

# Asked level -> offset in semitones, articulation rate in syllables a second, tilt in dB an octave.
PITCH_OFFSET = {"low": -4.2, "medium": 0.0, "high": 4.6}
SYLLABLE_RATE = {"low": 3.5, "medium": 5.5, "high": 8.0}
EFFORT_TILT = {"low": -3.2, "medium": 0.0, "high": 3.2}
SHORTEST_SECONDS = 1.15  # of speech; faster than that, a short sentence is a mere burst


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an emotion does to a voice; every default means: leave it as it was."""

    pitch: float = 0.0  # semitones
    spread: float = 1.0  # factor on the utterance's own F0 movement
    tempo: float = 1.0  # factor on syllables a second
    tilt: float = 0.0  # dB an octave above 500 Hz
    breath: float = 0.0  # 0..1, share of the periodic part turned to noise
    smooth: float = 0.0  # 0..1, how far F0 movement is ironed out
    slope: float = 0.0  # semitones over the utterance
    final: float = 0.0  # semitones over the last fifth
    accent: float = 0.0  # semitones of rise (fall, if negative) inside each syllable
    punch: float = 0.0  # dB between a syllable's attack and its end
    stretch: float = 0.0  # extra length of syllable nuclei, as a share
    tremor: float = 0.0  # semitones, 5 to 8 Hz
    rough: float = 0.0  # 0..1, amplitude modulation at 35 to 60 Hz
    creak: float = 0.0  # 0..1, irregular low pulses towards the end
    formant: float = 0.0  # share by which formants move up
    nasal: float = 0.0  # dB dip near 900 Hz
    ring: float = 0.0  # dB around 3 kHz: the edge of a hard voice
    decay: float = 0.0  # dB lost over the utterance
    uneven: float = 0.0  # 0..1, irregular tempo
    pauses: float = 0.0  # expected number of added pauses
    gasp: float = 0.0  # chance of an audible breath in before speaking
    sigh: float = 0.0  # chance of an audible breath out afterwards
    chuckle: float = 0.0  # chance of a breathy laugh before or afterwards

    def scaled(self, amount: float) -> Recipe:
        """Move every field `amount` of the way from neutral to this recipe (above 1: beyond)."""
        neutral = Recipe()
        values = {
            field.name: getattr(neutral, field.name)
            + amount * (getattr(self, field.name) - getattr(neutral, field.name))
            for field in fields(self)
        }
        return Recipe(**values)


RECIPES = {
    "neutral": Recipe(),
    "calm": Recipe(
        pitch=-1.5, spread=0.65, tempo=0.84, tilt=-1.2, breath=0.38, smooth=0.9, slope=0.5,
        punch=-4.0, stretch=0.22, final=-1.0,
    ),
    "happy": Recipe(
        pitch=3.0, spread=1.4, tempo=1.08, tilt=1.2, slope=0.8, accent=5.5, punch=-2.0,
        formant=0.075, final=2.5, chuckle=0.6,
    ),
    "sad": Recipe(
        pitch=-1.8, spread=0.5, tempo=0.76, tilt=-1.8, breath=0.35, smooth=0.3, slope=-3.8,
        final=-1.5, accent=-1.0, decay=8.0, pauses=1.3, sigh=0.65, stretch=0.15, formant=-0.02,
    ),
    "angry": Recipe(
        pitch=2.2, spread=1.25, tempo=1.12, tilt=2.6, breath=-0.6, accent=-5.0, punch=12.0,
        rough=0.45, slope=-0.8, final=-2.0, ring=7.0,
    ),
    "fearful": Recipe(
        pitch=4.0, spread=0.6, tempo=1.16, tilt=0.2, breath=0.35, tremor=1.0, uneven=0.45,
        slope=1.2, pauses=0.8, gasp=0.2, formant=0.02,
    ),
    "disgust": Recipe(
        pitch=-1.8, spread=0.9, tempo=0.84, tilt=0.6, breath=-0.1, slope=-4.0, stretch=0.6,
        creak=0.75, formant=-0.065, nasal=10.0, accent=-1.6, final=-1.5,
    ),
    "surprised": Recipe(
        pitch=3.2, spread=1.6, tempo=1.05, tilt=0.6, slope=-1.5, final=9.0, accent=1.0,
        breath=0.12, gasp=0.8, stretch=0.1,
    ),
}  # fmt: skip
AMOUNT = {"normal": 0.9, "strong": 1.55}
# Actors put more voice into a strong version of any emotion: dB an octave.
INTENSITY_TILT = {"normal": -0.5, "strong": 1.3}
# Levels are asked for on their own, so an emotion keeps only part of its own level.
OWN_LEVEL = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """How one clip is to be spoken, and by whom."""

    text: str
    f0_hz: float
    tract: float
    brightness: float
    emotion: str
    intensity: str
    phonation: str
    pitch: str
    speed: str
    energy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """WORLD's view of a neutral utterance: T frames of 5 ms, F spectral bins.

    Attributes:
        semitones: (T,), F0 against the utterance's median, filled through unvoiced frames.
        voiced: (T,), bool.
        spectrum: (T, F), log power envelope.
        noise: (T, F), aperiodicity 0..1.
        level: (T,), dB against the loudest frame.
        nuclei: (K,), frames of syllable nuclei.
    """

    semitones: np.ndarray
    voiced: np.ndarray
    spectrum: np.ndarray
    noise: np.ndarray
    level: np.ndarray
    nuclei: np.ndarray


def analyse(samples: np.ndarray) -> Utterance:
    """Take a neutral utterance, shape (S,), float64, 16 kHz, apart."""
    f0, times = pyworld.harvest(samples, RATE_HZ, f0_floor=60, f0_ceil=520, frame_period=5.0)
    f0 = pyworld.stonemask(samples, f0, times, RATE_HZ)
    power = pyworld.cheaptrick(samples, f0, times, RATE_HZ)
    noise = pyworld.d4c(samples, f0, times, RATE_HZ)
    voiced = f0 > 0
    semitones = 12 * np.log2(np.where(voiced, f0, 1) / np.median(f0[voiced]))
    frames = np.arange(len(f0))
    # Some base voices sing and some drone: bring their liveliness nearer to each other.
    liveliness = np.clip((2.6 / semitones[voiced].std()) ** 0.7, 0.5, 1.6)
    semitones = np.interp(frames, frames[voiced], np.clip(semitones[voiced] * liveliness, -8, 8))
    level = 10 * np.log10(power.sum(axis=1) + 1e-12)
    level = np.maximum(gaussian_filter1d(level, 4) - level.max(), -60)
    nuclei, _ = find_peaks(np.where(voiced, level, -60), distance=18, prominence=2.0, height=-28)
    return Utterance(
        semitones=gaussian_filter1d(semitones, 1.5),
        voiced=voiced,
        spectrum=np.log(power + 1e-12),
        noise=noise,
        level=level,
        nuclei=nuclei,
    )


def act(utterance: Utterance, direction: Direction, rng: np.random.Generator) -> np.ndarray:
    """Speak a neutral utterance as directed.

    Args:
        utterance: From `analyse`.
        direction: The style asked for.
        rng: Source of the clip's own variation.

    Returns:
        Samples, shape (S,), float64, 16 kHz, RMS about 0.05, peak at most 0.7.
    """
    whispered = direction.phonation == "whispered"
    # Without F0 the other means have to carry more.
    amount = AMOUNT[direction.intensity] * (1.25 if whispered else 1.0)
    recipe = _varied(RECIPES[direction.emotion].scaled(amount), rng)
    places = _timing(utterance, direction, recipe, rng)
    near = np.rint(places).astype(int)
    frames = len(places)
    voiced = utterance.voiced[near]
    phase, stress = (values[near] for values in _syllables(utterance))
    moving = voiced & (utterance.level[near] > -35)
    progress = np.cumsum(moving) / max(1, moving.sum())

    movement = _melody(utterance.semitones, recipe, places, progress, phase * stress, rng)
    tremor, wobble = _tremor(recipe.tremor, frames, rng)
    movement = movement + tremor
    height = PITCH_OFFSET[direction.pitch] + OWN_LEVEL * recipe.pitch + rng.normal(0, 0.5)
    f0 = direction.f0_hz * 2 ** ((height + movement) / 12)
    f0 = _creaked(f0, recipe.creak, progress, rng)
    ceiling = 520 if direction.f0_hz > 160 else 340
    f0 = np.where(voiced, np.clip(f0, 58, ceiling), 0.0)

    spectrum = _between(utterance.spectrum, places)
    formants = (1 + recipe.formant) / direction.tract
    if whispered:
        # The melody survives as a slight movement of the formants, as in real whisper.
        formants = 1.04 * formants * (1 + np.clip(0.014 * (movement + 0.4 * height), -0.1, 0.1))
    spectrum = _warped(spectrum, np.broadcast_to(formants, frames))
    effort = EFFORT_TILT[direction.energy] + OWN_LEVEL * recipe.tilt + rng.normal(0, 0.3)
    if direction.emotion != "neutral":
        effort += INTENSITY_TILT[direction.intensity]
    tilt = effort + direction.brightness
    if whispered:
        spectrum = gaussian_filter1d(spectrum, 9, axis=1)  # open glottis: wide formants
        tilt = effort + 0.3 * direction.brightness - 1.0  # noise is bright as it is
    spectrum = spectrum + _colour(spectrum.shape[1], tilt, recipe, whispered, voiced)
    gain = wobble - recipe.decay * progress + recipe.punch * stress * (0.5 - phase)
    spectrum = spectrum + (gaussian_filter1d(gain, 2) * np.log(10) / 10)[:, None]

    breath = recipe.breath + {"low": 0.15, "medium": 0.0, "high": -0.1}[direction.energy]
    noise = _breathy(_between(utterance.noise, places), breath)
    if whispered:
        f0, noise = np.zeros(frames), np.ones_like(noise)
    samples = pyworld.synthesize(
        f0, np.exp(spectrum), np.ascontiguousarray(noise), RATE_HZ, frame_period=5.0
    )
    if recipe.rough > 0 and not whispered:
        samples = _roughened(samples, recipe.rough, rng)
    return _placed(samples, recipe, effort, rng)


def syllables(text: str) -> int:
    """Count the syllables of English text roughly: groups of vowel letters, silent e aside."""
    words = re.findall(r"[a-z']+", text.lower())
    return sum(
        max(1, len(re.findall(r"[aeiouy]+", re.sub(r"(?<=[^aeiouyl])e(d|s)?$", "", word))))
        for word in words
    )


def _varied(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Give one clip its own version of a recipe: each deviation from neutral times 0.82 to 1.18."""
    neutral = Recipe()
    return replace(
        neutral,
        **{
            field.name: getattr(neutral, field.name)
            + rng.uniform(0.82, 1.18) * (getattr(recipe, field.name) - getattr(neutral, field.name))
            for field in fields(recipe)
        },
    )


def _timing(
    utterance: Utterance, direction: Direction, recipe: Recipe, rng: np.random.Generator
) -> np.ndarray:
    """Choose, for every frame to be spoken, the place in the neutral utterance it comes from."""
    speaking = utterance.level > -35
    neutral_rate = syllables(direction.text) / (speaking.sum() * FRAME_SECONDS)
    rate = SYLLABLE_RATE[direction.speed] * recipe.tempo**OWN_LEVEL * np.exp(rng.normal(0, 0.05))
    rate = min(rate, syllables(direction.text) / SHORTEST_SECONDS)
    length = np.full(len(speaking), np.clip(neutral_rate / rate, 0.42, 2.0))
    nucleus = np.zeros(len(speaking))
    nucleus[utterance.nuclei] = 1
    bump = gaussian_filter1d(nucleus, 8)
    bump = bump / max(bump.max(), 1e-9)
    # Lengthened nuclei must not slow the whole: the asked rate stays, the rhythm changes.
    rhythm = 1 + 1.6 * recipe.stretch * bump
    if recipe.uneven > 0:
        drift = gaussian_filter1d(rng.normal(size=len(speaking)), 30)
        rhythm = rhythm * np.exp(recipe.uneven * 0.8 * drift / drift.std())
    length = length * rhythm / (rhythm[speaking].mean() / (1 + 0.35 * recipe.stretch))
    length = np.clip(length, 0.35, 3.0)
    for valley in _valleys(utterance, rng.poisson(max(0.0, recipe.pauses)), rng):
        length[valley] += rng.uniform(0.15, 0.40) / FRAME_SECONDS
    ends = np.cumsum(length)
    places = np.interp(np.arange(0.5, ends[-1]), ends, np.arange(len(length)))
    return np.clip(places, 0, len(length) - 1)


def _valleys(utterance: Utterance, count: int, rng: np.random.Generator) -> np.ndarray:
    """Pick up to `count` quiet frames inside the utterance, where a pause breaks no sound."""
    found, _ = find_peaks(-utterance.level, distance=40, height=16)
    inside = found[(found > 40) & (found < len(utterance.level) - 60)]
    quietest = inside[np.argsort(utterance.level[inside])][: 2 * count]
    return rng.permutation(quietest)[:count]


def _syllables(utterance: Utterance) -> tuple[np.ndarray, np.ndarray]:
    """Return, a frame, the phase 0..1 inside its syllable and that syllable's stress 0..1."""
    frames = len(utterance.level)
    nuclei = utterance.nuclei if len(utterance.nuclei) else np.array([frames // 2])
    cuts = [
        left + int(np.argmin(utterance.level[left:right]))
        for left, right in itertools.pairwise(nuclei)
    ]
    edges = np.array([max(0, nuclei[0] - 25), *cuts, min(frames, nuclei[-1] + 40)])
    height = utterance.level[nuclei] + 1.2 * utterance.semitones[nuclei]
    weight = np.interp(height, [height.min() - 1e-6, height.max()], [0.35, 1.0])
    phase, stress = np.full(frames, 0.5), np.zeros(frames)
    for start, stop, value in zip(edges[:-1], edges[1:], weight, strict=True):
        phase[start:stop] = np.linspace(0, 1, stop - start)
        stress[start:stop] = value
    return phase, gaussian_filter1d(stress, 3)


def _melody(
    semitones: np.ndarray,
    recipe: Recipe,
    places: np.ndarray,
    progress: np.ndarray,
    climb: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Build the F0 movement in semitones: the sentence's own, the phrase's and the syllables'."""
    own = _between(semitones, places)
    smooth = np.clip(recipe.smooth, 0, 1)
    own = (1 - smooth) * own + smooth * gaussian_filter1d(own, 30)
    late = np.clip((progress - rng.uniform(0.70, 0.78)) / 0.22, 0, 1)
    if recipe.final > 0:
        # A rise replaces the fall that ends a statement, and starts from where the voice was.
        own = own * (1 - late)
    phrase = recipe.slope * (progress - 0.5) + recipe.final * late**1.2
    syllable = recipe.accent * (climb - climb.mean())
    return max(0.15, recipe.spread) * own + phrase + gaussian_filter1d(syllable, 3)


def _tremor(depth: float, frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a shaking voice's F0 in semitones and its level in dB."""
    rate_hz = rng.uniform(5.5, 7.5) * (1 + 0.12 * gaussian_filter1d(rng.normal(size=frames), 20))
    angle = 2 * np.pi * np.cumsum(rate_hz) * FRAME_SECONDS + rng.uniform(0, 2 * np.pi)
    return depth * np.sin(angle), 3.2 * depth * np.sin(angle + 0.8)


def _creaked(
    f0: np.ndarray, amount: float, progress: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Let the voice fall into irregular low pulses over the last part of the utterance."""
    if amount <= 0:
        return f0
    depth = np.clip((progress - (1 - 0.55 * min(amount, 1.2))) / 0.15, 0, 1)
    flutter = rng.normal(0, 1.6, len(f0)) * min(amount, 1.2)
    low = np.maximum(f0 * 0.5, 62) * 2 ** (uniform_filter1d(flutter, 3) / 12)
    return f0 ** (1 - depth) * low**depth


def _between(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Read frames at fractional places."""
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, len(values) - 1)
    share = (places - below).reshape(-1, *[1] * (values.ndim - 1))
    return (1 - share) * values[below] + share * values[above]


def _warped(spectrum: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Move formants up by `factor` (T,) a frame: a shorter vocal tract, spread lips."""
    bins = np.arange(spectrum.shape[1])
    return np.stack(
        [np.interp(bins / f, bins, row) for f, row in zip(factor, spectrum, strict=True)]
    )


def _colour(
    bins: int, tilt: float, recipe: Recipe, whispered: bool, voiced: np.ndarray
) -> np.ndarray:
    """Return the log-power colouring of vocal effort, nasality, hardness and whisper, (T, F)."""
    hertz = np.linspace(0, RATE_HZ / 2, bins)
    octaves = np.log2(np.clip(hertz, 300, 5000) / 500)
    mouth = 0.45 * recipe.nasal * np.exp(-(((hertz - 270) / 120) ** 2))
    mouth = mouth - recipe.nasal * np.exp(-(((hertz - 900) / 260) ** 2))
    mouth = mouth + recipe.ring * np.exp(-(((hertz - 3000) / 700) ** 2))
    # Effort brightens the voice itself much more than the hiss of its consonants.
    share = gaussian_filter1d(np.where(voiced, 1.0, 0.35), 2)
    rows = mouth + tilt * share[:, None] * octaves
    if whispered:
        # A whisper has no glottal pulse: little below 500 Hz and a flatter slope above.
        flat = 1.5 * np.log2(np.clip(hertz, 500, 4000) / 1000) - 14
        flat = flat + 9.0 * np.log2(np.clip(hertz, 60, 550) / 550)
        rows[voiced] += flat
    return rows * np.log(10) / 10


def _breathy(noise: np.ndarray, breath: float) -> np.ndarray:
    """Raise aperiodicity by `breath`, more above 1 kHz; lower it when negative (pressed voice)."""
    hertz = np.linspace(0, RATE_HZ / 2, noise.shape[1])
    if breath < 0:
        return noise * (1 + 0.6 * max(breath, -1))
    share = min(breath, 0.85) * np.clip(
        0.25 + 0.75 * np.log2(np.maximum(hertz, 1) / 500) / 2, 0.15, 1
    )
    return 1 - (1 - noise) * (1 - share)


def _roughened(samples: np.ndarray, depth: float, rng: np.random.Generator) -> np.ndarray:
    """Modulate amplitude fast and irregularly, as pressed shouting does."""
    drift = gaussian_filter1d(rng.normal(size=len(samples) // 160 + 2), 3)
    hertz = rng.uniform(38, 56) * (1 + 0.5 * drift)
    hertz = np.interp(np.arange(len(samples)) / 160, np.arange(len(hertz)), hertz)
    wave = np.sin(2 * np.pi * np.cumsum(hertz) / RATE_HZ)
    return samples * (1 + min(depth, 0.8) * wave)


def _breathing(seconds: float, inward: bool, rng: np.random.Generator) -> np.ndarray:
    """Make one audible breath: noise through two resonances, swelling in or dying out."""
    count = int(seconds * RATE_HZ)
    white = rng.normal(size=count)
    low, high = (1300, 4200) if inward else (500, 2400)
    shaped = sosfilt(butter(2, [low, high], "bandpass", fs=RATE_HZ, output="sos"), white)
    ramp = np.linspace(0, 1, count)
    window = ramp**1.5 * (1 - ramp) ** 0.35 if inward else ramp**0.3 * (1 - ramp) ** 1.4
    breath = shaped * window
    return breath / np.sqrt(np.mean(breath**2))


def _chuckling(rng: np.random.Generator) -> np.ndarray:
    """Make a short laugh through the nose: two to four puffs of breath, each weaker."""
    pause = np.zeros(int(rng.uniform(0.05, 0.09) * RATE_HZ))
    puffs = [
        np.concatenate([_breathing(rng.uniform(0.09, 0.13), False, rng) * 0.8**index, pause])
        for index in range(rng.integers(2, 5))
    ]
    return np.concatenate(puffs)


def _silence(shortest: float, longest: float, rng: np.random.Generator) -> np.ndarray:
    return np.zeros(int(rng.uniform(shortest, longest) * RATE_HZ))


def _placed(
    samples: np.ndarray, recipe: Recipe, effort: float, rng: np.random.Generator
) -> np.ndarray:
    """Add breaths, silence around and room noise, and set a level that tells nothing for sure."""
    decibels = -27 + 0.5 * effort + rng.uniform(-3.5, 3.5)
    loudness = 10 ** (decibels / 20)
    samples = samples / np.sqrt(np.mean(samples**2)) * loudness
    before, after = [_silence(0.06, 0.16, rng)], [_silence(0.08, 0.2, rng)]
    if rng.random() < recipe.gasp:
        gasp = _breathing(rng.uniform(0.22, 0.36), True, rng) * rng.uniform(0.14, 0.3)
        before += [gasp * loudness, _silence(0.04, 0.1, rng)]
    if rng.random() < recipe.chuckle:
        laugh = _chuckling(rng) * rng.uniform(0.2, 0.4) * loudness
        if rng.random() < 0.5:
            before += [laugh, _silence(0.03, 0.1, rng)]
        else:
            after = [_silence(0.03, 0.1, rng), laugh, *after]
    if rng.random() < recipe.sigh:
        sigh = _breathing(rng.uniform(0.4, 0.65), False, rng) * rng.uniform(0.1, 0.22)
        after = [sigh * loudness, *after]
    whole = np.concatenate([*before, samples, *after])
    whole = whole + rng.normal(size=len(whole)) * 10 ** (rng.uniform(-72, -62) / 20)
    return whole * min(1.0, 0.7 / np.abs(whole).max())
