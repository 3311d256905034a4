"""Multiplications in bfloat16 or in eight bits, whichever the processor does faster.

In: a trained encoder's layers. Out: the same layers, same weights, same checkpoint. Under gradient
they stay in full precision; only inference on such a CPU is reduced. Training asks `mixed` instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from raclap.weights import eighths, grid

Form = Literal["float32", "bfloat16", "int8"]


def _fastest() -> Form:
    """Ask the processor. Where it has both, bfloat16 is as fast and rounds less."""
    has = torch.cpu.get_capabilities()
    if has.get("avx512_bf16") or has.get("amx_bf16"):
        return "bfloat16"  # without either it is emulated, and slower than full precision
    return "int8" if has.get("avx512_vnni") or has.get("avx_vnni") else "float32"


FAST = _fastest()
_ZERO = 128  # which of 256 is zero in what comes in: oneDNN wants that without a sign
_SIGNED = torch.zeros(1, dtype=torch.int64)  # where zero is in the weights
_PLANE = 254  # steps of the lower plane in one of the upper: what is left over has 127 at most
_MOST = 127 * _PLANE + _PLANE // 2 - 1  # steps of the lower plane from zero
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

    In bfloat16 everything is rounded. Eight bits are used only for weights that they hold, as a
    checkpoint may (``weights``), and twice for what comes in, so that hardly anything is.

    Attributes:
        stays: in bfloat16 the result stays so, since only what takes it so comes next.
    """

    stays = False
    _kept: tuple[object, tuple[Tensor | None, ...] | None] | None = None  # of what; that, ready

    @classmethod
    def of(cls, layer: nn.Linear) -> Reduced:
        """Take over the weights of ``layer``."""
        twin = cls(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        twin.weight, twin.bias = layer.weight, layer.bias
        return twin.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        form = FAST if torch.is_inference_mode_enabled() and x.device.type == "cpu" else "float32"
        ready = None if form == "float32" else self._ready(form)
        if ready is None:
            return super().forward(x)
        if form == "int8":
            return self._in_bytes(x, *ready)
        result = torch.ops.mkldnn._linear_pointwise(x.bfloat16(), *ready, "none", [], "")
        return result if self.stays else result.float()

    def _in_bytes(self, x: Tensor, weight: Tensor, step: Tensor, bias: Tensor | None) -> Tensor:
        """Multiply whole numbers: of what comes in, to 32,000 from zero in two planes."""
        rows = x.reshape(-1, self.in_features)
        least, largest = map(float, rows.aminmax())
        unit = max(-least, largest) / _MOST or 1.0
        low = (rows * (1 / unit)).round_()
        high = (low * (1 / _PLANE)).round_()
        # One below the other, so that the weights are fetched once.
        planes = torch.cat([high, low.sub_(high, alpha=_PLANE)])
        planes = planes.add_(_ZERO + 0.5).to(torch.uint8)  # cutting off half more is rounding
        high, low = torch.ops.onednn.qlinear_pointwise(
            *(planes, unit, _ZERO, weight, step, _SIGNED, bias),
            *(1.0, 0, torch.float32, "none", [], ""),
        ).chunk(2)
        return low.add_(high, alpha=_PLANE).reshape(*x.shape[:-1], self.out_features)

    def _ready(self, form: Form) -> tuple[Tensor | None, ...] | None:
        """Return what ``form`` multiplies with, made once; None if it cannot."""
        # Weights are loaded and trained in place: the version tells when the copy is out of date.
        held = [weight for weight in (self.weight, self.bias) if weight is not None]
        key = [form, *((weight.data_ptr(), weight._version) for weight in held)]
        if self._kept is None or self._kept[0] != key:
            self._kept = (key, self._halved() if form == "bfloat16" else self._eighths())
        return self._kept[1]

    def _halved(self) -> tuple[Tensor, Tensor | None]:
        """Return the weights as oneDNN reads them, and the bias."""
        weight = torch.ops.mkldnn._reorder_linear_weight(self.weight.bfloat16(), None)
        return weight, None if self.bias is None else self.bias.bfloat16()

    def _eighths(self) -> tuple[Tensor, Tensor, Tensor | None] | None:
        """Return the weights as oneDNN reads them, each row's step, and what bias a plane has.

        None if eight bits do not hold the weights.
        """
        if not torch.equal(eighths(self.weight), self.weight):
            return None
        step = grid(self.weight)
        whole = (self.weight / step).to(torch.int8)
        bias = None if self.bias is None else self.bias / (1 + _PLANE)  # it is in both planes
        return torch.ops.onednn.qlinear_prepack(whole, None), step[:, 0], bias

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
