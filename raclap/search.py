"""The engine: a description or a clip in, ranked `Hit`s, a `Reading` or a `Comparison` out.

In: text, an audio file, or samples at 16 kHz. Deliberately not here: how a gallery is stored
(`index`), how it is made (`intake`), and anything about a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError

from raclap import audio
from raclap.config import InputError, RelationConfig
from raclap.corpus import Clip
from raclap.evidence import Account, Relevance, accounts, word_by_time
from raclap.index import Gallery
from raclap.reading import Level, Reader, Reading, encode_clips, encode_texts
from raclap.relation import relation

if TYPE_CHECKING:
    from raclap.model import RACLAP

__all__ = [
    "BUNDLED",
    "CHECKPOINT",
    "Comparison",
    "Engine",
    "Explanation",
    "Hit",
    "Level",
    "Reading",
    "check_text",
    "open_reader",
]

ROOT = Path(__file__).resolve().parent.parent
CHECKPOINT = ROOT / "checkpoints" / "raclap-base"
BUNDLED = ROOT / "assets" / "gallery"
MAX_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One clip of a ranked answer.

    Attributes:
        rank: from 1.
        clip: the gallery's record.
        score: cosine, -1 to 1.
        path: absolute path of the audio.
    """

    rank: int
    clip: Clip
    score: float
    path: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Some clips against some descriptions.

    Attributes:
        clips: N names.
        texts: M descriptions.
        similarity: (N, M) float32 cosines.
        relation: (N, M) float32, the teacher's soft targets; each row sums to 1.
    """

    clips: list[str]
    texts: list[str]
    similarity: np.ndarray
    relation: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Why one clip has its score for a description.

    Attributes:
        account: what each thing said adds to the score.
        relevance: the same by word and time.
        waveform: (S,) the clip at 16 kHz, in whose time ``relevance`` is.
    """

    account: Account
    relevance: Relevance
    waveform: np.ndarray


