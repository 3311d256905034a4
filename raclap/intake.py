"""A folder of audio or a manifest becomes vectors and measured levels, and these a saved gallery.

A file that cannot be used is named and skipped; an interrupted run goes on where it stopped, from
a work file of finished clips. Deliberately not here: searching, how a gallery is stored (``index``,
``milvus``), and other machines (``cluster``).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from raclap import audio, milvus, prosody
from raclap.config import InputError
from raclap.corpus import HEARD, Clip, measured, read_manifest
from raclap.files import claim
from raclap.index import CARD, MANIFEST, Gallery
from raclap.reading import Reader, encode_clips, likeliest

# The first is raised when more, or something else, is found in the same clip by the same model.
EDITION = (2, audio.EDITION)
WORK = ".indexing.jsonl"  # in the gallery's folder, while it is made
_LEVELS = ("pitch", "speed", "energy", "phonation")
_HEARD = 0.7  # a gender or emotion more probable than this is taken to be heard
_SURE = 0.9  # a gender less probable than this is not good enough to judge pitch by
_CHUNK_CLIPS, _CHUNK_SECONDS = 16, 240


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intake:
    """What came of a list of clips.

    Attributes:
        clips: the usable ones, in order; levels, lengths, and what is heard where no label tells
            it are filled in.
        vectors: (N, D) float32, unit length.
        skipped: clip id -> why it could not be used.
    """

    clips: list[Clip]
    vectors: np.ndarray
    skipped: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the work file keeps of a finished clip: what is heard in it, no label of anybody's."""

    vector: np.ndarray
    levels: dict[str, str]
    seconds: float


def find_clips(
    source: str | Path, *, say: Callable[[str], None] = lambda sentence: None
) -> list[Clip]:
    """List the clips of a manifest, or of a folder.

    Args:
        source: manifest, or folder: every audio file below it, with what the folder's own
            manifest.csv says about them if it has one. Hidden files are left out, and links that
            lead out of the folder; a manifest may name files anywhere. The levels in a gallery's
            manifest are taken only for files that have not been touched since it was saved; a
            clip in it whose file is gone is left out.
        say: told one sentence for each clip that is left out.

    Raises:
        InputError: nothing there, no audio in it, or a manifest that cannot be read.
    """
    source = Path(source).absolute()
    if source.is_file():
        listed = _listed(source, say)
        if not listed:
            raise InputError(f"None of the files that {source} lists is there any more.")
        return listed
    if not source.is_dir():
        raise InputError(f"There is no folder or manifest {source} to index.")
    listed = _listed(source / MANIFEST, say) if (source / MANIFEST).is_file() else []
    known, home = {Path(clip.path).resolve() for clip in listed}, source.resolve()
    found = [
        Clip(id=path.relative_to(source).as_posix(), path=str(path))
        for path in sorted(source.rglob("*"))
        if path.suffix.lower() in audio.SUFFIXES and path.is_file() and path.resolve() not in known
        if not any(part.startswith(".") for part in path.relative_to(source).parts)
        if path.resolve().is_relative_to(home)
    ]
    if not listed and not found:
        raise InputError(
            f"The folder {source} has no audio; it may hold {', '.join(audio.SUFFIXES)} files, and "
            "links to such files inside it."
        )
    taken = {clip.id for clip in listed} & {clip.id for clip in found}
    if taken:
        raise InputError(
            f"The id {min(taken)!r} in {source / MANIFEST} is also the name of another file there; "
            "give the clip another id."
        )
    return listed + found


def _listed(manifest: Path, say: Callable[[str], None]) -> list[Clip]:
    """Read a manifest; that of a gallery holds levels that were measured beside those of a person.

    Those of a file that has been touched since may be of another recording. Nobody wrote it by
    hand: a file that it names and that is gone was deleted, and is no mistake in it.
    """
    card = manifest.with_name(CARD)
    if manifest.name != MANIFEST or not card.is_file():
        return read_manifest(manifest)
    saved, clips = card.stat().st_mtime_ns, []
    for clip in read_manifest(manifest, present=False):
        path = Path(clip.path)
        if not path.is_file():
            say(f"Left out {clip.id}: its file {path} is gone.")
        # The time of change: a file that is moved or copied to a place may keep an older one.
        elif path.stat().st_ctime_ns < saved:
            clips.append(clip)
        else:
            clips.append(replace(clip, **dict.fromkeys(_LEVELS, "")))
    return clips


