"""Losses against plain loops. Run: python -m pytest tests/test_loss.py."""

from __future__ import annotations

import math

import pytest
import torch

from raclap.loss import combine, contrastive, relational

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


def test_weight_zero_is_infonce_to_the_bit(logits, targets):
    for loss in (combine(logits), combine(logits, targets, 0.0), combine(logits, None, 0.7)):
        assert loss.total.equal(contrastive(logits))
        assert loss.relation == 0


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_terms_are_mixed_by_weight(logits, targets, weight):
    loss = combine(logits, targets, weight)
    first, second = contrastive(logits), relational(logits, *targets)
    assert (loss.contrastive.item(), loss.relation.item()) == (first.item(), second.item())
    torch.testing.assert_close(loss.total, (1 - weight) * first + weight * second)


def test_the_order_of_the_batch_does_not_matter(logits, targets):
    order = torch.randperm(SIZE, generator=torch.Generator().manual_seed(2))
    shuffled = [matrix[order][:, order] for matrix in (logits, *targets)]
    before, after = combine(logits, targets, 0.4), combine(shuffled[0], tuple(shuffled[1:]), 0.4)
    torch.testing.assert_close(before.total, after.total)
    assert not torch.isclose(contrastive(logits[order]), before.contrastive)  # pairs were parted


def test_directions_are_symmetric(logits, targets):
    torch.testing.assert_close(contrastive(logits), contrastive(logits.T))
    torch.testing.assert_close(relational(logits, *targets), relational(logits.T, *targets[::-1]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_finite_at_scale_100(targets, dtype):
    cosine = torch.ones(SIZE, SIZE) - 2 * torch.eye(SIZE)  # every pair is the worst match
    logits = (100 * cosine).to(dtype).requires_grad_()
    loss = combine(logits, tuple(target.to(dtype) for target in targets), 0.5)
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
