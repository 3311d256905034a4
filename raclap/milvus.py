"""A gallery inside Milvus: the same questions and answers as `index`, for more clips than memory.

In: vectors and `Clip` records, or an address; out: hits found and filtered inside the engine.
Needs ``pymilvus``, imported when an address is given. Deliberately not here: torch, models, audio.

    milvus://HOST:PORT/NAME   a server or a cluster; a token, if it wants one, in $MILVUS_TOKEN
    FILE.db                   milvus-lite, in this process

Two collections make a gallery: ``NAME`` has one row, the card; ``NAME_DIGEST`` has the clips.
"""

from __future__ import annotations

import json
import os
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from raclap import ranking
from raclap.config import InputError
from raclap.corpus import Clip
from raclap.facets import FACETS, no_facet, no_value
from raclap.index import check_model

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_SCHEME, _SUFFIX, _PORT = "milvus://", ".db", 19530
_EXACT = 200_000  # clips up to which every vector is compared
_AT_ONCE = 1_000  # rows of one request
_MOST = 16_384  # results of one search, Milvus's own limit
_WIDEST = 65_535  # bytes of a string field, likewise
_KEPT = 4_096  # records that are remembered
_TIMEOUT_SECONDS = 30
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def is_address(gallery: str | Path) -> bool:
    """Whether a gallery is to be looked for in Milvus rather than in a folder."""
    return str(gallery).startswith(_SCHEME) or str(gallery).endswith(_SUFFIX)


