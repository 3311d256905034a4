"""A published corpus's own folder layout or description table becomes one manifest.

In: a manifest, or the root folder of a corpus as its authors publish it. Out: `Clip` records whose
labels are in the project's own words. Deliberately not here: decoding and measuring of audio,
generated descriptions; the published forms themselves are in ``layouts`` and ``tables``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import soundfile

from raclap import tables
from raclap.config import InputError
from raclap.files import replacing
from raclap.layouts import LAYOUTS, Row, scan
from raclap.prosody import Prosody
from raclap.style import ATTRIBUTES, VALUES, Style, canonical_emotion, levels

NAMES = (*LAYOUTS, *tables.TABLES)
SPLITS = ("train", "valid", "test")
HEARD = ("gender", "emotion")  # what is told by a label, or else by a model that heard the clip
WORDLESS = frozenset({"emogator"})  # corpora of vocal bursts: no syllables, no phonation

_LEVELS = {
    **dict.fromkeys(("slow", "slowly", "quiet", "soft"), "low"),
    **dict.fromkeys(("normal", "moderate", "measured"), "medium"),
    **dict.fromkeys(("fast", "loud"), "high"),
}
_ALIASES = {
    "gender": {"f": "female", "m": "male", "woman": "female", "man": "male"},
    "intensity": {"neutral": "normal", "medium": "normal", "high": "strong"},
    "pitch": _LEVELS,
    "speed": _LEVELS,
    "energy": _LEVELS,
    "phonation": {"whisper": "whispered"},
    "split": dict.fromkeys(("dev", "val", "validation"), "valid"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One recording and everything known about it; an empty string means unknown.

    What begins with ``heard_`` no label tells: a model heard it when the clip was indexed. It is
    no part of the clip's style, by which models are trained and measured.
    """

    id: str
    path: str
    corpus: str = ""
    split: str = ""
    speaker: str = ""
    gender: str = ""
    age: str = ""
    language: str = ""
    emotion: str = ""
    intensity: str = ""
    pitch: str = ""
    speed: str = ""
    energy: str = ""
    phonation: str = ""
    heard_gender: str = ""
    heard_emotion: str = ""
    text: str = ""
    seconds: float = 0.0
    descriptions: tuple[str, ...] = ()

    @property
    def style(self) -> Style:
        """The attributes of this clip that a description may mention."""
        return Style(**{name: getattr(self, name) for name in ATTRIBUTES})

    @property
    def heard(self) -> dict[str, str]:
        """Attribute -> value, of those that no label tells and a model heard."""
        values = {name: self.told(name) for name in HEARD if not getattr(self, name)}
        return {name: value for name, value in values.items() if value}

    def told(self, name: str) -> str:
        """Return a label or, where there is none, what was heard; empty where neither tells."""
        return getattr(self, name) or (getattr(self, f"heard_{name}") if name in HEARD else "")

    def to_json(self) -> str:
        """Write the record as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, record: str) -> Clip:
        """Read what `to_json` wrote."""
        values = json.loads(record)
        return cls(**values | {"descriptions": tuple(values["descriptions"])})


_TEXTS = tuple(f.name for f in fields(Clip) if f.name not in ("seconds", "descriptions"))
_VERBATIM = ("id", "path", "text")  # the others are labels


def measured(clip: Clip, figures: Prosody) -> Clip:
    """Return ``clip`` with its measured levels; a label stays where measuring tells nothing."""
    found = levels(figures, clip.gender, clip.phonation)
    if clip.corpus in WORDLESS:
        found = {"energy": found["energy"]}
    return replace(clip, **{name: level or getattr(clip, name) for name, level in found.items()})


def read_manifest(path: str | Path, *, present: bool = True) -> list[Clip]:
    """Read a manifest; labels are put into the project's words, paths are made absolute.

    Args:
        path: CSV file in UTF-8 with at least the columns `id` and `path`. Relative paths are taken
            from the manifest's own folder; unknown and unnamed columns are ignored; every
            `description*` column adds a description. Labels lose the blanks around them.
        present: whether every file must be there; what is known of a clip may outlive its file.

    Returns:
        One clip a row, in the order of the file.

    Raises:
        InputError: Missing or unreadable file, missing column, no rows, or a row that cannot be
            meant; the message names line and column.
    """
    path = Path(path).absolute()
    clips: list[Clip] = []
    line_of: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            for column in ("id", "path"):
                if column not in header:
                    raise InputError(
                        f"{path}, line 1: no column '{column}'; found "
                        f"{', '.join(header) or 'nothing'}; a manifest is a comma-separated file "
                        "with at least the columns id and path."
                    )
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row or None in row.values():  # more fields, or fewer
                    raise InputError(f"{where}: not as many fields as the header's {len(header)}.")
                clip = _clip(row, path.parent, where, present)
                if clip.id in line_of:
                    raise InputError(
                        f"{where}, column id: '{clip.id}' is already on line {line_of[clip.id]}; "
                        "give every clip its own id."
                    )
                line_of[clip.id] = reader.line_num
                clips.append(clip)
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:  # not UTF-8 is a ValueError
        raise InputError(f"The manifest {path} cannot be read as CSV in UTF-8: {error}.") from error
    if not clips:
        raise InputError(f"The manifest {path} has a header but no clips; add one row a clip.")
    return clips


def select(clips: Iterable[Clip], names: Collection[str], *, keep: bool = True) -> list[Clip]:
    """Return the clips of some corpora, or with ``keep=False`` those of all others.

    Raises:
        InputError: no clip is of a corpus that was named.
    """
    clips = list(clips)
    there = list(dict.fromkeys(clip.corpus for clip in clips))
    for name in names:
        if name not in there:
            found = ", ".join(repr(each) for each in there)
            raise InputError(f"No clip is of a corpus {name!r}; found {found}.")
    return [clip for clip in clips if (clip.corpus in names) == keep]


def write_manifest(
    clips: Iterable[Clip], path: str | Path, relative_to: str | Path | None = None
) -> None:
    """Write clips so that `read_manifest` gives the same clips again.

    Args:
        clips: The clips, in the order to write.
        path: CSV file to write; its folder is made if need be.
        relative_to: Folder that paths are written relative to, by default the manifest's own.
            Files outside it keep their absolute path.
    """
    clips, path = list(clips), Path(path).absolute()
    base = Path(relative_to).absolute() if relative_to is not None else path.parent
    most = max((len(clip.descriptions) for clip in clips), default=0)
    described = [f"description_{number}" for number in range(1, most + 1)]
    heard = [f"heard_{name}" for name in HEARD]  # columns of galleries, and only where needed
    silent = {name for name in heard if not any(getattr(clip, name) for clip in clips)}
    names = [name for name in _TEXTS if name not in silent]
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        plain = csv.writer(file, lineterminator="\n")
        quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        plain.writerow([*names, "seconds", *described])
        for clip in clips:
            row = {name: getattr(clip, name) for name in names}
            location = Path(clip.path).absolute()
            inside = location.is_relative_to(base)
            row["path"] = (location.relative_to(base) if inside else location).as_posix()
            blanks = [""] * (most - len(clip.descriptions))
            values = [*row.values(), f"{clip.seconds:.3f}", *clip.descriptions, *blanks]
            # To a reader a bare \r ends a row, but a plain writer does not quote it.
            (quoted if any("\r" in value for value in values) else plain).writerow(values)


def build(
    name: str,
    root: str | Path,
    *,
    table: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
) -> list[Clip]:
    """Read a published corpus from its own folders, or from a table of descriptions.

    Args:
        name: One of `NAMES`.
        root: Folder of the corpus, or of the audio that the table speaks of.
        table: For a corpus of descriptions: the file that holds them.
        columns: For a corpus of descriptions: our name of a column to the table's.

    Returns:
        The clips, with a split in which no speaker is on two sides. A published split is kept if
        it is such a one; a clip of an unknown speaker is split by itself.

    Raises:
        InputError: The name, the folder, the table or the columns do not fit.
    """
    root = Path(root).absolute()
    if name not in NAMES:
        raise InputError(f"There is no corpus '{name}'; choose of {', '.join(NAMES)}.")
    if name in LAYOUTS:
        if table or columns:
            raise InputError(
                f"{name} is read from its file names; leave out the table and columns."
            )
        rows = scan(name, root)
    else:
        if table is None:
            raise InputError(f"{name} is a table of descriptions; name its file with --table.")
        rows = tables.read(name, root, Path(table), columns)
    clips = [_from_row(name, row) for row in rows]
    for attribute in columns or ():
        labels = dict.fromkeys(label for row in rows if (label := row.labels.get(attribute)))
        if attribute in ATTRIBUTES and labels and not any(getattr(c, attribute) for c in clips):
            raise InputError(
                f"{table}, column {columns[attribute]}: none of its values is a known {attribute}; "
                f"found {', '.join([*labels][:3])}. Map {attribute} to another column."
            )
    return _with_splits(clips)


def _from_row(corpus: str, row: Row) -> Clip:
    """Put what a corpus tells of a clip into the project's words; what has none stays unknown."""
    texts = {name: row.labels.get(name, "") for name in _TEXTS}
    for name in ("split", *ATTRIBUTES):
        words = (texts[name], *re.split(r"[\W_]+", texts[name]))
        texts[name] = next((word for label in words if (word := _canonical(name, label))), "")
    if texts["speaker"]:
        texts["speaker"] = f"{corpus}/{texts['speaker']}"
    texts |= {"id": f"{corpus}/{row.id}", "path": str(row.path), "corpus": corpus}
    told = _seconds(row.labels.get("seconds", ""), f"{corpus}, clip {row.id}")
    return Clip(**texts, seconds=round(told, 3) or _length(row.path), descriptions=row.descriptions)


