"""Linear layers that multiply in bfloat16 where the processor does that faster.

In: a trained encoder's layers. Out: the same layers, same weights, same checkpoint. Training and
everything under gradient stays in full precision; only inference on such a CPU is halved.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

# AVX512-BF16 or AMX; without either, bfloat16 is emulated and slower than full precision.
FAST_BFLOAT16 = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))


class Halved(nn.Linear):
    """A linear layer that infers in bfloat16: half the time, and the sum goes on in float32.

    Attributes:
        stays: the result stays in bfloat16, since only another such layer will take it.
    """

    stays = False
    _kept: tuple[object, list[Tensor]] | None = None  # of which weights, and these halved

    @classmethod
    def of(cls, layer: nn.Linear) -> Halved:
        """Take over the weights of ``layer``."""
        twin = cls(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        twin.weight, twin.bias = layer.weight, layer.bias
        return twin.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        if not (FAST_BFLOAT16 and torch.is_inference_mode_enabled() and x.device.type == "cpu"):
            return super().forward(x)
        # Weights are loaded and trained in place: the version tells when the copy is out of date.
        held = [weight for weight in (self.weight, self.bias) if weight is not None]
        key = [(weight.data_ptr(), weight._version) for weight in held]
        kept = self._kept
        if kept is None or kept[0] != key:
            kept = self._kept = (key, [weight.bfloat16() for weight in held])
        result = linear(x.bfloat16(), *kept[1])
        return result if self.stays else result.float()

    def __getstate__(self) -> dict[str, object]:
        """Leave the halved weights out of copies."""
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}


def halve(layers: nn.ModuleList, names: dict[str, bool]) -> None:
    """Replace linear layers by their dotted names in each of ``layers``; the value says `stays`."""
    for layer in layers:
        for name, stays in names.items():
            parent, _, own = name.rpartition(".")
            twin = Halved.of(layer.get_submodule(name))
            twin.stays = stays
            setattr(layer.get_submodule(parent), own, twin)
