"""The parts of the ESSR benchmark: each turns some rows of a :class:`Bench` into figures.

In: clips with their styles, their speech vectors, and a function that encodes texts. Out: for each
part a dictionary from a figure's path, section first, to its estimate. Rules that hold throughout:

* Galleries and wordings are drawn from one seed, so every model meets the same ones.
* Items that tie with the paired one are put before or after it at random; ``paired_strict`` counts
  strictly higher scores only, as the published figures do.
* What chance would reach stands in the section ``chance``, under the section's own name. It is
  worked out, not drawn: the mean over all orders of the gallery, and 1 / classes for recall.
* Intervals are 95% percentile bootstraps over clips (queries in ``partial``), each resampled with
  all its draws: how far a figure would move with other clips of these speakers.

How the parts become a report is in ``evaluate``.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from raclap import metrics, wording
from raclap.corpus import WORDLESS, Clip
from raclap.metrics import Estimate
from raclap.style import ATTRIBUTES
from raclap.wording import Description

LABELS = ("emotion", "gender", "intensity", "pitch", "speed", "energy")
_FAITHFUL_RESAMPLES = 200  # each of them ranks all pairs again
SECTIONS = (
    *("paired", "paired_seen", "paired_strict", "ceiling", "share", "graded", "partial"),
    *("paraphrase", "zero_shot", "zero_shot_seen", "faithful"),
)
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
        self._counts: dict[int, np.ndarray] = {}

    @cached_property
    def said(self) -> dict[str, list[list[Description]]]:
        """The wordings of each clip, by pool."""
        return {
            pool: [self._word(clip, pool) for clip in self.clips] for pool in ("unseen", "seen")
        }

    @cached_property
    def mentioned(self) -> np.ndarray:
        """What the unseen wordings mention: (N, wordings, attributes) int."""
        every = [said.style for wordings in self.said["unseen"] for said in wordings]
        return metrics.codes(every).reshape(len(self.clips), self.protocol.wordings, -1)

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
        """Return bootstrap counts of ``size`` units, the same ones every time."""
        if size not in self._counts:
            resamples = self.protocol.resamples
            self._counts[size] = metrics.resample(size, resamples, self.generator(1))
        return self._counts[size]

    def learn(self, texts: Iterable[str]) -> None:
        """Encode those of ``texts`` that are new; many at once are quicker than few at a time."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            encoded = np.asarray(self.encode(new), dtype=np.float64)
            self._vectors.update(zip(new, encoded, strict=True))

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Return (len(texts), D) vectors; no text is encoded twice."""
        self.learn(texts)
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
        applies = np.isfinite(values)
        total[rows] += np.where(applies, values, 0)
        count[rows] += applies


def retrieve(bench: Bench, rows: np.ndarray) -> Figures:
    """Paired, strictly counted, ceiling, share of it, and graded, from the same galleries."""
    tally = _Tally(len(bench.clips))
    draws = []
    for draw in range(bench.protocol.draws):
        generator = bench.generator(2, draw)
        chosen = bench.sample(rows, bench.protocol.gallery, 3, draw)
        picks = generator.integers(bench.protocol.wordings, size=len(chosen))
        texts = {
            pool: [said[row][pick].text for row, pick in zip(chosen, picks, strict=True)]
            for pool, said in bench.said.items()
        }
        draws.append((generator, chosen, picks, texts))
    bench.learn(text for *_, texts in draws for pool in texts.values() for text in pool)
    for generator, chosen, picks, texts in draws:
        known = _Known(bench.mentioned[chosen, picks], bench.codes[chosen])
        for pool in texts:
            scores = bench.similarity(chosen, texts[pool])
            for direction, each in zip(DIRECTIONS, (scores.T, scores), strict=True):
                ranks = metrics.ranks(each, np.arange(len(chosen)), generator)
                section = "paired" if pool == "unseen" else "paired_seen"
                _add_ranks(tally, (section, direction), chosen, ranks.fair)
                if pool == "unseen":
                    _add_ranks(tally, ("paired_strict", direction), chosen, ranks.strict)
                    _add_known(tally, known, direction, chosen, each, generator)
    counts = bench.resample(len(rows))
    totals = {path: total[:, rows] for path, total in tally.totals.items()}
    figures = {path: metrics.ratio(*total, counts) for path, total in totals.items()}
    for path in [path for path in totals if path[0] == "paired"]:
        model, perfect = totals[path][0], totals["ceiling", *path[1:]][0]
        figures["share", *path[1:]] = metrics.ratio(model, perfect, counts)
    by_chance = metrics.chance_ranks(min(bench.protocol.gallery, len(rows)))
    for section in ("paired", "paired_seen"):
        for direction in DIRECTIONS:
            for name, value in by_chance.items():
                figures["chance", section, direction, name] = metrics.exact(value)
    return figures


def _add_ranks(tally: _Tally, path: tuple[str, ...], rows: np.ndarray, ranks: np.ndarray) -> None:
    for k in (1, 5, 10):
        tally.add((*path, f"r{k}"), rows, metrics.recall(ranks, k))
    tally.add((*path, "map10"), rows, metrics.average_precision(ranks))


class _Known:
    """What follows from the true styles of one gallery alone.

    Args:
        said: (N, attributes) int, what the description of each clip mentions.
        clips: (N, attributes) int, what is known of each clip.
    """

    def __init__(self, said: np.ndarray, clips: np.ndarray) -> None:
        # All that a description can tell is its style: perfect knowledge cannot part two of one.
        style = np.unique(said, axis=0, return_inverse=True)[1].ravel()
        self.same = (style[:, None] == style).astype(float)
        overlap = metrics.overlaps(said, clips)
        asked = np.where(said == metrics.UNKNOWN, metrics.UNKNOWN - 1, said)  # equals no value
        equal = asked.T[:, :, None] == clips.T[:, None, :]  # (attributes, descriptions, clips)
        occurs = equal.any(axis=(1, 2))
        self.names = [name for name, there in zip(ATTRIBUTES, occurs, strict=True) if there]
        equal = equal[occurs]
        self.overlap = dict(zip(DIRECTIONS, (overlap, overlap.T), strict=True))
        self.relevant = dict(zip(DIRECTIONS, (equal, equal.transpose(0, 2, 1)), strict=True))


def _add_known(
    tally: _Tally,
    known: _Known,
    direction: str,
    rows: np.ndarray,
    scores: np.ndarray,
    generator: np.random.Generator,
) -> None:
    """Add what needs the true styles: the ceiling, the graded figures, and these by chance."""
    perfect = metrics.ranks(known.same, np.arange(len(rows)), generator)
    _add_ranks(tally, ("ceiling", direction), rows, perfect.fair)

    order = metrics.top(scores, metrics.TOP, generator)
    overlap, relevant = known.overlap[direction], known.relevant[direction]
    for path, ndcg, precision in (
        ((), metrics.ndcg(overlap, order), metrics.precision(relevant, order)),
        (("chance",), metrics.chance_ndcg(overlap), metrics.chance_precision(relevant)),
    ):
        path = (*path, "graded", direction)
        tally.add((*path, "ndcg10"), rows, ndcg)
        for name, values in zip(known.names, precision, strict=True):
            tally.add((*path, "precision10", name), rows, values)


def partial(bench: Bench, rows: np.ndarray, k: int = metrics.TOP) -> Figures:
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
    relevant = metrics.satisfied(wanted, bench.codes[rows])
    found = {
        ("partial", f"precision{k}"): metrics.precision(relevant, order),
        ("chance", "partial", f"precision{k}"): metrics.chance_precision(relevant, k),
    }
    once, counts = np.ones(len(said)), bench.resample(len(said))
    return {path: metrics.ratio(values, once, counts) for path, values in found.items()}


def paraphrase(bench: Bench, rows: np.ndarray) -> Figures:
    """How little depends on the wording.

    ``rank_correlation``: mean pairwise Spearman correlation of the rankings that the unseen
    wordings of one style give of one gallery. ``t``: paired t statistic of the score between a clip
    and its description in the words of training, minus the same in unseen words. Two random
    unseen wordings would not do for it: they are exchangeable, so that no model could fail.
    """
    rows = bench.sample(rows, bench.protocol.gallery, 5)
    said = [bench.said["unseen"][row] + bench.said["seen"][row][:1] for row in rows]
    bench.learn(each.text for wordings in said for each in wordings)
    correlations, differences = np.zeros(len(rows)), np.zeros(len(rows))
    for place, wordings in enumerate(said):
        *unseen, seen = bench.similarity(rows, [each.text for each in wordings]).T
        ranked = np.stack([metrics.midranks(metrics.dense(column)) for column in unseen])
        pairs = np.triu_indices(len(ranked), k=1)
        with np.errstate(invalid="ignore"):
            correlations[place] = np.nan_to_num(np.corrcoef(ranked)[pairs]).mean()
        differences[place] = seen[place] - unseen[0][place]
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
                by_chance = metrics.exact(1 / len(set(truth)))  # whatever is guessed how often
                figures["chance", section, attribute] = by_chance
    return figures


def confusion(bench: Bench, rows: np.ndarray) -> dict[str, Counter]:
    """Count what the clips of each emotion are taken for: value to value to number of clips."""
    counts: dict[str, Counter] = {}
    for meant, taken in zip(*map(np.ndarray.tolist, classify(bench, rows, "emotion")), strict=True):
        counts.setdefault(meant, Counter())[taken] += 1
    return {meant: counts[meant] for meant in sorted(counts)}


def faithful(bench: Bench, rows: np.ndarray) -> Figures:
    """Spearman correlation of similarity and style overlap over all pairs of a gallery.

    A resample draws clips together with their descriptions, so a pair weighs as both its ends do.
    """
    rows = bench.sample(rows, bench.protocol.pairs, 6)
    said = [bench.said["unseen"][row][0] for row in rows]
    scores = bench.similarity(rows, [each.text for each in said])
    truth = metrics.overlaps(bench.codes[rows], metrics.codes([each.style for each in said]))
    order = np.argsort(scores, axis=None)  # ranking again is quicker along sorted scores
    pair = [metrics.dense(side.ravel()[order]) for side in (scores, truth.round(9))]
    samples = []
    for count in bench.resample(len(rows))[:_FAITHFUL_RESAMPLES].astype(np.int16):
        weights = np.outer(count, count).ravel()[order]
        drawn = np.flatnonzero(weights != 0)
        inside = [side[drawn] for side in pair]
        samples.append(metrics.spearman(*inside, weights[drawn].astype(float)))
    found = metrics.spearman(*pair)
    return {("faithful", "spearman"): metrics.interval(found, np.array(samples))}


PARTS = (retrieve, partial, paraphrase, zero_shot, faithful)
