"""The vectorised metrics agree with naive loops: ``pytest tests/test_metrics.py``."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import scipy.stats

from raclap import metrics
from raclap.style import ATTRIBUTES, VALUES, Style, overlap


@pytest.fixture
def generator():
    return np.random.default_rng(7)


@pytest.fixture
def scores(generator):
    """Scores of 40 queries and 30 items, rounded so that many tie."""
    return generator.normal(size=(40, 30)).round(1)


def make_styles(count, seed=0):
    rng = random.Random(seed)
    return [
        Style(**{name: rng.choice(("", *VALUES[name])) for name in ATTRIBUTES})
        for _ in range(count)
    ]


def test_strict_rank_counts_strictly_higher_scores(scores, generator):
    paired = generator.integers(0, 30, size=40)
    expected = []
    for query in range(40):
        higher = 0
        for item in range(30):
            higher += scores[query, item] > scores[query, paired[query]]
        expected.append(higher)
    np.testing.assert_array_equal(metrics.ranks(scores, paired, generator).strict, expected)


def test_fair_rank_is_uniform_over_the_ties(generator):
    scores = np.tile([5.0, 1.0, 1.0, 1.0, 0.0], (6000, 1))
    fair = metrics.ranks(scores, np.full(6000, 2), generator).fair
    assert set(fair) == {1, 2, 3}
    np.testing.assert_allclose(np.bincount(fair)[1:] / 6000, 1 / 3, atol=0.03)


def test_without_ties_both_ranks_are_the_place_in_the_full_sort(generator):
    scores = generator.normal(size=(20, 30))
    paired = generator.integers(0, 30, size=20)
    found = metrics.ranks(scores, paired, generator)
    expected = [sorted(-row).index(-row[own]) for row, own in zip(scores, paired, strict=True)]
    np.testing.assert_array_equal(found.fair, expected)
    np.testing.assert_array_equal(found.strict, expected)


def test_ties_are_resolved_the_same_way_from_the_same_seed(scores):
    paired = np.zeros(40, dtype=int)
    first, second, other = (
        metrics.ranks(scores, paired, np.random.default_rng(seed)).fair for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(scores, generator, bad):
    scores[3, 4] = bad
    with pytest.raises(ValueError, match="finite"):
        metrics.ranks(scores, np.zeros(40, dtype=int), generator)


def test_fair_recall_and_average_precision_equal_a_double_loop(generator):
    scores = generator.normal(size=(400, 12)).round(0)  # most items tie
    paired = generator.integers(0, 12, size=400)
    found = [metrics.ranks(scores, paired, generator).fair for _ in range(50)]
    recall, precision = [], []
    for query in range(400):
        own = scores[query, paired[query]]
        higher, ties = 0, 0
        for item in range(12):
            higher += scores[query, item] > own
            ties += scores[query, item] == own
        places = range(higher, higher + ties)  # each as likely
        recall.append(sum(place < 5 for place in places) / ties)
        precision.append(sum(1 / (place + 1) for place in places if place < 10) / ties)
    drawn = np.mean([metrics.recall(rank, 5) for rank in found])
    assert drawn == pytest.approx(np.mean(recall), abs=0.01)
    drawn = np.mean([metrics.average_precision(rank) for rank in found])
    assert drawn == pytest.approx(np.mean(precision), abs=0.01)


def test_recall_and_average_precision():
    rank = np.array([0, 1, 4, 5, 9, 10, 150])
    assert metrics.recall(rank, 1).mean() == pytest.approx(1 / 7)
    assert metrics.recall(rank, 5).mean() == pytest.approx(3 / 7)
    expected = [1 / (r + 1) if r < 10 else 0 for r in rank]
    np.testing.assert_allclose(metrics.average_precision(rank), expected)


def test_top_is_a_full_sort_and_breaks_ties_at_random(scores, generator):
    order = metrics.top(scores, 10, generator)
    for row, chosen in zip(scores, order, strict=True):
        assert len(set(chosen)) == 10
        assert list(row[chosen]) == sorted(row, reverse=True)[:10]
    firsts = [metrics.top(np.zeros((1, 4)), 1, generator)[0, 0] for _ in range(200)]
    assert set(firsts) == {0, 1, 2, 3}


def test_top_of_a_small_gallery_is_the_whole_gallery(generator):
    assert metrics.top(np.array([[1.0, 3.0, 2.0]]), 10, generator).tolist() == [[1, 2, 0]]


def test_ndcg_equals_a_double_loop(scores, generator):
    relevance = generator.random((40, 30)).round(1)
    relevance[5] = 0
    order = metrics.top(scores, 10, generator)
    found = metrics.ndcg(relevance, order)
    assert math.isnan(found[5])
    for query in set(range(40)) - {5}:
        gained = ideal = 0.0
        best = sorted(relevance[query], reverse=True)
        for place in range(10):
            gained += relevance[query, order[query, place]] / math.log2(place + 2)
            ideal += best[place] / math.log2(place + 2)
        assert found[query] == pytest.approx(gained / ideal)


def test_precision_equals_a_double_loop(scores, generator):
    relevant = generator.random((40, 30)) < 0.2
    relevant[2] = False
    relevant[3] = False
    relevant[3, :2] = True
    order = metrics.top(scores, 10, generator)
    found = metrics.precision(relevant, order)
    assert math.isnan(found[2])
    for query in set(range(40)) - {2}:
        hits = sum(bool(relevant[query, item]) for item in order[query])
        assert found[query] == pytest.approx(hits / min(10, sum(relevant[query])))
    assert metrics.precision(relevant[3:4], np.arange(10)[None]) == 1


def test_precision_of_many_attributes_is_that_of_each(scores, generator):
    relevant = generator.random((7, 40, 30)) < 0.2
    order = metrics.top(scores, 10, generator)
    found = metrics.precision(relevant, order)
    assert found.shape == (7, 40)
    np.testing.assert_array_equal(found, [metrics.precision(each, order) for each in relevant])


def test_top_equals_a_stable_sort_of_the_shuffled_columns(scores):
    shuffled = np.random.default_rng(5).permutation(30)
    found = metrics.top(scores, 10, np.random.default_rng(5))
    expected = [sorted(shuffled, key=lambda item: -row[item])[:10] for row in scores]
    np.testing.assert_array_equal(found, expected)


def test_chance_is_the_mean_over_random_orders(generator):
    relevance = generator.random((6, 15)).round(1) * (generator.random((6, 15)) < 0.5)
    relevance[0] = 0
    relevant = relevance > 0.6
    relevant[1, :2] = True
    orders = [np.tile(generator.permutation(15), (6, 1))[:, :10] for _ in range(6000)]
    for exact, drawn in (
        (metrics.chance_ndcg(relevance), [metrics.ndcg(relevance, each) for each in orders]),
        (metrics.chance_precision(relevant), [metrics.precision(relevant, e) for e in orders]),
    ):
        assert math.isnan(exact[0])
        np.testing.assert_allclose(exact[1:], np.mean(drawn, axis=0)[1:], atol=0.01)


def test_chance_in_a_gallery_of_fewer_than_ten_is_to_find_all():
    assert metrics.chance_precision(np.array([[True, True, False, False]])) == [1]


def test_an_interval_leaves_out_samples_that_are_unknown():
    samples = np.array([np.nan, *np.linspace(0, 1, 101), np.nan])
    found = metrics.interval(0.5, samples)
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))
    assert metrics.interval(0.5, samples[:1]).plain() == {"mean": 0.5, "low": None, "high": None}


def test_chance_ranks_are_the_mean_over_all_ranks():
    for size in (4, 200):
        found, rank = metrics.chance_ranks(size), np.arange(size)
        assert found.pop("map10") == pytest.approx(metrics.average_precision(rank).mean())
        for name, value in found.items():
            assert value == pytest.approx(metrics.recall(rank, int(name[1:])).mean())


def test_midranks_equal_a_double_loop(generator):
    values = generator.normal(size=60).round(1)
    counts = generator.integers(0, 3, size=60).astype(float)
    found = metrics.midranks(metrics.dense(values), counts)
    for own, rank in zip(values, found, strict=True):
        below = equal = 0.0
        for other, count in zip(values, counts, strict=True):
            below += count * (other < own)
            equal += count * (other == own)
        assert rank == below + equal / 2


def test_spearman_agrees_with_scipy_and_with_repetition(generator):
    a, b = generator.normal(size=200).round(1), generator.normal(size=200).round(1)
    b += a
    groups = metrics.dense(a), metrics.dense(b)
    assert metrics.spearman(*groups) == pytest.approx(scipy.stats.spearmanr(a, b).statistic)
    counts = generator.integers(0, 4, size=200)
    repeated = scipy.stats.spearmanr(np.repeat(a, counts), np.repeat(b, counts)).statistic
    assert metrics.spearman(*groups, counts.astype(float)) == pytest.approx(repeated)
    assert math.isnan(metrics.spearman(groups[0], metrics.dense(np.zeros(200))))


def test_paired_t_agrees_with_scipy_and_with_repetition(generator):
    a, b = generator.normal(size=50), generator.normal(0.3, 1, size=50)
    assert metrics.paired_t(a - b)[0] == pytest.approx(scipy.stats.ttest_rel(a, b).statistic)
    counts = metrics.resample(50, 3, generator)
    for row, found in zip(counts, metrics.paired_t(a - b, counts), strict=True):
        repeated = np.repeat(a - b, row.astype(int))
        assert found == pytest.approx(scipy.stats.ttest_1samp(repeated, 0).statistic)
    assert metrics.paired_t(np.zeros(9))[0] == 0


def test_unweighted_recall_weighs_rare_classes_like_common_ones(generator):
    truth = np.array(["a"] * 8 + ["b"] * 2)
    guess = np.array(["a"] * 8 + ["a", "b"])
    assert metrics.unweighted_recall(truth, guess)[0] == pytest.approx((1 + 0.5) / 2)
    counts = metrics.resample(10, 20, generator)
    found_all = metrics.unweighted_recall(truth, guess, counts)
    for row, found in zip(counts.astype(int), found_all, strict=True):
        t, g = np.repeat(truth, row), np.repeat(guess, row)
        assert found == pytest.approx(np.mean([(g[t == c] == c).mean() for c in set(t)]))


def test_a_bootstrap_interval_has_the_width_of_the_normal_one(generator):
    values = generator.normal(10, 2, size=400)
    found = metrics.ratio(values, np.ones(400), metrics.resample(400, 2000, generator))
    half = 1.96 * values.std() / math.sqrt(400)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.04)
    assert found.high == pytest.approx(values.mean() + half, abs=0.04)


def test_bootstrap_intervals_of_a_ratio_cover_the_truth():
    """Of a thousand synthetic test sets, about 95% have intervals around the true ratio."""
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(1000):
        below = rng.integers(1, 6, size=150).astype(float)  # how often a clip was drawn
        above = rng.binomial(below.astype(int), 0.3)
        found = metrics.ratio(above, below, metrics.resample(150, 200, rng))
        covered += found.low <= 0.3 <= found.high
    assert 920 <= covered <= 965


def test_few_seeds_need_the_t_interval(generator):
    """With five seeds it covers the truth as promised; the bootstrap, much less often."""
    weights = metrics.resample(5, 400, generator)
    draws = generator.normal(1.0, 2.0, size=(1000, 5))
    t = [metrics.t_interval(row) for row in draws]
    bootstrap = [metrics.ratio(row, np.ones(5), weights) for row in draws]
    share = [np.mean([each.low <= 1 <= each.high for each in kind]) for kind in (t, bootstrap)]
    assert 0.93 <= share[0] <= 0.97
    assert share[1] < 0.88
    exact = scipy.stats.ttest_1samp(draws[0], 0).confidence_interval(0.95)
    assert (t[0].low, t[0].high) == pytest.approx((exact.low, exact.high))
    assert math.isnan(metrics.t_interval(np.array([0.2])).low)
    assert metrics.t_interval(np.array([0.2])).mean == 0.2


def test_a_resample_draws_as_many_units_as_there_are(generator):
    counts = metrics.resample(30, 8, generator)
    assert counts.shape == (8, 30)
    assert (counts.sum(axis=1) == 30).all()


def test_overlaps_equal_style_overlap_on_every_pair():
    left, right = make_styles(60), [Style(), *make_styles(50, seed=1)]
    found = metrics.overlaps(metrics.codes(left), metrics.codes(right))
    expected = [[overlap(a, b) for b in right] for a in left]
    np.testing.assert_allclose(found, expected)


def satisfies(clip, query):
    return all(getattr(clip, name) == value for name, value in query.known.items())


def test_satisfied_needs_every_value_mentioned():
    clips = make_styles(200)
    queries = [Style(), *(style.only(style.known.keys() & {"gender", "pitch"}) for style in clips)]
    found = metrics.satisfied(metrics.codes(queries), metrics.codes(clips))
    expected = [[satisfies(clip, query) for clip in clips] for query in queries]
    np.testing.assert_array_equal(found, expected)
    assert found.any()
    assert not found.all()
