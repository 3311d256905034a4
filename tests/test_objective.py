"""What a batch costs, by every kind of term. Run: python -m pytest tests/test_objective.py."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from raclap import metrics
from raclap.config import RelationConfig, TrainConfig, preset
from raclap.corpus import Clip
from raclap.data import Batch, value_vectors
from raclap.loss import contrastive, relational
from raclap.model import RACLAP
from raclap.objective import Objective
from raclap.precision import mixed
from raclap.relation import likelihood, posterior, relation
from raclap.style import ATTRIBUTES, EVERY_VALUE, VALUES, Style, overlap
from raclap.towers import Frames
from raclap.wording import Description, describe

STYLES = [
    Style(gender="female", emotion="angry", pitch="high"),
    Style(gender="male", emotion="angry", pitch="low"),
    Style(gender="female", emotion="sad", pitch="low"),
    Style(gender="male", emotion="happy"),
]
SAID = [Style(emotion="angry"), Style(gender="male"), STYLES[2], STYLES[3]]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return RACLAP.create(preset("tiny").model)


@pytest.fixture(scope="module")
def batch(model):
    frames = [model.speech.lower(torch.randn(8000 + 800 * i).numpy()) for i in range(4)]
    return Batch(
        frames=Frames.collate(frames),
        corpora=["one", "one", "two", "two"],
        styles=STYLES,
        descriptions=[
            Description(text=describe(said, random.Random(i)).text, style=said)
            for i, said in enumerate(SAID)
        ],
        probes={},
        drills=[],
    )


CLIPS = [
    Clip(id=str(i), path=str(i), corpus=corpus, **style.known)
    for i, (corpus, style) in enumerate(zip(["one", "one", "two", "two"], STYLES, strict=True))
]


def cost(model, batch, teacher=None, relations=None, **settings):
    config = TrainConfig(wordings=0, **settings)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Objective(model, teacher, config, relations or RelationConfig(), CLIPS)(batch)


def logits_of(model, batch):
    with mixed(model.device):
        texts = model.pool_texts([each.text for each in batch.descriptions])
        return model(batch.frames.on(model.device), texts).logits


def test_pairs_alone_are_infonce(model, batch):
    found = cost(model, batch)
    assert found.total.equal(contrastive(logits_of(model, batch)))
    assert (found.relation, found.attribute) == (0, 0)


def test_a_partial_description_fits_every_clip_that_has_it(model, batch):
    fits = torch.tensor(  # clips by descriptions, by hand
        [[1.0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]]
    )
    share = fits / fits.sum(0)  # of two that fit a clip, that which fits fewer is rather its own
    expected = relational(
        logits_of(model, batch), share / share.sum(1, keepdim=True), fits.T / fits.T.sum(1)[:, None]
    )
    torch.testing.assert_close(cost(model, batch, positives="style").total, expected)


def test_sigmoid_learns_its_own_bias(model, batch):
    objective = Objective(model, None, TrainConfig(loss="sigmoid"), RelationConfig(), CLIPS)
    objective(batch).total.backward()
    (bias,) = objective.parameters
    assert bias.item() == -10
    assert bias.grad.abs() > 0


@pytest.mark.parametrize("kind", ["cross", "likelihood", "within", "overlap"])
def test_relations_of_every_kind(model, batch, kind):
    teacher = model.copied()
    settings = RelationConfig(kind=kind, weight=0.4, temperature=0.1, wordings=2)
    found = cost(model, batch, teacher, settings)
    assert found.relation > 0
    torch.testing.assert_close(found.total, 0.6 * found.contrastive + 0.4 * found.relation)


def test_true_overlap_is_the_target(model, batch):
    settings = RelationConfig(kind="overlap", weight=1.0, temperature=0.1)
    truth = torch.tensor([[overlap(clip, said) for said in SAID] for clip in STYLES])
    expected = relational(logits_of(model, batch), relation(truth, 0.1), relation(truth.T, 0.1))
    found = cost(model, batch, model.copied(), settings).total
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_teacher_is_asked_how_likely_a_clip_has_what_is_said(model, batch):
    settings = RelationConfig(kind="likelihood", weight=1.0)
    values = value_vectors(model.encode_text)
    assert values.shape == (sum(map(len, VALUES.values())), model.dim)
    with torch.no_grad():
        speech = normalize(model.speech(batch.frames.on(model.device)), dim=-1)
    targets = posterior(
        likelihood(model.logits(speech, values), metrics.codes(SAID), metrics.codes(STYLES))
    )
    found = cost(model, batch, model.copied(), settings).total
    expected = relational(logits_of(model, batch), *targets)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    assert not torch.isclose(found, cost(model, batch, positives="style").total, atol=1e-2)


def test_a_student_may_have_a_temperature_of_its_own(model, batch):
    settings = RelationConfig(weight=1.0, wordings=1)
    own = cost(model, batch, model.copied(), settings).total
    fixed = cost(model, batch, model.copied(), replace(settings, student_temperature=0.5)).total
    assert not torch.isclose(own, fixed)


def test_each_attribute_is_asked_for_among_the_values_of_its_corpus(model, batch):
    probes = {
        name: [describe(Style(**{name: value}), random.Random(0)) for value in VALUES[name]]
        for name in ATTRIBUTES
    }
    found = cost(model, replace(batch, probes=probes), attributes=0.5)
    torch.testing.assert_close(found.total, found.contrastive + 0.5 * found.attribute)
    assert found.attribute > 0
    # Corpus "one" knows one emotion, and neither corpus a speed: where there is no choice between
    # values, nothing is asked.
    alone = replace(batch, styles=[Style(emotion="angry")] * 2 + [Style(speed="low")] * 2)
    assert cost(model, replace(alone, probes=probes), attributes=0.5).attribute == 0


def test_each_description_is_asked_what_it_says(model, batch):
    probes = {
        name: [describe(Style(**{name: value}), random.Random(0)) for value in VALUES[name]]
        for name in ATTRIBUTES
    }
    asked = replace(batch, probes=probes)
    found = cost(model, asked, reading=0.5)
    torch.testing.assert_close(found.total, found.contrastive + 0.5 * found.reading)
    assert found.attribute == 0
    # By hand: of what each description mentions, among all values of that attribute.
    with mixed(model.device):
        texts = [each.text for each in batch.descriptions]
        texts += [probe.text for each in probes.values() for probe in each]
        text = model(batch.frames.on(model.device), model.pool_texts(texts)).text
    expected, start = [], len(batch.descriptions)
    for name in ATTRIBUTES:
        stop = start + len(VALUES[name])
        rows = [i for i, said in enumerate(SAID) if getattr(said, name)]
        truth = torch.tensor([VALUES[name].index(getattr(SAID[i], name)) for i in rows])
        logits = model.scale * text[rows] @ text[start:stop].T
        loss = torch.nn.functional.cross_entropy(logits, truth) if rows else torch.zeros(())
        expected.append(loss)
        start = stop
    torch.testing.assert_close(found.reading, torch.stack(expected).mean(), rtol=1e-3, atol=1e-3)


def test_a_drill_is_told_from_every_other_value(model, batch):
    probes = {
        name: [describe(Style(**{name: value}), random.Random(0)) for value in VALUES[name]]
        for name in ATTRIBUTES
    }
    said = [("emotion", "sad"), ("gender", "male"), ("pitch", "high")]
    drills = [describe(Style(**dict([each])), random.Random(2)) for each in said]
    undrilled = cost(model, replace(batch, probes=probes), reading=1.0).reading
    found = cost(model, replace(batch, probes=probes, drills=drills), reading=0.5)
    torch.testing.assert_close(found.total, found.contrastive + 0.5 * found.reading)
    # By hand: a row of logits over all values, in the order of the attributes.
    with mixed(model.device):
        texts = [each.text for each in drills]
        texts += [probe.text for each in probes.values() for probe in each]
        text = model(batch.frames.on(model.device), model.pool_texts(texts)).text
    logits = model.scale * text[:3] @ text[3:].T
    truth = torch.tensor([EVERY_VALUE.index(each) for each in said])
    expected = undrilled + torch.nn.functional.cross_entropy(logits, truth)
    torch.testing.assert_close(found.reading, expected, rtol=1e-3, atol=1e-3)