class Engine:
    """A model and a gallery that answer questions; nothing here is random.

    Args:
        model: encodes texts and clips, or the reader around it.
        gallery: what can be found; made by the same model.

    Raises:
        InputError: another model made the gallery.
    """

    def __init__(self, model: RACLAP | Reader, gallery: Gallery) -> None:
        self._reader = model if isinstance(model, Reader) else Reader(model)
        self.model, self.gallery = self._reader.model, gallery
        gallery.check(self.model.fingerprint)

    @classmethod
    def open(cls, checkpoint: str | Path = CHECKPOINT, gallery: str | Path = "bundled") -> Engine:
        """Load both from disk.

        Args:
            checkpoint: folder, or name on the hub.
            gallery: folder, or ``bundled`` for the one that ships.

        Raises:
            InputError: either is missing, damaged, or not made for the other.
        """
        # The gallery first: its mistakes show at once, the model takes seconds to load.
        shelf = Gallery.load(BUNDLED if str(gallery) == "bundled" else gallery)
        return cls(open_reader(checkpoint), shelf)

    def search_text(
        self, text: str, top: int = 10, where: Mapping[str, str] | None = None
    ) -> list[Hit]:
        """Find the clips that sound as described.

        Args:
            text: 1 to 1,000 characters, any language or script (the model knows English).
            top: how many at most.
            where: attribute -> value that every clip must have.

        Raises:
            InputError: empty or too long, or a filter that the gallery does not know.
        """
        return self._hits(_texts(self.model, [check_text(text)]), top, where)

    def search_clip(
        self, clip: str | Path | np.ndarray, top: int = 10, where: Mapping[str, str] | None = None
    ) -> list[Hit]:
        """Find the clips that sound like this one.

        Args:
            clip: audio file, or (S,) samples at 16 kHz.
            top: how many at most.
            where: attribute -> value that every clip must have.

        Raises:
            InputError: no usable audio, or a filter that the gallery does not know.
        """
        return self._hits(self._reader.hear(_waveform(clip))[None], top, where)

    def describe(self, clip: str | Path | np.ndarray, top: int = 5) -> Reading:
        """Tell how a clip is spoken.

        Args:
            clip: audio file, or (S,) samples at 16 kHz.
            top: how many descriptions at most.

        Raises:
            InputError: no usable audio.
        """
        name = "recording" if isinstance(clip, np.ndarray) else str(clip)
        return self._reader.read(_waveform(clip), name, top)

    def compare(self, clips: Sequence[str | Path], texts: Sequence[str]) -> Comparison:
        """Hold clips against descriptions.

        Args:
            clips: ids of gallery clips, or audio files.
            texts: descriptions.

        Raises:
            InputError: nothing to compare, an empty text, or no usable audio.
        """
        if not clips or not texts:
            raise InputError("Choose at least one clip and one description to compare.")
        texts, rows = [check_text(text) for text in texts], self.gallery.rows
        files = [
            self.gallery.clips[rows[clip]].path if clip in rows else str(clip) for clip in clips
        ]
        waveforms = [audio.load(file) for file in files]
        speech = [
            self.gallery.vectors[rows[clip]] if clip in rows else self._reader.hear(waveform)
            for clip, waveform in zip(clips, waveforms, strict=True)
        ]
        similarity = np.stack(speech) @ _texts(self.model, texts).T
        teacher = self.model.teacher
        soft = (
            encode_clips(teacher, waveforms) @ _texts(teacher, texts).T if teacher else similarity
        )
        return Comparison(
            clips=[clip if clip in rows else Path(clip).name for clip in clips],
            texts=texts,
            similarity=similarity,
            relation=relation(torch.from_numpy(soft), RelationConfig().temperature).numpy(),
        )

    def explain(self, clip: str | Path | np.ndarray, text: str) -> Explanation:
        """Tell why a clip has its score for a description; see `raclap.evidence`.

        Args:
            clip: id of a gallery clip, audio file, or (S,) samples at 16 kHz.
            text: a description.

        Raises:
            InputError: an empty or too long text, or no usable audio.
        """
        text, row = check_text(text), None
        if not isinstance(clip, np.ndarray):
            row = self.gallery.rows.get(str(clip))
        waveform = _waveform(clip if row is None else self.gallery.clips[row].path)
        vector = self._reader.hear(waveform) if row is None else self.gallery.vectors[row]
        return Explanation(
            account=accounts(self.model, vector[None], text)[0],
            relevance=word_by_time(self.model, waveform, text),
            waveform=waveform,
        )

    def _hits(self, vector: np.ndarray, top: int, where: Mapping[str, str] | None) -> list[Hit]:
        scores, rows = self.gallery.search(vector, top, where)
        return [
            Hit(rank=rank, clip=clip, score=float(np.clip(score, -1, 1)), path=clip.path)
            for rank, (score, clip) in enumerate(
                zip(scores[0], (self.gallery.clips[row] for row in rows[0]), strict=True), start=1
            )
        ]


def check_text(text: str) -> str:
    """Return a description without surrounding space, or say why it cannot be searched for."""
    text = text.strip()
    if not text:
        raise InputError("The description is empty; say how the voice should sound.")
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"The description has {len(text):,} characters; shorten it to {MAX_CHARACTERS:,}."
        )
    return text


def open_reader(checkpoint: str | Path = CHECKPOINT) -> Reader:
    """Load a checkpoint from a folder or, by its name, from the hub.

    Raises:
        InputError: it is missing or damaged.
    """
    from raclap.model import RACLAP  # transformers takes seconds to import

    try:
        model = RACLAP.from_pretrained(str(checkpoint))
    except InputError:
        raise
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        if Path(checkpoint).is_dir():
            reason = str(error).strip().partition("\n")[0]
            raise InputError(
                f"The checkpoint {checkpoint} is damaged ({reason}); restore it, e.g. with git, or "
                "give another one with --checkpoint."
            ) from error
        raise InputError(
            f"There is no checkpoint {checkpoint}, as a folder or on the hub; give one with "
            "--checkpoint."
        ) from error
    # Vectors of all attribute values are kept beside the weights, so that the next start is quick.
    cache = Path(checkpoint) / "values.npz" if Path(checkpoint).is_dir() else None
    return Reader(model, cache)


def _texts(model: RACLAP, texts: Sequence[str]) -> np.ndarray:
    return np.concatenate(list(encode_texts(model, texts)))


def _waveform(clip: str | Path | np.ndarray) -> np.ndarray:
    """(S,) float32 at 16 kHz of a file or of samples that are at 16 kHz already."""
    if isinstance(clip, np.ndarray):
        return audio.from_samples(clip, audio.RATE_HZ)
    return audio.load(clip)
