"""Galleries by name around one model: what a page can search, and what it is taking in.

In: an `Engine` and a folder for galleries. Out: an engine for each gallery, and jobs that fetch,
unpack and index in the background; a job that was stopped or killed goes on where it was.
Deliberately not here: the steps themselves (``homes``, ``unpack``, ``intake``), anything of a page.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raclap import corpus
from raclap.config import InputError
from raclap.corpus import Clip
from raclap.files import cache
from raclap.homes import HOMES, Home, begun, complete, fetch
from raclap.index import CARD, Card, Gallery, read_card
from raclap.intake import find_clips, make_gallery
from raclap.search import Engine
from raclap.unpack import Limits, unpack

_log = logging.getLogger(__name__)

KEPT_SECONDS = 3600  # how long a visitor's own gallery lasts
_OWN = re.compile(r"own-[0-9a-f]{32}")
_VISITORS = "visitors"
_MOST_WAITING = 4
_TELLING_SECONDS = 3.0  # a pace over less says little
_OWN_LIMITS = Limits(files=2_000, bytes=2**30)


class _StoppedError(Exception):
    """Somebody asked a job to stop."""


@dataclass(kw_only=True, eq=False)
class Job:
    """A gallery being taken in.

    Attributes:
        step: what is being done.
        done: how much of it: bytes, files or clips.
        total: of how much, where that is known.
        error: why it ended, in a sentence; empty while it runs and after a good end.
        running: whether it is still at work, or waits for its turn.
        skipped: the clips that could not be used.
        stop: set to end it.
        thread: in which it works.
    """

    step: str = "Waiting"
    done: int = 0
    total: int | None = None
    error: str = ""
    running: bool = True
    skipped: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    _since: tuple[float, int] = field(default=(0.0, 0), init=False)

    @property
    def left(self) -> float | None:
        """Seconds that this step still takes at its pace; None until that can be told."""
        begun, first = self._since
        taken = time.monotonic() - begun
        if not self.total or self.done <= first or taken < _TELLING_SECONDS:
            return None
        return taken / (self.done - first) * (self.total - self.done)

    def watch(self, step: str, done: int, total: int | None) -> None:
        """Take note of the progress; the way out for a job that shall stop."""
        if step != self.step:
            self._since = (time.monotonic(), done)
        self.step, self.done, self.total = step, done, total
        if self.stop.is_set():
            raise _StoppedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A gallery that can be searched: its name here, its title, note and number of clips."""

    name: str
    title: str
    note: str
    count: int


