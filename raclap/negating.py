"""How a model is taught what queries deny: from sentences in which people marked it.

In: ``denials.txt``, and a model that encodes texts. Out: its `Negation`. The sentences were written
by others than those whose queries it is tested with. Each is read as it stands and with other
words for how a voice sounds, so that what denies is learned and not what is denied.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import trange

from raclap import lexicon
from raclap.data import drill
from raclap.model import RACLAP
from raclap.negation import DENIED, DENYING, PLAIN, Negation
from raclap.style import EVERY_VALUE

_SENTENCES = Path(__file__).with_name("denials.txt")
_MARKS = {"[": DENIED, "<": DENYING, "]": PLAIN, ">": PLAIN}
_WORDS = re.compile(r"[a-z][a-z'-]*(?: [a-z][a-z'-]*)?")  # one or two
_COPIES = 2  # of each sentence, in other words
_SWAPPED = 0.7  # share of the words of a copy that are others
_DRILLS = 1500  # descriptions that deny nothing
_PASSES, _BATCH, _RATE, _DECAY = 12, 64, 2e-3, 0.05
_TEXTS_AT_ONCE = 256
_FORMS = ("adjective", "absolute", "tone", "predicate", "noun", "manner", "doing", "person")
_NOBODY = -100  # of tokens that stand for no word

Marked = list[tuple[str, int]]  # pieces of a sentence, and what each does


def sentences() -> list[Marked]:
    """Read the marked sentences: what is in [] is denied, what is in <> denies."""
    lines = _SENTENCES.read_text(encoding="utf-8").splitlines()
    return [_parsed(line) for line in lines if line and not line.startswith("#")]


def _parsed(line: str) -> Marked:
    pieces, kind = [], PLAIN
    for piece in re.split(r"([][<>])", line.lower().replace("’", "'")):
        if piece in _MARKS:
            kind = _MARKS[piece]
        elif piece:
            pieces.append((piece, kind))
    return pieces


def in_other_words(sentence: Marked, rng: random.Random) -> Marked:
    """Say most of what a sentence says of voices in other wordings of the same form."""

    def other(text: str) -> str:
        if text not in _forms():
            one, space, two = text.partition(" ")
            return f"{other(one)} {other(two)}" if space else text
        if rng.random() >= _SWAPPED:
            return text
        return rng.choice(_by_form()[rng.choice(_forms()[text])])

    return [
        (piece if kind == DENYING else _WORDS.sub(lambda match: other(match[0]), piece), kind)
        for piece, kind in sentence
    ]


@cache
def _forms() -> Mapping[str, list[str]]:
    """Wording -> the forms that it has."""
    found: dict[str, list[str]] = {}
    for attribute, value in EVERY_VALUE:
        for wording in lexicon.wordings(attribute, value, lexicon.WIDE):
            if wording.form in _FORMS and "{" not in wording.text:
                found.setdefault(wording.text, []).append(wording.form)
    return found


@cache
def _by_form() -> Mapping[str, list[str]]:
    """Form -> the wordings that have it."""
    found: dict[str, list[str]] = {}
    for text, forms in _forms().items():
        for form in forms:
            found.setdefault(form, []).append(text)
    return found


def taught(model: RACLAP, seed: int = 0) -> Negation:
    """Teach networks what the marked sentences deny.

    Args:
        model: encodes texts; its weights stay as they are.
        seed: the words of copies, where the members start, and the order.
    """
    rng = random.Random(seed)
    said = [
        each
        for sentence in sentences()
        for each in (sentence, *(in_other_words(sentence, rng) for _ in range(_COPIES)))
    ]
    said += [[(model.clean(drill(rng).text), PLAIN)] for _ in range(_DRILLS)]
    lessons = [*_lessons(model, said)]
    torch.manual_seed(seed)
    negation = Negation(lessons[0][0].shape[1])
    for member in negation.members:
        optimizer = AdamW(member.parameters(), _RATE, weight_decay=_DECAY)
        steps = _PASSES * -(-len(lessons) // _BATCH)
        rates = OneCycleLR(optimizer, _RATE, total_steps=steps)
        for _ in trange(_PASSES, desc="negation", leave=False):
            for batch in _batches(lessons, rng):
                optimizer.zero_grad()
                states = pad_sequence([states.float() for states, _ in batch], batch_first=True)
                truth = pad_sequence([kinds for _, kinds in batch], True, _NOBODY)
                logits = member(states, [len(kinds) for _, kinds in batch])
                cross_entropy(logits.mT, truth, ignore_index=_NOBODY).backward()
                optimizer.step()
                rates.step()
    return negation.eval()


@torch.no_grad()
def _lessons(model: RACLAP, said: Sequence[Marked]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield hidden states (T, H) of each sentence, and what each token does (T,)."""
    for start in trange(0, len(said), _TEXTS_AT_ONCE, desc="sentences", leave=False):
        chosen = said[start : start + _TEXTS_AT_ONCE]
        texts = ["".join(piece for piece, _ in sentence) for sentence in chosen]
        each = [[kind for piece, kind in sentence for _ in piece] for sentence in chosen]
        for (states, places), kinds in zip(model.token_states(texts), each, strict=True):
            truth = [kinds[first] if last else _NOBODY for first, last in places]
            yield states.half().clone(), torch.tensor(truth)


def _batches(
    lessons: Sequence[tuple[Tensor, Tensor]], rng: random.Random
) -> list[list[tuple[Tensor, Tensor]]]:
    """Put texts of about one length together, anew each time, and in any order."""
    order = sorted(lessons, key=lambda lesson: len(lesson[1]) + 4 * rng.random())
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    rng.shuffle(batches)
    return batches
