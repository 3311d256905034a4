"""A folder of audio or a manifest becomes vectors and measured levels, ready for a gallery.

A file that cannot be used is named and skipped; an interrupted run goes on where it stopped, from
a work file of finished clips. Deliberately not here: searching, and how a gallery is stored.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from raclap import audio, prosody
from raclap.config import InputError
from raclap.corpus import Clip, measured, read_manifest
from raclap.index import MANIFEST
from raclap.reading import Reader, encode_clips, likeliest

_LEVELS = ("pitch", "speed", "energy", "phonation")
_SURE = 0.9  # a gender less probable than this is not good enough to judge pitch by
_CHUNK_CLIPS, _CHUNK_SECONDS = 16, 240


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intake:
    """What came of a list of clips.

    Attributes:
        clips: the usable ones, in order, with their levels and lengths filled in.
        vectors: (N, D) float32, unit length.
        skipped: clip id -> why it could not be used.
    """

    clips: list[Clip]
    vectors: np.ndarray
    skipped: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """What the work file keeps of a finished clip."""

    vector: np.ndarray
    levels: dict[str, str]
    seconds: float


def find_clips(source: str | Path) -> list[Clip]:
    """List the clips of a manifest, or of a folder.

    Args:
        source: manifest, or folder: every audio file below it, hidden ones aside, with what the
            folder's own manifest.csv says about them if it has one.

    Raises:
        InputError: nothing there, no audio in it, or a manifest that cannot be read.
    """
    source = Path(source).absolute()
    if source.is_file():
        return read_manifest(source)
    if not source.is_dir():
        raise InputError(f"There is no folder or manifest {source} to index.")
    listed = read_manifest(source / MANIFEST) if (source / MANIFEST).is_file() else []
    known = {Path(clip.path).resolve() for clip in listed}
    found = [
        Clip(id=path.relative_to(source).as_posix(), path=str(path))
        for path in sorted(source.rglob("*"))
        if path.suffix.lower() in audio.SUFFIXES and path.is_file() and path.resolve() not in known
        if not any(part.startswith(".") for part in path.relative_to(source).parts)
    ]
    if not listed and not found:
        raise InputError(
            f"The folder {source} has no audio; it may hold {', '.join(audio.SUFFIXES)} files."
        )
    taken = {clip.id for clip in listed} & {clip.id for clip in found}
    if taken:
        raise InputError(
            f"The id {min(taken)!r} in {source / MANIFEST} is also the name of another file there; "
            "give the clip another id."
        )
    return listed + found


def take_in(
    reader: Reader,
    clips: Sequence[Clip],
    work: Path,
    *,
    say: Callable[[str], None] = lambda sentence: None,
    watch: Callable[[Iterable[Clip]], Iterable[Clip]] = iter,
) -> Intake:
    """Encode and measure clips.

    Args:
        reader: makes the vectors, and tells the gender of clips whose manifest does not, to judge
            their pitch by; the clip's own gender stays unknown.
        clips: what to take in.
        work: file that collects finished clips, so that a killed run can go on; the caller
            deletes it when the result is safe.
        say: told one sentence for each clip that is skipped.
        watch: wraps the clips as they are worked through, e.g. in a progress bar.
    """
    findings = _read_work(work)
    keys: dict[str, str] = {}  # clip id -> key of its finding
    skipped: dict[str, str] = {}
    waiting: list[tuple[str, Clip, np.ndarray]] = []
    work.parent.mkdir(parents=True, exist_ok=True)
    with work.open("a", encoding="utf-8") as file:

        def finish() -> None:
            for key, finding in _examine(reader, waiting):
                findings[key] = finding
                file.write(_line(key, finding))
            file.flush()
            waiting.clear()

        for clip in watch(clips):
            try:
                key = _key(clip, reader.model.fingerprint)
                if key not in findings:
                    waiting.append((key, clip, audio.load(clip.path)))
            except (InputError, OSError) as error:
                skipped[clip.id] = str(error)
                say(f"Skipped {clip.id}: {error}")
                continue
            keys[clip.id] = key
            samples = sum(len(waveform) for _, _, waveform in waiting)
            if len(waiting) >= _CHUNK_CLIPS or samples >= _CHUNK_SECONDS * audio.RATE_HZ:
                finish()
        finish()
    taken = [(clip, findings[keys[clip.id]]) for clip in clips if clip.id in keys]
    return Intake(
        clips=[_filled(clip, finding) for clip, finding in taken],
        vectors=np.array([finding.vector for _, finding in taken], dtype=np.float32),
        skipped=skipped,
    )


def _key(clip: Clip, fingerprint: str) -> str:
    """Name a finding by all that it depends on."""
    stat = Path(clip.path).stat()
    return f"{clip.path}|{stat.st_mtime_ns}|{stat.st_size}|{clip.gender}|{fingerprint}"


def _examine(
    reader: Reader, waiting: Sequence[tuple[str, Clip, np.ndarray]]
) -> Iterator[tuple[str, _Finding]]:
    """Yield key and finding of each (key, clip, waveform)."""
    if not waiting:
        return
    vectors = encode_clips(reader.model, [waveform for _, _, waveform in waiting])
    for (key, clip, waveform), vector in zip(waiting, vectors, strict=True):
        gender = clip.gender or _sure_gender(reader, vector)
        known = measured(replace(clip, gender=gender), prosody.measure(audio.trim(waveform)))
        levels = {name: getattr(known, name) for name in _LEVELS}
        yield key, _Finding(vector=vector, levels=levels, seconds=len(waveform) / audio.RATE_HZ)


def _sure_gender(reader: Reader, vector: np.ndarray) -> str:
    shares = reader.probabilities(vector)["gender"]
    gender = likeliest(shares)[0]
    return gender if shares[gender] > _SURE else ""


def _filled(clip: Clip, finding: _Finding) -> Clip:
    """Enter what was measured; what cannot be told stays as the manifest has it."""
    told = {name: level for name, level in finding.levels.items() if level}
    return replace(clip, **told, seconds=round(finding.seconds, 3))


def _line(key: str, finding: _Finding) -> str:
    vector = base64.b64encode(finding.vector.astype("<f4").tobytes()).decode()
    return json.dumps([key, vector, finding.levels, finding.seconds]) + "\n"


def _read_work(work: Path) -> dict[str, _Finding]:
    """Read the findings of an earlier run; a line cut short by a kill is dropped."""
    findings = {}
    lines = work.read_text(encoding="utf-8").splitlines() if work.is_file() else []
    for line in lines:
        try:
            key, vector, levels, seconds = json.loads(line)
        except ValueError:
            continue
        findings[key] = _Finding(
            vector=np.frombuffer(base64.b64decode(vector), "<f4"), levels=levels, seconds=seconds
        )
    return findings
