"""Which words of a query are denied: small networks over the text encoder's hidden states.

In: the last hidden states of a text's tokens. Out: how likely each token is denied, as "anger" in
"spare me the anger", and how likely it is part of what denies, as "spare" and "me". That is
negation scope and cue detection (Morante & Daelemans 2009). People invent ways to deny faster than
rules can be written; what a word does to its neighbours the encoder knows from its pretraining.
Deliberately not here: how these are trained (``negating``), and what is searched for (``denial``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

PLAIN, DENIED, DENYING = range(3)
_MEMBERS = 3
_WIDTH, _HIDDEN = 96, 48
_DROPOUT = (0.3, 0.2, 0.3)  # of what comes in, of what is told apart in it, of what goes out


class Tagger(nn.Module):
    """A recurrent network that reads a text in both directions.

    Args:
        width: H, of a hidden state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        first, second, third = map(nn.Dropout, _DROPOUT)
        self.seen = nn.Sequential(first, nn.Linear(width, _WIDTH), nn.ReLU(), second)
        self.read = nn.GRU(_WIDTH, _HIDDEN, batch_first=True, bidirectional=True)
        self.told = nn.Sequential(third, nn.Linear(2 * _HIDDEN, DENYING + 1))

    def forward(self, states: Tensor, lengths: Sequence[int]) -> Tensor:
        """Turn padded states (N, T, H) of texts of these lengths into logits (N, T, 3)."""
        packed = pack_padded_sequence(
            self.seen(states), torch.as_tensor(lengths), batch_first=True, enforce_sorted=False
        )
        read, _ = pad_packed_sequence(
            self.read(packed)[0], batch_first=True, total_length=states.shape[1]
        )
        return self.told(read)


class Negation(nn.Module):
    """Taggers whose answers are averaged (Hansen & Salamon 1990).

    Args:
        width: H, of a hidden state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(Tagger(width) for _ in range(_MEMBERS))

    def forward(self, states: Tensor, lengths: Sequence[int]) -> Tensor:
        """Turn padded states (N, T, H) of texts of these lengths into probabilities (N, T, 3)."""
        return torch.stack([each(states, lengths).softmax(-1) for each in self.members]).mean(0)
