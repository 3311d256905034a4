"""Where recorded corpora live, and how each comes from its own home into a folder.

In: the name of a corpus. Out: its audio as its authors publish it, which `corpus.build` reads.
What a home publishes of a file, its length and checksum, is asked of the home; where it publishes
no checksum, the SHA-256 of the first download is noted and later ones must have it. Deliberately
not here: HTTP (``transfer``), archives (``unpack``), what the file names mean (``layouts``).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from raclap.audio import SUFFIXES
from raclap.config import InputError
from raclap.files import replacing
from raclap.transfer import download, read_json, waiting
from raclap.unpack import unpack

Watch = Callable[[str, int, int | None], None]  # told the step, how much of it, of how much

_NOTES = "fetched.json"
_TABLES = (".csv", ".tsv")  # what some corpora tell of their speakers


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """One file of a corpus: a zip, or a table.

    Attributes:
        name: what to call it here.
        url: where it is, or the Zenodo record that lists it under this name.
    """

    name: str
    url: str

    @property
    def recorded(self) -> bool:
        """Whether the address is a record that publishes length and checksum."""
        return "/api/records/" in self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A corpus that can be fetched.

    Attributes:
        title: what to call it.
        speech: what is in it.
        size: how much is fetched, in words; its home tells the exact length when it is asked.
        licence: under which terms.
        page: where a person reads about it.
        origins: the only places from which its files may come.
        files: what to fetch.
    """

    title: str
    speech: str
    size: str
    licence: str
    page: str
    origins: frozenset[str]
    files: tuple[Remote, ...]

    @property
    def checksum(self) -> str:
        """How its files are checked, in words."""
        if all(file.recorded for file in self.files):
            return "against the checksum that its home publishes"
        return "none published; the first download is trusted, later ones must equal it"


_NEMO = "06f1f83dde8f1a780443a57d53b2af3971af34ab"
_CREMA = "d15eeed6a139e9724483ed9a2fc4643f88708b79"
_CREMA_HOME = "https://gitlab.com/cs-cooper-lab/crema-d-mirror"

HOMES: Mapping[str, Home] = {
    "ravdess": Home(
        title="RAVDESS",
        speech="1,440 clips by 24 actors, English, eight emotions at two intensities",
        size="about 215 MB",
        licence="CC BY-NC-SA 4.0",
        page="https://zenodo.org/records/1188976",
        origins=frozenset({"https://zenodo.org"}),
        files=(
            Remote(
                name="Audio_Speech_Actors_01-24.zip",
                url="https://zenodo.org/api/records/1188976",
            ),
        ),
    ),
    "emodb": Home(
        title="EmoDB",
        speech="535 clips by 10 actors, German, seven emotions",
        size="about 40 MB",
        licence="CC BY 4.0",
        page="https://zenodo.org/records/7447302",
        origins=frozenset({"https://zenodo.org"}),
        files=(Remote(name="emodb.zip", url="https://zenodo.org/api/records/7447302"),),
    ),
    "nemo": Home(
        title="nEMO",
        speech="4,481 clips by 9 actors, Polish, six emotions",
        size="some 3 hours of speech; its home publishes no size",
        licence="CC BY-NC-SA 4.0",
        page="https://github.com/amu-cai/nEMO",
        origins=frozenset({"https://github.com", "https://codeload.github.com"}),
        files=(
            Remote(name="nemo.zip", url=f"https://github.com/amu-cai/nEMO/archive/{_NEMO}.zip"),
        ),
    ),
    # The authors' own mirror: the audio on GitHub is behind a limit of its large-file storage.
    "crema-d": Home(
        title="CREMA-D",
        speech="7,442 clips by 91 actors, English, six emotions",
        size="its home publishes no size",
        licence="ODbL 1.0",
        page="https://github.com/CheyneyComputerScience/CREMA-D",
        origins=frozenset({"https://gitlab.com"}),
        files=(
            Remote(
                name="AudioWAV.zip",
                url=f"{_CREMA_HOME}/-/archive/{_CREMA}/crema-d-mirror.zip?path=AudioWAV",
            ),
            Remote(
                name="VideoDemographics.csv",
                url=f"{_CREMA_HOME}/-/raw/{_CREMA}/VideoDemographics.csv",
            ),
        ),
    ),
}


def home(name: str) -> Home:
    """Return where a corpus lives.

    Raises:
        InputError: nobody knows.
    """
    if name not in HOMES:
        raise InputError(f"{name!r} cannot be fetched; {', '.join(HOMES)} can.")
    return HOMES[name]


def fetch(
    home: Home, root: Path, watch: Watch = lambda step, done, total: None, pause: float = 1.0
) -> None:
    """Bring a corpus into a folder; what an earlier call finished is not done again.

    Args:
        home: of the corpus.
        root: made if need be. Zips are unpacked to folders of their own below it.
        watch: told of the progress; what it raises ends the work, which can go on later.
        pause: seconds before a cut transfer is tried again.

    Raises:
        InputError: a file cannot be had, or is not what its home says.
    """
    for file in home.files:
        notes = _notes(root)
        known = notes.get(file.name, {})
        place = _place(root, file)
        if known.get("done") and place.exists():
            continue
        watch("Asking its home", 0, None)
        url, size, digest = _published(home, file)
        found = download(
            url,
            root / file.name,
            origins=home.origins,
            size=size,
            digest=digest or known.get("digest", ""),
            watch=functools.partial(watch, "Downloading"),
            pause=pause,
        )
        notes[file.name] = {"url": url, "digest": found, "published": bool(digest)}
        _note(root, notes)
        if place != root / file.name:
            unpack(
                root / file.name,
                place,
                keep=(*SUFFIXES, *_TABLES),
                watch=functools.partial(watch, "Unpacking"),
            )
        notes[file.name]["done"] = True
        _note(root, notes)
        if place != root / file.name:
            (root / file.name).unlink()


def begun(home: Home, root: Path) -> int:
    """Return how many bytes of a corpus wait to be completed; 0 where nothing was begun."""
    return sum(
        waiting(root / file.name)
        + ((root / file.name).stat().st_size if (root / file.name).exists() else 0)
        for file in home.files
    )


def complete(home: Home, root: Path) -> bool:
    """Whether all files of a corpus are there and unpacked."""
    notes = _notes(root)
    return all(
        notes.get(file.name, {}).get("done") and _place(root, file).exists() for file in home.files
    )


def _place(root: Path, file: Remote) -> Path:
    """The folder that a zip becomes, or the table itself."""
    name = Path(file.name)
    return root / (name.stem if name.suffix == ".zip" else name)


def _published(home: Home, file: Remote) -> tuple[str, int | None, str]:
    """Address, length and checksum of a file, as far as its home publishes them."""
    if not file.recorded:
        return file.url, None, ""
    record = read_json(file.url, origins=home.origins)
    try:
        (listed,) = (each for each in record["files"] if each["key"] == file.name)
        return listed["links"]["self"], int(listed["size"]), str(listed["checksum"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file.url} lists no {file.name}; look there for what changed."
        ) from error


def _notes(root: Path) -> dict[str, dict]:
    try:
        return json.loads((root / _NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _note(root: Path, notes: Mapping[str, dict]) -> None:
    with replacing(root / _NOTES) as part:
        part.write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")
