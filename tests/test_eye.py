"""What reads descriptions. Run: python -m pytest tests/test_eye.py."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from raclap import finishing, metrics
from raclap.corpus import Clip
from raclap.eye import ANSWERS, Eye, shares
from raclap.finishing import MADE, taught_eye
from raclap.query import mentioned
from raclap.sayings import sayings
from raclap.style import ATTRIBUTES, SIZES, VALUES
from raclap.wording import describe

AT = [sum(SIZES[:place]) for place in range(len(SIZES))]  # the first value of each attribute


class Lookup:
    """In the place of a model: a text is summed up by the plain words for values found in it."""

    text = SimpleNamespace(summary_width=sum(SIZES))

    @staticmethod
    def clean(text: str) -> str:
        return text

    @staticmethod
    def read(texts: list[str]) -> tuple[None, torch.Tensor]:
        codes = metrics.codes([mentioned(text) for text in texts])
        found = torch.zeros(len(texts), sum(SIZES))
        for row, place in zip(*np.nonzero(codes != metrics.UNKNOWN), strict=True):
            found[row, AT[place] + codes[row, place]] = 1
        return None, found


def clips(corpus: str = "studio", count: int = 60, seed: int = 0) -> list[Clip]:
    rng = random.Random(seed)
    return [
        Clip(
            id=f"{corpus}/{number}",
            path="",
            corpus=corpus,
            split="train",
            gender=rng.choice(VALUES["gender"]),
            emotion=rng.choice(("happy", "sad", "angry")),
            speed=rng.choice(VALUES["speed"]),
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def few():
    """Fewer descriptions than a real eye learns from."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_EYE_DRILLS", "_EYE_WHOLES", "_EYE_PARTS"):
            patch.setattr(finishing, name, 2000)
        few = sayings()[::50]
        patch.setattr(finishing, "sayings", lambda: few)
        yield


@pytest.fixture(scope="module")
def eye(few) -> Eye:
    return taught_eye(Lookup, clips(), seed=0)


def told(eye: Eye, texts: list[str]) -> torch.Tensor:
    with torch.no_grad():
        return eye(Lookup.read(texts)[1])


def test_shares_are_those_of_a_softmax_with_a_place_for_nothing():
    logits = torch.randn(3, sum(ANSWERS), generator=torch.Generator().manual_seed(0))
    found, start = shares(logits), 0
    for place, size in zip(AT, SIZES, strict=True):
        expected = logits[:, start : start + size + 1].softmax(1)[:, :size]
        torch.testing.assert_close(found[:, place : place + size], expected)
        start += size + 1


def test_members_are_averaged_over_standardised_summaries():
    eye = Eye(4).eval()
    eye.center.fill_(1.0)
    eye.spread.fill_(2.0)
    summaries = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        each = [shares(member((summaries - 1) / 2)) for member in eye.members]
        torch.testing.assert_close(eye(summaries), sum(each) / len(each))
        torch.testing.assert_close(eye(summaries[2:3]), eye(summaries)[2:3])


def test_it_reads_what_is_said_and_what_is_not(eye):
    rng = random.Random(7)
    said = [describe(clip.style, rng, pool="seen") for clip in clips(seed=8)]
    found = told(eye, [each.text for each in said])
    codes = metrics.codes([each.style for each in said])
    for attribute in ("gender", "emotion", "speed"):  # by chance a half, a 33rd, a third
        at = ATTRIBUTES.index(attribute)
        guess = found[:, AT[at] : AT[at] + SIZES[at]].argmax(1).numpy()
        assert (guess == codes[:, at]).mean() > 0.75, attribute
    for attribute in ("pitch", "energy"):  # never mentioned
        at = ATTRIBUTES.index(attribute)
        assert found[:, AT[at] : AT[at] + SIZES[at]].sum(1).median() < 0.1, attribute


def test_what_is_said_of_no_clip_is_learned_from_single_values(eye):
    at = ATTRIBUTES.index("phonation")
    found = told(eye, ["a person whispering", "a happy woman"])[:, AT[at] : AT[at] + SIZES[at]]
    assert found[0].argmax() == VALUES["phonation"].index("whispered")
    assert found[0].sum() > 0.5 > found[1].sum()


def test_one_seed_teaches_the_same_whatever_the_order_and_whatever_a_program_made(eye, few):
    several = [*clips(MADE, seed=1), *reversed(clips())]
    again = taught_eye(Lookup, several, seed=0)
    for name, weight in again.state_dict().items():
        assert torch.equal(weight, eye.state_dict()[name])
    assert not again.training


def test_voices_that_a_program_made_teach_where_there_are_no_others(few, monkeypatch):
    monkeypatch.setattr(finishing, "_EYE_PASSES", 1)
    one, other = (taught_eye(Lookup, clips(name), seed=0) for name in (MADE, "studio"))
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name])
