"""How a gallery is kept in Milvus: its address, its card, its clips; and how Milvus is spoken to.

In: vectors and `Clip` records, and where to put them. Needs ``pymilvus``, imported when an address
is opened. Deliberately not here: reading and searching (`collection`), torch, models, audio.

    milvus://HOST:PORT/NAME   a server or a cluster; a token, if it wants one, in $MILVUS_TOKEN
    FILE.db                   milvus-lite, in this process

Two collections make a gallery: ``NAME`` has one row, the card; ``NAME_DIGEST`` has the clips.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from raclap.config import InputError
from raclap.corpus import Clip
from raclap.facets import FACETS

if TYPE_CHECKING:
    from pymilvus import MilvusClient

AT_ONCE = 1_000  # rows of one request
_SCHEME, _SUFFIX, _PORT = "milvus://", ".db", 19530
_EXACT = 200_000  # clips up to which every vector is compared
_WIDEST = 65_535  # bytes of a string field, Milvus's own limit
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


def sayable(value: object) -> bool:
    """Whether something is a string that can be sent to Milvus at all."""
    try:
        return isinstance(value, str) and len(value.encode()) <= _WIDEST
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The one row of the first collection: whichever clips it names are the gallery.

    Attributes:
        name: what to call the gallery.
        note: what a listener should know.
        fingerprint: of the model that made the vectors.
        count: N, its clips.
        dim: D, numbers in a vector.
        clips: name of the second collection.
    """

    name: str
    note: str
    fingerprint: str
    count: int
    dim: int
    clips: str


def reach(address: str | Path) -> tuple[MilvusClient, Card]:
    """Find the gallery that `save` wrote to an address, its clips ready to be asked for.

    Raises:
        InputError: nothing there, not whole, nobody answers, or pymilvus is missing.
    """
    if str(address).endswith(_SUFFIX) and not Path(address).exists():
        raise InputError(f"There is no gallery {address}; {_again(address)}")
    client, name = _connect(address)
    with told(address):
        card = _read_card(client, name)
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
    return client, card


def find(address: str | Path) -> Card | None:
    """Return the card of the gallery at an address, whole or not; None where there is none yet.

    Raises:
        InputError: nobody answers, nothing can be written there, or pymilvus is missing.
    """
    client, name = _connect(address)
    with contextlib.closing(client), told(address):
        return _read_card(client, name)


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

    What a killed run had put there stays, in a collection ``NAME_DIGEST`` that no card names.

    Args:
        address: where.
        vectors: (N, D) float32, unit length, N >= 1.
        clips: N records with distinct ids.
        fingerprint: of the model that made ``vectors``.
        name: what to call the gallery.
        note: what a listener should know.

    Raises:
        InputError: a record that Milvus cannot hold, nobody answers, another process wrote there
            at the same time, or pymilvus is missing.
    """
    if not len(vectors) == len(clips) == len({clip.id for clip in clips}) > 0:
        raise ValueError(f"{len(vectors)} vectors for {len(clips)} clips, with an id each, N >= 1")
    client, collection = _connect(address)
    fresh = f"{collection}_{uuid.uuid4().hex[:12]}"
    card = Card(
        name=name,
        note=note,
        fingerprint=fingerprint,
        count=len(clips),
        dim=vectors.shape[1],
        clips=fresh,
    )
    with contextlib.closing(client), told(address):
        try:
            _fill(client, fresh, vectors, clips)
            before = _read_card(client, collection)
            if not client.has_collection(collection):
                _create_card(client, collection)
        except BaseException:
            with contextlib.suppress(Exception):  # what went wrong first is what is told
                client.drop_collection(fresh)
            raise
        row = {"row": 0, "card": json.dumps(asdict(card)), "place": [0.0, 1.0]}
        # Of a card whose writing fails nobody knows whether it will count: its clips stay.
        client.upsert(collection, [row])  # the moment at which the new gallery counts
        client.flush(collection)
        if _read_card(client, collection) != card or not client.has_collection(fresh):
            client.drop_collection(fresh)
            raise InputError(
                f"Another process wrote the gallery {address} at the same time, and this one was "
                "not kept; save it again."
            )
        if before:  # no other: another process may be filling it
            client.drop_collection(before.clips)


@contextlib.contextmanager
def told(address: str | Path, hint: str = "") -> Iterator[None]:
    """Turn the engine's complaints into a sentence, which ends with a hint if there is one."""
    from pymilvus.exceptions import MilvusException

    log = logging.getLogger("pymilvus")
    before = log.level
    log.setLevel(logging.CRITICAL)  # it would print a traceback before it raises
    try:
        yield
    except MilvusException as error:
        reason = " ".join(str(error.message).split())[:200]
        raise InputError(f"The gallery {address} cannot be asked: {reason}{hint}.") from error
    finally:
        log.setLevel(before)


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
        try:
            parts = urlsplit(text)
            host, port, name = parts.hostname, parts.port or _PORT, parts.path.strip("/")
        except ValueError:  # a bracket that is not closed, or a port that is no number up to 65535
            host, port, name = None, _PORT, ""
        if not host or not name.isidentifier():
            raise InputError(
                f"{text} is not of the form milvus://HOST:PORT/NAME, NAME of letters, digits and _."
            )
        uri = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        hint = "; perhaps it does not run, or MILVUS_TOKEN lacks the token that it wants"
    else:
        uri, name, hint = str(Path(text).absolute()), "gallery", ""
        Path(uri).parent.mkdir(parents=True, exist_ok=True)
    with told(address, hint):
        return MilvusClient(
            uri, token=os.environ.get("MILVUS_TOKEN", ""), timeout=_TIMEOUT_SECONDS
        ), name


def _again(address: str | Path) -> str:
    return f"make it with: python -m raclap index DIR_OR_MANIFEST --output {address}"


def _read_card(client: MilvusClient, collection: str) -> Card | None:
    if not client.has_collection(collection):
        return None
    client.load_collection(collection)
    try:
        found = client.query(collection, filter="row == 0", output_fields=["card"])
        return Card(**json.loads(found[0]["card"]))
    except (LookupError, ValueError, TypeError):
        return None


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


def _fill(
    client: MilvusClient, collection: str, vectors: np.ndarray, clips: Sequence[Clip]
) -> None:
    """Put clips and their vectors into a new collection."""
    _create(client, collection, vectors.shape[1], len(clips) <= _EXACT)
    for start in range(0, len(clips), AT_ONCE):
        chosen = range(start, min(start + AT_ONCE, len(clips)))
        client.insert(collection, [_entity(row, clips[row], vectors[row]) for row in chosen])
    client.flush(collection)


def _entity(row: int, clip: Clip, vector: np.ndarray) -> dict[str, Any]:
    record = clip.to_json()
    if not sayable(record):
        raise InputError(
            f"The record of clip {clip.id!r} cannot be kept in Milvus; it must be of at most "
            f"{_WIDEST:,} bytes in UTF-8."
        )
    facets = {name: clip.told(name) for name in FACETS}
    return {"row": row, "id": clip.id, "vector": vector.tolist(), "record": record, **facets}
