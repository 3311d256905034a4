"""Every format and every kind of bad file. Run: python -m pytest tests/test_audio.py."""

from __future__ import annotations

import tracemalloc
import wave

import numpy as np
import pytest
import soundfile
from scipy.signal import correlate

from raclap import audio
from raclap.config import InputError

RATE = audio.RATE_HZ


def voice(seconds=1.0, rate_hz=RATE, hz=220.0):
    """A tone with a swell, so that a shifted or mangled copy does not look alike."""
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    return 0.4 * np.sin(2 * np.pi * hz * time) * (1 + 0.5 * np.sin(5 * time)) / 1.5


def alike(a, b):
    """Correlation of two waveforms at their best shift: codecs delay."""
    return correlate(a, b).max() / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", {}),
        ("a.flac", {}),
        ("a.mp3", {}),
        ("a.ogg", {}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
        ("a.aiff", {}),
    ],
)
def test_every_format(tmp_path, name, options):
    soundfile.write(tmp_path / name, voice(rate_hz=48_000), 48_000, **options)
    found = audio.load(tmp_path / name)
    assert (found.dtype, found.ndim) == (np.float32, 1)
    assert len(found) == pytest.approx(RATE, rel=0.06)
    assert alike(found, voice()) > 0.98
    assert np.array_equal(found, audio.load(str(tmp_path / name)))  # to the bit, path or string


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 192_000])
def test_any_rate(tmp_path, rate_hz):
    soundfile.write(tmp_path / "a.wav", voice(rate_hz=rate_hz), rate_hz)
    found = audio.load(tmp_path / "a.wav")
    assert len(found) == RATE
    assert alike(found, voice()) > 0.999


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_channel_count_is_averaged(tmp_path, channels):
    gains = np.linspace(0.5, 1.0, channels)
    soundfile.write(tmp_path / "a.wav", voice()[:, None] * gains, RATE)
    assert audio.load(tmp_path / "a.wav") == pytest.approx(voice() * gains.mean(), abs=1e-4)


@pytest.mark.parametrize("gain", [-1.0, -0.97])
def test_channels_of_opposite_phase_are_not_silent(tmp_path, monkeypatch, gain):
    """As from a balanced microphone in a stereo socket: their mean is nothing, or noise."""
    samples = voice()[:, None] * [gain, 1.0]
    monkeypatch.setattr(audio, "_BLOCK", 9_000)
    for name, options in (("a.wav", {"subtype": "FLOAT"}), ("a.flac", {}), ("a.mp3", {})):
        soundfile.write(tmp_path / name, samples, RATE, **options)
        assert alike(audio.load(tmp_path / name), voice()) > 0.98
    assert np.array_equal(audio.load(tmp_path / "a.wav"), audio.from_samples(samples, RATE))
    one_sided = audio.from_samples(voice()[:, None] * [1.0, 0.0], RATE)
    np.testing.assert_allclose(one_sided, voice() / 2, atol=1e-3)  # no reason to leave one out


@pytest.mark.parametrize(
    ("dtype", "middle", "full"),
    [
        ("int8", 0, 2**7),
        ("uint8", 2**7, 2**7),
        ("int16", 0, 2**15),
        ("uint16", 2**15, 2**15),
        ("int32", 0, 2**31),
        ("float16", 0, 1),
        ("float32", 0, 1),
        ("float64", 0, 1),
    ],
)
@pytest.mark.parametrize("channels", [0, 2])
def test_any_sample_type(dtype, middle, full, channels):
    samples = (voice() * full + middle).astype(dtype)
    samples = np.stack([samples] * channels, axis=1) if channels else samples
    found = audio.from_samples(samples, RATE)
    assert (found.dtype, found.shape) == (np.float32, (RATE,))
    assert found == pytest.approx(voice(), abs=2e-2 if full == 2**7 else 1e-3)
    assert abs(found).max() <= 1


def write_text(path):
    path.write_text("This is a note about a recording, not a recording.\n" * 50)


