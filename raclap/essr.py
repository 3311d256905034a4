"""The parts of the ESSR benchmark: each turns some rows of a :class:`Bench` into figures.

In: clips with their styles, their speech vectors, and a function that encodes texts. Out: for each
part a dictionary from a figure's path, section first, to its estimate. Rules that hold throughout:

* Galleries and wordings are drawn from one seed, so every model meets the same ones.
* Items that tie with the paired one are put before or after it at random; ``paired_strict`` counts
  strictly higher scores only, as the published figures do.
* Intervals are 95% percentile bootstraps over clips (queries in ``partial``), each resampled with
  all its draws: how far a figure would move with other clips of these speakers.

How the parts become a report is in ``evaluate``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from raclap import metrics, wording
from raclap.corpus import WORDLESS, Clip
from raclap.metrics import Estimate
from raclap.style import ATTRIBUTES
from raclap.wording import Description

LABELS = ("emotion", "gender", "intensity", "pitch", "speed", "energy")
DIRECTIONS = ("text_to_speech", "speech_to_text")

EncodeText = Callable[[list[str]], np.ndarray]
Figures = dict[tuple[str, ...], Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How much is drawn; the defaults are the benchmark, smaller numbers are for tests.

    Attributes:
        seed: of galleries, wordings, ties and resamples.
        draws: galleries drawn from each corpus.
        gallery: clips in each of them.
        wordings: descriptions of each clip in each pool, among which a draw picks.
        queries: partial queries to each corpus.
        pairs: clips, and descriptions, whose pairs show how faithful the relations are.
        resamples: bootstrap samples.
    """

    seed: int = 0
    draws: int = 50
    gallery: int = 200
    wordings: int = 5
    queries: int = 300
    pairs: int = 400
    resamples: int = 1000


