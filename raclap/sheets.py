"""Results in plain form, for programs and for files that a person can keep: CSV and JSON.

In: hits, readings, comparisons. Out: records, text, and links that hold it. Deliberately not here:
HTML, and where a clip's audio is: a path is nobody's business but its owner's.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

import numpy as np

from raclap.comparison import Comparison
from raclap.corpus import HEARD
from raclap.evidence import Relevance
from raclap.reading import Reading
from raclap.search import Hit
from raclap.style import ATTRIBUTES


def plain_hit(hit: Hit) -> dict[str, Any]:
    """Return what a hit is, always with the same keys; "" is unknown."""
    return {
        "rank": hit.rank,
        "id": hit.clip.id,
        "score": hit.score,
        **{name: getattr(hit.clip, name) for name in ATTRIBUTES},
        "heard": hit.clip.heard,
        **{name: getattr(hit.clip, name) for name in ("speaker", "language", "corpus")},
        "text": hit.clip.text,
        "seconds": hit.clip.seconds,
    }


def plain_reading(reading: Reading) -> dict[str, Any]:
    """Return what a reading says, its descriptions numbered."""
    descriptions = [
        {"rank": rank, "text": text, "score": score}
        for rank, (text, score) in enumerate(reading.descriptions, start=1)
    ]
    plain = {name: value for name, value in asdict(reading).items() if name != "clip"}
    return {**plain, "descriptions": descriptions}


def hit_rows(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Return one flat record a hit: what was heard in columns of its own."""
    return [_flat(plain_hit(hit)) for hit in hits]


def comparison_rows(
    found: Comparison, names: Sequence[str], temperature: float
) -> list[dict[str, Any]]:
    """Return one flat record a pair; an unknown overlap is ""."""
    relation = found.relation_at(temperature)
    return [
        {
            "clip": found.clips[n],
            "name": names[n],
            "description": found.texts[m],
            "similarity": float(found.similarity[n, m]),
            "relation": float(relation[n, m]),
            "overlap": "" if np.isnan(found.overlap[n, m]) else float(found.overlap[n, m]),
        }
        for n in range(len(found.clips))
        for m in range(len(found.texts))
    ]


def relevance_rows(relevance: Relevance) -> list[dict[str, Any]]:
    """Return one flat record a word and moment; what has no place in time has "" for its times.

    The column ``adds`` sums to the score, the cosine of saying nothing being the first record.
    """
    times = [*zip(relevance.edges[:-1].tolist(), relevance.edges[1:].tolist(), strict=True)]
    rows = [{"words": "", "start": "", "stop": "", "adds": relevance.rest}]
    for words, row, whole in zip(relevance.words, relevance.matrix, relevance.whole, strict=True):
        rows += [
            {"words": words, "start": start, "stop": stop, "adds": float(value)}
            for (start, stop), value in zip([*times, ("", "")], (*row, whole), strict=True)
        ]
    return rows


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return records as CSV with a header; a text that a spreadsheet would run is quoted."""
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _inert(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def json_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return records as JSON."""
    return json.dumps(list(rows), ensure_ascii=False, indent=2) + "\n"


def data_uri(text: str, kind: str) -> str:
    """Return an address that is the text itself, so that nothing is kept on the server."""
    return f"data:{kind};charset=utf-8,{quote(text)}"


def _flat(hit: Mapping[str, Any]) -> dict[str, Any]:
    flat = {}
    for name, value in hit.items():
        if name == "heard":
            flat |= {f"heard_{each}": value.get(each, "") for each in HEARD}
        else:
            flat[name] = value
    return flat


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value
