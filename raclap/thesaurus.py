"""A public thesaurus teaches the text tower words that no training description has.

In: a file in the format of the Moby thesaurus (Ward 2002, public domain), each line a word and
its related words. Out: pairs of related words, and what a word probably says of a voice. Both
follow from the *seen* wordings of the lexicon alone: words near to them are drawn, and a word means
what the wordings mean that share its neighbours (label propagation, Zhu & Ghahramani 2002).

The unseen wordings stay what they are for: no word that shares a stem with one of them is given a
meaning, so the tests ask about words that nothing has labelled.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, diags

from raclap.config import InputError
from raclap.lexicon import content, wordings
from raclap.style import ATTRIBUTES, VALUES

_NEAR = 12_000  # words nearest to the lexicon that are drawn from
_FEW = 5  # neighbours; of a word with fewer, too little is known
_PARTNERS = 12  # nearest neighbours that a word may be paired with
_WITNESSES = 4  # nearest wordings of a value that speak for it
_SHARPNESS = 0.2  # of the witnesses' voices when they become shares
_CARRIERS = ("{}", "{}", "a {} voice", "sounds {}", "speaks {}", "with {}", "someone {}")
_LABELS = tuple((name, value) for name in ATTRIBUTES for value in VALUES[name])
# (V,) the place among ATTRIBUTES of the attribute that each value belongs to.
OWNER = np.array([ATTRIBUTES.index(name) for name, _ in _LABELS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """N words, a partner for each, and what they mean.

    Attributes:
        texts: N words, each carried by a phrase.
        partners: N related words, likewise.
        related: (N, N) bool, word by partner: related, so neither tells the other apart.
        meanings: (N, V) over all values of all attributes: shares of the values of one attribute,
            zeros where nothing is known of the word.
    """

    texts: list[str]
    partners: list[str]
    related: np.ndarray
    meanings: np.ndarray


class Thesaurus:
    """Words near to the seen lexicon, their neighbours and meanings.

    Args:
        groups: each a word and its related words.
        unseen: whether words may be drawn that share a stem with an unseen wording; a meaning they
            never have.

    Raises:
        InputError: none of the lexicon's words is among them.
    """

    def __init__(self, groups: Sequence[Sequence[str]], unseen: bool = True) -> None:
        names = sorted({word for group in groups for word in group})
        place = {word: row for row, word in enumerate(names)}
        ends = [[place[g[0]], place[w]] for g in groups for w in g[1:] if w != g[0]]
        pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
        pairs = np.concatenate([pairs, pairs[:, ::-1]])
        links = csr_matrix(
            (np.ones(len(pairs), np.float32), (pairs[:, 0], pairs[:, 1])), (len(names), len(names))
        )
        links.data[:] = 1
        seeds = {place[w]: labels for w, labels in _seeds().items() if w in place}
        if not seeds:
            raise InputError("The thesaurus holds none of the lexicon's words; is it in English?")
        degree = np.asarray(links.sum(1))[:, 0]
        usual = np.array([bool(re.fullmatch(r"[a-z]+([ -][a-z]+)?", word)) for word in names])
        kept = frozenset().union(*(w.content for n, v in _LABELS for w in wordings(n, v, "unseen")))
        if not unseen:
            usual &= np.array([not content(word) & kept for word in names])
        rows = np.flatnonzero(usual & (degree >= _FEW))
        nearness = _nearness(links, degree, rows, np.array(sorted(seeds)))  # (rows, seeds)
        # A word is as near as its nearest seed, a seed itself nearest of all.
        best = nearness.max(1) + np.isin(rows, list(seeds))
        chosen = np.sort(np.argsort(-best, kind="stable")[:_NEAR])
        self._names = [names[row] for row in rows[chosen]]
        self._links = links[rows[chosen]][:, rows[chosen]]
        self._meanings = _meanings(nearness[chosen], [seeds[row] for row in sorted(seeds)])
        for row, word in enumerate(self._names):
            if content(word) & kept:
                self._meanings[row] = 0
        self._partners = _partners(links, degree, rows[chosen])
        self._usable = [row for row, (places, _) in enumerate(self._partners) if places]

    @classmethod
    def read(cls, path: str | Path) -> Thesaurus:
        """Read a file of lines ``word,related,related,...``.

        Raises:
            InputError: no such file, or it is no thesaurus.
        """
        try:
            lines = Path(path).read_text(encoding="utf-8", errors="replace").lower().splitlines()
        except OSError as error:
            raise InputError(f"The thesaurus {path} cannot be read ({error.strerror}).") from error
        return cls([[w.strip() for w in line.split(",") if w.strip()] for line in lines if line])

    def __len__(self) -> int:
        return len(self._usable)

    def draw(self, count: int, rng: random.Random) -> Words:
        """Draw ``count`` words and partners."""
        rows = [self._usable[rng.randrange(len(self._usable))] for _ in range(count)]
        partners = [rng.choices(*self._partners[row])[0] for row in rows]
        related = self._links[rows][:, partners].toarray() > 0
        related |= np.equal.outer(rows, partners) | np.equal.outer(partners, partners)
        np.fill_diagonal(related, False)
        return Words(
            texts=[rng.choice(_CARRIERS).format(self._names[row]) for row in rows],
            partners=[rng.choice(_CARRIERS).format(self._names[row]) for row in partners],
            related=related,
            meanings=self._meanings[rows],
        )

    def meaning(self, word: str) -> dict[str, float]:
        """Return the shares of the values that a word probably says; empty if nothing is known."""
        shares = self._meanings[self._names.index(word)] if word in self._names else []
        return {
            f"{_LABELS[i][0]}: {_LABELS[i][1]}": float(s) for i, s in enumerate(shares) if s > 0
        }


def _seeds() -> dict[str, list[int]]:
    """Every seen wording without its article, and the labels that it stands for."""
    found: dict[str, list[int]] = {}
    for label, (name, value) in enumerate(_LABELS):
        for wording in wordings(name, value, "seen"):
            plain = wording.text.replace("{their} ", "").strip().lower()
            found.setdefault(re.sub(r"^((in|with) )?(an?|the) |^in ", "", plain), []).append(label)
    return found


def _nearness(
    links: csr_matrix, degree: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """How near words are, (rows, columns): by being linked and by rare neighbours they share.

    The second part is the index of Adamic & Adar (2003) over the geometric mean of the degrees.
    """
    weighted = links[columns] @ diags((1 / np.log(2 + degree)).astype(np.float32))
    shared = (links[rows] @ weighted.T).toarray() + 3 * links[rows][:, columns].toarray()
    return shared / np.sqrt(np.outer(degree[rows] + 3, degree[columns] + 3)).astype(np.float32)


def _meanings(nearness: np.ndarray, labels: list[list[int]]) -> np.ndarray:
    """(N, V): the values' shares within the attribute that the nearest wordings speak for."""
    voices = np.zeros((len(nearness), len(_LABELS)), np.float32)
    for label in range(len(_LABELS)):
        columns = [column for column, listed in enumerate(labels) if label in listed]
        if columns:
            near = np.sort(nearness[:, columns], axis=1)[:, -_WITNESSES:]
            voices[:, label] = near.sum(1) / _WITNESSES
    shares = np.zeros_like(voices)
    for row, voice in enumerate(voices):
        if voice.max() > 0:
            among = OWNER[voice.argmax()] == OWNER
            powers = np.exp((voice[among] - voice[among].max()) / (_SHARPNESS * voice.max()))
            shares[row, among] = powers / powers.sum()
    return shares


def _partners(
    links: csr_matrix, degree: np.ndarray, rows: np.ndarray, at_once: int = 1000
) -> list[tuple[list[int], list[float]]]:
    """For each word, the places among ``rows`` of its nearest neighbours, and how near they are."""
    found = []
    for start in range(0, len(rows), at_once):
        block = rows[start : start + at_once]
        near = _nearness(links, degree, block, rows) * (links[block][:, rows].toarray() > 0)
        for line in near:
            best = np.argsort(-line, kind="stable")[:_PARTNERS]
            best = best[line[best] > 0]
            found.append((best.tolist(), line[best].tolist()))
    return found
