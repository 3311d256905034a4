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
