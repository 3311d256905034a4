"""Measurements of sounds whose truth is known. Run: python -m pytest tests/test_prosody.py."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from scipy.signal import butter, lfilter, sosfilt

from raclap import prosody
from raclap.audio import RATE_HZ
from raclap.prosody import HOP_SECONDS, NAMES, measure
from raclap.style import ATTRIBUTES, levels


def clock(seconds):
    return np.arange(int(seconds * RATE_HZ)) / RATE_HZ


def pulses(f0_hz, tilt=0.95):
    """Glottal pulses of F0 (S,) in Hz through one formant: a vowel, (S,) float32.

    The pulse train is a sum of cosines, so that F0 is not rounded to whole samples.
    """
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE_HZ
    count = int(4_000 / np.min(f0_hz))
    source = sum(np.cos(n * phase) * (n * f0_hz < 7_500) for n in range(1, count + 1)) / count
    source = lfilter([1], [1, -tilt], source)
    pole = 0.97 * np.exp(2j * np.pi * 600 / RATE_HZ)
    vowel = lfilter([1], np.poly([pole, pole.conjugate()]).real, source)
    return (0.3 * vowel / np.abs(vowel).max()).astype(np.float32)


def vowel(f0_hz, seconds=1.0, **options):
    return pulses(np.full(int(seconds * RATE_HZ), float(f0_hz)), **options)


def noise(seconds=1.0, gain=0.1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, gain, int(seconds * RATE_HZ)).astype(np.float32)


@pytest.mark.parametrize("f0_hz", [80, 100, 140, 200, 280, 400, 500])
def test_f0_of_pulses(f0_hz):
    found = measure(vowel(f0_hz))
    assert found.f0_hz == pytest.approx(f0_hz, rel=0.03)
    assert found.f0_semitones == pytest.approx(12 * np.log2(f0_hz / 50), abs=0.5)
    assert found.voiced > 0.9
    assert found.f0_range < 0.5
    assert abs(found.f0_slope) < 0.5


@pytest.mark.parametrize("octaves", [0.8, -0.8])
def test_a_glide_has_its_slope(octaves):
    found = measure(pulses(160 * 2 ** (octaves * (clock(1.5) / 1.5 - 0.5))))
    assert found.f0_slope == pytest.approx(12 * octaves / 1.5, rel=0.1)
    assert np.sign(found.f0_end) == np.sign(octaves)
    assert found.f0_range == pytest.approx(0.8 * 12 * 0.8, rel=0.15)
    assert found.f0_movement == pytest.approx(12 * 0.8 / 1.5, rel=0.2)


def test_tremor_is_told_from_a_steady_voice():
    steady = measure(vowel(180, 1.5))
    shaky = measure(pulses(180 * 2 ** (np.sin(2 * np.pi * 6 * clock(1.5)) / 12)))
    assert shaky.f0_tremor > 0.3 > 5 * steady.f0_tremor


def test_the_contour_follows_the_voice():
    silence = np.zeros(RATE_HZ // 2, dtype=np.float32)
    voice = np.concatenate([silence, vowel(150), silence])
    frames, spectrum = prosody._analyse(voice, prosody._USUAL)
    f0_hz = prosody._track(spectrum, frames, prosody._USUAL)[0]
    level = 10 * np.log10(spectrum.sum(1) + 1e-10)
    spoken = slice(int(0.55 / HOP_SECONDS), int(1.45 / HOP_SECONDS))
    assert f0_hz.shape == level.shape == (201,)
    assert f0_hz[spoken] == pytest.approx(150, rel=0.03)
    assert not f0_hz[:45].any()
    assert not f0_hz[-45:].any()
    assert level[spoken].min() > level[:45].max() + 30


@pytest.mark.parametrize("f0_hz", [55, 62, 70])
def test_a_very_deep_voice_is_no_whisper(f0_hz):
    found = measure(pulses(f0_hz * 2 ** (np.sin(2 * np.pi * clock(1.5)) / 12)))
    assert found.voiced > 0.8
    assert found.f0_hz == pytest.approx(f0_hz, rel=0.05)


@pytest.mark.parametrize("f0_hz", [50, 60])
def test_the_hum_of_the_mains_is_no_deep_voice(f0_hz):
    hum = sum(np.cos(2 * np.pi * k * f0_hz * clock(2.0)) / k for k in (1, 2, 3))
    syllables = np.clip(np.sin(2 * np.pi * 2 * clock(2.0)), 0, None)
    found = measure((noise(2.0) * syllables + 0.02 * hum).astype(np.float32))
    assert found.voiced < 0.3


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_unvoiced(seed):
    found = measure(noise(1.5, seed=seed))
    assert found.voiced < 0.1
    assert found.flatness_db > -4
    assert found.harmonicity_db < measure(vowel(200)).harmonicity_db - 5


def test_whisper_like_bursts_are_whispered():
    band = butter(4, [500, 4_000], "bandpass", fs=RATE_HZ, output="sos")
    syllables = np.clip(np.sin(2 * np.pi * 2 * clock(2.0)), 0, None)
    found = measure((sosfilt(band, noise(2.0)) * syllables + noise(2.0, 1e-4, 1)).astype("float32"))
    assert found.voiced < 0.1
    assert levels(found)["phonation"] == "whispered"


def test_gain_moves_the_level_and_nothing_that_is_said():
    waveform = vowel(180) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * clock(1.0))) + noise(1.0, 1e-3)
    waveform = waveform.astype(np.float32)
    soft, loud = measure(waveform * 0.1), measure(waveform)
    assert loud.level_db - soft.level_db == pytest.approx(20, abs=0.01)
    assert loud.energy_db == pytest.approx(soft.energy_db, abs=0.1)
    for name in set(NAMES) - {"level_db"}:
        assert getattr(loud, name) == pytest.approx(getattr(soft, name), rel=1e-2, abs=0.1), name
    for name in ATTRIBUTES[3:]:
        assert levels(loud, "male")[name] == levels(soft, "male")[name]


@pytest.mark.parametrize("rate_hz", [3, 5])
def test_syllables_are_counted(rate_hz):
    waveform = vowel(150, 3.0) * (1 - np.cos(2 * np.pi * rate_hz * clock(3.0))) / 2
    found = measure((waveform + noise(3.0, 1e-4)).astype(np.float32))
    assert found.rate_hz == pytest.approx(rate_hz, rel=0.08)


def test_a_brighter_voice_has_more_effort():
    dull, bright = measure(vowel(150, tilt=0.98)), measure(vowel(150, tilt=0.6))
    assert bright.energy_db > dull.energy_db + 5
    assert bright.alpha_db > dull.alpha_db
    assert bright.centroid_hz > dull.centroid_hz
    assert bright.f0_hz == pytest.approx(dull.f0_hz, rel=0.01)


def test_pauses_and_length_are_of_the_speech():
    silence = np.zeros(RATE_HZ, dtype=np.float32)
    found = measure(np.concatenate([silence, vowel(150), silence, vowel(150), silence]))
    assert found.seconds == pytest.approx(3, abs=0.1)
    assert found.pauses == pytest.approx(1 / 3, abs=0.05)
    assert found.stretch_seconds == pytest.approx(1, abs=0.1)


CLICK = np.where(np.arange(RATE_HZ) == 5_000, 0.9, 0).astype(np.float32)


@pytest.mark.parametrize(
    "waveform",
    [
        CLICK,
        np.full(RATE_HZ, 0.5, dtype=np.float32),
        np.zeros(RATE_HZ, dtype=np.float32),
        vowel(200, 0.1),
        noise(0.1),
        (0.5 * np.sin(2 * np.pi * 440 * clock(1.0))).astype(np.float32),
        np.sign(np.sin(2 * np.pi * 50 * clock(1.0))).astype(np.float32),
        noise(1.0, 1e-6),
        np.where(np.arange(1_600) == 1_599, 1, 0).astype(np.float32),
    ],
    ids=["click", "dc", "zeros", "short", "short-noise", "tone", "square", "faint", "last-sample"],
)
def test_all_figures_are_finite(waveform):
    found = measure(waveform)
    assert np.isfinite(astuple(found)).all()
    assert found.vector().shape == (len(NAMES),)
    assert found.vector().dtype == np.float32
    assert 0 <= found.voiced <= 1
    assert 0 <= found.pauses <= 1
    assert measure(waveform) == found


def test_the_vector_is_in_the_order_of_names():
    found = measure(vowel(200))
    assert found.vector()[NAMES.index("f0_hz")] == np.float32(found.f0_hz)
    assert found.vector()[NAMES.index("seconds")] == np.float32(found.seconds)


def test_a_clip_is_measured_once(monkeypatch):
    """Encoding and reading one clip ask for the same figures; another clip has others."""
    measured = []
    plain = prosody._measure
    monkeypatch.setattr(prosody, "_measure", lambda wave: measured.append(1) or plain(wave))
    time = np.arange(16_000) / RATE_HZ
    waves = [np.sin(2 * np.pi * hz * time).astype(np.float32) for hz in (121, 183)]
    first = prosody.measure(waves[0])
    assert prosody.measure(waves[0].copy()) == first
    assert prosody.measure(waves[1]) != first
    assert len(measured) == 2
