"""Half precision changes speed, not weights. Run: python -m pytest tests/test_precision.py."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from raclap import precision
from raclap.precision import Halved, attend, halve


@pytest.fixture
def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(64, 32)


@pytest.fixture
def fast(monkeypatch):
    """As on a processor that has bfloat16; others emulate it to the same figures, if they can."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor cannot even emulate bfloat16")
    monkeypatch.setattr(precision, "FAST_BFLOAT16", True)


def test_inference_is_close_and_in_half_precision(layer, fast):
    x = torch.randn(5, 64)
    with torch.inference_mode():
        found, exact = Halved.of(layer)(x), layer(x)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    assert torch.cosine_similarity(found, exact).min() > 0.9999


def test_what_another_halved_layer_takes_stays_halved(layer, fast):
    first, second = Halved.of(layer), Halved.of(nn.Linear(32, 8))
    first.stays = True
    with torch.inference_mode():
        between = first(torch.randn(5, 64))
        assert between.dtype == torch.bfloat16
        assert second(between).dtype == torch.float32


def test_training_stays_in_full_precision(layer, fast):
    x = torch.randn(5, 64)
    assert torch.equal(Halved.of(layer)(x), layer(x))


def test_without_bfloat16_nothing_changes(layer, monkeypatch):
    monkeypatch.setattr(precision, "FAST_BFLOAT16", False)
    x = torch.randn(5, 64)
    with torch.inference_mode():
        assert torch.equal(Halved.of(layer)(x), layer(x))


def test_full_precision_can_be_kept(layer, fast):
    x = torch.randn(5, 64)
    with torch.inference_mode():
        with precision.full():
            assert torch.equal(Halved.of(layer)(x), layer(x))
        assert not torch.equal(Halved.of(layer)(x), layer(x))


def test_weights_that_change_in_place_are_halved_again(layer, fast):
    halved, x = Halved.of(layer), torch.randn(5, 64)
    with torch.inference_mode():
        before = halved(x)
    with torch.no_grad():
        layer.weight.neg_()
        layer.bias.neg_()
    with torch.inference_mode():
        torch.testing.assert_close(halved(x), -before)


def test_weights_keep_their_names_and_are_shared(layer):
    model = nn.ModuleList([nn.ModuleDict({"fc": layer, "inner": nn.ModuleDict({"q": layer})})])
    before = model.state_dict()
    halve(model, {"fc": False, "inner.q": True})
    assert isinstance(model[0]["fc"], Halved)
    assert isinstance(model[0]["inner"]["q"], Halved)
    assert (model[0]["fc"].stays, model[0]["inner"]["q"].stays) == (False, True)
    assert model.state_dict().keys() == before.keys()
    assert model[0]["fc"].weight is layer.weight


def test_a_copy_halves_its_own_weights(layer, fast):
    halved, x = Halved.of(layer), torch.randn(5, 64)
    with torch.inference_mode():
        before = halved(x)
    twin = copy.deepcopy(halved)
    with torch.no_grad():
        twin.weight.zero_()
        twin.bias.zero_()
    with torch.inference_mode():
        assert torch.equal(twin(x), torch.zeros(5, 32))
        assert torch.equal(halved(x), before)


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