def write_truncated(path):
    kind = path.suffix[1:]
    whole = path.with_name(f"whole.{kind}")
    soundfile.write(whole, np.random.default_rng(0).normal(0, 0.1, RATE), RATE)
    path.write_bytes(whole.read_bytes()[: 20 if kind == "wav" else whole.stat().st_size // 2])


def write_samples(samples, rate_hz=RATE, subtype=None):
    return lambda path: soundfile.write(path, samples, rate_hz, subtype=subtype)


def write_hour(path):
    """A header that promises an hour at 192 kHz over a sparse file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(192_000)
        file.setnframes(192_000 * 3_600 // 2)
        file.writeframesraw(b"")
        file._datawritten = 192_000 * 3_600 // 2 * 4  # so that closing leaves the promise
        file._patchheader()
        file._file.truncate(44 + file._datawritten)


NAN = np.where(np.arange(RATE) == 700, np.nan, voice())
INFINITE = np.where(np.arange(RATE) == 700, np.inf, voice())


@pytest.mark.parametrize(
    ("name", "write", "sentence"),
    [
        ("text.wav", write_text, "cannot be read as audio"),
        ("text.mp3", write_text, "cannot be read as audio"),
        ("cut.wav", write_truncated, "cannot be read as audio"),
        ("cut.flac", write_truncated, "cannot be read as audio"),
        ("cut.ogg", write_truncated, "cannot be read as audio|lasts 0.00 s"),
        ("empty.wav", lambda path: path.touch(), r"is empty \(0 bytes\)"),
        ("header.wav", write_samples(np.zeros(0)), "lasts 0.00 s; at least 0.1 s"),
        ("silent.wav", write_samples(np.zeros(RATE)), "is silent"),
        ("hush.wav", write_samples(voice() * 1e-4, subtype="FLOAT"), "is silent"),
        ("short.wav", write_samples(voice(0.05)), "lasts 0.05 s; at least 0.1 s"),
        ("nan.wav", write_samples(NAN, subtype="FLOAT"), "not numbers"),
        ("inf.wav", write_samples(INFINITE, subtype="FLOAT"), "not numbers"),
        ("hour.wav", write_hour, "lasts more than 10 minutes; cut it to 10 or less"),
        ("folder.wav", lambda path: path.mkdir(), "There is no file"),
        ("missing.wav", lambda path: None, "There is no file"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(tmp_path, name, write, sentence):
    write(tmp_path / name)
    with pytest.raises(InputError, match=sentence) as error:
        audio.load(tmp_path / name)
    assert name in str(error.value)
    assert str(tmp_path) not in str(error.value)  # a visitor of the page learns no folder
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


def test_a_truncated_wav_gives_what_is_there(tmp_path):
    soundfile.write(tmp_path / "whole.wav", voice(), RATE)
    whole = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    found = audio.load(tmp_path / "cut.wav")
    assert np.array_equal(found, audio.load(tmp_path / "whole.wav")[: len(found)])
    assert len(found) == pytest.approx(RATE / 2, abs=100)


def test_a_long_file_is_judged_by_its_header(tmp_path, monkeypatch):
    write_hour(tmp_path / "hour.wav")

    def read(*_, **__):
        raise AssertionError("read although the header says it is too long")

    monkeypatch.setattr(soundfile.SoundFile, "read", read)
    with pytest.raises(InputError, match="more than 10 minutes"):
        audio.load(tmp_path / "hour.wav")


def test_the_longest_is_not_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "MAX_SECONDS", 2.0)
    for seconds in (2.0, 2.01):
        soundfile.write(tmp_path / f"{seconds}.wav", voice(seconds), RATE)
    assert len(audio.load(tmp_path / "2.0.wav")) == 2 * RATE
    with pytest.raises(InputError, match="cut it"):
        audio.load(tmp_path / "2.01.wav")


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (1_599, "The audio lasts 0.09 s; at least 0.1 s is needed."),
        (RATE * 600 + 1, "The audio lasts more than 10 minutes; cut it to 10 or less."),
        (RATE * 640, "The audio lasts more than 10 minutes; cut it to 10 or less."),
    ],
)
def test_what_is_said_of_a_length_is_true(samples, sentence):
    with pytest.raises(InputError) as error:
        audio.from_samples(np.ones(samples, np.int8), RATE)
    assert str(error.value) == sentence


def test_a_flac_that_was_streamed_does_not_tell_its_length(tmp_path, monkeypatch):
    """It was taken for one of 9,607,679,205,057 minutes."""
    soundfile.write(tmp_path / "whole.flac", voice(), RATE)
    streamed = bytearray((tmp_path / "whole.flac").read_bytes())
    streamed[21] &= 0xF0  # of the header's 36 bits for the number of samples the first four
    streamed[22:26] = bytes(4)
    (tmp_path / "streamed.flac").write_bytes(streamed)
    monkeypatch.setattr(audio, "_BLOCK", 5_000)
    found = audio.load(tmp_path / "streamed.flac")
    assert np.array_equal(found, audio.load(tmp_path / "whole.flac"))


@pytest.mark.parametrize(
    ("samples", "rate_hz"),
    [
        (np.zeros((10, 10, 10)), RATE),
        (np.float32(1), RATE),
        (np.zeros((RATE, 0)), RATE),
    ],
)
def test_samples_of_another_shape_are_refused(samples, rate_hz):
    with pytest.raises(InputError, match=r"shape .* it must be \(S,\) or \(S, C\)"):
        audio.from_samples(samples, rate_hz)


@pytest.mark.parametrize(
    "rate_hz", [0, -1, 0.5, float("nan"), float("inf"), 192_001, None, "16000"]
)
def test_an_impossible_rate_is_refused(rate_hz):
    with pytest.raises(InputError, match="a sampling rate must be a whole number"):
        audio.from_samples(voice(), rate_hz)


@pytest.mark.parametrize("kind", ["c8", "U3", "O", "M8[s]"])
def test_what_is_no_number_is_refused(kind):
    with pytest.raises(InputError, match="not samples"):
        audio.from_samples(np.zeros(RATE).astype(kind), RATE)


@pytest.mark.parametrize("value", [1e7, 1e38, 1e300])
def test_samples_beyond_any_scale_are_refused(value):
    """They were taken, and their power is no number in single precision."""
    with pytest.raises(InputError, match=r"above 1e\+06|not numbers"):
        audio.from_samples(np.full((RATE, 2), value), RATE)


@pytest.mark.parametrize("rate_hz", [44_101, 191_999])
def test_a_prime_rate_takes_no_gigabytes(rate_hz):
    """Torchaudio's filter for it would: one row for each of 16,000 phases."""
    tone = np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz).astype(np.float32)
    tracemalloc.start()
    heard = audio.from_samples(tone, rate_hz)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6
    assert len(heard) == RATE
    assert np.abs(np.fft.rfft(heard)).argmax() == 440


def test_raw_samples_and_impossible_names_are_refused(tmp_path):
    (tmp_path / "voice.raw").write_bytes(bytes(1000))
    with pytest.raises(InputError, match="cannot be read as audio"):
        audio.load(tmp_path / "voice.raw")
    for name in ("n" * 5_000, "a\0b"):
        with pytest.raises(InputError, match="There is no file"):
            audio.load(tmp_path / name)


def test_many_silent_channels_are_mixed_a_block_at_a_time(tmp_path):
    """Minutes of nothing in many channels are little on disk, and gigabytes once decoded."""
    path = tmp_path / "many.flac"
    samples = np.zeros((RATE * 60, 8), np.float32)
    samples[:, 3] = 0.5 * np.sin(np.arange(len(samples)) / 9)
    soundfile.write(path, samples, RATE)
    whole = audio.from_samples(soundfile.read(path, dtype="float32")[0], RATE)
    with soundfile.SoundFile(path) as file:
        sizes = []
        read = file.read
        file.read = lambda size, **how: sizes.append(size) or read(size, **how)
        mono = audio.mixed(file)
    assert max(sizes) * 8 <= audio._BLOCK
    assert len(sizes) > 1
    np.testing.assert_array_equal(mono, whole)


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mp3", {}), ("a.ogg", {}), ("a.opus", {"format": "OGG", "subtype": "OPUS"})],
)
def test_blocks_are_read_on_as_one(tmp_path, monkeypatch, name, options):
    """Soundfile seeks between two reads, which is inexact in MP3: a block began with a crack."""
    soundfile.write(tmp_path / name, voice(5.0, 48_000)[:, None] * [0.5, 1], 48_000, **options)
    whole = soundfile.read(tmp_path / name, dtype="float32")[0].mean(axis=1)
    monkeypatch.setattr(audio, "_BLOCK", 9_000)
    with soundfile.SoundFile(tmp_path / name) as file:
        np.testing.assert_allclose(audio.mixed(file), whole, atol=1e-6)


