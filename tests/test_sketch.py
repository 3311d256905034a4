"""Outlines and places. Run: pytest tests/test_sketch.py."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_engine

from raclap import audio
from raclap.index import Gallery
from raclap.search import BUNDLED
from raclap.sketch import BARS, FILE, outline, peaks_of, places, sketch


def test_an_outline_is_loud_where_the_sound_is():
    samples = np.concatenate([np.full(800, 0.01), np.full(800, -0.5)])
    peaks = outline(samples)
    assert peaks.shape == (BARS,)
    assert set(peaks[: BARS // 2].tolist()) == {5}
    assert set(peaks[BARS // 2 :].tolist()) == {255}
    assert outline(np.zeros(10)).max() == 0


def test_an_outline_is_of_all_channels_which_are_never_held_at_once(tmp_path: Path):
    """It was of the left one alone, and minutes of many channels took gigabytes."""
    count = 150 * audio.RATE_HZ
    samples = np.zeros((count, 8), np.float32)
    samples[count // 2 :, 3] = 0.5
    soundfile.write(tmp_path / "many.flac", samples, audio.RATE_HZ)
    tracemalloc.start()
    peaks = peaks_of(str(tmp_path / "many.flac"))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(peaks[: BARS // 2].tolist()) == {0}
    assert set(peaks[BARS // 2 :].tolist()) == {255}
    assert most < samples.nbytes


def test_clusters_lie_apart_and_the_layout_repeats():
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(3, 16), 12, axis=0) + rng.normal(0, 0.05, (36, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    flat = places(vectors)
    assert flat.min() == 0
    assert flat.max() == 1
    np.testing.assert_array_equal(flat, places(vectors))
    groups = flat.reshape(3, 12, 2)
    centres = groups.mean(axis=1)
    spread = np.linalg.norm(groups - centres[:, None], axis=-1).max()
    apart = min(np.linalg.norm(centres[a] - centres[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert apart > 2 * spread


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_tiny_gallery_has_places_too(count):
    flat = places(np.eye(count, 8, dtype=np.float32))
    assert flat.shape == (count, 2)
    assert flat.min(axis=0).tolist() == [[0.5, 0.5], [0, 0.5], [0, 0]][min(count, 3) - 1]
    assert flat.max(axis=0).tolist() == [[0.5, 0.5], [1, 0.5], [1, 1]][min(count, 3) - 1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_clips_that_are_all_the_same_lie_in_the_middle(count):
    one = np.full(8, 8**-0.5, np.float32)
    assert (places(np.tile(one, (count, 1))) == 0.5).all()


def test_a_sketch_is_kept_for_the_same_gallery_only(tmp_path: Path, monkeypatch):
    made = make_engine(tmp_path / "a", 9).gallery
    made.save(tmp_path / "gallery")
    gallery = Gallery.load(tmp_path / "gallery")
    first = sketch(gallery)
    assert (tmp_path / "gallery" / FILE).is_file()
    assert first.peaks.shape == (9, BARS)
    assert (first.peaks.max(axis=1) == 255).all()
    Path(gallery.clips[1].path).unlink()
    np.testing.assert_array_equal(sketch(gallery).peaks, first.peaks)  # not decoded again
    renamed = [replace(clip, id=f"{clip.id}!") for clip in gallery.clips]
    other = sketch(replace(gallery, clips=renamed))
    assert other.peaks[1].max() == 0  # its file is gone
    (tmp_path / "gallery" / FILE).write_bytes(b"PK broken")
    assert sketch(gallery).peaks.shape == (9, BARS)


def test_the_bundled_gallery_is_sketched_while_a_page_opens(monkeypatch):
    gallery = replace(Gallery.load(BUNDLED), folder=None)
    started = time.monotonic()
    drawn = sketch(gallery)
    assert (drawn.peaks.max(axis=1) == 255).all()
    # Two seconds on an idle machine of two cores; a busy one is given some slack.
    assert time.monotonic() - started < 10
