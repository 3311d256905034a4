"""Fewer bits change speed, not weights. Run: python -m pytest tests/test_precision.py."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from raclap import precision
from raclap.precision import Reduced, attend, reduce


@pytest.fixture
def layer() -> nn.Linear:
    torch.manual_seed(0)
    layer = nn.Linear(64, 32)
    with torch.no_grad():
        layer.weight.copy_(layer.weight.half())
    return layer


@pytest.fixture
def fast(monkeypatch):
    """As on a processor that has bfloat16; others emulate it to the same figures, if they can."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor cannot even emulate bfloat16")
    monkeypatch.setattr(precision, "FAST", "bfloat16")


@pytest.fixture
def halves(monkeypatch):
    """As on a processor without bfloat16."""
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("FBGEMM does not know this processor")
    monkeypatch.setattr(precision, "FAST", "float16")


@pytest.fixture(params=["fast", "halves"])
def form(request):
    request.getfixturevalue(request.param)


def test_inference_is_close_and_in_half_precision(layer, fast):
    x = torch.randn(5, 64)
    with torch.inference_mode():
        found, exact = Reduced.of(layer)(x), layer(x)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    assert torch.cosine_similarity(found, exact).min() > 0.9999


def test_what_another_halved_layer_takes_stays_halved(layer, fast):
    first, second = Reduced.of(layer), Reduced.of(nn.Linear(32, 8))
    first.stays = True
    with torch.inference_mode():
        between = first(torch.randn(5, 64))
        assert between.dtype == torch.bfloat16
        assert second(between).dtype == torch.float32


def test_training_stays_in_full_precision(layer, form):
    x = torch.randn(5, 64)
    assert torch.equal(Reduced.of(layer)(x), layer(x))


def test_where_nothing_is_faster_nothing_changes(layer, monkeypatch):
    monkeypatch.setattr(precision, "FAST", "float32")
    x = torch.randn(5, 64)
    with torch.inference_mode():
        assert torch.equal(Reduced.of(layer)(x), layer(x))


def test_full_precision_can_be_kept(layer, form):
    reduced, x = Reduced.of(layer), torch.randn(5, 64)
    with torch.inference_mode():
        with precision.full():
            assert torch.equal(reduced(x), layer(x))
        assert reduced._kept is None
        reduced(x)
        assert reduced._kept is not None


def test_weights_that_change_in_place_are_reduced_again(layer, form):
    reduced, x = Reduced.of(layer), torch.randn(5, 64)
    with torch.inference_mode():
        before = reduced(x)
    with torch.no_grad():
        layer.weight.neg_()
        layer.bias.neg_()
    with torch.inference_mode():
        torch.testing.assert_close(reduced(x), -before)


def test_weights_keep_their_names_and_are_shared(layer):
    model = nn.ModuleList([nn.ModuleDict({"fc": layer, "inner": nn.ModuleDict({"q": layer})})])
    before = model.state_dict()
    reduce(model, {"fc": False, "inner.q": True})
    assert isinstance(model[0]["fc"], Reduced)
    assert isinstance(model[0]["inner"]["q"], Reduced)
    assert (model[0]["fc"].stays, model[0]["inner"]["q"].stays) == (False, True)
    assert model.state_dict().keys() == before.keys()
    assert model[0]["fc"].weight is layer.weight


def test_a_copy_reduces_its_own_weights(layer, form):
    reduced, x = Reduced.of(layer), torch.randn(5, 64)
    with torch.inference_mode():
        before = reduced(x)
    twin = copy.deepcopy(reduced)
    with torch.no_grad():
        twin.weight.zero_()
        twin.bias.zero_()
    with torch.inference_mode():
        assert torch.equal(twin(x), torch.zeros(5, 32))
        assert torch.equal(reduced(x), before)


def test_weights_in_half_precision_round_nothing(layer, halves):
    x = torch.randn(7, 3, 64)
    with torch.inference_mode():
        found, exact = Reduced.of(layer)(x), layer(x)
    assert (found.dtype, found.shape) == (torch.float32, (7, 3, 32))
    torch.testing.assert_close(found, exact, atol=1e-6, rtol=1e-5)


def test_half_precision_is_for_few_rows(layer, halves):
    reduced, rows = Reduced.of(layer), torch.randn(precision._FEW + 1, 64)
    with torch.inference_mode():
        reduced(rows)
        assert reduced._kept is None
        reduced(rows[1:])
        assert reduced._kept is not None


def test_weights_that_would_be_rounded_stay_in_full_precision(layer, halves):
    x = torch.randn(5, 64)
    with torch.no_grad():
        layer.weight[3, 3] *= 1.0001
    with torch.inference_mode():
        assert torch.equal(Reduced.of(layer)(x), layer(x))


@pytest.mark.parametrize("masked", [False, True])
def test_attention_in_half_precision_is_close_to_torchs(masked):
    torch.manual_seed(1)
    query, key, value = (torch.randn(2, 4, 30, 16).bfloat16() for _ in range(3))
    key = key + 5  # what all keys share says nothing
    lengths = torch.tensor([30, 17])
    seen = (torch.arange(30)[None] < lengths[:, None])[:, None, None].expand(2, 1, 30, 30)
    mask = seen if masked else None
    found, weights = attend(nn.Module(), query, key, value, mask)
    exact = scaled_dot_product_attention(
        query.float(), key.float(), value.float(), attn_mask=mask, scale=1.0
    ).transpose(1, 2)
    assert (found.dtype, found.shape, weights) == (torch.bfloat16, (2, 30, 4, 16), None)
    assert torch.cosine_similarity(found.float(), exact, dim=-1).min() > 0.999


def test_attention_in_full_precision_is_torchs():
    torch.manual_seed(2)
    query, key, value = (torch.randn(1, 4, 9, 16, requires_grad=True) for _ in range(3))
    module = nn.Module()
    module.is_causal = False
    found, _ = attend(module, query, key, value, None, scaling=1.0)
    exact = scaled_dot_product_attention(query, key, value, scale=1.0).transpose(1, 2)
    torch.testing.assert_close(found, exact)
    assert found.requires_grad
