"""What a description says: small networks over all that the text encoder pools of it.

In: a description's summary, what `RACLAP.read` gives. Out: a probability of each value of each
attribute, where "does not say" takes the rest. The text tower makes one vector that has to suit
all voices at once, and keeps less of what a word means than the encoder knew; these networks have
nothing else to tell. Deliberately not here: how they are trained (``finishing``), and what becomes
of their answer (``finish``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raclap.style import SIZES

ANSWERS = [size + 1 for size in SIZES]  # of each attribute: its values, then nothing
_MEMBERS = 4
_HIDDEN = 256
_DROPOUT = 0.3


def shares(logits: Tensor) -> Tensor:
    """Turn answers (N, V + A) into probabilities (N, V) of values, by attribute 1 or less."""
    parts = logits.split(ANSWERS, dim=-1)
    return torch.cat([part.softmax(-1)[:, :-1] for part in parts], dim=-1)


class Eye(nn.Module):
    """Small networks whose answers are averaged (Hansen & Salamon 1990).

    Args:
        width: I, of a summary.

    Attributes:
        center: (I,) mean of the summaries that it learned from.
        spread: (I,) their standard deviation.
        members: standardised summaries (N, I) to answers (N, V + A), logits as in `shares`.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.members = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(_DROPOUT),
                nn.Linear(width, _HIDDEN),
                nn.ReLU(),
                nn.Dropout(_DROPOUT),
                nn.Linear(_HIDDEN, sum(ANSWERS)),
            )
            for _ in range(_MEMBERS)
        )

    def standard(self, summaries: Tensor) -> Tensor:
        """Standardise summaries (N, I)."""
        return (summaries - self.center) / self.spread

    def forward(self, summaries: Tensor) -> Tensor:
        """Tell the probability of each value: (N, I) to (N, V)."""
        seen = self.standard(summaries)
        return torch.stack([shares(member(seen)) for member in self.members]).mean(0)
