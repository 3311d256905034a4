"""What emotion a clip shows: small networks over all that the speech tower pools of it.

In: a clip's summary, what `SpeechTower.summary` gives. Out: a probability of each emotion. The
speech tower makes one vector that has to please all descriptions at once, and keeps less of the
emotion than what it pools tells; these networks have nothing else to tell. Deliberately not here:
how they are trained (``finishing``), and what becomes of their answer (``finish``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raclap.style import VALUES

EMOTIONS = len(VALUES["emotion"])
_MEMBERS = 6
_HIDDEN, _NARROW = 256, 128
_DROPOUT = 0.3


class Ear(nn.Module):
    """Small networks whose answers are averaged (Hansen & Salamon 1990).

    Each has outputs for recorded voices and others for synthetic ones, for a program acts an
    emotion in its own way, and decides between the two by itself.

    Args:
        width: I, of a summary.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(_DROPOUT),
                nn.Linear(width, _HIDDEN),
                nn.ReLU(),
                nn.Dropout(_DROPOUT),
                nn.Linear(_HIDDEN, _NARROW),
                nn.Linear(_NARROW, 2 * EMOTIONS + 1),
            )
            for _ in range(_MEMBERS)
        )

    @staticmethod
    def split(answers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split a member's answers (N, 2E + 1) into logits.

        Returns:
            (N, E) of a recorded voice's emotions, (N, E) of a synthetic one's, (N,) whether it is
            synthetic.
        """
        recorded, synthetic, kind = answers.split([EMOTIONS, EMOTIONS, 1], dim=-1)
        return recorded, synthetic, kind[..., 0]

    def forward(self, summaries: Tensor) -> Tensor:
        """Tell the probability of each emotion: (N, I) to (N, E)."""
        shares = []
        for member in self.members:
            recorded, synthetic, kind = self.split(member(summaries))
            share = kind.sigmoid()[:, None]
            shares.append((1 - share) * recorded.softmax(-1) + share * synthetic.softmax(-1))
        return torch.stack(shares).mean(0)
