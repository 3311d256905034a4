"""The engine: a description or a clip in, ranked `Hit`s, a `Reading` or a `Comparison` out.

In: text, an audio file, or samples at 16 kHz. Deliberately not here: how a gallery is stored
(`index`), how it is made (`intake`), and anything about a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raclap import audio, query, ranking, scope
from raclap.checkpoint import CHECKPOINT, open_reader
from raclap.collection import Collection
from raclap.comparison import Comparison, compare
from raclap.config import InputError
from raclap.corpus import Clip
from raclap.evidence import Account, Relevance, accounts, word_by_time
from raclap.index import Gallery
from raclap.milvus import is_address
from raclap.query import check_text
from raclap.reading import ANYONE, Reader, Reading, text_vectors
from raclap.sketch import Sketch, sketch
from raclap.style import Style
from raclap.timeline import Moment, follow

if TYPE_CHECKING:
    from raclap.model import RACLAP

__all__ = ["BUNDLED", "ROOT", "Engine", "Explanation", "Hit"]

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = ROOT / "assets" / "gallery"
# Texts that say nothing of style, from which a change of nothing in particular is reckoned.
_NEUTRAL = (ANYONE, "a voice", "someone talking")
_POOL = 200  # clips among which a varied answer is chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One clip of a ranked answer.

    Attributes:
        rank: from 1.
        clip: the gallery's record.
        score: cosine, -1 to 1, less what is not wanted: -2 at the least.
    """

    rank: int
    clip: Clip
    score: float

    @property
    def path(self) -> str:
        """Absolute path of the audio."""
        return self.clip.path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Why one clip has its score for a description.

    Attributes:
        text: what is wanted of the description.
        account: what each thing said adds to the score.
        relevance: the same by word and time.
        waveform: (S,) the clip at 16 kHz, in whose time ``relevance`` is.
        without: what is not wanted; empty for nothing.
        taken: what is taken from the account's score for that, 0 or above.
    """

    text: str
    account: Account
    relevance: Relevance
    waveform: np.ndarray
    without: str
    taken: float

    @property
    def score(self) -> float:
        """What a search gives the clip."""
        return self.account.score - self.taken


class Engine:
    """A model and a gallery that answer questions; nothing here is random.

    Args:
        model: encodes texts and clips, or the reader around it.
        gallery: what can be found; made by the same model.
        name: by which a shelf of several galleries knows this one.

    Raises:
        InputError: another model made the gallery.
    """

    def __init__(
        self, model: RACLAP | Reader, gallery: Gallery | Collection, name: str = ""
    ) -> None:
        self.reader = model if isinstance(model, Reader) else Reader(model)
        self.model, self.gallery, self.name = self.reader.model, gallery, name
        gallery.check(self.model.fingerprint)

    @classmethod
    def open(cls, checkpoint: str | Path = CHECKPOINT, gallery: str | Path = "bundled") -> Engine:
        """Load both from disk.

        Args:
            checkpoint: folder, or name on the hub.
            gallery: folder, address in Milvus, or ``bundled`` for the one that ships.

        Raises:
            InputError: either is missing, damaged, or not made for the other.
        """
        # The gallery first: its mistakes show at once, the model takes seconds to load.
        load = Collection.load if is_address(gallery) else Gallery.load
        loaded = load(BUNDLED if str(gallery) == "bundled" else gallery)
        return cls(open_reader(checkpoint), loaded)

    def over(self, gallery: Gallery | Collection, name: str) -> Engine:
        """Return the same model over another gallery, which a shelf knows by this name.

        Raises:
            InputError: another model made it.
        """
        return Engine(self.reader, gallery, name)

    def search_text(
        self,
        text: str,
        top: int = 10,
        where: Mapping[str, str] | None = None,
        *,
        without: str = "",
        varied: bool = False,
    ) -> list[Hit]:
        """Find the clips that sound as described.

        Args:
            text: 1 to 1,000 characters, any language or script (the model knows English); what it
                denies is not wanted, see `sought`. It may be empty if ``without`` is not.
            top: how many at most.
            where: attribute -> value that every clip must have.
            without: a description of what is not wanted; see `ranking.less`.
            varied: few clips of one speaker, none twice; see `ranking.varied`.

        Raises:
            InputError: empty or too long, or a filter that the gallery does not know.
        """
        wanted, unwanted = self.sought(text, without)
        vectors = [self.reader.asked(wanted).vector]
        if unwanted:
            vectors.append(self.reader.against(unwanted))
        return self._hits(np.stack(vectors), top, where, varied)

    def sought(self, text: str, without: str = "") -> tuple[str, str]:
        """Part what is searched for from what counts against a clip; see `Reader.sought`."""
        return self.reader.sought(text, without)

    def search_clip(
        self,
        clip: str | Path | np.ndarray,
        top: int = 10,
        where: Mapping[str, str] | None = None,
        *,
        varied: bool = False,
    ) -> list[Hit]:
        """Find the clips that sound like this one.

        Args:
            clip: id of a gallery clip, audio file, or (S,) samples at 16 kHz.
            top: how many at most.
            where: attribute -> value that every clip must have.
            varied: few clips of one speaker, none twice.

        Raises:
            InputError: no usable audio, or a filter that the gallery does not know.
        """
        return self._hits(self._vector(clip)[None], top, where, varied)

    def blend(
        self,
        clip: str | Path | np.ndarray,
        changes: Mapping[str, float],
        top: int = 10,
        where: Mapping[str, str] | None = None,
        *,
        varied: bool = False,
    ) -> list[Hit]:
        """Find the clips that sound like this one, but changed.

        A change leads from what the model hears in the clip to what the text says, in the
        attributes that the text names; one that denies leads from what it denies to any voice. See
        `ranking.blend`.

        Args:
            clip: id of a gallery clip, audio file, or (S,) samples at 16 kHz.
            changes: description, as in "angrier", "less sad" or "a woman" -> weight; 0 changes
                nothing.
            top: how many at most.
            where: attribute -> value that every clip must have.
            varied: few clips of one speaker, none twice.

        Raises:
            InputError: no usable audio, an empty or too long text, an impossible weight or filter.
        """
        if not all(np.isfinite(weight) and 0 <= weight <= 10 for weight in changes.values()):
            raise InputError("The weight of a change must be a number from 0 to 10.")
        vector = self._vector(clip)
        directions, weights = [], []
        for text, weight in changes.items():
            heard, topics = scope.within(query.positive(check_text(text)))
            if topics and heard == scope.NOTHING:
                continue
            wanted, denied = self.reader.parted(heard)
            if wanted:
                start = self._start(vector, self.mentioned(wanted))
                directions.append(self._said([wanted]) - start)
            if denied:
                directions.append(self._anyone - self._said([denied]))
            weights += [weight] * (len(directions) - len(weights))
        if directions:
            vector = ranking.blend(vector, np.stack(directions), weights)
        return self._hits(vector[None], top, where, varied)

    @cached_property
    def sketch(self) -> Sketch:
        """What a page draws of the gallery: waveforms and places on a map."""
        return sketch(self.gallery)

    def mentioned(self, text: str) -> Style:
        """Return the values that a description asks for, its spelling mistakes put right."""
        return self.reader.mentioned(text)

    def understood(self, text: str) -> Style:
        """Return the values that a description asks for, in whatever words."""
        return self.reader.understood(text)

    def named(self, text: str) -> dict[str, tuple[str, ...]]:
        """Return all values that a description asks for, by attribute."""
        return self.reader.named(text)

    def remarks(self, text: str) -> list[str]:
        """Say in sentences what of a description is not heard, or not English."""
        return scope.remarks(text, self.model.vocabulary)

    def describe(self, clip: str | Path | np.ndarray, top: int = 5) -> Reading:
        """Tell how a clip is spoken.

        Args:
            clip: audio file, or (S,) samples at 16 kHz.
            top: how many descriptions at most.

        Raises:
            InputError: no usable audio.
        """
        name = "recording" if isinstance(clip, np.ndarray) else str(clip)
        return self.reader.read(_waveform(clip), name, top)

    def score(self, clip: str | Path | np.ndarray, text: str) -> float:
        """Return the score of a clip for a description, as `search_text` gives it.

        Args:
            clip: id of a gallery clip, audio file, or (S,) samples at 16 kHz.
            text: a description.

        Raises:
            InputError: an empty or too long text, or no usable audio.
        """
        vector, (wanted, unwanted) = self._vector(clip), self.sought(text)
        return float(vector @ self.reader.asked(wanted).vector) - self._loss(vector, unwanted)

    def compare(self, clips: Sequence[str | Path], texts: Sequence[str]) -> Comparison:
        """Hold clips against descriptions.

        Args:
            clips: ids of gallery clips, or audio files.
            texts: descriptions.

        Raises:
            InputError: nothing to compare, an empty text, or no usable audio.
        """
        return compare(self.reader, self.gallery, clips, texts)

    def explain(self, clip: str | Path | np.ndarray, text: str, without: str = "") -> Explanation:
        """Tell why a clip has its score for a description; see `raclap.evidence`.

        Args:
            clip: id of a gallery clip, audio file, or (S,) samples at 16 kHz.
            text: a description; it may be empty if ``without`` is not.
            without: what is not wanted besides what it denies.

        Raises:
            InputError: an empty or too long text, or no usable audio.
        """
        wanted, unwanted = self.sought(text, without)
        row = self.gallery.rows.get(clip) if isinstance(clip, str) else None
        waveform = _waveform(clip if row is None else self.gallery.clips[row].path)
        vector = self.reader.hear(waveform) if row is None else self.gallery.vectors[row]
        return Explanation(
            text=wanted,
            account=accounts(self.model, vector[None], wanted)[0],
            relevance=word_by_time(self.model, waveform, wanted),
            waveform=waveform,
            without=unwanted,
            taken=self._loss(vector, unwanted),
        )

    def follow(self, clip: str | Path | np.ndarray) -> list[Moment]:
        """Tell how the style of a longer clip changes; empty where it is too short to change.

        Args:
            clip: audio file, or (S,) samples at 16 kHz.

        Raises:
            InputError: no usable audio.
        """
        return follow(self.reader, _waveform(clip))

    def _vector(self, clip: str | Path | np.ndarray) -> np.ndarray:
        """The unit vector (D,) of a clip."""
        if isinstance(clip, str) and clip in self.gallery.rows:
            return self.gallery.vectors[self.gallery.rows[clip]]
        return self.reader.hear(_waveform(clip))

    def _start(self, vector: np.ndarray, goal: Style) -> np.ndarray:
        """(D,) what is heard of the attributes of ``goal``, as a text would say it."""
        if not goal.known:
            return self._anyone
        heard, classes = self.reader.probabilities(vector), self.reader.classes
        each = [np.array(list(heard[name].values())) @ classes[name] for name in goal.known]
        return np.mean(each, axis=0, dtype=np.float32)

    @cached_property
    def _anyone(self) -> np.ndarray:
        """(D,) what says nothing of a voice."""
        return self._said(_NEUTRAL)

    def _said(self, texts: Sequence[str]) -> np.ndarray:
        """(D,) what texts say on average, and nothing that goes without saying."""
        return text_vectors(self.model, texts, expecting=False).mean(axis=0)

    def _loss(self, vector: np.ndarray, unwanted: str) -> float:
        """What the score of a clip's (D,) vector loses for what is not wanted, 0 or above."""
        return max(0.0, float(vector @ self.reader.against(unwanted))) if unwanted else 0.0

    def _hits(
        self, vectors: np.ndarray, top: int, where: Mapping[str, str] | None, varied: bool
    ) -> list[Hit]:
        """Rank by the first vector (1 or 2, D), less the second."""
        gallery, count = self.gallery, max(top, _POOL) if varied and top > 0 else top
        if len(vectors) == 1:
            scores, rows = (found[0] for found in gallery.search(vectors, count, where))
        else:
            scores, rows = gallery.less(*vectors, count, where)
        if varied:
            best = rows.tolist()
            speakers = [gallery.clips[row].speaker for row in best]
            kept = ranking.varied(gallery.vectors[best], speakers, top)
            scores, rows = scores[kept], rows[kept]
        return [
            Hit(rank=rank, clip=clip, score=float(np.clip(score, -2, 1)))
            for rank, (score, clip) in enumerate(
                zip(scores, (gallery.clips[row] for row in rows), strict=True), start=1
            )
        ]


def _waveform(clip: str | Path | np.ndarray) -> np.ndarray:
    """(S,) float32 at 16 kHz of a file or of samples that are at 16 kHz already."""
    if isinstance(clip, np.ndarray):
        return audio.from_samples(clip, audio.RATE_HZ)
    return audio.load(clip)