@pytest.mark.parametrize("gain", [1.0, 1e-2, 2e-3])
def test_trimming_keeps_the_speech_of_a_quiet_recording(gain):
    quiet = np.zeros(RATE)
    waveform = (np.concatenate([quiet, voice(), quiet]) * gain).astype(np.float32)
    trimmed = audio.trim(waveform)
    assert len(trimmed) == pytest.approx(RATE * 1.2, abs=800)  # 0.1 s stay on either side
    assert np.square(trimmed).sum() == pytest.approx(np.square(waveform).sum(), rel=1e-6)


@pytest.mark.parametrize("dbfs", [-52, -60, -70])
def test_a_recording_quieter_than_what_was_learned_from_is_raised(dbfs):
    sound = voice() * np.linspace(1, 0.1, RATE)
    loudest = 10 * np.log10(np.square(sound.reshape(-1, 400)).mean(1).max())
    raised = audio.from_samples(sound * 10 ** ((dbfs - loudest) / 20), RATE)
    np.testing.assert_allclose(raised, sound * 10 ** ((-50 - loudest) / 20), atol=1e-7)
    assert np.array_equal(audio.from_samples(raised, RATE), raised)


def test_a_recording_that_is_quiet_as_others_are_stays_so():
    sound = (voice() * 0.02).astype(np.float32)
    assert np.array_equal(audio.from_samples(sound, RATE), sound)


