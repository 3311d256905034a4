"""Multiplications in bfloat16 where the processor does them faster.

In: a trained encoder's layers. Out: the same layers, same weights, same checkpoint. Under gradient
they stay in full precision; only inference on such a CPU is halved. Training asks `mixed` instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

# AVX512-BF16 or AMX; without either, bfloat16 is emulated and slower than full precision.
FAST_BFLOAT16 = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
ATTENTION = "halved"  # the name by which transformers knows `attend`


def _fast(x: Tensor) -> bool:
    return FAST_BFLOAT16 and torch.is_inference_mode_enabled() and x.device.type == "cpu"


@contextmanager
def full() -> Iterator[None]:
    """Keep full precision within, where last bits hardly depend on what else is in a batch."""
    global FAST_BFLOAT16
    before, FAST_BFLOAT16 = FAST_BFLOAT16, False
    try:
        yield
    finally:
        FAST_BFLOAT16 = before


def mixed(device: torch.device) -> torch.autocast:
    """Compute in bfloat16 where that is faster: for training, or for what is kept halved anyway."""
    faster = device.type != "cpu" or FAST_BFLOAT16
    return torch.autocast(device.type, torch.bfloat16, enabled=faster)


class Halved(nn.Linear):
    """A linear layer that infers in bfloat16: half the time, and the sum goes on in float32.

    Attributes:
        stays: the result stays in bfloat16, since only what takes it so comes next.
    """

    stays = False
    _kept: tuple[object, Tensor, Tensor | None] | None = None  # of which weights; these halved

    @classmethod
    def of(cls, layer: nn.Linear) -> Halved:
        """Take over the weights of ``layer``."""
        twin = cls(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        twin.weight, twin.bias = layer.weight, layer.bias
        return twin.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        if not _fast(x):
            return super().forward(x)
        weight, bias = self._halved()
        result = torch.ops.mkldnn._linear_pointwise(x.bfloat16(), weight, bias, "none", [], "")
        return result if self.stays else result.float()

    def _halved(self) -> tuple[Tensor, Tensor | None]:
        # Weights are loaded and trained in place: the version tells when the copy is out of date.
        held = [weight for weight in (self.weight, self.bias) if weight is not None]
        key = [(weight.data_ptr(), weight._version) for weight in held]
        if self._kept is None or self._kept[0] != key:
            # In the order in which oneDNN reads them; else it brings them into it at every call.
            weight = torch.ops.mkldnn._reorder_linear_weight(self.weight.bfloat16(), None)
            self._kept = (key, weight, None if self.bias is None else self.bias.bfloat16())
        return self._kept[1:]

    def __getstate__(self) -> dict[str, object]:
        """Leave the halved weights out of copies."""
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    **settings: object,
) -> tuple[Tensor, None]:
    """Attend in bfloat16 if that is what the layers before gave, else as torch does.

    Three plain steps a clip: for clips of seconds they take less time than torch's one that never
    holds all weights at once.

    Args:
        module: the layer that asks.
        query: (B, heads, T, C), and so are ``key`` and ``value``; the query is scaled already.
        key: what the query is compared with.
        value: what is averaged.
        mask: (B, 1, T, T) bool, true where a frame may be attended to; None if everywhere.
        settings: what transformers hands to an attention.

    Returns:
        (B, T, heads, C), and no weights.
    """
    if query.dtype != torch.bfloat16:
        return sdpa_attention_forward(module, query, key, value, mask, **settings)
    clips = []
    for number, (q, k, v) in enumerate(zip(query, key, value, strict=True)):
        # Less the mean key every likeness is less the same, which the softmax does not see; what is
        # left is smaller and rounds more finely.
        k = k - k.mean(1, keepdim=True)
        likeness = torch.bmm(q, k.transpose(1, 2))  # (heads, T, T)
        if mask is not None:
            likeness.masked_fill_(~mask[number], -torch.inf)
        clips.append(torch.bmm(likeness.softmax(-1), v).transpose(0, 1))
    return torch.stack(clips), None


AttentionInterface.register(ATTENTION, attend)


def halve(layers: Iterable[nn.Module], names: Mapping[str, bool]) -> None:
    """Replace linear layers by their dotted names in each of ``layers``; the value says `stays`."""
    for layer in layers:
        for name, stays in names.items():
            parent, _, own = name.rpartition(".")
            twin = Halved.of(layer.get_submodule(name))
            twin.stays = stays
            setattr(layer.get_submodule(parent), own, twin)
