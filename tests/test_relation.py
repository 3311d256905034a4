"""Soft relation targets. Run: python -m pytest tests/test_relation.py."""

from __future__ import annotations

import random

import pytest
import torch
from stub import StubModel
from torch.nn.functional import normalize

from raclap.metrics import codes
from raclap.relation import Wordings, likelihood, posterior, relation
from raclap.style import ATTRIBUTES, VALUES, Style
from raclap.wording import describe


@pytest.fixture
def similarity():
    draw = torch.Generator().manual_seed(0)
    vectors = normalize(torch.randn(7, 5, generator=draw), dim=-1)
    return vectors @ vectors.T


@pytest.fixture
def descriptions():
    styles = [Style(emotion="sad", gender="male"), Style(emotion="angry"), Style(pitch="low")]
    return [describe(style, random.Random(i)) for i, style in enumerate(styles)]


@pytest.mark.parametrize("temperature", [0.01, 0.05, 1.0, 10.0])
def test_rows_sum_to_one(similarity, temperature):
    for matrix in (similarity, similarity[:3], similarity.T[:, :2]):
        targets = relation(matrix, temperature)
        assert targets.shape == matrix.shape
        torch.testing.assert_close(targets.sum(-1), torch.ones(len(matrix)))
        assert (targets >= 0).all()


def test_a_low_temperature_takes_the_best_and_a_high_one_spreads(similarity):
    best = torch.eye(7)[similarity.argmax(-1)]
    torch.testing.assert_close(relation(similarity, 1e-4), best)
    spread = relation(similarity, 1e4)
    torch.testing.assert_close(spread, torch.full((7, 7), 1 / 7), atol=1e-3, rtol=0)


def test_by_hand():
    targets = relation(torch.tensor([[0.0, 0.05]]), 0.05)
    torch.testing.assert_close(targets, torch.tensor([[0.2689414, 0.7310586]]))


def test_it_is_equivariant_and_keeps_order(similarity):
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    shuffled = relation(similarity[order][:, order], 0.1)
    torch.testing.assert_close(shuffled, relation(similarity, 0.1)[order][:, order])
    assert relation(similarity, 0.1).argsort(-1).equal(similarity.argsort(-1))


def test_a_clip_is_asked_for_everything_that_is_said_and_nothing_else():
    sizes = [len(VALUES[name]) for name in ATTRIBUTES]
    logits = torch.randn(3, sum(sizes), generator=torch.Generator().manual_seed(0))
    clips = codes([Style(emotion="sad", gender="male", pitch="low")] * 2 + [Style(gender="male")])
    said = [Style(), Style(gender="female"), Style(gender="male", pitch="high")]
    found = likelihood(logits, codes(said), clips).exp()
    chance = {
        (name, value): part.softmax(-1)[:, place]
        for name, part in zip(ATTRIBUTES, logits.split(sizes, dim=1), strict=True)
        for place, value in enumerate(VALUES[name])
    }
    torch.testing.assert_close(found[:, 0], torch.ones(3))  # who says nothing is never wrong
    torch.testing.assert_close(found[:, 1], chance["gender", "female"])
    both = chance["gender", "male"] * chance["pitch", "high"]
    torch.testing.assert_close(found[:2, 2], both[:2])
    assert found[2, 2] == 0  # the pitch of its corpus is not known, so none is ever said of it


def test_what_is_true_of_fewer_clips_was_rather_said_of_this_one():
    over_texts, over_clips = posterior(torch.tensor([[1.0, 1.0], [1.0, 0.0]]).log())
    torch.testing.assert_close(over_texts, torch.tensor([[1 / 3, 2 / 3], [1.0, 0.0]]))
    torch.testing.assert_close(over_clips, torch.tensor([[0.5, 0.5], [1.0, 0.0]]))


def test_a_description_that_is_true_of_all_alike_gains_nothing_by_it():
    likely = torch.rand(4, 4, generator=torch.Generator().manual_seed(0)).log()
    vaguer = likely + torch.tensor([0.0, -3.0, 1.0, 0.5])  # by description
    for plain, shifted in zip(posterior(likely), posterior(vaguer), strict=True):
        torch.testing.assert_close(plain, shifted)
        torch.testing.assert_close(plain.sum(1), torch.ones(4))


def test_one_wording_asks_about_the_description_itself(descriptions):
    model = StubModel()
    found = Wordings(model.encode_text, 1)(descriptions)
    assert found.equal(model.encode_text([each.text for each in descriptions]))


def test_wordings_are_averaged_and_remembered(descriptions):
    model = StubModel()
    wordings = Wordings(model.encode_text, 4)
    first = wordings(descriptions)
    torch.testing.assert_close(first.norm(dim=-1), torch.ones(3))
    assert model.texts_encoded == 3 * 4
    again = wordings(descriptions[::-1])
    assert model.texts_encoded == 3 * 4
    assert again.flip(0).equal(first)


def test_wordings_depend_on_style_and_seed_alone(descriptions):
    reworded = [describe(each.style, random.Random(99)) for each in descriptions]
    encode = StubModel().encode_text
    first = Wordings(encode, 3, seed=5)(descriptions)
    assert Wordings(encode, 3, seed=5)(reworded).equal(first)
    torch.testing.assert_close(Wordings(encode, 3, seed=5)(descriptions[1:]), first[1:])
    assert not Wordings(encode, 3, seed=6)(descriptions).allclose(first)


def test_a_style_met_twice_in_a_batch_gets_one_vector(descriptions):
    model = StubModel()
    found = Wordings(model.encode_text, 2)([*descriptions, descriptions[0]])
    assert found[0].equal(found[3])
    assert model.texts_encoded == 3 * 2
