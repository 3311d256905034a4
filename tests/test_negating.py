"""How a model is taught what queries deny. Run: python -m pytest tests/test_negating.py."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
import torch

from raclap import negating
from raclap.negating import in_other_words, taught
from raclap.negation import DENIED, DENYING, PLAIN


def test_sentences_are_marked_as_they_should_be():
    lines = negating._SENTENCES.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert len({line.lower() for line in lines}) == len(lines) > 3_000
    for line in lines:
        assert not re.search(r"[][<>]", re.sub(r"\[[^][<>]+\]|<[^][<>]+>", "", line)), line
        assert ("[" in line) == ("<" in line), line
    plain = sum("[" not in line for line in lines)
    assert 0.3 < plain / len(lines) < 0.6  # what only looks like a denial counts as much


def test_a_sentence_is_read_in_pieces():
    assert negating._parsed("<Spare me> the [yelling], please") == [
        ("spare me", DENYING),
        (" the ", PLAIN),
        ("yelling", DENIED),
        (", please", PLAIN),
    ]
    assert negating._parsed("a calm man") == [("a calm man", PLAIN)]


def test_other_words_leave_what_denies_and_its_places():
    sentence = negating._parsed("a calm man, but <hold> the [whispering]")
    said = {tuple(in_other_words(sentence, random.Random(seed))) for seed in range(30)}
    assert len(said) > 20
    for each in said:
        assert [kind for _, kind in each] == [kind for _, kind in sentence]
        assert each[1] == ("hold", DENYING)
    assert sum("whispering" in each[3][0] for each in said) < 20
    unknown = negating._parsed("<no> [zyzzyva]")
    assert in_other_words(unknown, random.Random(0)) == unknown


class Letters:
    """In the place of a model: a word is one token, and its state tells which word it is."""

    def clean(self, text: str) -> str:
        return text

    def token_states(self, texts):
        found = []
        for text in texts:
            places, start = [(0, 0)], 0
            for word in text.split(" "):
                places.append((start, start + len(word)))
                start += len(word) + 1
            states = [self._state(text[first:last]) for first, last in places]
            found.append((torch.stack(states), [p if p[1] > p[0] else (0, 0) for p in places]))
        return found

    @staticmethod
    def _state(word: str) -> torch.Tensor:
        generator = torch.Generator().manual_seed(sum(map(ord, word)))
        return torch.randn(24, generator=generator)


def test_what_denies_is_learned_whatever_is_denied(monkeypatch):
    lines = [f"{who} <without> [{what}]" for who in "abcdef" for what in "ghijkl"]
    lines += [f"{who} with {what}" for who in "abcdef" for what in "ghijkl"]
    monkeypatch.setattr(negating, "sentences", lambda: [negating._parsed(each) for each in lines])
    monkeypatch.setattr(negating, "_DRILLS", 30)
    monkeypatch.setattr(negating, "_PASSES", 20)  # of few sentences
    model = Letters()
    negation = taught(model)
    for text, denied in (("d without m", True), ("d with m", False)):  # m was in no sentence
        ((states, _),) = model.token_states([text])
        told = negation(states[None], [len(states)])[0]
        assert (told[3, DENIED] > 0.5) == denied
        assert (told[2, DENYING] > 0.5) == denied
    again = taught(model)
    for name, weight in negation.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name])


@pytest.mark.parametrize("number", ["", "2", "3", "4", "5", "6"])
def test_no_query_of_the_tests_teaches(number):
    asked = json.loads(Path(__file__).with_name(f"queries{number}.json").read_text())
    sentences = {"".join(piece for piece, _ in each) for each in negating.sentences()}
    assert not sentences & {each["query"].lower() for each in asked}
