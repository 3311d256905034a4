"""The checkpoint gives the same vectors on every machine. Run: pytest tests/test_golden.py."""

from __future__ import annotations

import golden
import numpy as np
import pytest
import torch

from raclap import precision

AGAIN = "after a change of the checkpoint on purpose, make them anew with: python tests/golden.py"


@pytest.fixture(scope="module", params=["float32", "float16", "bfloat16"])
def found(request):
    """In every precision; what a processor does not have it emulates, if it can."""
    can = {
        "float16": "fbgemm" in torch.backends.quantized.supported_engines,
        "bfloat16": torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    }
    if not can.get(request.param, True):
        pytest.skip(f"this processor cannot even emulate {request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "FAST", request.param)
        yield golden.vectors()


@pytest.fixture(scope="module")
def kept():
    with np.load(golden.FILE, allow_pickle=False) as arrays:
        return dict(arrays)


def test_the_golden_vectors_are_of_this_checkpoint(found, kept):
    assert str(kept["fingerprint"]) == str(found["fingerprint"]), AGAIN


@pytest.mark.parametrize("kind", ["speech", "text"])
def test_vectors_are_the_same_as_ever(found, kept, kind):
    assert kept[kind].shape == (20, kept["text"].shape[1])
    cosines = (kept[kind] * found[kind]).sum(1)
    print(f"{kind}: least cosine {cosines.min():.6f}")
    assert cosines.min() > 0.9999, AGAIN
