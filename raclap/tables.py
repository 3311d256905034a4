"""Tables of descriptions: a CSV, TSV, JSON or JSON-lines file beside a folder of audio.

In: the table, the folder, and which column says what. Out: a `Row` a clip with its descriptions.
Deliberately not here: the project's words for the labels (``corpus``), and corpora that are read
from their file names (``layouts``).
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from raclap.config import InputError
from raclap.layouts import Row, audio_files, decode

_NEEDED = ("path", "description")
_LABELS = (
    *("split", "speaker", "gender", "age", "language", "emotion", "intensity"),
    *("pitch", "speed", "energy", "phonation", "text", "seconds"),
)
COLUMNS = (*_NEEDED, *_LABELS)

# Which column of each release holds what. Releases differ, so a mapping by the user goes first.
TABLES: Mapping[str, Mapping[str, str]] = {
    "promptspeech": {
        **{"path": "item_name", "description": "style_prompt", "text": "content_prompt"},
        **{"gender": "gender", "pitch": "pitch", "speed": "speed", "energy": "volume"},
        **{"emotion": "emotion", "speaker": "speaker"},
    },
    "textrolspeech": {
        **{"path": "item_name", "description": "style_prompt", "text": "content_prompt"},
        **{"gender": "gender", "pitch": "pitch", "speed": "tempo", "energy": "energy"},
        **{"emotion": "emotion"},
    },
    "speechcraft": {
        **{"path": "path", "description": "description", "text": "transcript"},
        **{"gender": "gender", "age": "age", "pitch": "pitch", "speed": "speed"},
        **{"energy": "volume", "emotion": "emotion"},
    },
    "paraspeechcaps": {
        **{"path": "relative_audio_path", "description": "text_description"},
        **{"text": "transcription", "seconds": "duration", "speaker": "speakerid"},
        **{"gender": "gender", "pitch": "pitch", "speed": "speaking_rate"},
        **{"emotion": "situational_tags", "phonation": "situational_tags"},
    },
}


def read(name: str, root: Path, table: Path, columns: Mapping[str, str] | None = None) -> list[Row]:
    """Read a table of descriptions.

    Args:
        name: A key of `TABLES`.
        root: Folder of the audio that the table speaks of.
        table: The table: `.json` (a list of objects), `.jsonl`, `.tsv`, or comma-separated.
        columns: Our name of a column to the table's, over those of `TABLES`. Ours are `COLUMNS`.

    Returns:
        One row a clip, in the order of the table; rows about the same file become one with several
        descriptions. Rows whose audio is not under `root` are left out, since many hold only a part
        of these corpora.

    Raises:
        InputError: The table cannot be read, lacks a column, or names no file under `root`.
    """
    records = _records(table)
    chosen = _choose(records, TABLES[name], columns or {}, table)
    names = [_text(record.get(chosen["path"])) for record in records]
    places = _places(root, names)
    rows: dict[Path, Row] = {}
    for named, record in zip(names, records, strict=True):
        path = places.get(named)
        if path is None:
            continue
        told = _texts(record.get(chosen["description"]))
        if path in rows:
            old = rows[path]
            told = (*old.descriptions, *(text for text in told if text not in old.descriptions))
            rows[path] = Row(id=old.id, path=path, labels=old.labels, descriptions=told)
            continue
        labels = {ours: _text(record.get(theirs)) for ours, theirs in chosen.items()}
        labels = {ours: label for ours, label in labels.items() if ours not in _NEEDED}
        within = path.relative_to(root if path.is_relative_to(root) else path.anchor)
        id_ = within.with_suffix("").as_posix()
        rows[path] = Row(id=id_, path=path, labels=labels, descriptions=told)
    if not rows:
        raise InputError(
            f"None of the {len(records)} files that {table} names is under {root}; it names "
            f"{', '.join(names[:3])}. Give the folder that these are in, or the files' column with "
            "path=NAME."
        )
    return list(rows.values())


def parse_columns(text: str) -> dict[str, str]:
    """Read a mapping as it is given on the command line, `path=item_name,description=caption`.

    Raises:
        InputError: A part is not of the form OURS=THEIRS.
    """
    columns = {}
    for part in text.split(","):
        ours, equals, theirs = (piece.strip() for piece in part.partition("="))
        if not (ours and equals and theirs):
            raise InputError(
                f"'{part}' does not name a column; write OURS=THEIRS, as path=item_name."
            )
        columns[ours] = theirs
    return columns


def _records(table: Path) -> list[dict[str, object]]:
    """The rows of a table in any of its formats."""
    text = decode(table, "utf-8-sig")
    try:
        if table.suffix.lower() == ".jsonl":
            # str.splitlines would part a line at U+2028 and others, which JSON has raw in strings.
            records = [json.loads(line) for line in text.split("\n") if line.strip()]
        elif table.suffix.lower() == ".json":
            records = json.loads(text)
        else:
            tabs = table.suffix.lower() == ".tsv"
            records = list(csv.DictReader(io.StringIO(text), delimiter="\t" if tabs else ","))
    except (json.JSONDecodeError, csv.Error) as error:
        raise InputError(f"{table} is damaged: {error}.") from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise InputError(f"{table} must hold a list of objects, one a clip.")
    if not records:
        raise InputError(f"{table} holds no rows.")
    return records


def _choose(
    records: list[dict[str, object]],
    preset: Mapping[str, str],
    given: Mapping[str, str],
    table: Path,
) -> dict[str, str]:
    """The table's column for each of ours that it has; upper and lower case do not matter."""
    found = {str(name).lower(): name for record in records[:100] for name in record if name}
    for ours in given:
        if ours not in COLUMNS:
            raise InputError(
                f"There is no column '{ours}' to fill; choose of {', '.join(COLUMNS)}."
            )
    chosen = {}
    for ours, theirs in {**preset, **given}.items():
        if theirs.lower() in found:
            chosen[ours] = found[theirs.lower()]
        elif ours in given or ours in _NEEDED:
            raise InputError(
                f"{table} has no column '{theirs}' for {ours}; found {', '.join(found.values())}. "
                f"Name the right one with {ours}=NAME."
            )
    return chosen


