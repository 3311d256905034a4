"""Several processes share one batch, and together take the step that one alone would take.

A rank runs its share of a batch's clips and texts through the towers. The embeddings of all ranks
are then gathered with their gradient, so that every rank sees the whole (B, B) of the loss.
Deliberately not here: models, data, the loop (``train``). Start the ranks with torchrun:

    torchrun --nproc-per-node 2 -m raclap train --stage ess --manifest M.csv --output DIR
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

T = TypeVar("T")
# One rank validates while the others wait; a rank that dies is noticed by torchrun, not by this.
_PATIENCE = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all that train together.

    Attributes:
        rank: of this process, from 0; rank 0 alone logs and saves.
        size: W, how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the rank that logs and saves."""
        return self.rank == 0

    def share(self, rows: Sequence[T]) -> Sequence[T]:
        """Return this rank's part of B rows: as many for every rank, the last row as padding.

        Args:
            rows: of the whole batch, the same on every rank, B >= 1.

        Returns:
            ceil(B / W) of them; :meth:`gather` drops the padding.
        """
        if self.size == 1:
            return rows
        each = -(-len(rows) // self.size)
        places = range(self.rank * each, (self.rank + 1) * each)
        return [rows[min(place, len(rows) - 1)] for place in places]

    def gather(self, part: Tensor, count: int) -> Tensor:
        """Join the ranks' parts, with gradient.

        Args:
            part: (ceil(B / W), D) of this rank's share.
            count: B.

        Returns:
            (B, D) in the order of the whole batch. Its gradients, summed over ranks, flow back to
            the rank whose row it is.
        """
        return part if self.size == 1 else _Gather.apply(part, self.rank, self.size)[:count]

    @torch.no_grad()
    def average(self, parameters: Iterable[Tensor]) -> None:
        """Replace the gradients by their mean over ranks.

        Where every rank reckons the whole loss from gathered embeddings, that mean is the gradient
        of one process: W ranks send back W times what belongs to a row, and to its rank only.
        """
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.size == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        parts = (flat / self.size).split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, parts, strict=True):
            gradient.copy_(mean.view_as(gradient))

    @torch.no_grad()
    def agree(self, tensors: Iterable[Tensor]) -> None:
        """Give every rank the values of rank 0."""
        for tensor in tensors if self.size > 1 else ():
            distributed.broadcast(tensor.data, 0)

    def wait(self) -> None:
        """Return when every rank has come this far."""
        if self.size > 1:
            distributed.barrier()

    def tell(self, value: Any) -> Any:
        """Give every rank what rank 0 has, e.g. figures."""
        held = [value]
        if self.size > 1:
            distributed.broadcast_object_list(held, 0)
        return held[0]


ALONE = Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the ranks that torchrun started; without it, this process is alone."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ALONE
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE
    )
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


class _Gather(torch.autograd.Function):
    """All-gather whose backward returns to each rank the gradient of its own rows."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, rank: int, size: int) -> Tensor:
        ctx.rank = rank
        parts = [torch.empty_like(part) for _ in range(size)]
        distributed.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        each = len(total) // distributed.get_world_size()
        return total[ctx.rank * each : (ctx.rank + 1) * each], None, None
