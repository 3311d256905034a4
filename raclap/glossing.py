"""Make the glossary: WordNet, walked from the words of training to words that training never had.

In: WordNet's database (Miller 1995; Princeton's or Debian's, the package wordnet-base) and the
lexicon's words of training. Out: ``glossary.npz``, of which ``glossary`` is the reader, and beside
it ``dictionary.txt``, all other words, which are no mistakes of spelling. Words and
the meanings they share are the nodes of a graph; meanings lead to like ones, to what they are kinds
of, to what they derive from, and to the words that define them. From each word of training, which
speaks for a value, a walk with restart (Tong et al. 2006) spreads: where it comes by often, words
speak for that value, too. No word of the unseen pool is looked up or left out: it is new like any.

    python -m raclap.glossing --wordnet /usr/share/wordnet
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from raclap import glossary, lexicon
from raclap.config import InputError
from raclap.files import replacing
from raclap.style import EVERY_VALUE

DEBIAN = Path("/usr/share/wordnet")
_KINDS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
# What a pointer from a meaning to another is worth (wninput(5WN) lists them); opposites nothing.
_POINTERS = {
    **{"&": 1.0, "\\": 1.0, "+": 0.8, "<": 0.8, "$": 0.8, "^": 0.7, "=": 0.5},
    **{"@": 0.35, ">": 0.3, "*": 0.3, "~": 0.15},
}
_BACK = 0.7  # of that, from the other to the one
_NOUN = 0.6  # a word's meanings as a noun, beside those that say how something is
_DEFINED, _DEFINES = 1.2, 0.3  # from a meaning to the words of its definition, and back
_ON, _STEPS = 0.9, 5  # of the walk: the share that goes on, and how often
_RARITY = 0.7  # how far values of which all words speak a little count for less
_FAINT = 0.05  # evidence below which a word says nothing; of an entry of several words, 0.2
_FAINT_PHRASE = 0.2
# Lexicographer files, lexnames(5WN), whose nouns say how somebody is or speaks, or who; and the
# adjectives that only say what something belongs to.
_TELLING_NOUNS = {4, 7, 10, 11, 12, 18, 26}
_BELONGING, _NAMES = 1, -1
_GENERAL = {*lexicon.words("being etc especially having someone something very one")}
# What a definition denies, as far as the clause goes, says nothing: "without fear" is not fearful.
_DENIED = re.compile(
    r"\b(?:not|no|nor|never|without|lack(?:s|ing)?|absence of|devoid of|free (?:from|of)"
    r"|unable to|incapable of|opposite of)\b.*?(?=[,;()]|\bbut\b|$)"
)


@dataclass(slots=True)
class _Meaning:
    """A synset: its lexicographer file, words, pointers to others, the words that define it."""

    file: int
    words: list[str]
    pointers: list[tuple[str, tuple[str, int]]]
    defined: list[str]


def read(folder: Path) -> tuple[dict[tuple[str, int], _Meaning], dict[str, list[tuple[str, int]]]]:
    """Read WordNet's database, wndb(5WN).

    Returns:
        Meanings by part of speech and place, and the meanings of each word, the commonest first.

    Raises:
        InputError: a file is missing.
    """
    meanings: dict[tuple[str, int], _Meaning] = {}
    senses: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for kind, name in _KINDS.items():
        for line in _lines(folder / f"data.{name}"):
            head, _, gloss = line.partition("|")
            fields = head.split()
            count = int(fields[3], 16)
            links = fields[5 + 2 * count :]
            named = "@i" in links[::4]  # someone or something of that name
            meanings[kind, int(fields[0])] = _Meaning(
                file=_NAMES if named else int(fields[1]),
                words=[_plain(word) for word in fields[4 : 4 + 2 * count : 2]],
                pointers=[
                    (links[at][0], ("a" if links[at + 2] == "s" else links[at + 2], int(place)))
                    for at, place in zip(
                        range(0, 4 * int(fields[4 + 2 * count]), 4), links[1::4], strict=False
                    )
                ],
                defined=_defined_by(gloss.split('"')[0]),
            )
        for line in _lines(folder / f"index.{name}"):
            fields = line.split()
            senses[_plain(fields[0])] += [(kind, int(each)) for each in fields[-int(fields[2]) :]]
    return meanings, senses


def _defined_by(definition: str) -> list[str]:
    """The words by which a definition says what a meaning is."""
    return [w for w in lexicon.telling(_DENIED.sub(" ", definition)) if w not in _GENERAL]


def _tells(meaning: _Meaning, place: tuple[str, int]) -> bool:
    return meaning.file in _TELLING_NOUNS if place[0] == "n" else meaning.file != _BELONGING


def _lines(path: Path) -> Iterator[str]:
    if not path.is_file():
        raise InputError(
            f"{path} is missing; give the folder of WordNet's database, such as /usr/share/wordnet."
        )
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from (line for line in file if not line.startswith("  "))  # the licence is indented


def _plain(word: str) -> str:
    return re.sub(r"\(\w+\)$", "", word).replace("_", " ").lower()


class Net:
    """WordNet as a graph to walk on.

    Args:
        folder: of the database.

    Attributes:
        words: W, in the order of the first nodes; the meanings follow.
        tells: (W,) bool, whether a word can say how somebody speaks.
        names: (W,) bool, whether a word is nothing but a name.
        steps: (nodes, nodes) where a walk goes next.
    """

    def __init__(self, folder: Path) -> None:
        meanings, senses = read(folder)
        self.words = list(senses)
        self._place = {word: place for place, word in enumerate(self.words)}
        self.tells = np.array(
            [any(map(_tells, map(meanings.get, places), places)) for places in senses.values()]
        )
        self.names = np.array(
            [all(meanings[each].file == _NAMES for each in places) for places in senses.values()]
        )
        node = {each: len(self.words) + place for place, each in enumerate(meanings)}
        edges: list[tuple[int, int, float]] = []
        for word, places in senses.items():
            ranks: Counter[str] = Counter()
            for each in places:
                ranks[each[0]] += 1
                worth = (_NOUN if each[0] == "n" else 1.0) / ranks[each[0]]
                edges += [(self._place[word], node[each], worth)]
                edges += [(node[each], self._place[word], worth)]
        defining = {each: self._defining(meanings[each]) for each in meanings}
        often = Counter(place for places in defining.values() for place in places)
        for each, meaning in meanings.items():
            for symbol, other in meaning.pointers:
                if worth := _POINTERS.get(symbol, 0.0):
                    edges += [(node[each], node[other], worth)]
                    edges += [(node[other], node[each], _BACK * worth)]
            for place in defining[each]:
                worth = _DEFINED / np.log(10 + often[place]) / max(3, len(defining[each]))
                edges += [(node[each], place, worth)]
                edges += [(place, node[each], _DEFINES * worth / np.sqrt(1 + often[place]))]
        size = len(self.words) + len(meanings)
        start, stop, worth = zip(*edges, strict=True)
        graph = sparse.csr_matrix((np.array(worth, np.float32), (start, stop)), (size, size))
        total = np.asarray(graph.sum(1)).ravel()
        self.steps = sparse.diags_array((1 / np.maximum(total, 1e-9)).astype(np.float32)) @ graph

    def place(self, word: str) -> int | None:
        """The node of a word, or of what it may come of."""
        return next((self._place[f] for f in glossary.forms(word) if f in self._place), None)

    def _defining(self, meaning: _Meaning) -> set[int]:
        return {place for word in meaning.defined if (place := self.place(word)) is not None}

    def spread(self, known: Sequence[tuple[str, int]]) -> np.ndarray:
        """Walk from wordings to all words.

        Args:
            known: a wording, and which of the V values it speaks for.

        Returns:
            (W, V) float32, how far each word speaks for each value.
        """
        counts = np.zeros((self.steps.shape[0], _VALUES), dtype=np.float32)
        for text, value in known:
            said = lexicon.telling(text)
            for word in said:
                if (place := self.place(word)) is not None:
                    counts[place, value] += 1 / len(said)
            if (place := self._place.get(text.lower())) is not None:
                counts[place, value] += 1
        start = counts / (counts.sum(1, keepdims=True) + 0.5)  # a word met once says less surely
        reached = start
        for _ in range(_STEPS):
            reached = _ON * (self.steps @ reached) + (1 - _ON) * start
        return reached[: len(self.words)]


_VALUES = len(EVERY_VALUE)


def known() -> list[tuple[str, int]]:
    """Every wording of training, and which value it speaks for."""
    return [
        (wording.text.replace("{their}", ""), place)
        for place, (attribute, value) in enumerate(EVERY_VALUE)
        for wording in lexicon.wordings(attribute, value, lexicon.WIDE)
    ]


def weighed(reached: np.ndarray) -> np.ndarray:
    """Turn what `Net.spread` gives into evidence: (W, V), where common values count for less."""
    usual = reached.sum(0) / reached.sum()
    return reached / (usual + 1e-9) ** _RARITY


def write(net: Net, shares: np.ndarray, path: Path = glossary.PATH) -> int:
    """Write the glossary of those of W words that are new and say something; return how many.

    The others come into a text beside it, but for names and for what the lexicon has.
    """
    most, learned = shares.max(1), lexicon.learned()
    chosen = [
        row
        for row in np.flatnonzero(net.tells & (most > _FAINT)).tolist()
        if re.fullmatch(r"[a-z]{3,}(?: [a-z]+){0,3}", word := net.words[row])
        and word not in learned
        and (" " not in word or most[row] > _FAINT_PHRASE)
    ]
    chosen.sort(key=lambda row: net.words[row])
    told = shares[chosen] / most[chosen, None]
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            words=np.frombuffer("\n".join(net.words[row] for row in chosen).encode(), np.uint8),
            shares=(glossary.MOST * told).round().astype(np.uint8),
            strengths=most[chosen].astype(np.float16),
        )
    left = {*chosen, *np.flatnonzero(net.names).tolist()}
    others = {word for row, word in enumerate(net.words) if row not in left}
    others = {word for word in others if re.fullmatch(r"[a-z]{3,}", word)}
    others -= {*lexicon.vocabulary(wide=True)}
    with replacing(path.with_name(glossary.OTHERS)) as part:
        part.write_text("".join(f"{word}\n" for word in sorted(others)), encoding="utf-8")
    return len(chosen)


def main(argv: Sequence[str] | None = None) -> int:
    """Make the glossary anew."""
    parser = argparse.ArgumentParser(description="Make the glossary from WordNet.")
    parser.add_argument("--wordnet", type=Path, default=DEBIAN)
    parser.add_argument("--output", type=Path, default=glossary.PATH)
    arguments = parser.parse_args(argv)
    try:
        net = Net(arguments.wordnet)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(write(net, weighed(net.spread(known())), arguments.output), "words")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