class Bench:
    """What every part shares: clips, vectors, and the wordings of each clip."""

    def __init__(
        self, clips: Sequence[Clip], speech: np.ndarray, encode: EncodeText, protocol: Protocol
    ) -> None:
        self.clips, self.encode, self.protocol = clips, encode, protocol
        self.speech = np.asarray(speech, dtype=np.float64)
        self.styles = [clip.style for clip in clips]
        self.codes = metrics.codes(self.styles)
        self._vectors: dict[str, np.ndarray] = {}

    @cached_property
    def said(self) -> dict[str, list[list[Description]]]:
        """The wordings of each clip, by pool."""
        return {
            pool: [self._word(clip, pool) for clip in self.clips] for pool in ("unseen", "seen")
        }

    def _word(self, clip: Clip, pool: str) -> list[Description]:
        # Seeded by the clip, so that its wordings do not depend on what else is evaluated.
        rng = random.Random(f"{self.protocol.seed}/{pool}/{clip.id}")
        return [wording.describe(clip.style, rng, pool=pool) for _ in range(self.protocol.wordings)]

    def groups(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the name and the rows of each corpus, then of the speech corpora pooled."""
        corpora = np.array([clip.corpus for clip in self.clips])
        for name in dict.fromkeys(corpora.tolist()):
            yield name, np.flatnonzero(corpora == name)
        speech = np.flatnonzero(~np.isin(corpora, list(WORDLESS)))
        if len(speech):
            yield "pooled", speech

    def generator(self, *stream: int) -> np.random.Generator:
        """Return a fresh generator for one purpose."""
        return np.random.default_rng([self.protocol.seed, *stream])

    def sample(self, rows: np.ndarray, size: int, *stream: int) -> np.ndarray:
        """Choose at most ``size`` of ``rows`` without replacement."""
        return self.generator(*stream).choice(rows, min(size, len(rows)), replace=False)

    def resample(self, size: int) -> np.ndarray:
        """Return bootstrap counts of ``size`` units."""
        return metrics.resample(size, self.protocol.resamples, self.generator(1))

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Return (len(texts), D) vectors; no text is encoded twice."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            encoded = np.asarray(self.encode(new), dtype=np.float64)
            self._vectors.update(zip(new, encoded, strict=True))
        return np.stack([self._vectors[text] for text in texts])

    def similarity(self, rows: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """Return (rows, texts) similarities.

        Rounded far below what any model means, so that equal vectors tie whatever the order in
        which a matrix product happens to add.
        """
        return (self.speech[rows] @ self.vectors(texts).T).round(9)


class _Tally:
    """Sums of one value per query by figure and clip, from which means and intervals follow."""

    def __init__(self, clips: int) -> None:
        self._clips = clips
        self.totals: dict[tuple[str, ...], np.ndarray] = {}

    def add(self, path: tuple[str, ...], rows: np.ndarray, values: np.ndarray) -> None:
        """Add ``values`` of the clips ``rows``; NaN means that the figure does not apply."""
        total, count = self.totals.setdefault(path, np.zeros((2, self._clips)))
        total[rows] += np.nan_to_num(values)
        count[rows] += np.isfinite(values)


def retrieve(bench: Bench, rows: np.ndarray) -> Figures:
    """Paired, strictly counted, ceiling, share of it, and graded, from the same galleries."""
    tally = _Tally(len(bench.clips))
    bench.vectors([said.text for pool in bench.said.values() for row in rows for said in pool[row]])
    for draw in range(bench.protocol.draws):
        generator = bench.generator(2, draw)
        chosen = bench.sample(rows, bench.protocol.gallery, 3, draw)
        picks = generator.integers(bench.protocol.wordings, size=len(chosen))
        for pool in ("unseen", "seen"):
            said = [bench.said[pool][row][pick] for row, pick in zip(chosen, picks, strict=True)]
            scores = bench.similarity(chosen, [each.text for each in said])
            for direction, each in zip(DIRECTIONS, (scores.T, scores), strict=True):
                ranks = metrics.ranks(each, np.arange(len(chosen)), generator)
                section = "paired" if pool == "unseen" else "paired_seen"
                _add_ranks(tally, (section, direction), chosen, ranks.fair)
                if pool == "unseen":
                    _add_ranks(tally, ("paired_strict", direction), chosen, ranks.strict)
                    _add_known(tally, bench, direction, chosen, said, each, generator)
    counts = bench.resample(len(rows))
    totals = {path: total[:, rows] for path, total in tally.totals.items()}
    figures = {path: metrics.ratio(*total, counts) for path, total in totals.items()}
    for path in [path for path in totals if path[0] == "paired"]:
        model, perfect = totals[path][0], totals["ceiling", *path[1:]][0]
        figures["share", *path[1:]] = metrics.ratio(model, perfect, counts)
    return figures


def _add_ranks(tally: _Tally, path: tuple[str, ...], rows: np.ndarray, ranks: np.ndarray) -> None:
    for k in (1, 5, 10):
        tally.add((*path, f"r{k}"), rows, metrics.recall(ranks, k))
    tally.add((*path, "map10"), rows, metrics.average_precision(ranks))


def _add_known(
    tally: _Tally,
    bench: Bench,
    direction: str,
    rows: np.ndarray,
    said: Sequence[Description],
    scores: np.ndarray,
    generator: np.random.Generator,
) -> None:
    """Add what needs the true styles: the ceiling and the graded figures."""
    said_codes, clip_codes = metrics.codes([each.style for each in said]), bench.codes[rows]
    # All that a description can tell is its style: perfect knowledge cannot part two of the same.
    same = (said_codes[:, None] == said_codes[None]).all(axis=2).astype(float)
    perfect = metrics.ranks(same, np.arange(len(rows)), generator)
    _add_ranks(tally, ("ceiling", direction), rows, perfect.fair)

    sides = (said_codes, clip_codes) if direction == "text_to_speech" else (clip_codes, said_codes)
    order = metrics.top(scores, 10, generator)
    path = ("graded", direction)
    tally.add((*path, "ndcg10"), rows, metrics.ndcg(metrics.overlaps(*sides), order))
    for column, name in enumerate(ATTRIBUTES):
        query, item = (side[:, column] for side in sides)
        relevant = (query[:, None] == item) & (query[:, None] != metrics.UNKNOWN)
        if relevant.any():
            tally.add((*path, "precision10", name), rows, metrics.precision(relevant, order))


def partial(bench: Bench, rows: np.ndarray, k: int = 10) -> Figures:
    """Precision at ``k`` of queries that mention one to three attributes of some clip.

    A retrieved clip counts when it has every value mentioned; one that does not know an attribute
    lacks it. Hits are divided by min(k, clips that satisfy the query). The gallery is all ``rows``.
    """
    rng = random.Random(f"{bench.protocol.seed}/partial")
    said = []
    for query in range(bench.protocol.queries):
        style = bench.styles[rng.choice(rows)]
        count = min(1 + query % 3, len(style.known))
        said.append(wording.partial(style, rng, pool="unseen", count=count))
    scores = bench.similarity(rows, [each.text for each in said]).T
    wanted = metrics.codes([each.style for each in said])
    order = metrics.top(scores, k, bench.generator(4))
    found = metrics.precision(metrics.satisfied(wanted, bench.codes[rows]), order)
    estimate = metrics.ratio(found, np.ones(len(said)), bench.resample(len(said)))
    return {("partial", f"precision{k}"): estimate}


def paraphrase(bench: Bench, rows: np.ndarray) -> Figures:
    """How little depends on the wording.

    ``rank_correlation``: mean pairwise Spearman correlation of the rankings that the unseen
    wordings of one style give of one gallery. ``t``: paired t statistic of the score between a clip
    and its description in the words of training, minus the same in unseen words. Two random
    unseen wordings would not do for it: they are exchangeable, so that no model could fail.
    """
    rows = bench.sample(rows, bench.protocol.gallery, 5)
    correlations, differences = np.zeros(len(rows)), np.zeros(len(rows))
    for place, row in enumerate(rows):
        unseen = bench.similarity(rows, [said.text for said in bench.said["unseen"][row]])
        seen = bench.similarity(rows, [bench.said["seen"][row][0].text])
        ranked = np.stack([metrics.midranks(metrics.dense(column)) for column in unseen.T])
        pairs = np.triu_indices(len(ranked), k=1)
        with np.errstate(invalid="ignore"):
            correlations[place] = np.nan_to_num(np.corrcoef(ranked)[pairs]).mean()
        differences[place] = seen[place, 0] - unseen[place, 0]
    counts = bench.resample(len(rows))
    t = metrics.paired_t(differences)[0]
    return {
        ("paraphrase", "rank_correlation"): metrics.ratio(correlations, np.ones(len(rows)), counts),
        ("paraphrase", "t"): metrics.interval(t, metrics.paired_t(differences, counts)),
    }


def classify(
    bench: Bench, rows: np.ndarray, attribute: str, pool: str = "unseen"
) -> tuple[np.ndarray, np.ndarray]:
    """Take each clip for the value whose prompts, averaged, are most like it.

    The candidates are the values that occur among ``rows``; clips that do not know theirs are
    left out.

    Returns:
        Truth and guess, each (n,) str.
    """
    truth = np.array([getattr(bench.styles[row], attribute) for row in rows])
    rows, truth = rows[truth != ""], truth[truth != ""]
    if not len(rows):
        return truth, truth
    values = np.unique(truth)
    centres = np.stack(
        [
            bench.vectors(wording.prompts(attribute, value, pool=pool)).mean(axis=0)
            for value in values.tolist()
        ]
    )
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return truth, values[(bench.speech[rows] @ centres.T).argmax(axis=1)]


def zero_shot(bench: Bench, rows: np.ndarray) -> Figures:
    """Unweighted average recall of every attribute that takes more than one value, by pool."""
    figures = {}
    for section, pool in (("zero_shot", "unseen"), ("zero_shot_seen", "seen")):
        for attribute in LABELS:
            truth, guess = classify(bench, rows, attribute, pool)
            if len(set(truth)) > 1:
                samples = metrics.unweighted_recall(truth, guess, bench.resample(len(truth)))
                mean = metrics.unweighted_recall(truth, guess)[0]
                figures[section, attribute] = metrics.interval(mean, samples)
    return figures


def faithful(bench: Bench, rows: np.ndarray) -> Figures:
    """Spearman correlation of similarity and style overlap over all pairs of a gallery.

    A resample draws clips together with their descriptions, so a pair weighs as both its ends do.
    """
    rows = bench.sample(rows, bench.protocol.pairs, 6)
    said = [bench.said["unseen"][row][0] for row in rows]
    scores = bench.similarity(rows, [each.text for each in said])
    truth = metrics.overlaps(bench.codes[rows], metrics.codes([each.style for each in said]))
    pair = metrics.dense(scores.ravel()), metrics.dense(truth.ravel().round(9))
    samples = [
        metrics.spearman(*pair, np.outer(count, count).ravel())
        for count in bench.resample(len(rows))[:200]
    ]
    estimate = metrics.interval(metrics.spearman(*pair), np.array(samples))
    return {("faithful", "spearman"): estimate}


PARTS = (retrieve, partial, paraphrase, zero_shot, faithful)