def _places(root: Path, names: Iterable[str]) -> dict[str, Path]:
    """The file that each name means; a name of none, or perhaps of several, is left out.

    A name may lack the suffix, and its folders may begin above or below `root`. Where a name and a
    file both have folders, the last ones are the same: where only a part of a corpus is held,
    `b/1.wav` must not pass for `a/1.wav`.
    """
    wholes: dict[str, Path | None] = {}
    ends: dict[str, Path | None] = {}
    for path in audio_files(root):
        within = path.relative_to(root)
        for form in (within.as_posix(), within.with_suffix("").as_posix()):
            # A name that two files bear says nothing.
            wholes[form] = None if form in wholes else path
            for end in _ends(form):
                ends[end] = None if end in ends else path
    places: dict[str, Path] = {}
    guesses: dict[Path, list[str]] = defaultdict(list)
    for name in dict.fromkeys(filter(None, names)):
        told = Path(name.lstrip("/")).as_posix()
        if (root / name).is_file():
            places[name] = root / name
        elif path := wholes.get(told):
            places[name] = path
        else:
            fitting = [ends[told]] if told in ends else []
            fitting += [wholes[end] for end in _ends(told) if end in wholes]
            if len(fitting) == 1 and (path := fitting[0]):
                guesses[path].append(name)
    for path, called in guesses.items():
        # A file without folders fits names of several: it cannot be told which of them it is.
        deepest, *others = sorted((Path(name).parent for name in called), key=_depth, reverse=True)
        if all(_same_end(deepest, other) for other in others):
            places |= dict.fromkeys(called, path)
    return places


def _ends(form: str) -> list[str]:
    """A path and what is left of it without its first folders, `a/b/1`, `b/1` and `1`."""
    parts = form.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _depth(path: Path) -> int:
    return len(path.parts)


def _same_end(one: Path, other: Path) -> bool:
    """Whether the last folders of two paths are the same, as far as both go."""
    pairs = zip(reversed(one.parts), reversed(other.parts), strict=False)
    return all(a == b for a, b in pairs)


def _texts(value: object) -> tuple[str, ...]:
    """A cell as texts: a list of a JSON table is several, nothing is none."""
    values: Iterable[object] = value if isinstance(value, list) else [value]
    return tuple(text for one in values if one is not None and (text := str(one).strip()))


def _text(value: object) -> str:
    return ", ".join(_texts(value))