# Clips by the keys of their findings -> key, and the finding or why there is none.
Examine = Callable[[Mapping[str, Clip]], Iterator[tuple[str, Finding | str]]]


def make_gallery(
    reader: Reader,
    clips: Sequence[Clip],
    output: str | Path,
    *,
    name: str,
    note: str = "",
    source: Path | None = None,
    examine: Examine | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    watch: Callable[..., Iterable[Any]] = lambda done, **_: done,
) -> Intake:
    """Take in clips and save them as a gallery; a run that was stopped or killed goes on.

    Args:
        reader: as for `take_in`.
        clips: likewise.
        output: folder, or address in Milvus; a gallery that is there is replaced.
        name: what to call the gallery.
        note: what a listener should know.
        source: where the clips were found, if its manifest may be the one that is replaced.
        examine: as for `take_in`.
        say: likewise.
        watch: likewise.

    Raises:
        InputError: none of the clips can be used, some that the replaced manifest lists cannot, or
            nothing can be saved there.
    """
    remote, folder = milvus.is_address(output), Path(output).absolute()
    work = Path(f".{folder.name}{WORK}").absolute() if remote else folder / WORK
    taken = take_in(reader, clips, work, examine=examine, say=say, watch=watch)
    if not taken.clips:
        work.unlink()
        if not remote:
            with contextlib.suppress(OSError):  # a folder that was made for it alone
                folder.rmdir()
        why = next(iter(taken.skipped.values()))
        if len(clips) == 1:
            raise InputError(f"The only clip cannot be used: {why}")
        raise InputError(f"None of the {len(clips):,} clips can be used; the first: {why}")
    made = (taken.vectors, taken.clips, reader.model.fingerprint)
    if remote:
        milvus.save(output, *made, name=name, note=note)
    else:
        if source:
            _refuse_loss(source.absolute(), folder, taken.skipped)
        Gallery.build(*made, name=name, note=note).save(folder)
    work.unlink(missing_ok=True)
    return taken


def _refuse_loss(source: Path, output: Path, skipped: Mapping[str, str]) -> None:
    """Refuse to save over the manifest that was read if clips that it lists would be lost."""
    manifest = output / MANIFEST
    if source in (output, manifest) and manifest.is_file():
        lost = skipped.keys() & {clip.id for clip in read_manifest(manifest, present=False)}
        if lost:
            raise InputError(
                f"{len(lost)} clips of {manifest} cannot be used ({min(lost)!r} is one) and would "
                "be lost from it; take them out of it, or give another --output."
            )


def take_in(
    reader: Reader,
    clips: Sequence[Clip],
    work: Path,
    *,
    examine: Examine | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    watch: Callable[..., Iterable[Any]] = lambda done, **_: done,
) -> Intake:
    """Encode and measure clips.

    Args:
        reader: of the model that makes the vectors.
        clips: what to take in.
        work: file that collects finished clips, so that a killed run can go on; the caller
            deletes it when the result is safe.
        examine: who finds what there is to find, in any order; by default this process.
        say: told one sentence for each clip that is skipped.
        watch: wraps what is finished, e.g. in a progress bar; also given how many are finished
            already and how many there are, as ``initial`` and ``total``.
    """
    examine, findings = examine or here(reader), _read_work(work)
    keys: dict[str, str] = {}  # clip id -> key of its finding
    skipped: dict[str, str] = {}

    def skip(clip: Clip, reason: object) -> None:
        skipped[clip.id] = str(reason)
        say(f"Skipped {clip.id}: {reason}")

    for clip in clips:
        try:
            keys[clip.id] = _key(clip, reader.model.fingerprint)
        except OSError as error:
            skip(clip, error)
    owners: dict[str, list[Clip]] = {}  # of the same file, which is examined once
    for clip in clips:
        if clip.id in keys and keys[clip.id] not in findings:
            owners.setdefault(keys[clip.id], []).append(clip)
    waiting = {key: owner for key, (owner, *_) in owners.items()}
    done = len(clips) - len(waiting)
    work.parent.mkdir(parents=True, exist_ok=True)
    # Closed at once if this is interrupted, so that workers elsewhere are let go.
    with (
        work.open("a", encoding="utf-8") as file,
        contextlib.closing(examine(waiting)) as finding,
    ):
        claim(
            file,
            f"Another process is indexing into {work}; wait for it, or choose another --output.",
        )
        if file.tell() and _last_byte(work) != b"\n":
            file.write("\n")  # after a line that a kill cut short
        for key, found in watch(finding, initial=done, total=len(clips)):
            if isinstance(found, str):
                for clip in owners[key]:
                    skip(clip, found)
                continue
            findings[key] = found
            file.write(line_of(key, found))
            file.flush()
    taken = [
        (clip, findings[keys[clip.id]])
        for clip in clips
        if clip.id in keys and clip.id not in skipped
    ]
    return Intake(
        clips=[_filled(reader, clip, finding) for clip, finding in taken],
        vectors=np.array([finding.vector for _, finding in taken], dtype=np.float32),
        skipped=skipped,
    )


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read()