def _with_splits(clips: list[Clip]) -> list[Clip]:
    """Keep a split that no speaker crosses, else make one."""
    sides = defaultdict(set)
    for clip in clips:
        sides[clip.speaker or clip.id].add(clip.split)
    if all(len(side) == 1 and "" not in side for side in sides.values()):
        return clips
    split_of = _split_speakers({clip.speaker or clip.id: clip.gender for clip in clips})
    return [replace(clip, split=split_of[clip.speaker or clip.id]) for clip in clips]


def _split_speakers(gender_of: Mapping[str, str]) -> dict[str, str]:
    """Share speakers out, about 70 to train, 10 to valid, 20 to test; the same for ever.

    Each gender with two speakers or more has one in test. Two speakers are train and test; more
    have a valid one too where that leaves two to train.
    """
    ordered = sorted(gender_of, key=lambda speaker: hashlib.sha256(speaker.encode()).digest())
    split = dict.fromkeys(ordered, "train")
    for gender in set(gender_of.values()):
        group = [speaker for speaker in ordered if gender_of[speaker] == gender]
        tested = max(round(0.2 * len(group)), int(len(group) > 1))
        validated = tested + round(0.1 * len(group))
        split |= dict.fromkeys(group[:tested], "test")
        split |= dict.fromkeys(group[tested:validated], "valid")
    for side, enough in (("test", 2), ("valid", 3)):
        left = [speaker for speaker in ordered if split[speaker] == "train"]
        if side not in split.values() and len(left) >= enough:
            split[left[0]] = side
    return split


