"""Logits and targets become the contrastive term, the relation term and their sum."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The terms of one step, each a scalar.

    Attributes:
        contrastive: InfoNCE against the one-hot pairing.
        relation: cross-entropy against the soft relations; 0 where none are given.
        total: what is minimised.
    """

    contrastive: Tensor
    relation: Tensor
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


def combine(
    logits: Tensor, targets: tuple[Tensor, Tensor] | None = None, weight: float = 0.0
) -> Loss:
    """Mix the terms: (1 - weight) * contrastive + weight * relation.

    Args:
        logits: (B, B), speech by text.
        targets: soft relations over texts and over clips, see :func:`relational`.
        weight: share of the relation term, 0 to 1; at 0 the total is InfoNCE to the bit.
    """
    first = contrastive(logits)
    if targets is None or weight == 0:
        return Loss(contrastive=first, relation=logits.new_zeros(()), total=first)
    second = relational(logits, *targets)
    return Loss(contrastive=first, relation=second, total=(1 - weight) * first + weight * second)
