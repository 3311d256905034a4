"""A longer recording, followed. Run: pytest tests/test_timeline.py."""

from __future__ import annotations

import numpy as np
import pytest
from stub import StubModel

from raclap import audio
from raclap.reading import Reader
from raclap.timeline import follow


@pytest.mark.parametrize("room_dbfs", [-77, -90, -200])
def test_a_quiet_recording_has_no_moments_in_its_pause(room_dbfs):
    """At -77 dBFS the room is less than 40 dB below the voice, and yet silence to the model."""
    noise = np.random.default_rng(0).normal(size=20 * audio.RATE_HZ).astype(np.float32)
    noise *= 10 ** (room_dbfs / 20)
    time = np.arange(6 * audio.RATE_HZ) / audio.RATE_HZ
    noise[: time.size] += 0.005 * np.sin(2 * np.pi * 200 * time).astype(np.float32)
    moments = follow(Reader(StubModel()), noise)
    assert [moment.start for moment in moments] == pytest.approx([0, 1.55, 3.09, 4.64], abs=0.1)


def test_a_stretch_is_measured_as_it_would_be_read():
    """Pauses within one of more than 15 s were counted, and made every voice slow."""
    time = np.arange(2 * audio.RATE_HZ) / audio.RATE_HZ
    syllables = np.sin(2 * np.pi * 200 * time) * np.square(np.sin(2 * np.pi * 2 * time))
    waveform = np.tile(np.pad(0.1 * syllables, (0, 18 * audio.RATE_HZ)), 20).astype(np.float32)
    reader = Reader(StubModel())
    first, *_ = follow(reader, waveform)
    assert first.seconds == 32
    assert first.levels == reader.read(waveform[: 32 * audio.RATE_HZ]).levels
    assert first.levels["speed"].number > 3
