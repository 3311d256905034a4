"""A zip of audio becomes a folder, whatever the zip tries.

In: an archive that anybody may have made. Out: a folder with its audio and nothing else, or an
error that says what is wrong; never a file outside, a link, or more than was agreed. The folder
appears when it is complete: what a kill leaves half done lies beside it and is begun again.
"""

from __future__ import annotations

import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path

from raclap.audio import SUFFIXES
from raclap.config import InputError

_MOST_NAME_BYTES = 200  # of one part of a path; file systems take 255
_MOST_DEPTH = 12
_CHUNK = 1 << 20
# What zipfile lets through besides its own error; a name that is no text is a UnicodeDecodeError.
_DAMAGE = (zipfile.BadZipFile, zlib.error, LZMAError, UnicodeDecodeError, EOFError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an archive may become.

    Attributes:
        files: how many entries it may list, those that are not kept included.
        bytes: how large the kept files may be together.
        ratio: how many times the archive's own size that may be.
    """

    files: int = 20_000
    bytes: int = 4 * 2**30
    ratio: int = 100


def unpack(
    archive: Path,
    folder: Path,
    *,
    keep: Collection[str] = SUFFIXES,
    limits: Limits | None = None,
    watch: Callable[[int, int | None], None] = lambda done, total: None,
) -> int:
    """Take the files of some kinds out of a zip.

    Args:
        archive: the zip.
        folder: made anew; what it held before is replaced.
        keep: lower-case suffixes of what is taken out; everything else stays inside.
        limits: what the archive may become.
        watch: told of the files so far; what it raises ends the work and leaves no folder.

    Returns:
        How many files the folder has.

    Raises:
        InputError: no zip, damaged, encrypted, too large, or with names that lead elsewhere.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = _chosen(zipped, archive, keep, limits or Limits())
            part.mkdir(parents=True)
            for done, (place, entry) in enumerate(entries.items()):
                watch(done, len(entries))
                (part / place).parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(entry) as source, (part / place).open("xb") as file:
                    # zipfile gives no more than the size that was counted, and checks the CRC.
                    shutil.copyfileobj(source, file, _CHUNK)
            watch(len(entries), len(entries))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except InputError:
        raise
    except (*_DAMAGE, NotImplementedError, OSError) as error:
        raise InputError(f"{archive.name} cannot be unpacked: {error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return len(entries)


def _chosen(
    zipped: zipfile.ZipFile, archive: Path, keep: Collection[str], limits: Limits
) -> dict[str, zipfile.ZipInfo]:
    """Where each file that is taken goes, relative to the folder."""
    listed = zipped.infolist()
    if len(listed) > limits.files:
        raise InputError(
            f"{archive.name} lists {len(listed):,} files; {limits.files:,} is the most."
        )
    entries: dict[str, zipfile.ZipInfo] = {}
    taken: set[str] = set()
    for entry in listed:
        parts = _parts(entry.filename, archive)
        if entry.is_dir() or stat.S_ISLNK(entry.external_attr >> 16):
            continue
        if Path(parts[-1]).suffix.lower() not in keep or any(
            part.startswith(".") or part == "__MACOSX" for part in parts
        ):
            continue
        if entry.flag_bits & 1:
            raise InputError(f"{archive.name} is encrypted; make a zip without a password.")
        place = "/".join(parts)
        alike = place.casefold()  # some file systems know one case only
        if alike in taken:
            raise InputError(f"{archive.name} lists {place!r} twice.")
        taken.add(alike)
        entries[place] = entry
    if not entries:
        raise InputError(f"{archive.name} holds none of {', '.join(keep)}.")
    size = sum(entry.file_size for entry in entries.values())
    most = min(limits.bytes, limits.ratio * archive.stat().st_size)
    if size > most:
        raise InputError(
            f"{archive.name} would become {size / 1e6:,.0f} MB; at most {most / 1e6:,.0f} MB is "
            "unpacked from a zip of its size."
        )
    free = shutil.disk_usage(archive.parent).free
    if size > free:
        raise InputError(
            f"{archive.name} would become {size / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free."
        )
    return entries


def _parts(name: str, archive: Path) -> list[str]:
    """The parts of an entry's path, fit for any file system.

    Raises:
        InputError: the path leads, or might lead, out of the folder.
    """
    parts = name.replace("\\", "/").removesuffix("/").split("/")
    if any(part in ("", ".", "..") or ":" in part for part in parts) or len(parts) > _MOST_DEPTH:
        raise InputError(
            f"{archive.name} holds a file called {name[:80]!r}, which would not stay in its "
            "folder; nothing was unpacked."
        )
    return [_plain(part) for part in parts]


def _plain(part: str) -> str:
    """A name of printable characters, short enough for a file system."""
    part = unicodedata.normalize("NFC", part)
    part = "".join(letter if letter.isprintable() else "_" for letter in part).rstrip(" .") or "_"
    if len(part.encode()) > _MOST_NAME_BYTES:
        kept, suffix = Path(part).stem, Path(part).suffix[:8]
        short = kept.encode()[: _MOST_NAME_BYTES - len(suffix.encode())].decode(errors="ignore")
        part = short + suffix
    return part
