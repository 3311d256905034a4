"""Unit vectors become a FAISS index that suits their number and the memory.

In: (N, D) vectors, which may lie on disk. Out: the nearest rows by cosine, among all or some, and
an index that can be edited. Deliberately not here: clips, and the files of a gallery.

* to 200,000 vectors: exact, every vector in turn
* beyond: IVF. Vectors lie in cells around about 4 sqrt(N) centres, a byte a number (SQ8), or where
  memory is short a bit a number (RaBitQ, Gao & Long 2024). The nearest cells give candidates, and
  these are ranked by their true vectors: scores are exact, only a neighbour can be missed
"""

from __future__ import annotations

import os
from pathlib import Path

import faiss
import numpy as np

EXACT = 200_000  # vectors that are searched exactly: in about 10 ms
_FEW = 20_000  # rows that a filter leaves, which are searched exactly too
_CENTRES = 4  # times sqrt(N)
_SAMPLE = 40  # vectors a centre is learned from
_PROBED = 160  # cells that are searched: descriptions lie apart from clips, and need the most
_WIDEST = 8  # times as many, where a filter leaves few clips in each
_CANDIDATES = {"SQ8": 4, "RaBitQ": 60}  # for each result wanted, ten at least
_SHARE = 0.25  # of the machine's memory that the index may take
_AT_ONCE = 65_536  # vectors read from disk
_FLAT_START = 45  # bytes of an exact index before its vectors
_CELLS = (b"IwSq", b"Iwrq")  # what files of the other two begin with