def test_trimming_keeps_soft_endings_and_cuts_noise():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1e-4, 3 * RATE)
    noise[RATE : 2 * RATE] += voice() * np.linspace(1, 0.05, RATE)  # fades by 26 dB
    trimmed = audio.trim(noise.astype(np.float32))
    assert len(trimmed) == pytest.approx(RATE * 1.2, abs=800)


def test_trimming_leaves_speech_and_tiny_clips_alone():
    for seconds in (0.1, 0.11, 3.0):
        waveform = voice(seconds).astype(np.float32)
        assert np.array_equal(audio.trim(waveform), waveform)


def test_an_offset_is_no_sound():
    rng = np.random.default_rng(0)
    quiet = np.concatenate([rng.normal(0, 1e-5, RATE), voice(), rng.normal(0, 1e-5, RATE)])
    quiet -= quiet.mean()
    moved = audio.from_samples(quiet + 0.02, RATE)
    np.testing.assert_allclose(moved, audio.from_samples(quiet, RATE), atol=1e-6)
    assert audio.extent(moved) == audio.extent(audio.from_samples(quiet, RATE))
    with pytest.raises(InputError, match="silent"):
        audio.from_samples(np.full(RATE, 0.5), RATE)


@pytest.mark.parametrize(("before", "after"), [(1.0, 3.0), (0.3, 0.0), (0.0, 10.0)])
@pytest.mark.parametrize("offset", [0.02, -0.003])
def test_silence_around_a_recording_has_no_offset(before, after, offset):
    """What was taken off the whole became a sound of its own where there was none."""
    ends = int(before * RATE), int(after * RATE)
    padded = np.pad(voice() - voice().mean() + offset, ends)
    expected = np.pad(voice() - voice().mean(), ends).astype(np.float32)
    found = audio.from_samples(padded, RATE)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert audio.stretches(found) == audio.stretches(expected)


def test_a_few_zeros_at_an_end_are_the_sounds_own():
    samples = voice() + 0.02
    samples[[0, 1, -1]] = 0
    moved = samples - samples.mean()
    np.testing.assert_allclose(audio.from_samples(samples, RATE), moved, atol=1e-6)


def test_floats_at_another_scale_are_brought_to_one():
    expected = audio.from_samples(voice(), RATE)
    found = audio.from_samples(voice() * 32_767, RATE)
    np.testing.assert_allclose(found, expected / np.abs(expected).max(), atol=1e-3)
    hot = voice() / np.abs(voice()).max() * 1.9  # clipped, at the worst
    assert np.abs(audio.from_samples(hot, RATE)).max() == pytest.approx(1.9, abs=0.01)


def test_a_long_silence_is_no_speech():
    rng = np.random.default_rng(0)

    def noise(seconds: float) -> np.ndarray:
        return rng.normal(0, 1e-3, int(seconds * RATE))

    tail = np.concatenate([voice(3.0), noise(57)]).astype(np.float32)
    assert len(audio.trim(tail)) < 3.2 * RATE
    gap = np.concatenate([voice(3.0), noise(40), voice(3.0)]).astype(np.float32)
    assert len(audio.trim(gap)) == len(gap)
    (_, first), (second, _) = audio.stretches(gap)
    assert first < 3.2 * RATE
    assert second > 42.8 * RATE
    assert 6 * RATE <= len(audio.spoken(gap)) < 6.4 * RATE
    assert np.array_equal(audio.spoken(tail), audio.trim(tail))
