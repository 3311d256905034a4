"""The page over a stub model: an engine, its launched page, and a browser to look at it with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from stub import StubModel, write_voice

from raclap.corpus import Clip
from raclap.index import Gallery
from raclap.search import Engine
from raclap.shelf import Shelf

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# What a clip of somebody's own folder may be called, and what it may claim to say.
HOSTILE_NAME = "<img src=x onerror=\"window.hacked='name'\">"
HOSTILE_TEXT = "${window.hacked='text'} {{#with 1}}<script>window.hacked=1</script>{{/with}}"


def make_engine(folder: Path, count: int = 12) -> Engine:
    """Return a real engine with a stub model over ``count`` clips; the first one is hostile."""
    clips = []
    for number in range(count):
        path = write_voice(folder / f"vowel{number}.wav", f0_hz=110 + 12 * number)
        hostile = number == 0
        clips.append(
            Clip(
                id=HOSTILE_NAME if hostile else f"vowel{number}",
                path=str(path),
                corpus="vowels",
                speaker=HOSTILE_NAME if hostile else f"ann{number % 3}",
                gender=("female", "male")[number % 2],
                emotion=("angry", "sad", "happy", "fearful")[number % 4],
                intensity=("normal", "strong")[number // 2 % 2],
                pitch=("low", "medium", "high")[number % 3],
                phonation="voiced",
                language="en",
                text=HOSTILE_TEXT if hostile else "Kids are talking by the door.",
                seconds=0.6,
            )
        )
    model = StubModel()
    gallery = Gallery.build(
        model.encode_speech([clip.path for clip in clips]).numpy(),
        clips,
        model.fingerprint,
        name="vowels",
        note="These voices are synthetic.",
    )
    return Engine(model, gallery)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return make_engine(tmp_path_factory.mktemp("vowels"))


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that is not in the gallery."""
    return write_voice(tmp_path_factory.mktemp("voice") / "voice.wav", f0_hz=205, seconds=2.0)


@pytest.fixture(scope="session")
def shelf(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(engine, tmp_path_factory.mktemp("galleries"), homes={})


@pytest.fixture(scope="session")
def address(shelf: Shelf) -> Iterator[str]:
    """Where the launched page answers."""
    from raclap.interface import build, launch_options

    page = build(shelf)
    options = launch_options(shelf)
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **options)
    yield url
    page.close()