def here(reader: Reader) -> Examine:
    """Examine clips in this process, a few at a time.

    Args:
        reader: makes the vectors and tells the gender of clips whose manifest does not, to judge
            their pitch by; the clip's own gender stays unknown.
    """

    def examine(clips: Mapping[str, Clip]) -> Iterator[tuple[str, Finding | str]]:
        waiting: list[tuple[str, Clip, np.ndarray]] = []
        for key, clip in clips.items():
            try:
                waiting.append((key, clip, audio.load(clip.path)))
            except (InputError, OSError) as error:
                yield key, str(error)
                continue
            samples = sum(len(waveform) for _, _, waveform in waiting)
            if len(waiting) >= _CHUNK_CLIPS or samples >= _CHUNK_SECONDS * audio.RATE_HZ:
                yield from _examine(reader, waiting)
                waiting.clear()
        yield from _examine(reader, waiting)

    return examine


def _key(clip: Clip, fingerprint: str) -> str:
    """Name a finding by all that it depends on."""
    stat = Path(clip.path).stat()
    given = f"{clip.gender}|{clip.corpus}"  # by which levels are judged
    return f"{clip.path}|{stat.st_mtime_ns}|{stat.st_size}|{given}|{fingerprint}|{EDITION}"


def _examine(
    reader: Reader, waiting: Sequence[tuple[str, Clip, np.ndarray]]
) -> Iterator[tuple[str, Finding]]:
    """Yield key and finding of each (key, clip, waveform)."""
    if not waiting:
        return
    vectors = encode_clips(reader.model, [waveform for _, _, waveform in waiting])
    for (key, clip, waveform), vector in zip(waiting, vectors, strict=True):
        gender = clip.gender or _surely(reader.probabilities(vector)["gender"], _SURE)
        # Without the clip's own levels: the manifest may say otherwise when this is used.
        bare = replace(clip, gender=gender, **dict.fromkeys(_LEVELS, ""))
        known = measured(bare, prosody.measure(audio.spoken(waveform)))
        levels = {name: getattr(known, name) for name in _LEVELS}
        yield key, Finding(vector=vector, levels=levels, seconds=len(waveform) / audio.RATE_HZ)


def _surely(shares: dict[str, float], enough: float) -> str:
    """The likeliest value, if it is likely enough."""
    best = likeliest(shares)[0]
    return best if shares[best] > enough else ""


def _filled(reader: Reader, clip: Clip, finding: Finding) -> Clip:
    """Enter what was measured and heard; levels that cannot be told stay as they were given."""
    told = {name: level for name, level in finding.levels.items() if level}
    unknown = [name for name in HEARD if not getattr(clip, name)]
    heard = dict.fromkeys((f"heard_{name}" for name in HEARD), "")
    if unknown:
        shares = reader.probabilities(finding.vector)
        heard |= {f"heard_{name}": _surely(shares[name], _HEARD) for name in unknown}
    return replace(clip, **told, **heard, seconds=round(finding.seconds, 3))


def line_of(key: str, finding: Finding) -> str:
    """Write a finding as one line of JSON."""
    vector = base64.b64encode(finding.vector.astype("<f4").tobytes()).decode()
    return json.dumps([key, vector, finding.levels, finding.seconds]) + "\n"


def read_line(line: str) -> tuple[str, Finding]:
    """Read a line of `line_of`.

    Raises:
        ValueError: it was cut short.
    """
    key, vector, levels, seconds = json.loads(line)
    vector = np.frombuffer(base64.b64decode(vector), "<f4")
    return key, Finding(vector=vector, levels=levels, seconds=seconds)


def _read_work(work: Path) -> dict[str, Finding]:
    """Read the findings of an earlier run; a line cut short by a kill is dropped."""
    findings = {}
    there = work.is_file()
    lines = work.read_text(encoding="utf-8", errors="replace").splitlines() if there else []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError):
            key, finding = read_line(line)
            findings[key] = finding
    return findings