class Shelf:
    """Galleries by name; the empty name is the one that the page was opened with.

    Args:
        engine: of that first gallery; its model reads all others.
        folder: where galleries are kept, by default ``RACLAP_GALLERIES`` or the user's cache.
        homes: the corpora that can be fetched.
        pause: seconds before a home that did not answer is asked again.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path | None = None,
        homes: Mapping[str, Home] = HOMES,
        pause: float = 1.0,
    ) -> None:
        self.first, self.folder, self.homes = engine, folder or default_folder(), homes
        self.jobs: dict[str, Job] = {}
        self._pause = pause
        self._engines: dict[str, Engine] = {}
        self._archives: dict[str, Path] = {}
        self._lock = threading.Lock()
        self._lanes = {"corpus": threading.Lock(), "own": threading.Lock()}
        self._sweep()
        atexit.register(self.close)

    def __getitem__(self, name: str) -> Engine:
        """Return the engine of a gallery, opened once and again when another was saved there.

        Raises:
            InputError: there is none of this name, or another model made it.
        """
        if not name:
            return self.first
        with self._lock:
            place = self._place(name)
            if not (place / CARD).is_file():
                names = ", ".join(repr(entry.name) for entry in self.entries() if entry.name)
                raise InputError(
                    f"There is no gallery {name[:80]!r} here (any more); "
                    f"there are {names or 'no others'}."
                )
            engine = self._engines.get(name)
            if engine is None or engine.gallery.card != read_card(place):
                engine = self._engines[name] = self.first.over(Gallery.load(place), name)
            return engine

    def entries(self) -> list[Entry]:
        """List what everybody can search, the first gallery first."""
        first = self.first.gallery
        found = [Entry(name="", title=first.name, note=first.note, count=len(first.clips))]
        for place in sorted(self.folder.glob(f"*/{CARD}")):
            card = self._card(place.parent)
            if card:
                name = place.parent.name
                found.append(Entry(name=name, title=card.name, note=card.note, count=card.count))
        return found

    def ready(self, name: str) -> bool:
        """Whether a corpus can be searched."""
        return self._card(self._place(name)) is not None

    def begun(self, name: str) -> bool:
        """Whether a corpus is here in part, so that taking it in goes on from there."""
        home, root = self.homes[name], self._place(name)
        return not self.ready(name) and (begun(home, root) > 0 or complete(home, root))

    def take_corpus(self, name: str) -> Job:
        """Fetch a corpus from its home and index it.

        Raises:
            InputError: an unknown corpus, or too much is waiting.
        """
        if name not in self.homes:
            raise InputError(f"{name!r} cannot be fetched; {', '.join(self.homes)} can.")
        home, root = self.homes[name], self._place(name)

        def work(job: Job) -> None:
            fetch(home, root, job.watch, self._pause)
            job.watch("Reading names", 0, None)
            note = f"{home.speech}; {home.licence}, from {home.page}."
            self._index(job, corpus.build(name, root), name, home.title, note)

        return self._start("corpus", name, work)

    def take_folder(self, source: str) -> str:
        """Index a folder of audio of this machine.

        Args:
            source: its path, as somebody typed it.

        Returns:
            The name under which it will be found.

        Raises:
            InputError: no such folder, or no audio in it.
        """
        folder = Path(source.strip()).expanduser()
        if not source.strip() or not folder.is_dir():
            raise InputError(f"There is no folder {source.strip()[:200]!r} on this machine.")
        folder = folder.resolve()
        clips = find_clips(folder)
        letters = re.sub(r"[^\w-]+", "-", folder.name).strip("-")[:40]
        # The same folder again takes the place of what it was.
        name = f"{letters or 'folder'}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
        note = "A folder of this machine."
        self._start("corpus", name, lambda job: self._index(job, clips, name, folder.name, note))
        return name

    def take_zip(self, archive: str, title: str) -> str:
        """Index the audio of a zip for whoever gets its name: unlisted, and gone after an hour.

        Args:
            archive: path of the zip, which is deleted with the gallery by `remove`.
            title: what to call the gallery.

        Returns:
            A name that nobody can guess.

        Raises:
            InputError: too much is waiting. What is wrong with the zip is told by the job.
        """
        name = f"own-{secrets.token_hex(16)}"
        root = self._place(name)

        def work(job: Job) -> None:
            def watch(done: int, total: int | None) -> None:
                job.watch("Unpacking", done, total)

            try:
                unpack(Path(archive), root / "clips", limits=_OWN_LIMITS, watch=watch)
                note = (
                    "A visitor's own recordings, for whoever has this address, deleted within the "
                    "hour."
                )
                self._index(job, find_clips(root / "clips"), name, title[:80], note)
            except BaseException:
                self._remove(name)
                raise
            else:
                self._archives[name] = Path(archive)
            finally:
                self._remove_in(KEPT_SECONDS, name)  # the job, too, which may say what was wrong

        self._start("own", name, work)
        return name

    def own(self, name: str) -> bool:
        """Whether a gallery of this name is, or was, a visitor's own."""
        return bool(_OWN.fullmatch(name))

    def remove(self, name: str) -> None:
        """Delete a visitor's own gallery, and the zip it came from, before its hour is over.

        Raises:
            InputError: it is nobody's own, or not whole yet.
        """
        job = self.jobs.get(name)
        if not self.own(name) or (job and job.running):
            raise InputError("Only a gallery of one's own that is ready can be deleted here.")
        archive = self._archives.get(name)
        self._remove(name)
        if archive:
            archive.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop what is at work, to go on another time, and remove what visitors of this run own."""
        jobs = self.jobs.copy()  # others may begin meanwhile
        for job in jobs.values():
            job.stop.set()
        for name, job in jobs.items():
            if job.thread:
                job.thread.join(timeout=10)
            if self.own(name):
                self._remove(name)

    def _index(self, job: Job, clips: Sequence[Clip], name: str, title: str, note: str) -> None:
        """Encode and measure clips and put the gallery on the shelf."""

        def watched(findings: Iterable[Any], *, initial: int, total: int) -> Iterator[Any]:
            job.watch("Indexing", initial, total)
            for done, finding in enumerate(findings, start=initial + 1):
                yield finding  # kept before the job may stop
                job.watch("Indexing", done, total)

        taken = make_gallery(
            self.first.reader, clips, self._place(name), name=title, note=note, watch=watched
        )
        # A page speaks UTF-8; the name of a file may be anything.
        job.skipped = [id.encode(errors="replace").decode() for id in taken.skipped]
        job.watch("Drawing", 0, None)
        _ = self[name].sketch  # before the first visitor has to wait for it

    def _start(self, lane: str, name: str, work: Callable[[Job], None]) -> Job:
        with self._lock:
            job = self.jobs.get(name)
            if job and job.running:
                return job
            if sum(job.running for job in self.jobs.values()) >= _MOST_WAITING:
                raise InputError("Too many galleries are being taken in; try again later.")
            job = self.jobs[name] = Job()
        job.thread = threading.Thread(target=self._run, args=[lane, job, work], daemon=True)
        job.thread.start()
        return job

    def _run(self, lane: str, job: Job, work: Callable[[Job], None]) -> None:
        try:
            while not self._lanes[lane].acquire(timeout=0.2):
                job.watch("Waiting", 0, None)
            try:
                work(job)
                job.step = "Ready"
            finally:
                self._lanes[lane].release()
        except _StoppedError:
            job.step = "Stopped"
        except (InputError, OSError) as error:
            job.error = str(error)
        except Exception:
            _log.exception("Taking in a gallery failed")
            job.error = "Something went wrong on our side; it was logged."
        finally:
            job.running = False

    def _place(self, name: str) -> Path:
        """The folder of a gallery; a name never leads out of the shelf's own."""
        if self.own(name):
            return self.folder / _VISITORS / name
        plain = re.fullmatch(r"[\w-]+", name) and name != _VISITORS
        return self.folder / (name if plain else "-")

    def _card(self, place: Path) -> Card | None:
        """What a gallery says of itself, if it is whole and of this model."""
        try:
            card = read_card(place)
        except InputError:
            return None
        return card if card.fingerprint == self.first.model.fingerprint else None

    def _remove(self, name: str) -> None:
        place = self._place(name)
        with self._lock:  # without its card nobody opens it again
            self._engines.pop(name, None)
            self._archives.pop(name, None)
            job = self.jobs.get(name)
            if job and not job.running:  # a failed one removes its gallery and has to say why
                del self.jobs[name]  # it names files of the visitor's
            (place / CARD).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)

    def _remove_in(self, seconds: float, name: str) -> None:
        end = threading.Timer(seconds, self._remove, [name])
        end.daemon = True
        end.start()

    def _sweep(self) -> None:
        """Let what visitors of other runs own end with its hour: a run may have been killed."""
        for place in (self.folder / _VISITORS).glob("*"):
            if self.own(place.name):
                age = time.time() - place.stat().st_mtime
                self._remove_in(max(0, KEPT_SECONDS - age), place.name)


def default_folder() -> Path:
    """Return where galleries are kept unless somebody says otherwise."""
    return Path(os.environ.get("RACLAP_GALLERIES") or cache() / "galleries")
