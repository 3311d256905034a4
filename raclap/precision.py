"""Multiplications with fewer bits, in the form that the processor does fastest.

In: a trained encoder's layers. Out: the same layers, same weights, same checkpoint. Under gradient
they stay as they are; only inference on a CPU is reduced. Training asks `mixed` instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

Form = Literal["float32", "float16", "bfloat16"]


def _fastest() -> Form:
    """Ask the processor."""
    has = torch.cpu.get_capabilities()
    if has.get("avx512_bf16") or has.get("amx_bf16"):
        return "bfloat16"  # without either it is emulated, and slower than full precision
    # FBGEMM widens half precision on its way into the processor.
    return "float16" if "fbgemm" in torch.backends.quantized.supported_engines else "float32"


FAST = _fastest()
_FEW = 150  # rows; with more it is not the weights that are waited for
ATTENTION = "reduced"  # the name by which transformers knows `attend`


@contextmanager
def full() -> Iterator[None]:
    """Keep full precision within, where last bits hardly depend on what else is in a batch."""
    global FAST
    before, FAST = FAST, "float32"
    try:
        yield
    finally:
        FAST = before


def mixed(device: torch.device) -> torch.autocast:
    """Compute in bfloat16 where that is faster: for training, or for what is kept halved anyway."""
    faster = device.type != "cpu" or FAST == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=faster)


class Reduced(nn.Linear):
    """A linear layer that infers in fewer bits: less time, and the result in float32.

    In bfloat16 everything is rounded. Half precision is for weights that it holds exactly, as those
    of a checkpoint (``weights``), and nothing else is rounded: half as much is fetched from memory,
    which is what a short text waits for.

    Attributes:
        stays: in bfloat16 the result stays so, since only what takes it so comes next.
    """

    stays = False
    _kept: tuple[object, tuple[Any, ...] | None] | None = None  # of what; that, ready

    @classmethod
    def of(cls, layer: nn.Linear) -> Reduced:
        """Take over the weights of ``layer``."""
        twin = cls(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        twin.weight, twin.bias = layer.weight, layer.bias
        return twin.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        form = FAST if torch.is_inference_mode_enabled() and x.device.type == "cpu" else "float32"
        if form == "float16" and x.numel() > _FEW * self.in_features:
            form = "float32"
        ready = None if form == "float32" else self._ready(form)
        if ready is None:
            return super().forward(x)
        if form == "float16":
            return torch.ops.quantized.linear_dynamic_fp16(x, *ready)
        result = torch.ops.mkldnn._linear_pointwise(x.bfloat16(), *ready, "none", [], "")
        return result if self.stays else result.float()

    def _ready(self, form: Form) -> tuple[Any, ...] | None:
        """Return what ``form`` multiplies with, made once; None if it cannot."""
        # Weights are loaded and trained in place: the version tells when the copy is out of date.
        held = [weight for weight in (self.weight, self.bias) if weight is not None]
        key = [form, *((weight.data_ptr(), weight._version) for weight in held)]
        if self._kept is None or self._kept[0] != key:
            self._kept = (key, self._rounded() if form == "bfloat16" else self._halved())
        return self._kept[1]

    def _rounded(self) -> tuple[Tensor, Tensor | None]:
        """Return the weights as oneDNN reads them, and the bias."""
        weight = torch.ops.mkldnn._reorder_linear_weight(self.weight.bfloat16(), None)
        return weight, None if self.bias is None else self.bias.bfloat16()

    def _halved(self) -> tuple[torch.ScriptObject] | None:
        """Return weights and bias as FBGEMM reads them; None if they would be rounded."""
        if not torch.equal(self.weight.half().float(), self.weight):
            return None
        return (torch.ops.quantized.linear_prepack_fp16(self.weight, self.bias),)

    def __getstate__(self) -> dict[str, object]:
        """Leave the reduced weights out of copies."""
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


def reduce(layers: Iterable[nn.Module], names: Mapping[str, bool]) -> None:
    """Replace linear layers by their dotted names in each of ``layers``; the value says `stays`."""
    for layer in layers:
        for name, stays in names.items():
            parent, _, own = name.rpartition(".")
            twin = Reduced.of(layer.get_submodule(name))
            twin.stays = stays
            setattr(layer.get_submodule(parent), own, twin)