def expression(where: Mapping[str, str]) -> str:
    """Word a filter as Milvus reads it; a value stays a value, whatever is in it.

    Args:
        where: attribute of `FACETS` -> value.
    """
    return " and ".join(f'{name} == "{value.translate(_ESCAPES)}"' for name, value in where.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """The one row of the first collection: whichever clips it names are the gallery."""

    name: str
    note: str
    fingerprint: str
    count: int
    dim: int
    clips: str


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

    def __init__(self, client: MilvusClient, card: _Card, address: str) -> None:
        self.name, self.note, self.fingerprint = card.name, card.note, card.fingerprint
        self._client, self._card, self._address = client, card, address
        self._records: OrderedDict[int, Clip] = OrderedDict()
        self.clips, self.vectors, self.rows = _Clips(self), _Vectors(self), _Rows(self)

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

    def facets(self) -> dict[str, list[str]]:
        """The values by which clips can be filtered; reads through the whole collection."""
        found: dict[str, set[str]] = {name: set() for name in FACETS}
        for record in self.read(list(FACETS)):
            for name in FACETS:
                found[name].add(record[name])
        return {name: sorted(each - {""}) for name, each in found.items() if each - {""}}

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
        for name in where:
            if name not in FACETS:
                raise no_facet(name, self.facets())
        if any(not value or not _sayable(value) for value in where.values()):
            answer = [[] for _ in vectors]
        else:
            with _told(self._address):
                answer = self._client.search(
                    self._card.clips,
                    data=np.asarray(vectors, dtype=np.float32).tolist(),
                    limit=min(top, len(self), _MOST),
                    filter=expression(where),
                    output_fields=["record"],
                    search_params={"metric_type": "IP", "params": {"ef": max(256, top)}},
                )
        if where and len(answer) and not len(answer[0]):
            self._explain_nothing(where)
        scores = np.array([[hit["distance"] for hit in hits] for hits in answer], dtype=np.float32)
        rows = np.array([[hit["row"] for hit in hits] for hits in answer], dtype=np.int64)
        self._remember((hit["row"], hit["entity"]["record"]) for hits in answer for hit in hits)
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
        """Rank by `ranking.less`, exactly: nothing scores above its cosine with what is wanted.

        So the best of the nearest clips are the best of all as soon as the last of them is too far
        to come among those by its cosine alone; until then, more are fetched.

        Args:
            wanted: (D,) unit vector.
            unwanted: (D,) unit vector.
            top: K, 1 or more.
            where: as for `search`.

        Returns:
            Scores (K,), best first, and rows (K,) int64; equal scores in row order.
        """
        count = 4 * top
        while True:
            (cosines,), (rows,) = self.search(wanted[None], count, where)
            if not len(rows):
                return cosines, rows
            scores = ranking.less(cosines, self.vectors[rows] @ unwanted)
            order = np.lexsort((rows, -scores))[:top]
            settled = len(order) == top and scores[order[-1]] >= cosines[-1]
            if settled or len(rows) < count:
                return scores[order], rows[order]
            count *= 4

    def read(self, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield these fields of all clips, in row order."""
        for start in range(0, len(self), _AT_ONCE):
            end = start + _AT_ONCE
            found = self._ask(f"row >= {start} and row < {end}", fields)
            yield from sorted(found, key=lambda each: each["row"])

    def fetch(self, rows: Sequence[int], field: str) -> list[Any]:
        """Return one field of the clips in these rows, in their order.

        Raises:
            IndexError: there is no such row.
        """
        found: dict[int, Any] = {}
        places = [row + len(self) if row < 0 else row for row in map(int, rows)]
        for start in range(0, len(places), _AT_ONCE):
            chosen = places[start : start + _AT_ONCE]
            found |= {each["row"]: each[field] for each in self._ask(f"row in {chosen}", [field])}
        if missing := set(places) - set(found):
            raise IndexError(f"{self._address} has no row {min(missing)}")
        return [found[place] for place in places]

    def records(self, rows: Sequence[int]) -> list[Clip]:
        """Return the clips in these rows; those that a search just found are at hand."""
        known = {row: self._records[row] for row in rows if row in self._records}
        new = [row for row in dict.fromkeys(rows) if row not in known]
        if new:
            known |= dict(zip(new, map(_clip, self.fetch(new, "record")), strict=True))
        return [known[row] for row in rows]

    def row(self, id: str) -> int | None:
        """Return the row of a clip, or None if there is no such clip."""
        found = self._ask(expression({"id": id}), ["id"]) if _sayable(id) else []
        return int(found[0]["row"]) if found else None

    def _ask(self, filter: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        with _told(self._address):
            asked = ["row", *fields]
            return self._client.query(
                self._card.clips, filter=filter, output_fields=asked, limit=_MOST
            )

    def _remember(self, found: Iterable[tuple[int, str]]) -> None:
        for row, record in found:
            self._records[row] = _clip(record)
        while len(self._records) > _KEPT:
            self._records.popitem(last=False)

    def _explain_nothing(self, where: Mapping[str, str]) -> None:
        """Tell a filter that no clip can satisfy from one that none happens to."""
        for name, value in where.items():
            if value and _sayable(value) and self._ask_one(expression({name: value})):
                continue
            if not self._ask_one(f'{name} != ""'):
                raise no_facet(name, self.facets())
            raise no_value(name, value, self.facets())

    def _ask_one(self, filter: str) -> bool:
        with _told(self._address):
            return bool(
                self._client.query(self._card.clips, filter=filter, output_fields=["row"], limit=1)
            )


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
        return (_clip(each["record"]) for each in self._owner.read(["record"]))


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
        row = self._owner.row(id) if isinstance(id, str) else None
        if row is None:
            raise KeyError(id)
        return row

    def __iter__(self) -> Iterator[str]:
        return (each["id"] for each in self._owner.read(["id"]))


def load(address: str | Path) -> Collection:
    """Open a gallery that `save` wrote.

    Raises:
        InputError: nothing there, not whole, nobody answers, or pymilvus is missing.
    """
    if str(address).endswith(_SUFFIX) and not Path(address).exists():
        raise InputError(f"There is no gallery {address}; {_again(address)}")
    client, name = _connect(address)
    with _told(address):
        card = _card(client, name)
        if card is None:
            raise InputError(f"{address} holds no gallery; {_again(address)}")
        found = 0
        if client.has_collection(card.clips):
            client.load_collection(card.clips)
            found = client.query(card.clips, filter="", output_fields=["count(*)"])[0]["count(*)"]
    if found != card.count:
        raise InputError(
            f"The gallery {address} should hold {card.count} clips; found {found}; "
            f"{_again(address)}"
        )
    return Collection(client, card, str(address))


def save(
    address: str | Path,
    vectors: np.ndarray,
    clips: Sequence[Clip],
    fingerprint: str,
    *,
    name: str = "",
    note: str = "",
) -> None:
    """Put a gallery into Milvus; a kill at any moment leaves the old one or the new one.

    Args:
        address: where.
        vectors: (N, D) float32, unit length, N >= 1.
        clips: N records with distinct ids.
        fingerprint: of the model that made ``vectors``.
        name: what to call the gallery.
        note: what a listener should know.

    Raises:
        InputError: a record that Milvus cannot hold, nobody answers, or pymilvus is missing.
    """
    if not len(vectors) == len(clips) == len({clip.id for clip in clips}) > 0:
        raise ValueError(f"{len(vectors)} vectors for {len(clips)} clips, with an id each, N >= 1")
    client, collection = _connect(address)
    fresh = f"{collection}_{uuid.uuid4().hex[:12]}"
    with _told(address):
        _create(client, fresh, vectors.shape[1], len(clips) <= _EXACT)
        for start in range(0, len(clips), _AT_ONCE):
            chosen = range(start, min(start + _AT_ONCE, len(clips)))
            client.insert(fresh, [_entity(row, clips[row], vectors[row]) for row in chosen])
        client.flush(fresh)
        card = _Card(
            name=name,
            note=note,
            fingerprint=fingerprint,
            count=len(clips),
            dim=vectors.shape[1],
            clips=fresh,
        )
        if not client.has_collection(collection):
            _create_card(client, collection)
        row = {"row": 0, "card": json.dumps(asdict(card)), "place": [0.0, 1.0]}
        client.upsert(collection, [row])  # the moment at which the new gallery counts
        client.flush(collection)
        for other in client.list_collections():
            stem, _, digest = other.rpartition("_")
            if stem == collection and other != fresh and len(digest) == 12:
                client.drop_collection(other)
        client.close()


def _create(client: MilvusClient, collection: str, dim: int, exact: bool) -> None:
    """Make an empty collection for clips."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    for name in ("id", *FACETS, "record"):
        schema.add_field(name, DataType.VARCHAR, max_length=_WIDEST)
    index = client.prepare_index_params()
    kind = {"index_type": "FLAT"} if exact else {"index_type": "HNSW"}
    links = {} if exact else {"M": 32, "efConstruction": 200}
    index.add_index("vector", metric_type="IP", params=links, **kind)
    client.create_collection(
        collection, schema=schema, index_params=index, consistency_level="Strong"
    )


def _create_card(client: MilvusClient, collection: str) -> None:
    """Make an empty collection for a card; Milvus wants a vector in each."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    schema.add_field("place", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("card", DataType.VARCHAR, max_length=_WIDEST)
    index = client.prepare_index_params()
    index.add_index("place", metric_type="IP", index_type="FLAT")
    client.create_collection(
        collection, schema=schema, index_params=index, consistency_level="Strong"
    )


def _card(client: MilvusClient, collection: str) -> _Card | None:
    if not client.has_collection(collection):
        return None
    client.load_collection(collection)
    try:
        found = client.query(collection, filter="row == 0", output_fields=["card"])
        return _Card(**json.loads(found[0]["card"]))
    except (LookupError, ValueError, TypeError):
        return None


def _entity(row: int, clip: Clip, vector: np.ndarray) -> dict[str, Any]:
    record = json.dumps(asdict(clip), ensure_ascii=False)
    if not _sayable(record):
        raise InputError(
            f"The record of clip {clip.id!r} cannot be kept in Milvus; it must be of at most "
            f"{_WIDEST:,} bytes in UTF-8."
        )
    facets = {name: getattr(clip, name) for name in FACETS}
    return {"row": row, "id": clip.id, "vector": vector.tolist(), "record": record, **facets}


def _clip(record: str) -> Clip:
    values = json.loads(record)
    return Clip(**values | {"descriptions": tuple(values["descriptions"])})


def _sayable(value: str) -> bool:
    """Whether a string can be sent to Milvus at all."""
    try:
        return len(value.encode()) <= _WIDEST
    except UnicodeEncodeError:
        return False


def _connect(address: str | Path) -> tuple[MilvusClient, str]:
    """Return a client and the name of the card's collection."""
    text = str(address)
    try:
        from pymilvus import MilvusClient
    except ImportError:
        raise InputError(
            f"The gallery {text} needs an extra package; install it with: "
            "pip install pymilvus milvus-lite"
        ) from None
    if text.startswith(_SCHEME):
        parts = urlsplit(text)
        name = parts.path.strip("/")
        if not parts.hostname or not name.isidentifier():
            raise InputError(
                f"{text} is not of the form milvus://HOST:PORT/NAME, NAME of letters, digits and _."
            )
        uri = f"http://{parts.hostname}:{parts.port or _PORT}"
    else:
        uri, name = str(Path(text).absolute()), "gallery"
        Path(uri).parent.mkdir(parents=True, exist_ok=True)
    with _told(address):
        return MilvusClient(
            uri, token=os.environ.get("MILVUS_TOKEN", ""), timeout=_TIMEOUT_SECONDS
        ), name


def _again(address: str | Path) -> str:
    return f"make it with: python -m raclap index DIR_OR_MANIFEST --output {address}"


@contextmanager
def _told(address: str | Path) -> Iterator[None]:
    """Turn the engine's complaints into a sentence."""
    import logging

    from pymilvus.exceptions import MilvusException

    log = logging.getLogger("pymilvus")
    before = log.level
    log.setLevel(logging.CRITICAL)  # it would print a traceback before it raises
    try:
        yield
    except MilvusException as error:
        reason = " ".join(str(error.message).split())[:200]
        raise InputError(f"The gallery {address} cannot be asked: {reason}.") from error
    finally:
        log.setLevel(before)
