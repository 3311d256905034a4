"""What tells the emotion of a clip. Run: python -m pytest tests/test_ear.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from raclap.corpus import Clip
from raclap.ear import EMOTIONS, Ear
from raclap.finishing import MADE, taught_ear
from raclap.style import VALUES

WIDTH = 12
ACTED = ("happy", "sad", "angry")


def corpus(name: str, count: int, seed: int, turn: int = 0) -> tuple[torch.Tensor, list[Clip]]:
    """Clips whose emotion is where their summary's first three entries are largest, turned."""
    generator = torch.Generator().manual_seed(seed)
    summaries = torch.randn(count, WIDTH, generator=generator)
    summaries[:, :3] *= 3
    summaries[:, -1] = 3.0 if name == MADE else -3.0  # which anybody can tell
    emotions = [ACTED[(int(row) + turn) % 3] for row in summaries[:, :3].argmax(1)]
    clips = [
        Clip(id=f"{name}{i}", path="", corpus=name, split="train", emotion=emotion)
        for i, emotion in enumerate(emotions)
    ]
    return summaries, clips


def told(ear: Ear, summaries: torch.Tensor) -> list[str]:
    with torch.no_grad():
        return [VALUES["emotion"][code] for code in ear(summaries).argmax(1)]


def share_right(ear: Ear, summaries: torch.Tensor, clips: list[Clip]) -> float:
    right = [a == b.emotion for a, b in zip(told(ear, summaries), clips, strict=True)]
    return sum(right) / len(right)


@pytest.fixture(scope="module")
def ear() -> Ear:
    """Taught by recorded voices, and by made ones that act each emotion as another."""
    recorded, made = corpus("studio", 600, 0), corpus(MADE, 600, 1, turn=1)
    return taught_ear(torch.cat([recorded[0], made[0]]), recorded[1] + made[1], seed=0)


def test_it_tells_probabilities_alone_as_among_others(ear):
    summaries = torch.randn(7, WIDTH)
    with torch.no_grad():
        shares = ear(summaries)
        assert shares.shape == (7, EMOTIONS)
        assert (shares >= 0).all()
        torch.testing.assert_close(shares.sum(1), torch.ones(7))
        torch.testing.assert_close(ear(summaries[2:3]), shares[2:3])


def test_recorded_and_made_voices_are_told_each_in_their_way(ear):
    assert share_right(ear, *corpus("studio", 300, 2)) > 0.75  # a third by chance
    assert share_right(ear, *corpus(MADE, 300, 3, turn=1)) > 0.75  # a third by chance


def test_one_seed_teaches_the_same(ear):
    recorded, made = corpus("studio", 600, 0), corpus(MADE, 600, 1, turn=1)
    again = taught_ear(torch.cat([recorded[0], made[0]]), recorded[1] + made[1], seed=0)
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, ear.state_dict()[name])


def test_an_emotion_is_told_among_those_that_its_corpus_has():
    """A corpus of two emotions says nothing against a third, which another corpus has."""
    summaries, clips = corpus("studio", 400, 4)
    few, pair = corpus("pair", 800, 5)
    kept = [row for row, clip in enumerate(pair) if clip.emotion != "angry"]
    pair = [pair[row] for row in kept]
    ear = taught_ear(torch.cat([summaries, few[kept]]), clips + pair, seed=0)
    angry = [row for row, clip in enumerate(clips) if clip.emotion == "angry"]
    assert share_right(ear, summaries[angry], [clips[row] for row in angry]) > 0.85


def test_a_corpus_counts_by_the_root_of_its_size():
    """One corpus calls sad what another, of a sixteenth as many clips, calls angry."""
    summaries, clips = corpus("many", 1600, 6)
    alike = [replace(clip, emotion="sad" if i % 100 else "angry") for i, clip in enumerate(clips)]
    other, few = corpus("few", 100, 7)
    few = [replace(clip, emotion="angry" if i else "sad") for i, clip in enumerate(few)]
    ear = taught_ear(torch.cat([summaries, other]), alike + few, seed=0)
    with torch.no_grad():
        shares = ear(summaries).mean(0)
    angry, sad = (float(shares[VALUES["emotion"].index(each)]) for each in ("angry", "sad"))
    # A fifth by roots of sizes, 0.07 by clips, half by corpora.
    assert angry / (angry + sad) == pytest.approx(0.2, abs=0.06)


def test_clips_of_no_emotion_teach_nothing():
    clips = [Clip(id="a", path="", corpus="c", split="train")] * 3
    ear = taught_ear(torch.randn(3, WIDTH), clips, seed=0)
    torch.manual_seed(0)
    untaught = Ear(WIDTH).state_dict()
    assert all(torch.equal(weight, untaught[name]) for name, weight in ear.state_dict().items())
    assert not ear.training
