"""What tells which words of a query are denied. Run: python -m pytest tests/test_negation.py."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from raclap.negation import DENYING, Negation

WIDTH = 12


@pytest.fixture
def negation() -> Negation:
    torch.manual_seed(0)
    return Negation(WIDTH).eval()


def test_a_text_is_told_alone_as_among_others(negation):
    texts = [torch.randn(length, WIDTH) for length in (3, 7, 1)]
    together = negation(pad_sequence(texts, batch_first=True), [3, 7, 1])
    assert together.shape == (3, 7, DENYING + 1)
    torch.testing.assert_close(together.sum(-1), torch.ones(3, 7))
    for row, text in enumerate(texts):
        alone = negation(text[None], [len(text)])[0]
        torch.testing.assert_close(together[row, : len(text)], alone, atol=1e-6, rtol=0)


def test_a_word_is_told_by_what_stands_before_and_after_it(negation):
    text = torch.randn(5, WIDTH)
    told = negation(text[None], [5])[0, 2]
    for other in (0, 4):
        changed = text.clone()
        changed[other] += 1
        assert not torch.allclose(negation(changed[None], [5])[0, 2], told)


def test_members_are_averaged(negation):
    text = torch.randn(1, 4, WIDTH)
    each = [member(text, [4]).softmax(-1) for member in negation.members]
    torch.testing.assert_close(negation(text, [4]), torch.stack(each).mean(0))
    assert not torch.allclose(each[0], each[1])
