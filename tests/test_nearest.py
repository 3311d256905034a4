"""Approximate search against the exact one. Run: python -m pytest tests/test_nearest.py."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from raclap import nearest

COUNT, DIM = 6_000, 64


def clustered(rng: np.random.Generator, count: int) -> np.ndarray:
    """(N, D) unit vectors around 50 centres."""
    centres = np.random.default_rng(0).normal(size=(50, DIM))
    vectors = centres[rng.integers(0, 50, count)] + 0.6 * rng.normal(size=(count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """As if a thousand vectors were many."""
    monkeypatch.setattr(nearest, "EXACT", 1_000)
    monkeypatch.setattr(nearest, "_FEW", 200)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.fixture
def vectors(rng) -> np.ndarray:
    return clustered(rng, COUNT)


def exact(vectors, queries, top, allowed=None) -> list[list[int]]:
    rows = np.arange(len(vectors)) if allowed is None else allowed
    return [rows[np.argsort(-(vectors[rows] @ query), kind="stable")[:top]] for query in queries]


def recall(found: np.ndarray, wanted: list) -> float:
    return float(np.mean([len({*a} & {*b}) / len(b) for a, b in zip(found, wanted, strict=True)]))


@pytest.mark.parametrize("memory", [None, 0], ids=["SQ8", "RaBitQ"])
def test_the_nearest_are_found_with_their_true_cosines(vectors, rng, memory):
    index, queries = nearest.build(vectors, memory), clustered(rng, 40)
    assert isinstance(index, faiss.IndexIVF)
    scores, rows = nearest.search(index, vectors, queries, 10)
    assert recall(rows, exact(vectors, queries, 10)) >= 0.95
    np.testing.assert_allclose(scores, np.einsum("qkd,qd->qk", vectors[rows], queries), atol=1e-5)
    assert (np.diff(scores) <= 0).all()


def test_size_and_memory_choose(vectors):
    assert nearest.is_exact(nearest.build(vectors[:1_000]))
    assert not nearest.is_exact(nearest.build(vectors[:1_001]))
    assert nearest.coding(10**6, 256, memory=2**30) == "SQ8"
    assert nearest.coding(10**8, 256, memory=2**33) == "RaBitQ"
    assert isinstance(nearest.build(vectors, memory=0), faiss.IndexIVFRaBitQ)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02, 0.001], ids="{:.1%}".format)
def test_a_filter_is_kept_and_misses_little(vectors, rng, share):
    allowed = np.flatnonzero(rng.random(COUNT) < share)
    index, queries = nearest.build(vectors), clustered(rng, 20)
    top = min(10, len(allowed))
    _, rows = nearest.search(index, vectors, queries, top, allowed)
    assert np.isin(rows, allowed).all()
    assert recall(rows, exact(vectors, queries, top, allowed)) >= (0.95 if share > 0.05 else 1)


def test_a_filter_far_from_the_query_still_gives_its_best(vectors):
    """All that qualify lie in cells that are not looked at: every one of them is, then."""
    index, query = nearest.build(vectors), vectors[:1]
    allowed = np.sort(np.argsort(vectors @ query[0])[:300])
    _, rows = nearest.search(index, vectors, query, 10, allowed)
    assert rows.tolist() == [list(row) for row in exact(vectors, query, 10, allowed)]


def test_asking_for_many_is_exact(vectors, rng):
    index, queries = nearest.build(vectors), clustered(rng, 2)
    scores, rows = nearest.search(index, vectors, queries, COUNT)
    assert (np.sort(rows) == np.arange(COUNT)).all()
    np.testing.assert_allclose(scores, -np.sort(-queries @ vectors.T), atol=1e-5)


def spied(index, monkeypatch) -> list[int]:
    """How many cells each search of the index looks at."""
    probed, search = [], type(index).search

    def spy(self, *args, params):
        probed.append(params.nprobe)
        return search(self, *args, params=params)

    monkeypatch.setattr(type(index), "search", spy)
    return probed


def test_a_filter_is_looked_for_in_more_cells(vectors, rng, monkeypatch):
    monkeypatch.setattr(nearest, "_PROBED", 10)
    index, query = nearest.build(vectors), clustered(rng, 1)
    probed = spied(index, monkeypatch)
    for share in (1, 3, 20):
        nearest.search(index, vectors, query, 5, np.arange(0, COUNT, share))
    nearest.search(index, vectors, query, 5)
    assert probed == [10, 30, 80, 10]


def test_where_the_cells_nearby_hold_too_few_every_one_is_looked_at(vectors, monkeypatch):
    monkeypatch.setattr(nearest, "_PROBED", 1)
    monkeypatch.setattr(nearest, "_WIDEST", 1)
    index, query = nearest.build(vectors), vectors[:1]
    probed = spied(index, monkeypatch)
    allowed = np.sort(np.argsort(vectors @ query[0])[:300])
    _, rows = nearest.search(index, vectors, query, 10, allowed)
    assert probed == [1]  # which alone would have found nothing
    assert rows.tolist() == [list(row) for row in exact(vectors, query, 10, allowed)]


def test_many_of_a_few_are_ranked_one_by_one(vectors, rng, monkeypatch):
    index, query = nearest.build(vectors), clustered(rng, 1)
    probed = spied(index, monkeypatch)
    allowed = np.arange(0, COUNT, 2)
    for top in (149, 150):
        nearest.search(index, vectors, query, top, allowed)
    assert len(probed) == 1  # 3,000 rows are at most 200 * 150 / 10


def test_equal_candidates_are_cut_in_row_order(vectors, monkeypatch):
    """FAISS gives equal ones in any order, and more of them than are asked for."""
    twins = vectors.copy()
    twins[100:130] = twins[100]
    index = nearest.build(twins)
    search = type(index).search

    def contrary(self, *args, params):
        scores, rows = search(self, *args, params=params)
        return scores, -np.sort(-rows)

    monkeypatch.setattr(type(index), "search", contrary)
    _, rows = nearest.search(index, twins, twins[100:101], 10)
    assert rows.tolist() == [list(range(100, 110))]


def test_only_an_index_that_build_makes_suits():
    assert nearest.suits(faiss.IndexFlatIP(DIM), DIM)
    assert not nearest.suits(faiss.IndexFlatIP(DIM), DIM + 1)
    assert not nearest.suits(faiss.IndexFlatL2(DIM), DIM)
    assert not nearest.suits(faiss.IndexLSH(DIM, DIM), DIM)
    cells = faiss.index_factory(DIM, "IVF4,SQ8", faiss.METRIC_L2)
    assert not nearest.suits(cells, DIM)


def test_an_edit_learns_nothing_again(vectors, rng, monkeypatch):
    index, before = nearest.build(vectors), vectors.copy()
    monkeypatch.setattr(nearest, "build", None)
    new = clustered(rng, 30)
    changed = np.concatenate([np.arange(5, 15), np.arange(COUNT - 100, COUNT - 80)])
    now = vectors[: COUNT - 80].copy()  # 100 removed at the end, 20 added, 10 replaced
    now[changed] = new
    twin = nearest.edited(index, now, changed)
    assert twin.ntotal == len(now)
    assert nearest.search(twin, now, new, 1)[1][:, 0].tolist() == changed.tolist()
    gone, kept = nearest.search(twin, now, before[5:15], 1)[1][:, 0], np.arange(100, 110)
    assert not np.isin(gone, np.arange(5, 15)).any()
    assert nearest.search(twin, now, now[kept], 1)[1][:, 0].tolist() == kept.tolist()
    assert nearest.search(index, before, before[5:15], 1)[1][:, 0].tolist() == [*range(5, 15)]


def test_an_index_that_no_longer_suits_is_built_anew(vectors, rng):
    small = nearest.build(vectors[:900])
    assert not nearest.is_exact(nearest.edited(small, vectors, np.arange(900, COUNT)))
    assert nearest.is_exact(nearest.edited(nearest.build(vectors), vectors[:900], np.arange(0)))
    many = clustered(rng, 5 * COUNT)
    grown = nearest.edited(nearest.build(vectors), many, np.arange(len(many)))
    assert grown.nlist > 2 * nearest.build(vectors).nlist


@pytest.mark.parametrize("memory", [None, 0], ids=["SQ8", "RaBitQ"])
def test_a_mapped_index_answers_the_same_and_can_be_edited(vectors, rng, tmp_path, memory):
    index, queries = nearest.build(vectors, memory), clustered(rng, 5)
    nearest.write(index, tmp_path / "i.faiss")
    np.save(tmp_path / "v.npy", vectors)
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    again = nearest.read(tmp_path / "i.faiss")
    for a, b in zip(
        nearest.search(index, vectors, queries, 9),
        nearest.search(again, mapped, queries, 9),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    more = np.concatenate([vectors, queries])
    twin = nearest.edited(again, more, np.arange(COUNT, COUNT + 5))
    assert nearest.search(twin, more, queries, 1)[1][:, 0].tolist() == [*range(COUNT, COUNT + 5)]


def test_equal_vectors_come_in_row_order(rng):
    vectors = np.repeat(clustered(rng, 1), 1_500, axis=0)
    _, rows = nearest.search(nearest.build(vectors), vectors, vectors[:1], 1_500)
    assert rows.tolist() == [list(range(1_500))]


@pytest.mark.parametrize(
    ("place", "bytes_"),
    [
        (0, b"IxF2"),  # of another kind
        (4, b"\0\0\0\0"),  # of no numbers
        (4, b"\xff\xff\xff\x7f"),  # of more than the file has
        (8, (2**60).to_bytes(8, "little")),  # so many vectors
        (33, b"\x01"),  # another metric
        (37, (2**61).to_bytes(8, "little")),  # what FAISS would map, and end the process over
    ],
)
def test_a_file_that_lies_about_its_size_is_refused(rng, tmp_path, place, bytes_):
    path = tmp_path / "i.faiss"
    nearest.write(nearest.build(clustered(rng, 20)), path)
    assert nearest.read(path).ntotal == 20
    content = bytearray(path.read_bytes())
    content[place : place + len(bytes_)] = bytes_
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match="not an index"):
        nearest.read(path)
    path.write_bytes(content[:30])
    with pytest.raises(RuntimeError, match="not an index"):
        nearest.read(path)