def _length(path: Path) -> float:
    """The length of a file in seconds by its header; 0 where that cannot be read."""
    try:
        return round(soundfile.info(path).duration, 3)
    except soundfile.LibsndfileError:
        return 0.0


def _clip(row: Mapping[str, str], folder: Path, where: str, present: bool) -> Clip:
    """Check and canonicalise one row of a manifest; `where` begins every complaint."""
    texts = {name: row.get(name, "") for name in _TEXTS}
    texts = {name: text if name in _VERBATIM else text.strip() for name, text in texts.items()}
    for name in ("id", "path"):
        if not texts[name].strip():
            raise InputError(f"{where}, column {name}: empty; every clip needs one.")
    location = folder / texts["path"]
    if not location.is_file() and (bare := folder / texts["path"].strip()).is_file():
        location = bare  # a blank after the comma
    if present and not location.is_file():
        raise InputError(f"{where}, column path: there is no file {location}.")
    for name in ("split", *ATTRIBUTES):
        label = texts[name]
        texts[name] = _canonical(name, label)
        if label and not texts[name]:
            raise InputError(
                f"{where}, column {name}: '{label}' is not one of {', '.join(_allowed(name))}; "
                "use one of these or leave it empty for unknown."
            )
    for name in HEARD:  # a program wrote it; what is no value of ours is not known
        texts[f"heard_{name}"] = _canonical(name, texts[f"heard_{name}"])
    descriptions = (row[name] for name in row if name.startswith("description"))
    return Clip(
        **{**texts, "path": str(location)},
        seconds=_seconds(row.get("seconds", ""), where),
        descriptions=tuple(text for text in descriptions if text.strip()),
    )


def _allowed(name: str) -> tuple[str, ...]:
    return SPLITS if name == "split" else VALUES[name]


def _canonical(name: str, label: str) -> str:
    """The project's word for a label of an attribute (or the split) `name`, or nothing."""
    word = label.lower()
    word = canonical_emotion(word) if name == "emotion" else _ALIASES.get(name, {}).get(word, word)
    return word if word in _allowed(name) else ""


def _seconds(value: str, where: str) -> float:
    """The length in seconds; empty means not known yet, which is 0."""
    try:
        seconds = float(value.strip() or 0)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(f"{where}, column seconds: '{value}' is not a length in seconds.")
    return seconds
