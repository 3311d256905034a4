"""Unit vectors and clip records become a gallery that knows which model made it.

In: vectors, `Clip` records and a model's fingerprint. Out: a folder that survives a kill, and
cosine search with facet filters inside FAISS. Deliberately not here: torch, models, audio, and how
the nearest are found (`nearest`).

    GALLERY/manifest.csv   the clips, one row a vector
    GALLERY/vectors.npy    (N, D) float32, unit length
    GALLERY/index.faiss    the same vectors as FAISS searches them
    GALLERY/gallery.json   fingerprint, counts, and the digests of the other three
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tokenize import TokenError  # numpy reads a header that is damaged as Python

import faiss
import numpy as np

from raclap import config, nearest, ranking
from raclap.config import InputError
from raclap.corpus import Clip, read_manifest, write_manifest
from raclap.facets import FACETS, Facets
from raclap.files import claim, digest_of

__all__ = ["CARD", "FACETS", "INDEX", "MANIFEST", "VECTORS", "Card", "Gallery", "read_card"]

MANIFEST, VECTORS, INDEX, CARD = "manifest.csv", "vectors.npy", "index.faiss", "gallery.json"
_VERSION = 1
_READY = ".gallery-ready"  # a complete new set of files, waiting to take its place
_AGAIN = "make it again with: python -m raclap index DIR_OR_MANIFEST --output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What gallery.json says about its folder."""

    version: int
    name: str
    note: str
    fingerprint: str
    count: int
    dim: int
    manifest_sha256: str
    vectors_sha256: str
    index_sha256: str

    @property
    def digests(self) -> dict[str, str]:
        """File name -> SHA-256."""
        return {
            MANIFEST: self.manifest_sha256,
            VECTORS: self.vectors_sha256,
            INDEX: self.index_sha256,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gallery:
    """Clips that can be searched. Make one with `build` or `load`.

    Attributes:
        name: what to call it on a page.
        note: what a listener should know, e.g. that the voices are synthetic.
        fingerprint: of the model that made the vectors.
        clips: N records; row n belongs to ``vectors[n]``.
        vectors: (N, D) float32, unit length; of a gallery that was read, mapped from its file.
        index: the same vectors in FAISS.
        rows: clip id -> row.
        columns: what clips can be filtered by.
        folder: where it was read from, if it was.
        card: what its folder said when it was last read or saved there.
    """

    name: str
    note: str
    fingerprint: str
    clips: list[Clip]
    vectors: np.ndarray
    index: faiss.Index
    rows: dict[str, int]
    columns: Facets
    folder: Path | None = None
    card: Card | None = None

    @classmethod
    def build(
        cls,
        vectors: np.ndarray,
        clips: Sequence[Clip],
        fingerprint: str,
        *,
        name: str = "",
        note: str = "",
    ) -> Gallery:
        """Put vectors and their clips together.

        Args:
            vectors: (N, D) float32, unit length, N >= 1.
            clips: N records with distinct ids.
            fingerprint: of the model that made ``vectors``.
            name: what to call the gallery.
            note: what a listener should know.

        Raises:
            ValueError: the vectors are not (N, D), not of unit length, or do not match the clips.
        """
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        rows = _numbered(vectors, clips)
        return cls(
            name=name,
            note=note,
            fingerprint=fingerprint,
            clips=list(clips),
            vectors=vectors,
            index=nearest.build(vectors),
            rows=rows,
            columns=Facets(clips),
        )

    def edited(
        self, vectors: np.ndarray, clips: Sequence[Clip], without: Collection[str] = ()
    ) -> Gallery:
        """Return the gallery with clips added, replaced and removed; this one stays as it is.

        An approximate index is not built again. Clips keep their rows, except that the last ones
        move into the gaps which removed ones leave.

        Args:
            vectors: (M, D) float32, unit length, of ``clips``.
            clips: M records; one whose id is in the gallery already takes that one's place.
            without: ids to remove.

        Raises:
            InputError: an id to remove that the gallery does not have, one that is given twice, or
                nothing would be left.
            ValueError: as `build`.
        """
        unknown = set(without) - self.rows.keys()
        if unknown:
            raise InputError(f"The gallery {self.name!r} has no clip {min(unknown)!r} to remove.")
        counts = Counter([*(clip.id for clip in clips), *set(without)])
        if twice := [id for id, count in counts.items() if count > 1]:
            raise InputError(f"The clip {min(twice)!r} is given twice; add it once, or remove it.")
        vectors = np.asarray(vectors, dtype=np.float32)
        if vectors.shape != (len(clips), self.vectors.shape[1]):
            raise ValueError(
                f"vectors have shape {vectors.shape} for {len(clips)} clips; they must be (M, D) "
                f"for M clips, D = {self.vectors.shape[1]}"
            )
        new = [clip for clip in clips if clip.id not in self.rows]
        stay = [*self.clips, *new]
        source = np.arange(len(stay))  # row now -> row in `stay`
        gaps = sorted({self.rows[id] for id in without})  # an id may come twice
        if len(gaps) == len(stay):
            raise InputError(f"Nothing would be left of the gallery {self.name!r}.")
        source = _closed(source, gaps)
        given = {clip.id: at for at, clip in enumerate(clips)}
        records = [stay[row] for row in source.tolist()]
        fresh = np.array([given.get(clip.id, -1) for clip in records])
        held = np.empty((len(records), self.vectors.shape[1]), np.float32)
        old = fresh < 0
        held[old] = self.vectors[source[old]]
        if (~old).any():
            held[~old] = vectors[fresh[~old]]
        records = [clip if at < 0 else clips[at] for clip, at in zip(records, fresh, strict=True)]
        rows = _numbered(held, records)
        changed = np.flatnonzero(~old | (source != np.arange(len(source))))
        return replace(
            self,
            clips=records,
            vectors=held,
            index=nearest.edited(self.index, held, changed),
            rows=rows,
            columns=Facets(records),
        )

    def save(self, folder: str | Path) -> None:
        """Write the gallery; a kill at any moment leaves the old one or the new one.

        Only the gallery's own four files are replaced, so the audio may live in the same folder.

        Args:
            folder: made if need be. Audio below it is referred to by relative path.

        Raises:
            InputError: another process is writing there, or has written since this was read from
                there, or the disk is full or read-only.
        """
        folder = Path(folder).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
            try:
                claim(
                    handle,
                    f"Another process is writing the gallery {folder}; wait until it has finished.",
                )
                self._write(folder)
            finally:
                os.close(handle)
        except OSError as error:
            raise InputError(
                f"The gallery {folder} cannot be written ({error.strerror or error}); what was "
                "there before is as it was."
            ) from error

    def _write(self, folder: Path) -> None:
        fresh = folder / f"{_READY}.part"
        shutil.rmtree(fresh, ignore_errors=True)
        _settle(folder)
        if folder == self.folder:
            self._check_unchanged()
        fresh.mkdir()
        try:
            card = self._write_files(fresh, folder)
            fresh.rename(folder / _READY)  # the moment at which the new gallery counts
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        _settle(folder)
        if folder == self.folder:
            object.__setattr__(self, "card", card)  # it may be edited and saved again

    def _check_unchanged(self) -> None:
        """Refuse to undo what somebody else has saved since this was read."""
        found = None
        with contextlib.suppress(InputError):
            found = read_card(self.folder)
        if found != self.card:
            raise InputError(
                f"The gallery {self.folder} was changed since it was read; load it again."
            )

    def _write_files(self, fresh: Path, folder: Path) -> Card:
        write_manifest(self.clips, fresh / MANIFEST, relative_to=folder)
        np.save(fresh / VECTORS, self.vectors, allow_pickle=False)
        nearest.write(self.index, fresh / INDEX)
        card = Card(
            version=_VERSION,
            name=self.name,
            note=self.note,
            fingerprint=self.fingerprint,
            count=len(self.clips),
            dim=self.vectors.shape[1],
            manifest_sha256=digest_of(fresh / MANIFEST),
            vectors_sha256=digest_of(fresh / VECTORS),
            index_sha256=digest_of(fresh / INDEX),
        )
        (fresh / CARD).write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")
        return card

    @classmethod
    def load(cls, folder: str | Path) -> Gallery:
        """Read a gallery that `save` wrote.

        Raises:
            InputError: no gallery there, or anything of it missing, changed or damaged.
        """
        folder = Path(folder).absolute()
        if not folder.is_dir():
            raise InputError(f"There is no gallery folder {folder}; {_AGAIN} {folder}")
        try:
            _settle(folder)
            card = read_card(folder)
            try:
                return cls._read(folder, card)
            except InputError:
                _settle(folder)
                if read_card(folder) == card:
                    raise
                return cls.load(folder)  # it was replaced while it was read
        except OSError as error:
            raise InputError(
                f"The gallery {folder} cannot be read ({error.strerror or error})."
            ) from error

    @classmethod
    def _read(cls, folder: Path, card: Card) -> Gallery:
        for name, digest in card.digests.items():
            if not (folder / name).is_file():
                raise InputError(f"The gallery {folder} has lost its {name}; {_AGAIN} {folder}")
            if digest_of(folder / name) != digest:
                raise InputError(
                    f"{name} of the gallery {folder} is not what was saved there; {_AGAIN} {folder}"
                )
        clips = read_manifest(folder / MANIFEST, present=False)  # vectors answer for what is gone
        try:
            vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
            index = nearest.read(folder / INDEX)
        except (ValueError, RuntimeError, EOFError, MemoryError, TokenError) as error:
            raise InputError(
                f"{VECTORS} or {INDEX} of the gallery {folder} cannot be read; {_AGAIN} {folder}"
            ) from error
        if vectors.shape != (card.count, card.dim) or not len(clips) == index.ntotal == card.count:
            raise InputError(
                f"The gallery {folder} should hold {card.count} clips of {card.dim} numbers; found "
                f"{len(clips)} clips and vectors of shape {vectors.shape}; {_AGAIN} {folder}"
            )
        if vectors.dtype != np.float32 or not nearest.suits(index, card.dim):
            raise InputError(
                f"{VECTORS} or {INDEX} of the gallery {folder} is not of the kind that is saved "
                f"there; {_AGAIN} {folder}"
            )
        return cls(
            name=card.name,
            note=card.note,
            fingerprint=card.fingerprint,
            clips=clips,
            vectors=vectors,
            index=index,
            rows={clip.id: row for row, clip in enumerate(clips)},
            columns=Facets(clips),
            folder=folder,
            card=card,
        )

    def check(self, fingerprint: str) -> None:
        """Refuse a model other than the one that made the vectors.

        Raises:
            InputError: the fingerprints differ.
        """
        check_model(repr(self.name), self.fingerprint, fingerprint)

    def facets(self) -> dict[str, dict[str, int]]:
        """By what clips can be filtered: attribute -> value -> how many have it, sorted."""
        return self.columns.counts()

    def matching(self, where: Mapping[str, str]) -> np.ndarray:
        """Return the rows (N',) int64, in order, of the clips that satisfy the filter.

        Args:
            where: as for `search`.

        Raises:
            InputError: an attribute or value that no clip of the gallery has.
        """
        return self.columns.matching(where)

    def records(self, rows: Iterable[int]) -> list[Clip]:
        """Return the clips in these rows."""
        return [self.clips[row] for row in rows]

    def search(
        self, vectors: np.ndarray, top: int, where: Mapping[str, str] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest clips by cosine, among those that satisfy the filter.

        Args:
            vectors: (Q, D) float32, unit length.
            top: K, 1 or more; fewer results come when fewer clips qualify.
            where: attribute -> value that a clip must have; attributes are those of `FACETS`.

        Returns:
            Scores (Q, K) float32, best first, and rows (Q, K) int64; equal scores in row order.

        Raises:
            InputError: ``top`` below 1, or an attribute or value that no clip of the gallery has.
        """
        allowed = self._allowed(top, where)
        count = min(top, len(self.clips) if allowed is None else len(allowed))
        if count == 0:
            return np.empty((len(vectors), 0), np.float32), np.empty((len(vectors), 0), np.int64)
        return nearest.search(self.index, self.vectors, vectors, count, allowed)

    def less(
        self,
        wanted: np.ndarray,
        unwanted: np.ndarray,
        top: int,
        where: Mapping[str, str] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rank all clips that satisfy the filter by `ranking.less`.

        Args:
            wanted: (D,) unit vector.
            unwanted: (D,) unit vector.
            top: K, 1 or more.
            where: as for `search`.

        Returns:
            Scores (K,), best first, and rows (K,) int64; equal scores in row order.

        Raises:
            InputError: as `search`.
        """
        allowed = self._allowed(top, where)
        vectors = self.vectors if allowed is None else self.vectors[allowed]
        scores = ranking.less(vectors @ wanted, vectors @ unwanted)
        best = np.argsort(-scores, kind="stable")[:top]
        return scores[best], best if allowed is None else allowed[best]

    def _allowed(self, top: int, where: Mapping[str, str] | None) -> np.ndarray | None:
        """Rows (N',) int64 of the clips that satisfy ``where``; None for all."""
        if top < 1:
            raise InputError(f"The number of results is {top}; it must be 1 or more.")
        return self.matching(where) if where else None


def check_model(gallery: str, maker: str, model: str) -> None:
    """Refuse a model other than the one that made a gallery's vectors.

    Args:
        gallery: what to call it.
        maker: fingerprint of the model that made its vectors.
        model: fingerprint of the one that is to search it.

    Raises:
        InputError: they differ.
    """
    if model != maker:
        raise InputError(
            f"The gallery {gallery} was made by another model ({maker[:12]}) than this one "
            f"({model[:12]}); index its clips again with this checkpoint."
        )


def _numbered(vectors: np.ndarray, clips: Sequence[Clip]) -> dict[str, int]:
    """Clip id -> row, of vectors and clips that belong together."""
    rows = {clip.id: row for row, clip in enumerate(clips)}
    if vectors.ndim != 2 or not len(vectors) == len(clips) == len(rows) > 0:
        raise ValueError(
            f"vectors have shape {vectors.shape} for {len(clips)} clips with {len(rows)} ids; "
            "they must be (N, D) for N >= 1 clips with an id each"
        )
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
        raise ValueError("vectors must have unit length")
    return rows


def _closed(rows: np.ndarray, gaps: Sequence[int]) -> np.ndarray:
    """Move the last rows into the gaps, (N,) to (N - gaps,)."""
    left = len(rows) - len(gaps)
    inner = [gap for gap in gaps if gap < left]
    moved = np.setdiff1d(np.arange(left, len(rows)), gaps)
    rows = rows[:left].copy()
    rows[inner] = moved
    return rows


def _settle(folder: Path) -> None:
    """Let a complete new set of files take its place, also where an earlier save was killed."""
    ready = folder / _READY
    for name in (MANIFEST, VECTORS, INDEX, CARD):
        with contextlib.suppress(FileNotFoundError):
            (ready / name).replace(folder / name)
    with contextlib.suppress(OSError):
        ready.rmdir()


def read_card(folder: Path) -> Card:
    """Read what gallery.json says about its folder.

    Raises:
        InputError: there is none, or it is damaged.
    """
    try:
        values = json.loads((folder / CARD).read_text(encoding="utf-8"))
        json.dumps(values, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except FileNotFoundError:
        raise InputError(
            f"{folder} is not a gallery (it has no {CARD}); a folder of audio becomes one with: "
            f"python -m raclap index {folder} --output {folder}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{CARD} of the gallery {folder} cannot be read; {_AGAIN} {folder}"
        ) from error
    version = values.get("version") if isinstance(values, dict) else None
    if isinstance(version, int) and version != _VERSION:
        raise InputError(
            f"The gallery {folder} is of version {version}, this program reads {_VERSION}; "
            f"{_AGAIN} {folder}"
        )
    try:
        return config.from_dict(Card, values)
    except (InputError, TypeError, AttributeError) as error:  # unknown, missing, not an object
        raise InputError(f"{CARD} of the gallery {folder} is damaged; {_AGAIN} {folder}") from error