def build(vectors: np.ndarray, memory: float | None = None) -> faiss.Index:
    """Index vectors.

    Args:
        vectors: (N, D) float32, unit length, N >= 1; row n gets the number n.
        memory: bytes that the index may take; by default a quarter of the machine's.

    Returns:
        An exact index up to `EXACT` vectors, else an approximate one. Always the same one for the
        same vectors: its centres are learned from rows at even distances.
    """
    count, dim = vectors.shape
    if count <= EXACT:
        index = faiss.IndexFlatIP(dim)
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return index
    centres = int(_CENTRES * count**0.5)
    kind = coding(count, dim, memory)
    index = faiss.index_factory(dim, f"IVF{centres},{kind}", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = min(_PROBED, centres)
    index.cp.min_points_per_centroid = 1  # a small sample is no mistake
    sample = vectors[:: max(1, count // (_SAMPLE * centres))]
    index.train(np.ascontiguousarray(sample, dtype=np.float32))
    for start in range(0, count, _AT_ONCE):
        index.add(np.ascontiguousarray(vectors[start : start + _AT_ONCE], dtype=np.float32))
    return index


def coding(count: int, dim: int, memory: float | None = None) -> str:
    """Return how FAISS shall keep that many vectors: ``SQ8``, or in a fifth ``RaBitQ``."""
    if memory is None:
        memory = _SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return "SQ8" if count * (dim + 8) <= memory else "RaBitQ"


def edited(index: faiss.Index, vectors: np.ndarray, changed: np.ndarray) -> faiss.Index:
    """Return the index of other vectors, most of which are the same.

    Nothing is learned or placed again that stayed, unless the number grew or fell fourfold.

    Args:
        index: of the vectors before; it stays as it is.
        vectors: (N, D) those to index now.
        changed: rows of ``vectors`` that are new or not the vector that had their number.
    """
    count = len(vectors)
    suits = not is_exact(index) and count > EXACT
    if not suits or not 0.5 < _CENTRES * count**0.5 / index.nlist < 2:
        return build(vectors)
    twin = faiss.deserialize_index(faiss.serialize_index(index))  # a clone may still be on disk
    gone = np.concatenate([changed[changed < index.ntotal], np.arange(count, index.ntotal)])
    twin.remove_ids(faiss.IDSelectorBatch(gone.astype(np.int64)))
    twin.add_with_ids(np.ascontiguousarray(vectors[changed]), changed.astype(np.int64))
    return twin


def search(
    index: faiss.Index,
    vectors: np.ndarray,
    queries: np.ndarray,
    top: int,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest rows by cosine.

    Args:
        index: of ``vectors``.
        vectors: (N, D) float32.
        queries: (Q, D) float32, unit length.
        top: K, from 1 to the number of rows that are searched.
        allowed: (N',) int64, the only rows that may be found; None for all.

    Returns:
        Exact cosines (Q, K) float32, best first, and rows (Q, K) int64; equal ones in row order.
    """
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    searched = len(vectors) if allowed is None else len(allowed)
    if is_exact(index):
        scores, rows = index.search(queries, top, params=_only(allowed))
    elif searched <= _FEW or searched <= _FEW * top / 10:
        scores, rows = _each(vectors, queries, top, allowed)
    else:
        scores, rows = _refined(index, vectors, queries, top, allowed)
    order = np.lexsort((rows, -scores))  # FAISS leaves the order of equal scores open
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)


def write(index: faiss.Index, path: Path) -> None:
    """Write an index to a file."""
    faiss.write_index(index, str(path))


def read(path: Path) -> faiss.Index:
    """Map an index from its file: what is searched is read, and may be forgotten again.

    Raises:
        RuntimeError: not an index of the kinds that `build` makes, or cut short.
    """
    _check_start(path)
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def _check_start(path: Path) -> None:
    """Refuse what FAISS would take at its word: a kind or a size that the file does not have.

    A wrong size ends the process, not in an exception. Of cells only the kind can be checked.
    """
    with path.open("rb") as file:
        start = file.read(_FLAT_START)
    if start[:4] in _CELLS:
        return
    dim, count = int.from_bytes(start[4:8], "little"), int.from_bytes(start[8:16], "little")
    if not dim or path.stat().st_size != _FLAT_START + 4 * count * dim:
        raise RuntimeError(f"{path.name} is not an index, or not all of one")
    expected = faiss.serialize_index(faiss.IndexFlatIP(dim)).tobytes()
    expected = expected[:8] + start[8:16] + expected[16:-8] + (count * dim).to_bytes(8, "little")
    if start != expected:
        raise RuntimeError(f"{path.name} is not an index of inner products")


def suits(index: faiss.Index, dim: int) -> bool:
    """Whether an index that was read is one that `build` makes, of vectors of D numbers."""
    kinds = (faiss.IndexFlat, faiss.IndexIVF)
    return (
        isinstance(index, kinds)
        and index.d == dim
        and index.metric_type == faiss.METRIC_INNER_PRODUCT
    )


def is_exact(index: faiss.Index) -> bool:
    """Whether a search misses nothing."""
    return isinstance(index, faiss.IndexFlat)


def _refined(
    index: faiss.IndexIVF,
    vectors: np.ndarray,
    queries: np.ndarray,
    top: int,
    allowed: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rank the candidates of an approximate index by their true vectors."""
    wider = 1.0 if allowed is None else min(_WIDEST, len(vectors) / len(allowed))
    probed = min(index.nlist, int(index.nprobe * wider))
    rounded = isinstance(index, faiss.IndexIVFRaBitQ)
    count = max(10, top) * _CANDIDATES["RaBitQ" if rounded else "SQ8"]
    mask = None
    if allowed is not None:
        mask = np.zeros(len(vectors), dtype=bool)
        mask[allowed] = True
        mask = np.packbits(mask, bitorder="little")
    chosen = faiss.SearchParametersIVF(
        nprobe=probed, sel=None if mask is None else faiss.IDSelectorBitmap(mask)
    )
    _, found = index.search(queries, count, params=chosen)
    scores, rows = np.empty((len(queries), top), np.float32), np.empty((len(queries), top), int)
    for at, (query, candidates) in enumerate(zip(queries, found, strict=True)):
        near = np.sort(candidates[candidates >= 0])
        if len(near) < top:  # the cells nearby hold too few that qualify
            (scores[at],), (rows[at],) = _each(vectors, query[None], top, allowed)
            continue
        cosines = vectors[near] @ query
        best = np.argsort(-cosines, kind="stable")[:top]
        scores[at], rows[at] = cosines[best], near[best]
    return scores, rows


def _each(
    vectors: np.ndarray, queries: np.ndarray, top: int, allowed: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rank by every allowed vector in turn."""
    count = len(vectors) if allowed is None else len(allowed)
    scores = np.empty((len(queries), count), np.float32)
    for start in range(0, count, _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        scores[:, some] = queries @ vectors[some if allowed is None else allowed[some]].T
    best = np.argpartition(-scores, top - 1, axis=1)[:, :top]
    rows = best if allowed is None else allowed[best]
    return np.take_along_axis(scores, best, 1), rows.astype(np.int64)


def _only(allowed: np.ndarray | None) -> faiss.SearchParameters | None:
    if allowed is None:
        return None
    return faiss.SearchParameters(sel=faiss.IDSelectorBatch(allowed))
