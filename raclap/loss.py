"""Logits and targets become the contrastive term, the relation term and their sum."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The terms of one step, each a scalar.

    Attributes:
        contrastive: against the pairing.
        relation: cross-entropy against the soft relations; 0 where none are given.
        attribute: each attribute by itself; 0 where it is not asked for.
        reading: each attribute that a description mentions; 0 where it is not asked for.
        total: what is minimised.
    """

    contrastive: Tensor
    relation: Tensor
    attribute: Tensor
    reading: Tensor
    total: Tensor


def contrastive(logits: Tensor) -> Tensor:
    """InfoNCE over both directions (Oord et al. 2018; Radford et al. 2021).

    Args:
        logits: (B, B), scale * cosine; the pair of row i is column i.
    """
    pair = torch.arange(len(logits), device=logits.device)
    return (cross_entropy(logits, pair) + cross_entropy(logits.T, pair)) / 2


def relational(logits: Tensor, over_texts: Tensor, over_clips: Tensor) -> Tensor:
    """Cross-entropy with soft targets over both directions (Primus et al. 2024, eq. 5).

    Args:
        logits: (B, B), speech by text.
        over_texts: (B, B) targets for each clip; rows sum to 1.
        over_clips: (B, B) targets for each description; rows sum to 1, a row for each text.
    """
    return (cross_entropy(logits, over_texts) + cross_entropy(logits.T, over_clips)) / 2


def sigmoid(logits: Tensor, fits: Tensor | None = None) -> Tensor:
    """Every pair is a yes-or-no question of its own (SigLIP, Zhai et al. 2023).

    Args:
        logits: (B, B), scale * cosine + bias.
        fits: (B, B), 1 where a description fits a clip; by default on the diagonal only.
    """
    fits = torch.eye(len(logits), device=logits.device) if fits is None else fits
    return -logsigmoid((2 * fits - 1) * logits).sum() / len(logits)


def attribute(logits: Tensor, truth: Tensor, allowed: Tensor) -> Tensor:
    """Cross-entropy over the values of one attribute.

    Args:
        logits: (B, V), scale * cosine of each clip or text with a description of each value alone.
        truth: (B,) index of the value, -1 where it is unknown.
        allowed: (B, V) bool, the values to choose from, such as those that the clip's corpus has.

    Returns:
        The mean over rows that know their value, and it is among the allowed; 0 if none does.
    """
    known = (truth >= 0) & allowed.gather(1, truth.clamp(min=0)[:, None])[:, 0]
    masked = logits.masked_fill(~allowed, float("-inf"))
    if not known.any():
        return logits.new_zeros(())
    return cross_entropy(masked[known], truth[known])


def combine(
    contrastive: Tensor,
    relation: Tensor,
    attribute: Tensor,
    reading: Tensor,
    relation_weight: float,
    attribute_weight: float,
    reading_weight: float,
) -> Loss:
    """Sum the terms: (1 - w) * contrastive + w * relation + v * attribute + u * reading.

    Args:
        contrastive: scalar.
        relation: scalar.
        attribute: scalar.
        reading: scalar.
        relation_weight: w, from 0 to 1; at 0 nothing of the relation is left.
        attribute_weight: v, 0 or more.
        reading_weight: u, 0 or more.
    """
    total = (1 - relation_weight) * contrastive if relation_weight else contrastive
    if relation_weight:
        total = total + relation_weight * relation
    if attribute_weight:
        total = total + attribute_weight * attribute
    if reading_weight:
        total = total + reading_weight * reading
    return Loss(
        contrastive=contrastive,
        relation=relation,
        attribute=attribute,
        reading=reading,
        total=total,
    )
