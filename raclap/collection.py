"""A gallery inside Milvus: the same questions and answers as `index`, for more clips than memory.

In: an address. Out: hits found and filtered inside the engine. Deliberately not here: how a gallery
is kept there (`milvus`), torch, models, audio.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from raclap import milvus, ranking
from raclap.config import InputError
from raclap.corpus import Clip
from raclap.facets import FACETS, no_facet, no_value
from raclap.index import check_model
from raclap.milvus import expression, sayable

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_MOST = 16_384  # results of one search, Milvus's own limit
_KEPT = 4_096  # records that are remembered
# No clip is added to what the card names, and all were there when it was opened: to ask a server
# for what was true seconds ago spares its wait for the latest.
_SETTLED = {"consistency_level": "Bounded"}


class Collection:
    """Clips in Milvus that can be searched; has what `index.Gallery` has. Make one with `load`.

    Attributes:
        name: what to call it on a page.
        note: what a listener should know.
        fingerprint: of the model that made the vectors.
        folder: None, for it is in no folder.
        clips: N records, fetched when asked for.
        vectors: (N, D) float32, likewise.
        rows: clip id -> row, likewise.
    """

    folder = None

    def __init__(self, client: MilvusClient, card: milvus.Card, address: str) -> None:
        self.name, self.note, self.fingerprint = card.name, card.note, card.fingerprint
        self._client, self._card, self._address = client, card, address
        self._records: OrderedDict[int, Clip] = OrderedDict()
        self.clips, self.vectors, self.rows = _Clips(self), _Vectors(self), _Rows(self)

    @classmethod
    def load(cls, address: str | Path) -> Collection:
        """Open a gallery that `milvus.save` wrote.

        Raises:
            InputError: nothing there, not whole, nobody answers, or pymilvus is missing.
        """
        client, card = milvus.reach(address)
        return cls(client, card, str(address))

    def __len__(self) -> int:
        return self._card.count

    @property
    def dim(self) -> int:
        """D, numbers in a vector."""
        return self._card.dim

    def check(self, fingerprint: str) -> None:
        """Refuse a model other than the one that made the vectors.

        Raises:
            InputError: the fingerprints differ.
        """
        check_model(self._address, self.fingerprint, fingerprint)

    def facets(self) -> dict[str, dict[str, int]]:
        """By what clips can be filtered, see `Gallery`; reads through the whole collection."""
        found: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
        for record in self.read(list(FACETS)):
            for name, counts in found.items():
                counts[record[name]] += 1
        for counts in found.values():
            del counts[""]
        return {name: dict(sorted(counts.items())) for name, counts in found.items() if counts}

    def matching(self, where: Mapping[str, str]) -> np.ndarray:
        """Return the rows (N',) int64, in order, of the clips that satisfy the filter.

        Args:
            where: as for `search`.

        Raises:
            InputError: an attribute or value that no clip of the gallery has.
        """
        rows: list[int] = []
        if self._can_be_asked(where):
            wanted = f" and {expression(where)}" if where else ""
            for start in range(0, len(self), _MOST):
                found = self._ask(f"row >= {start} and row < {start + _MOST}{wanted}", [])
                rows += sorted(each["row"] for each in found)
        if not rows:
            self._explain_nothing(where)
        return np.array(rows, dtype=np.int64)

    def search(
        self, vectors: np.ndarray, top: int, where: Mapping[str, str] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest clips by cosine, among those that satisfy the filter.

        Args:
            vectors: (Q, D) float32, unit length.
            top: K, 1 or more; 16,384 at most, which is Milvus's own limit.
            where: attribute -> value that a clip must have; attributes are those of `FACETS`.

        Returns:
            Scores (Q, K) float32, best first, and rows (Q, K) int64; equal scores in row order.

        Raises:
            InputError: ``top`` below 1, or an attribute or value that no clip of the gallery has.
        """
        where = dict(where or {})
        if top < 1:
            raise InputError(f"The number of results is {top}; it must be 1 or more.")
        if not self._can_be_asked(where):
            answer = [[] for _ in vectors]
        else:
            with milvus.told(self._address):
                limit = min(top, len(self), _MOST)
                answer = self._client.search(
                    self._card.clips,
                    data=np.asarray(vectors, dtype=np.float32).tolist(),
                    limit=limit,
                    filter=expression(where),
                    # A server of Milvus 2.3 names the key only where it is asked for.
                    output_fields=["row", "record"],
                    search_params={"metric_type": "IP", "params": {"ef": max(256, limit)}},
                    **_SETTLED,
                )
        if where and len(answer) and not len(answer[0]):
            self._explain_nothing(where)
        scores = np.array([[hit["distance"] for hit in hits] for hits in answer], dtype=np.float32)
        rows = np.array([[hit["row"] for hit in hits] for hits in answer], dtype=np.int64)
        self._remember(
            (hit["row"], Clip.from_json(hit["entity"]["record"])) for hits in answer for hit in hits
        )
        shape = (len(vectors), -1) if scores.size else (len(vectors), 0)
        scores, rows = scores.reshape(shape), rows.reshape(shape)
        order = np.lexsort((rows, -scores))
        return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)

    def less(
        self,
        wanted: np.ndarray,
        unwanted: np.ndarray,
        top: int,
        where: Mapping[str, str] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rank by `ranking.less`, among the 16,384 clips nearest to what is wanted.

        Nothing scores above its cosine with what is wanted. So the best of the nearest clips are
        the best of all as soon as the last of them is too far to come among those by its cosine
        alone; until then more are fetched, up to Milvus's own limit.

        Args:
            wanted: (D,) unit vector.
            unwanted: (D,) unit vector.
            top: K, 1 or more.
            where: as for `search`.

        Returns:
            Scores (K,), best first, and rows (K,) int64; equal scores in row order.
        """
        count = min(4 * top, _MOST)
        while True:
            (cosines,), (rows,) = self.search(wanted[None], count, where)
            if not len(rows):
                return cosines, rows
            scores = ranking.less(cosines, self.vectors[rows] @ unwanted)
            order = np.lexsort((rows, -scores))[:top]
            settled = len(order) == top and scores[order[-1]] >= cosines[-1]
            if settled or len(rows) < count or count == _MOST:
                return scores[order], rows[order]
            count = min(4 * count, _MOST)

    def read(self, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield these fields of all clips, in row order."""
        for start in range(0, len(self), milvus.AT_ONCE):
            end = start + milvus.AT_ONCE
            found = self._ask(f"row >= {start} and row < {end}", fields)
            yield from sorted(found, key=lambda each: each["row"])

    def fetch(self, rows: Sequence[int], field: str) -> list[Any]:
        """Return one field of the clips in these rows, in their order.

        Raises:
            IndexError: there is no such row.
        """
        found: dict[int, Any] = {}
        places = [row + len(self) if row < 0 else row for row in map(int, rows)]
        for start in range(0, len(places), milvus.AT_ONCE):
            chosen = places[start : start + milvus.AT_ONCE]
            found |= {each["row"]: each[field] for each in self._ask(f"row in {chosen}", [field])}
        if missing := set(places) - set(found):
            raise IndexError(f"{self._address} has no row {min(missing)}")
        return [found[place] for place in places]

    def records(self, rows: Sequence[int]) -> list[Clip]:
        """Return the clips in these rows; those that were just found or fetched are at hand."""
        # Another thread's search may have one forgotten at any moment: each is looked up once.
        known = {row: clip for row in rows if (clip := self._records.get(row))}
        new = [row for row in dict.fromkeys(rows) if row not in known]
        if new:
            fetched = dict(zip(new, map(Clip.from_json, self.fetch(new, "record")), strict=True))
            self._remember(fetched.items())
            known |= fetched
        return [known[row] for row in rows]

    def row(self, id: str) -> int | None:
        """Return the row of a clip, or None if there is no such clip."""
        found = self._ask(expression({"id": id}), ["id"]) if sayable(id) else []
        return int(found[0]["row"]) if found else None

    def _ask(self, filter: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        with milvus.told(self._address):
            asked = ["row", *fields]
            return self._client.query(
                self._card.clips, filter=filter, output_fields=asked, limit=_MOST, **_SETTLED
            )

    def _remember(self, found: Iterable[tuple[int, Clip]]) -> None:
        for row, clip in found:
            self._records[row] = clip
        while len(self._records) > _KEPT:
            self._records.popitem(last=False)

    def _can_be_asked(self, where: Mapping[str, str]) -> bool:
        """Whether Milvus can read the filter; no clip has a value that it cannot."""
        for name in where:
            if name not in FACETS:
                raise no_facet(name, self.facets())
        return all(value and sayable(value) for value in where.values())

    def _explain_nothing(self, where: Mapping[str, str]) -> None:
        """Tell a filter that no clip can satisfy from one that none happens to."""
        for name, value in where.items():
            if value and sayable(value) and self._ask_one(expression({name: value})):
                continue
            if not self._ask_one(f'{name} != ""'):
                raise no_facet(name, self.facets())
            raise no_value(name, value, self.facets())

    def _ask_one(self, filter: str) -> bool:
        with milvus.told(self._address):
            found = self._client.query(
                self._card.clips, filter=filter, output_fields=["row"], limit=1, **_SETTLED
            )
            return bool(found)


class _Clips(Sequence):
    """The records of a collection by row."""

    def __init__(self, owner: Collection) -> None:
        self._owner = owner

    def __len__(self) -> int:
        return len(self._owner)

    def __getitem__(self, row: int | slice) -> Clip | list[Clip]:
        if isinstance(row, slice):
            return self._owner.records(range(len(self))[row])
        return self._owner.records([int(row)])[0]

    def __iter__(self) -> Iterator[Clip]:
        return (Clip.from_json(each["record"]) for each in self._owner.read(["record"]))


class _Vectors:
    """The vectors of a collection by row or rows; an array where all are needed."""

    def __init__(self, owner: Collection) -> None:
        self._owner = owner
        self.shape = (len(owner), owner.dim)

    def __len__(self) -> int:
        return len(self._owner)

    def __getitem__(self, rows: int | Sequence[int]) -> np.ndarray:
        if np.ndim(rows) == 0:
            return self[[rows]][0]
        found = self._owner.fetch(list(rows), "vector")
        return np.array(found, dtype=np.float32).reshape(len(found), self._owner.dim)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(
            [each["vector"] for each in self._owner.read(["vector"])], dtype=dtype or np.float32
        )


class _Rows(Mapping):
    """Clip id -> row."""

    def __init__(self, owner: Collection) -> None:
        self._owner = owner

    def __len__(self) -> int:
        return len(self._owner)

    def __getitem__(self, id: str) -> int:
        row = self._owner.row(id)
        if row is None:
            raise KeyError(id)
        return row

    def __iter__(self) -> Iterator[str]:
        return (each["id"] for each in self._owner.read(["id"]))
