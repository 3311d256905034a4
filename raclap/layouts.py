"""The folder layouts of published corpora: which file names they use and what the names say.

In: the root folder of a corpus as its authors publish it. Out: a `Row` a clip, still in the
corpus's own words. A layout is data, one entry of `LAYOUTS`; a new corpus is a new entry.
Deliberately not here: tables of descriptions (``tables``), the project's words and the splits
(``corpus``).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from raclap.audio import SUFFIXES
from raclap.config import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One clip as its corpus tells of it; `labels` go by the names of a `corpus.Clip`'s fields."""

    id: str
    path: Path
    labels: Mapping[str, str] = field(default_factory=dict)
    descriptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A table beside the audio, looked up with a clip's `id` or `speaker`."""

    glob: str
    lookup: str
    key: str
    columns: Mapping[str, str]
    header: tuple[str, ...] | None = None  # the column names where the file has no line of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How one corpus names its files.

    The groups of `pattern` are named after `id` and the fields of a clip; a group may nest in
    another, as many corpora code the gender in the speaker's number. `codes` turns what a group
    holds into a word, by a mapping or by a format; a group without codes is taken as it stands.
    `held` names the speakers that the shipped checkpoint was validated and tested on, so that its
    figures can be measured again on speakers it never heard.
    """

    pattern: str
    example: str
    language: str = ""
    codes: Mapping[str, Mapping[str, str] | str] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    sidecar: Sidecar | None = None


def _numbered(words: str, first: int) -> dict[str, str]:
    """Two-digit codes, counting from `first`, for the words of a sentence."""
    return {f"{number:02}": word for number, word in enumerate(words.split(), first)}


LAYOUTS: Mapping[str, Layout] = {
    # Livingstone & Russo 2018: modality 03 (audio) and channel 01 (speech); odd actors are men.
    "ravdess": Layout(
        pattern=r"(?P<id>03-01-(?P<emotion>0[1-8])-(?P<intensity>0[12])-(?P<text>0[12])-\d\d-"
        r"(?P<speaker>(?P<gender>0[1-9]|1\d|2[0-4])))",
        example="Actor_12/03-01-06-01-02-01-12.wav",
        language="en",
        codes={
            "emotion": _numbered("neutral calm happy sad angry fearful disgust surprised", 1),
            "intensity": {"01": "normal", "02": "strong"},
            "text": {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"},
            "gender": _numbered("male female " * 12, 1),
        },
        held={"valid": "17 18", "test": "19 20 21 22 23 24"},
    ),
    # Cao et al. 2014. Ages and genders are in a table of their own.
    "crema-d": Layout(
        pattern=r"(?P<id>(?P<speaker>1\d{3})_(?P<text>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_"
        r"(?P<intensity>LO|MD|HI|XX?))",
        example="AudioWAV/1001_DFA_ANG_XX.wav",
        language="en",
        codes={
            "emotion": {
                **{"ANG": "angry", "DIS": "disgust", "FEA": "fearful"},
                **{"HAP": "happy", "NEU": "neutral", "SAD": "sad"},
            },
            "intensity": {"LO": "low", "MD": "normal", "HI": "strong"},
            "text": {
                "IEO": "It's eleven o'clock",
                "TIE": "That is exactly what happened",
                "IOM": "I'm on my way to the meeting",
                "IWW": "I wonder what this is about",
                "TAI": "The airplane is almost full",
                "MTI": "Maybe tomorrow it will be cold",
                "IWL": "I would like a new alarm clock",
                "ITH": "I think I have a doctor's appointment",
                "DFA": "Don't forget a jacket",
                "ITS": "I think I've seen this before",
                "TSI": "The surface is slick",
                "WSI": "We'll stop in a couple of minutes",
            },
        },
        sidecar=Sidecar(
            glob="VideoDemographics.csv",
            lookup="speaker",
            key="ActorID",
            columns={"gender": "Sex", "age": "Age"},
        ),
    ),
    # Pichora-Fuller & Dupuis 2020: an older and a younger woman; OA is a slip in a published name.
    "tess": Layout(
        pattern=r"(?P<id>(?P<speaker>(?P<gender>(?P<age>OAF?|YAF)))_(?P<text>[a-z-]+)_"
        r"(?P<emotion>angry|disgust|fear|happy|neutral|ps|pleasant_surprised?|sad))",
        example="OAF_angry/OAF_back_angry.wav",
        language="en",
        codes={
            "speaker": {"OAF": "OAF", "OA": "OAF", "YAF": "YAF"},
            "gender": dict.fromkeys(("OAF", "OA", "YAF"), "female"),
            "age": {"OAF": "64", "OA": "64", "YAF": "26"},
            "text": "Say the word {}",
        },
    ),
    # Jackson & Haq 2014: four men, in folders of their own or with their initials before the name.
    "savee": Layout(
        pattern=r"(?P<id>(?P<speaker>(?P<gender>DC|JE|JK|KL))[/_](?P<emotion>sa|su|[adfhn])\d\d)",
        example="AudioData/DC/a01.wav",
        language="en",
        codes={
            "gender": dict.fromkeys(("DC", "JE", "JK", "KL"), "male"),
            "emotion": {
                **{"a": "angry", "d": "disgust", "f": "fearful", "h": "happy", "n": "neutral"},
                **{"sa": "sad", "su": "surprised"},
            },
        },
    ),
    # Burkhardt et al. 2005; the letter is the first of the German word.
    "emodb": Layout(
        pattern=r"(?P<id>(?P<speaker>(?P<gender>(?P<age>03|08|09|1[0-6])))"
        r"(?P<text>a0[12457]|b0[1239]|b10)(?P<emotion>[WLEAFTN])[a-z]?)",
        example="wav/03a01Fa.wav",
        language="de",
        codes={
            "emotion": {
                **{"W": "angry", "L": "bored", "E": "disgust", "A": "fearful"},
                **{"F": "happy", "T": "sad", "N": "neutral"},
            },
            "gender": {
                **dict.fromkeys(("03", "10", "11", "12", "15"), "male"),
                **dict.fromkeys(("08", "09", "13", "14", "16"), "female"),
            },
            "age": {"03": "31", "08": "34", "09": "21", **_numbered("32 26 30 32 35 25 31", 10)},
            "text": {
                "a01": "Der Lappen liegt auf dem Eisschrank.",
                "a02": "Das will sie am Mittwoch abgeben.",
                "a04": "Heute abend könnte ich es ihm sagen.",
                "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
                "a07": "In sieben Stunden wird es soweit sein.",
                "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
                "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
                "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren "
                "und habe Agnes besucht.",
                "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
                "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
            },
        },
    ),
    # Zhou et al. 2021: speakers 1 to 10 are Chinese. Its own split has them all in each part.
    "esd": Layout(
        pattern=r"(?P<emotion>Angry|Happy|Neutral|Sad|Surprise)/"
        r"(?:(?P<split>train|evaluation|test)/)?"
        r"(?P<id>(?P<speaker>00(?P<gender>(?P<language>0[1-9]|1\d|20)))_\d{6})",
        example="0011/Angry/0011_000351.wav",
        codes={
            "split": {"train": "train", "evaluation": "valid", "test": "test"},
            "language": _numbered("zh " * 10 + "en " * 10, 1),
            "gender": {
                **_numbered("female female female male male male female male female male", 1),
                **_numbered("male male male male female female female female female male", 11),
            },
        },
        sidecar=Sidecar(
            glob="00[012][0-9].txt",
            lookup="id",
            key="id",
            columns={"text": "text"},
            header=("id", "text", "emotion"),
        ),
    ),
    # Christop 2024.
    "nemo": Layout(
        pattern=r"(?P<id>(?P<speaker>[A-Z]{2}\d)_"
        r"(?P<emotion>anger|fear|happiness|neutral|sadness|surprised)_\d+)",
        example="samples/WR0_surprised_64.wav",
        language="pl",
        held={"valid": "MP0", "test": "EB0 SM0"},
        sidecar=Sidecar(
            glob="data.tsv",
            lookup="id",
            key="file_id",
            columns={"text": "raw_text", "gender": "gender", "age": "age"},
        ),
    ),
    # Retta et al. 2022: emotion, sentence, take, gender, speaker. The sentences are not published.
    "ased": Layout(
        pattern=r"(?P<id>(?P<emotion>[NFHSAnfhsa])[1-5]-\d\d-\d\d-(?P<gender>0[12])-(?P<speaker>\d\d))",
        example="01Neutral/n1-01-01-01-01.wav",
        language="am",
        codes={
            "emotion": {
                letter: word
                for word in ("neutral", "fearful", "happy", "sad", "angry")
                for letter in (word[0], word[0].upper())
            },
            "gender": {"01": "female", "02": "male"},
        },
        held={"valid": "05 13 50 53 54", "test": "02 03 06 07 14 21 22 32 35 38 39 49 56 59 62"},
    ),
    # Aouf 2019: single words in three levels of emotion, which emotion is not said.
    "baved": Layout(
        pattern=r"(?P<id>(?P<speaker>\d+)-(?P<gender>[mf])-(?P<age>\d+)-(?P<text>[0-6])-"
        r"(?P<intensity>[012])-\d+)",
        example="0/12-f-19-0-2-1.wav",
        language="ar",
        codes={
            "gender": {"m": "male", "f": "female"},
            "intensity": {"0": "low", "1": "normal", "2": "strong"},
            "text": dict(
                zip(
                    "0123456",
                    ("اعجبني", "لم يعجبني", "هذا", "الفيلم", "رائع", "مقول", "سيئ"),
                    strict=True,
                )
            ),
        },
        held={"valid": "5 31 37 39", "test": "0 1 7 8 13 20 25 35 36 38 42 49 51 100"},
    ),
    # Buhl 2023: vocal bursts without words.
    "emogator": Layout(
        pattern=r"(?P<id>(?P<speaker>\d{6})-(?P<emotion>0[1-9]|[12]\d|30)-\d)",
        example="data/mp3/000001-01-1.mp3",
        codes={
            "emotion": _numbered(
                "adoration amusement anger awe confusion contempt contentment desire "
                "disappointment disgust distress ecstasy elation embarrassment fear guilt "
                "interest neutral pain pride realization relief romantic_love sadness serenity "
                "shame surprise_negative surprise_positive sympathy triumph",
                1,
            )
        },
        held={
            "valid": "000008 000044 000058 000059 000084 000135 000159 000168 000181 000226 000230",
            "test": "000017 000025 000028 000038 000041 000042 000067 000077 000079 000080 000092 "
            "000094 000095 000097 000099 000105 000121 000124 000136 000144 000149 000156 000171 "
            "000173 000176 000177 000186 000191 000193 000195 000196 000204 000210 000217 000218 "
            "000225 000235",
        },
    ),
}


def audio_files(root: Path) -> list[Path]:
    """Every audio file at any depth under a folder, sorted; hidden files are left out.

    Raises:
        InputError: `root` is not a folder.
    """
    if not root.is_dir():
        raise InputError(f"There is no folder {root}; give the folder that holds the audio.")
    found = (p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return sorted(path for path in found if not path.name.startswith("."))


def scan(name: str, root: Path) -> list[Row]:
    """Find the clips of a published corpus by its file names.

    Args:
        name: A key of `LAYOUTS`.
        root: The corpus, or a folder above it.

    Returns:
        One row a clip, sorted by path. Where a download holds a clip twice, the first copy counts.

    Raises:
        InputError: `root` is not a folder, or no file in it is named as the corpus names them.
    """
    layout = LAYOUTS[name]
    pattern = re.compile(f"(?:.*/)?{layout.pattern}")
    split_of = {speaker: s for s, speakers in layout.held.items() for speaker in speakers.split()}
    told = _read_sidecar(layout.sidecar, root) if layout.sidecar else {}
    files = audio_files(root)
    rows: dict[str, Row] = {}
    for path in files:
        match = pattern.fullmatch(path.relative_to(root).with_suffix("").as_posix())
        if not match:
            continue
        labels = {"language": layout.language} if layout.language else {}
        labels |= {key: _word(layout, key, code) for key, code in match.groupdict("").items()}
        id_ = labels.pop("id").replace("/", "_")
        if layout.held:
            labels["split"] = split_of.get(labels["speaker"], "train")
        if layout.sidecar:
            labels |= told.get(id_ if layout.sidecar.lookup == "id" else labels["speaker"], {})
        rows.setdefault(id_, Row(id=id_, path=path, labels=labels))
    if not rows:
        seen = ", ".join(str(path.relative_to(root)) for path in files[:3]) or "no audio files"
        raise InputError(
            f"{root} holds nothing named like {name}'s {layout.example}; found {seen}. "
            f"Give the folder that {name} was unpacked to, with its files as published."
        )
    return list(rows.values())


def _word(layout: Layout, key: str, code: str) -> str:
    """What the code of one group stands for."""
    codes = layout.codes.get(key, "{}")
    return codes.format(code) if isinstance(codes, str) else codes.get(code, "")


def _read_sidecar(sidecar: Sidecar, root: Path) -> dict[str, dict[str, str]]:
    """The labels that a corpus's own tables add, by clip or speaker; a copy may lack them."""
    told: dict[str, dict[str, str]] = {}
    for path in sorted(root.rglob(sidecar.glob)):
        tabs = path.suffix != ".csv"
        rows = csv.DictReader(
            io.StringIO(decode(path, "utf-8-sig", "gb18030", "utf-16")),
            fieldnames=sidecar.header,
            delimiter="\t" if tabs else ",",
            quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
        )
        try:
            for row in rows:
                if row.get(sidecar.key):
                    told[Path(row[sidecar.key].strip()).stem] = {
                        label: row[column].strip()
                        for label, column in sidecar.columns.items()
                        if row.get(column)
                    }
        except csv.Error as error:
            raise InputError(f"{path} is damaged: {error}.") from error
    return told


def decode(path: Path, *encodings: str) -> str:
    """Read a text file in the first of the encodings that fits it.

    Raises:
        InputError: The file cannot be read, or is not text.
    """
    for encoding in encodings:
        try:
            return path.read_text(encoding)
        except UnicodeError:
            continue
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    raise InputError(f"{path} is not text in {' or '.join(encodings)}; save it as UTF-8 text.")
