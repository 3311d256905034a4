"""Files on this machine: digests, writing that a kill cannot halve, who writes alone, the cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from raclap.config import InputError


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
    """Do as `sharing` with what can be made again, and is made again where it is not kept.

    An `OSError`, in writing the part, too, is told to nobody: a disk may be full or read-only.
    """
    with suppress(OSError), sharing(path) as part:
        yield part


@contextmanager
def sharing(path: Path) -> Iterator[Path]:
    """Do as `replacing` in a folder that is there, where several may write at once.

    Each has a part with a name of its own, which only a kill leaves behind; the last one counts.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside a file to write to, which takes the file's name once it is whole.

    A kill or an error in between leaves the old file, and a hidden ``.NAME.part`` that the next
    writer overwrites. For one writer at a time. The folder is made if need be. A link stays one,
    and what is no file, such as ``/dev/null``, is written to as it stands.
    """
    path = path.resolve()
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    yield part
    part.replace(path)


def claim(opened: TextIO | int, taken: str) -> None:
    """Keep other processes from a file or folder until it is closed, or this one dies.

    Args:
        opened: the file, or the descriptor of a folder.
        taken: what to say where another process has it.

    Raises:
        InputError: another process has it.
    """
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(taken) from None
