"""Losses against plain loops. Run: python -m pytest tests/test_loss.py."""

from __future__ import annotations

import math

import pytest
import torch

from raclap.loss import attribute, combine, contrastive, relational, sigmoid

SIZE = 6


@pytest.fixture
def logits():
    return torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 3


@pytest.fixture
def targets():
    draw = torch.Generator().manual_seed(1)
    return tuple(torch.randn(SIZE, SIZE, generator=draw).softmax(-1) for _ in range(2))


def oracle(logits, over_texts, over_clips):
    """Soft cross-entropy over both directions, one number at a time."""
    rows = logits.tolist()
    total = 0.0
    for direction, targets in (("rows", over_texts), ("columns", over_clips)):
        for i in range(SIZE):
            line = rows[i] if direction == "rows" else [rows[j][i] for j in range(SIZE)]
            whole = math.log(sum(math.exp(value) for value in line))
            for j in range(SIZE):
                total -= float(targets[i][j]) * (line[j] - whole)
    return total / SIZE / 2


def test_contrastive_equals_the_loop(logits):
    pair = torch.eye(SIZE)
    assert contrastive(logits).item() == pytest.approx(oracle(logits, pair, pair), rel=1e-5)


def test_relational_equals_the_loop(logits, targets):
    assert relational(logits, *targets).item() == pytest.approx(oracle(logits, *targets), rel=1e-5)
    assert relational(logits, *targets) != relational(logits, *targets[::-1])


def test_one_hot_targets_are_infonce(logits):
    pair = torch.eye(SIZE)
    torch.testing.assert_close(relational(logits, pair, pair), contrastive(logits))


def total(logits, targets, weight):
    second = relational(logits, *targets)
    none = logits.new_zeros(())
    return combine(contrastive(logits), second, none, none, weight, 0.0, 0.0)


def test_weight_zero_is_infonce_to_the_bit(logits, targets):
    assert total(logits, targets, 0.0).total.equal(contrastive(logits))


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_terms_are_mixed_by_weight(logits, targets, weight):
    first, second, third = contrastive(logits), relational(logits, *targets), logits.var()
    fourth = logits.mean()
    loss = combine(first, second, third, fourth, weight, 0.7, 0.2)
    terms = (loss.contrastive, loss.relation, loss.attribute, loss.reading)
    assert terms == (first, second, third, fourth)
    mixed = (1 - weight) * first + weight * second + 0.7 * third + 0.2 * fourth
    torch.testing.assert_close(loss.total, mixed)


def test_the_order_of_the_batch_does_not_matter(logits, targets):
    order = torch.randperm(SIZE, generator=torch.Generator().manual_seed(2))
    shuffled = [matrix[order][:, order] for matrix in (logits, *targets)]
    before, after = total(logits, targets, 0.4), total(shuffled[0], tuple(shuffled[1:]), 0.4)
    torch.testing.assert_close(before.total, after.total)
    assert not torch.isclose(contrastive(logits[order]), before.contrastive)  # pairs were parted


def test_sigmoid_equals_the_loop(logits):
    fits = (logits > 1).float()
    for given, truth in ((None, torch.eye(SIZE)), (fits, fits)):
        expected = sum(
            math.log1p(math.exp(-value if fit else value))
            for line, row in zip(logits.tolist(), truth.tolist(), strict=True)
            for value, fit in zip(line, row, strict=True)
        )
        assert sigmoid(logits, given).item() == pytest.approx(expected / SIZE, rel=1e-5)


def test_attribute_equals_the_loop(logits):
    truth = torch.tensor([0, -1, 2, 3, -1, 1])
    allowed = torch.ones(SIZE, SIZE, dtype=torch.bool)
    allowed[2, 5] = allowed[3, 0] = False
    terms = []
    for row, value in enumerate(truth.tolist()):
        if value < 0:
            continue
        line = [x for x, ok in zip(logits[row].tolist(), allowed[row].tolist(), strict=True) if ok]
        terms.append(math.log(sum(map(math.exp, line))) - logits[row, value].item())
    expected = sum(terms) / len(terms)
    assert attribute(logits, truth, allowed).item() == pytest.approx(expected, rel=1e-5)
    assert attribute(logits, torch.full((SIZE,), -1), allowed) == 0


def test_directions_are_symmetric(logits, targets):
    torch.testing.assert_close(contrastive(logits), contrastive(logits.T))
    torch.testing.assert_close(relational(logits, *targets), relational(logits.T, *targets[::-1]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_finite_at_scale_100(targets, dtype):
    cosine = torch.ones(SIZE, SIZE) - 2 * torch.eye(SIZE)  # every pair is the worst match
    logits = (100 * cosine).to(dtype).requires_grad_()
    loss = total(logits, tuple(target.to(dtype) for target in targets), 0.5)
    loss.total.backward()
    assert loss.contrastive.item() == pytest.approx(200 + math.log(SIZE - 1), rel=0.01)
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().sum() > 0


def test_perfect_pairs_cost_nothing():
    assert contrastive(100 * torch.eye(SIZE)).item() == pytest.approx(0, abs=1e-6)


def test_a_wrong_relation_costs_more_than_the_right_one(logits):
    right = (logits.softmax(-1), logits.T.softmax(-1))
    best = relational(logits, *right)
    for spoil in (torch.eye(SIZE).flip(0), torch.full((SIZE, SIZE), 1 / SIZE)):
        mixed = tuple(0.5 * target + 0.5 * spoil for target in right)
        assert relational(logits, *mixed) > best
