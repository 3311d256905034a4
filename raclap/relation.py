"""A frozen teacher's view of a batch becomes the soft relation targets.

A description and a clip match in part, not all or nothing: "a slow, sad man" is half true of a
slow, neutral man. Sun et al. (2025) let the stage-one model say how much; since one wording of a
style is a noisy witness, the teacher here may be asked about several and the answers averaged.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from raclap.style import SIZES, Style
from raclap.wording import Description, describe


def relation(similarity: Tensor, temperature: float) -> Tensor:
    """Turn the teacher's similarities into targets: softmax over each row.

    Args:
        similarity: (B, B) or (N, M) cosines, a row for each query.
        temperature: towards 0 the best match takes all; large values spread it evenly.

    Returns:
        The same shape; rows sum to 1.

    Source:
        Primus et al. 2024 (arXiv 2408.11641), eq. 4, where temperature is 0.05.
    """
    return (similarity / temperature).softmax(dim=-1)


def within(speech: Tensor, text: Tensor) -> Tensor:
    """Relate clips and descriptions through their own kind (SmoothCLAP, arXiv 2601.12591).

    Args:
        speech: (B, D) unit vectors of clips.
        text: (B, D) unit vectors of their descriptions.

    Returns:
        (B, B): the mean of clip-clip and text-text cosines, so that it is symmetric.
    """
    return (speech @ speech.T + text @ text.T) / 2


def likelihood(logits: Tensor, said: np.ndarray, clips: np.ndarray) -> Tensor:
    """Tell how likely each clip has everything that each description mentions.

    Attributes are asked about one at a time and the answers multiplied: what a description leaves
    open costs it nothing, and one value that is not heard is not made up for by five that are.

    Args:
        logits: (B, V) of clips with all values of all attributes, in order.
        said: (N, A) index of the value that each description mentions, -1 where it mentions none.
        clips: (B, A) likewise of the clips. Only which attributes a clip's corpus knows is looked
            at: others are never said of it.

    Returns:
        (B, N) log-probabilities.
    """
    total = logits.new_zeros(len(logits), len(said))
    for part, column in zip(logits.split(SIZES, dim=1), said.T, strict=True):
        mentioned = np.flatnonzero(column >= 0)
        total[:, mentioned] += part.log_softmax(-1)[:, column[mentioned]]
    unsaid = ((said[None] >= 0) & (clips[:, None] < 0)).any(-1)  # (B, N)
    return total.masked_fill(torch.from_numpy(unsaid).to(total.device), float("-inf"))


def posterior(likely: Tensor) -> tuple[Tensor, Tensor]:
    """Turn how likely a description is true of a clip into how likely it was said of that clip.

    By Bayes' rule over the batch, in which every clip has one description. A vague description is
    true of many clips: of two that are true of one clip, that which is true of fewer others is the
    likelier to be its own.

    Args:
        likely: (B, B) log-probabilities, clips by descriptions; no row or column all -inf.

    Returns:
        Over texts, (B, B) with a row for each clip: P(j | i) = L_ij / sum_k L_kj, scaled to sum 1;
        over clips, (B, B) with a row for each text: P(i | j) = L_ij / sum_k L_kj.
    """
    over_clips = likely.log_softmax(dim=0)  # (clips, texts)
    return over_clips.softmax(dim=1), over_clips.T.exp()


class Wordings:
    """The teacher's text vectors of styles, each averaged over several wordings and remembered.

    Args:
        encode_text: the teacher's; texts to (N, D) unit vectors.
        count: wordings a style; 1 asks about the student's own description instead.
        seed: decides which wordings.
    """

    def __init__(
        self, encode_text: Callable[[list[str]], Tensor], count: int, seed: int = 0
    ) -> None:
        self.encode_text, self.count, self.seed = encode_text, count, seed
        self._known: dict[Style, Tensor] = {}

    def __call__(self, descriptions: Sequence[Description]) -> Tensor:
        """Return (B, D) unit vectors for what each description mentions."""
        if self.count == 1:
            return self.encode_text([description.text for description in descriptions])
        styles = [description.style for description in descriptions]
        new = sorted({style for style in styles if style not in self._known}, key=str)
        if new:
            texts = [
                describe(style, random.Random(f"{self.seed}/{style}/{i}")).text
                for style in new
                for i in range(self.count)
            ]
            vectors = self.encode_text(texts).view(len(new), self.count, -1).mean(1)
            self._known |= dict(zip(new, normalize(vectors, dim=-1), strict=True))
        return torch.stack([self._known[style] for style in styles])
