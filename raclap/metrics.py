"""Scores, ranks and labels become figures with intervals, and what chance would reach.

In: arrays of similarities, relevances, predictions. Out: one value per query, or an
:class:`Estimate`. What is retrieved, and from which gallery, is decided by ``essr``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import stdtrit

from raclap.style import ATTRIBUTES, SIZES, VALUES, WEIGHTS, Style, agreement

UNKNOWN = -1
CONFIDENCE = 0.95
TOP = 10  # places that count in average precision, nDCG and precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and its percentile bootstrap interval."""

    mean: float
    low: float
    high: float

    def plain(self) -> dict[str, float | None]:
        """Return its plain form; what is not finite, which JSON cannot hold, is None."""
        return {
            name: value if math.isfinite(value) else None for name, value in asdict(self).items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRanks:
    """Rank of the paired item of each query, from 0: two readings of the same scores.

    Attributes:
        fair: (Q,) int, items that tie with the paired one put before or after it at random.
        strict: (Q,) int, the number of strictly higher scores; every tie counts as a win, which
            flatters a model that gives many items one score.
    """

    fair: np.ndarray
    strict: np.ndarray


def ranks(scores: np.ndarray, paired: np.ndarray, generator: np.random.Generator) -> PairRanks:
    """Rank the paired item of each query.

    Args:
        scores: (Q, N) float, higher is better.
        paired: (Q,) int, the column that belongs to each row.
        generator: resolves the ties.

    Raises:
        ValueError: if a score is not finite; comparisons with NaN would rank it first.
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite; found NaN or infinity; check the vectors")
    own = np.take_along_axis(scores, paired[:, None], axis=1)
    strict = np.count_nonzero(scores > own, axis=1)
    ties = np.count_nonzero(scores == own, axis=1) - 1
    return PairRanks(fair=strict + generator.integers(0, ties + 1), strict=strict)


def recall(rank: np.ndarray, k: int) -> np.ndarray:
    """Whether each paired item is among the first ``k``: (Q,) of 0 and 1."""
    return (rank < k).astype(float)


def chance_ranks(size: int) -> dict[str, float]:
    """Compute what :func:`recall` and :func:`average_precision` are when every rank is as likely.

    Args:
        size: items in the gallery.
    """
    recalls = {f"r{k}": min(k, size) / size for k in (1, 5, 10)}
    return recalls | {"map10": sum(1 / (rank + 1) for rank in range(min(TOP, size))) / size}


def average_precision(rank: np.ndarray) -> np.ndarray:
    """1 / (rank + 1) where the paired item is among the first ``TOP``, else 0: (Q,) float."""
    return np.where(rank < TOP, 1.0 / (rank + 1.0), 0.0)


def top(scores: np.ndarray, k: int, generator: np.random.Generator) -> np.ndarray:
    """Columns of the ``k`` highest scores of each row, best first, ties in random order.

    Returns:
        (Q, min(k, N)) int.
    """
    shuffled = generator.permutation(scores.shape[1])
    mixed = -scores[:, shuffled]
    order = np.argsort(mixed, axis=1)[:, : k + 1]
    first = np.take_along_axis(mixed, order, axis=1)
    # Only a stable sort keeps the random order of ties, but it is slow and ties are rare.
    tied = (first[:, 1:] == first[:, :-1]).any(axis=1)
    order[tied] = np.argsort(mixed[tied], axis=1, kind="stable")[:, : k + 1]
    return shuffled[order[:, :k]]


def ndcg(relevance: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Normalised discounted cumulative gain with linear gains.

    Args:
        relevance: (Q, N) float from 0, of every item.
        order: (Q, K) int, the items that were retrieved, best first.

    Returns:
        (Q,) float from 0 to 1; NaN where nothing is relevant.
    """
    k = order.shape[1]
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    gained = np.take_along_axis(relevance, order, axis=1) @ discount
    ideal = _best(relevance, k) @ discount
    return np.divide(gained, ideal, out=np.full(len(ideal), np.nan), where=ideal > 0)


def chance_ndcg(relevance: np.ndarray) -> np.ndarray:
    """Compute what :func:`ndcg` of the first ``TOP`` is on average over all orders: (Q,) float.

    Every place then holds an item of mean relevance.
    """
    k = min(TOP, relevance.shape[1])
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    gained, ideal = relevance.mean(axis=1) * discount.sum(), _best(relevance, k) @ discount
    return np.divide(gained, ideal, out=np.full(len(ideal), np.nan), where=ideal > 0)


def _best(relevance: np.ndarray, k: int) -> np.ndarray:
    """The ``k`` highest relevances of each row, best first."""
    return -np.sort(np.partition(-relevance, k - 1, axis=1)[:, :k], axis=1)


def precision(relevant: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Share of relevant items among those retrieved.

    Args:
        relevant: (..., Q, N) bool, of every item.
        order: (Q, K) int, the items that were retrieved.

    Returns:
        (..., Q) float: hits / min(K, relevant items there are), so that a perfect ranking scores 1
        also where fewer than K are relevant; NaN where none is.
    """
    found = relevant[..., np.arange(len(order))[:, None], order]
    hits = np.count_nonzero(found, axis=-1)
    best = np.minimum(order.shape[-1], np.count_nonzero(relevant, axis=-1))
    return np.divide(hits, best, out=np.full(best.shape, np.nan), where=best > 0)


def chance_precision(relevant: np.ndarray, k: int = TOP) -> np.ndarray:
    """Compute what :func:`precision` is on average over all orders: (..., Q) float."""
    size, count = relevant.shape[-1], np.count_nonzero(relevant, axis=-1)
    k = min(k, size)
    best = np.minimum(k, count)
    return np.divide(k * count / size, best, out=np.full(best.shape, np.nan), where=best > 0)


def dense(values: np.ndarray) -> np.ndarray:
    """Number the distinct values of an (N,) array from 0 upwards, in their order: (N,) int."""
    return np.unique(values, return_inverse=True)[1]


def midranks(group: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Rank from low to high; equal values share the middle of their ranks.

    Args:
        group: (N,) int from :func:`dense`, which sorts once for many sets of weights.
        weights: (N,) how often each value counts; once when left out.

    Returns:
        (N,) float; a constant away from the usual ranks, which no correlation notices.
    """
    mass = np.bincount(group, weights)
    return (np.cumsum(mass) - mass / 2)[group]


def spearman(a: np.ndarray, b: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Rank correlation; NaN where one side is constant.

    Args:
        a: (N,) int from :func:`dense`.
        b: (N,) int from :func:`dense`.
        weights: (N,) how often each pair counts; once when left out.
    """
    weights = np.ones(len(a)) if weights is None else weights
    total = weights.sum()
    a, b = (midranks(side, weights) for side in (a, b))
    a, b = (side - weights @ side / total for side in (a, b))
    left, right = weights * a, weights * b
    spread = np.sqrt((left @ a) * (right @ b))
    return float(left @ b / spread) if spread > 0 else float("nan")


def paired_t(differences: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Paired t statistic of (N,) differences, or one for each row of (R, N) resampling counts.

    It is 0 where all differences are 0, and infinite where they are all the same otherwise.
    """
    counts = np.ones((1, len(differences))) if counts is None else counts
    size = counts.sum(axis=1)
    mean = counts @ differences / size
    variance = (counts * (differences - mean[:, None]) ** 2).sum(axis=1) / (size - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / np.sqrt(variance / size)
    return np.where(mean == 0, 0.0, t)


def unweighted_recall(
    truth: np.ndarray, guess: np.ndarray, counts: np.ndarray | None = None
) -> np.ndarray:
    """Unweighted average recall: the mean over classes of the share recognised.

    Args:
        truth: (N,) class of each clip.
        guess: (N,) class it was taken for.
        counts: (R, N) how often each resample draws each clip; once when left out.

    Returns:
        (R,) float; a resample that misses a class averages over the others.
    """
    counts = np.ones((1, len(truth))) if counts is None else counts
    member = truth[:, None] == np.unique(truth)
    right = member & (truth == guess)[:, None]
    with np.errstate(invalid="ignore"):
        return np.nanmean((counts @ right) / (counts @ member), axis=1)


def resample(size: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Draw bootstrap samples: (resamples, size) float, how often each unit is in each of them."""
    return generator.multinomial(size, np.full(size, 1 / size), size=resamples).astype(float)


def t_interval(steps: np.ndarray) -> Estimate:
    """Put Student's interval around the mean of (N,) differences that were taken pair by pair.

    With a handful of training seeds this is the interval to decide by: a percentile bootstrap of
    five values covers their true mean in about four cases of five rather than 95 of 100, because
    it takes the spread of the sample for that of the population. One value has no interval (NaN).
    """
    mean, size = float(np.mean(steps)), len(steps)
    if size < 2:
        return Estimate(mean=mean, low=float("nan"), high=float("nan"))
    half = stdtrit(size - 1, (1 + CONFIDENCE) / 2) * np.std(steps, ddof=1) / math.sqrt(size)
    return Estimate(mean=mean, low=float(mean - half), high=float(mean + half))


def exact(value: float) -> Estimate:
    """A figure that is worked out, so that its interval has no width."""
    return Estimate(mean=value, low=value, high=value)


def interval(mean: float, samples: np.ndarray) -> Estimate:
    """Put the percentile interval of bootstrap ``samples`` around a figure.

    Samples that are NaN, as those that miss a class, do not count; of none there is no interval.
    """
    if np.isnan(samples).all():
        return Estimate(mean=float(mean), low=float("nan"), high=float("nan"))
    tail = 100 * (1 - CONFIDENCE) / 2
    with np.errstate(invalid="ignore"):  # between two infinite samples
        low, high = np.nanpercentile(samples, (tail, 100 - tail))
    return Estimate(mean=float(mean), low=float(low), high=float(high))


def ratio(above: np.ndarray, below: np.ndarray, counts: np.ndarray) -> Estimate:
    """Estimate sum(above) / sum(below) over units that are resampled together.

    Args:
        above: (N,) what each unit adds to the numerator.
        below: (N,) what it adds to the denominator; 1 for a plain mean.
        counts: (R, N) from :func:`resample`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return interval(above.sum() / below.sum(), (counts @ above) / (counts @ below))


def codes(styles: Sequence[Style]) -> np.ndarray:
    """Number the values of styles: (N, attributes) int, ``UNKNOWN`` where a style is silent."""
    number = {
        name: {value: code for code, value in enumerate(VALUES[name])} | {"": UNKNOWN}
        for name in ATTRIBUTES
    }
    rows = [[number[name][getattr(style, name)] for name in ATTRIBUTES] for style in styles]
    return np.array(rows, dtype=np.int8).reshape(-1, len(ATTRIBUTES))


_STARTS = np.cumsum([0, *SIZES])
_WEIGHTS = np.array([WEIGHTS[name] for name in ATTRIBUTES])


def _agreements() -> np.ndarray:
    """Weighted agreement of every two values, those of all attributes side by side: (V, V)."""
    table = np.zeros((_STARTS[-1], _STARTS[-1]))
    for name, start in zip(ATTRIBUTES, _STARTS, strict=False):
        for row, a in enumerate(VALUES[name], start):
            for column, b in enumerate(VALUES[name], start):
                table[row, column] = WEIGHTS[name] * agreement(name, a, b)
    return table


AGREEMENTS = _agreements()


def _one_hot(codes: np.ndarray) -> np.ndarray:
    """Mark the values of each style: (N, values of all attributes), 0 or 1."""
    marks = np.zeros((len(codes), _STARTS[-1]))
    row, attribute = np.nonzero(codes != UNKNOWN)
    marks[row, _STARTS[attribute] + codes[row, attribute]] = 1
    return marks


def overlaps(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Compute ``style.overlap`` of every pair.

    Args:
        left: (N, attributes) int from :func:`codes`.
        right: (M, attributes) int.

    Returns:
        (N, M) float from 0 to 1.
    """
    score = _one_hot(left) @ AGREEMENTS @ _one_hot(right).T
    weight = ((left != UNKNOWN) * _WEIGHTS) @ (right != UNKNOWN).T.astype(float)
    return np.divide(score, weight, out=np.zeros_like(score), where=weight > 0)


def satisfied(queries: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """Tell of every pair whether the clip has every value that the query mentions.

    Args:
        queries: (Q, attributes) int from :func:`codes`.
        clips: (N, attributes) int.

    Returns:
        (Q, N) bool.
    """
    result = np.ones((len(queries), len(clips)), dtype=bool)
    for wanted, found in zip(queries.T, clips.T, strict=True):
        result &= (wanted[:, None] == UNKNOWN) | (wanted[:, None] == found)
    return result
