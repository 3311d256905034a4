"""Files on this machine: their digest, writing one that a kill cannot halve, and the cache."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def as_name(text: str) -> str:
    """Return a text as part of a file's name: no folder, no two texts alike, plain ones as is."""
    return re.sub(r"[^\w .+-]", lambda found: f"={ord(found[0]):06x}", text)


def cache() -> Path:
    """Return the user's folder for what this program can make or fetch again."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "raclap"


@contextmanager
def keeping(path: Path) -> Iterator[Path]:
    """Do as `replacing` with what can be made again; several may write it at once.

    Where nothing can be written, for a disk is full or read-only, nobody is told.
    """
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside a file to write to, which takes the file's name once it is whole.

    A kill or an error in between leaves the old file, and a hidden ``.NAME.part`` that the next
    writer overwrites. For one writer at a time. The folder is made if need be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    yield part
    part.replace(path)
