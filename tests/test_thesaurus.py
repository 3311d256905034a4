"""Room thesaurus: which words are drawn, with whom, and what they are taken to mean."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch.nn.functional import log_softmax, normalize

from raclap import loss
from raclap.config import InputError
from raclap.lexicon import content, wordings
from raclap.style import ATTRIBUTES, VALUES
from raclap.thesaurus import Thesaurus

SLOW = ["slow", "slowly", "sluggish", "unhurried", "leisurely", "sauntering", "dawdling"]
ANGRY = ["angry", "furious", "irate", "enraged", "livid", "wrathy", "hoppingmad"]
BUILDING = ["mortar", "brick", "cement", "plaster", "gravel", "masonry", "girder"]


def group(words):
    return [[word, *(other for other in words if other != word)] for word in words]


@pytest.fixture(scope="module")
def made():
    return Thesaurus([*group(SLOW), *group(ANGRY), *group(BUILDING)])


def test_a_word_means_what_its_neighbours_mean(made):
    assert made.meaning("dawdling")["speed: low"] > 0.9
    assert made.meaning("wrathy")["emotion: angry"] > 0.7
    assert made.meaning("mortar") == {}
    assert made.meaning("absent") == {}


def test_meanings_are_shares_of_one_attribute(made):
    drawn = made.draw(64, random.Random(0))
    owner = np.array([i for i, name in enumerate(ATTRIBUTES) for _ in VALUES[name]])
    for shares in drawn.meanings:
        assert shares.sum() == pytest.approx(1) or not shares.any()
        assert len(set(owner[shares > 0])) <= 1


def test_no_word_of_the_unseen_pool_gets_a_meaning():
    unseen = [w.text for w in wordings("speed", "low", "unseen") if w.text.isalpha()]
    made = Thesaurus(group([*SLOW, *unseen]))
    stems = {w.content for v in VALUES["speed"] for w in wordings("speed", v, "unseen")}
    assert len(unseen) >= 3
    for word in unseen:
        assert content(word) in stems
        assert made.meaning(word) == {}
    assert made.meaning("dawdling")


def test_without_unseen_words_none_is_drawn():
    unseen = [w.text for w in wordings("speed", "low", "unseen") if w.text.isalpha()]
    made = Thesaurus(group([*SLOW, *unseen]), unseen=False)
    drawn = made.draw(200, random.Random(0))
    said = " ".join([*drawn.texts, *drawn.partners]).split()
    assert not set(said) & set(unseen)
    assert set(said) & set(SLOW)


def test_partners_are_related_and_the_draw_is_the_same_for_a_seed(made):
    drawn, again = (made.draw(32, random.Random(5)) for _ in range(2))
    assert drawn.texts == again.texts
    assert drawn.partners == again.partners
    assert not drawn.related.diagonal().any()
    for text, partner in zip(drawn.texts, drawn.partners, strict=True):
        groups = [g for g in (SLOW, ANGRY, BUILDING) if set(g) & set(text.split())]
        assert len(groups) == 1
        assert set(groups[0]) & set(partner.split())
    # Every other word of the same group is related, none of another group is.
    for row, text in enumerate(drawn.texts):
        near = next(g for g in (SLOW, ANGRY, BUILDING) if set(g) & set(text.split()))
        for column, partner in enumerate(drawn.partners):
            if row != column:
                assert drawn.related[row, column] == bool(set(near) & set(partner.split()))


def test_bad_files_are_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Thesaurus.read(tmp_path / "none.txt")
    (tmp_path / "german.txt").write_text("Haus,Hof,Garten,Zaun,Tor,Weg\n")
    with pytest.raises(InputError, match="none of the lexicon's words"):
        Thesaurus.read(tmp_path / "german.txt")
    (tmp_path / "words.txt").write_text("\n".join(",".join(g) for g in group(SLOW)))
    assert len(Thesaurus.read(tmp_path / "words.txt")) == len(SLOW)


def test_synonyms_against_a_double_loop():
    torch.manual_seed(0)
    words, partners = torch.randn(4, 6), torch.randn(4, 6)
    related = torch.zeros(4, 4, dtype=torch.bool)
    related[0, 2] = True
    a, b = normalize(words, dim=-1), normalize(partners, dim=-1)
    cosines = [[float(a[i] @ b[j]) / 0.05 for j in range(4)] for i in range(4)]
    total = 0.0
    for i in range(4):
        row = [cosines[i][j] for j in range(4) if not related[i, j]]
        column = [cosines[j][i] for j in range(4) if not related[j, i]]
        for others in (row, column):
            total += np.log(np.exp(np.array(others)).sum()) - cosines[i][i]
    assert loss.synonyms(words, partners, related).item() == pytest.approx(total / 8, rel=1e-4)


def test_meanings_stay_within_the_attribute():
    owner = torch.tensor([0, 0, 1, 1, 1])
    logits = torch.tensor([[1.0, 2.0, 50.0, 3.0, 4.0], [9.0, 9.0, 9.0, 9.0, 9.0]])
    shares = torch.tensor([[0.25, 0.75, 0, 0, 0], [0, 0, 0, 0, 0]])
    expected = -(shares[0, :2] * log_softmax(logits[0, :2], 0)).sum()
    assert loss.meanings(logits, shares, owner).item() == pytest.approx(expected.item())
    assert loss.meanings(logits, shares * 0, owner).item() == 0
