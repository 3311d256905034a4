"""What clips can be filtered by: labels and levels, and what is heard where there is no label.

In: records. Out: the values present, and the rows that have given ones. Each column is coded once,
when it is first asked about, so that a filter over a million clips takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from raclap.config import InputError
from raclap.corpus import Clip
from raclap.style import ATTRIBUTES

FACETS = (*ATTRIBUTES, "language", "speaker", "corpus")


def no_facet(name: str, present: Mapping[str, Iterable[str]]) -> InputError:
    """Refuse to filter by an attribute that no clip has.

    Args:
        name: of the attribute.
        present: attribute -> values, of the gallery.
    """
    names = ", ".join(present) or "nothing"
    return InputError(f"Clips of this gallery cannot be filtered by {name!r}; they can by {names}.")


def no_value(name: str, value: str, present: Mapping[str, Iterable[str]]) -> InputError:
    """Refuse to filter by a value that no clip has; arguments as for `no_facet`."""
    return InputError(
        f"No clip of this gallery has {name} {value!r}; it has {', '.join(present[name])}."
    )


class Facets:
    """The columns of N clips by which they can be filtered.

    Args:
        clips: N records, which do not change.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = clips
        self._columns: dict[str, tuple[list[str], np.ndarray]] = {}

    def counts(self) -> dict[str, dict[str, int]]:
        """Return attribute -> value -> number of clips, sorted; what is unknown is left out."""
        found = {}
        for name in FACETS:
            values, codes = self._column(name)
            counts = dict(zip(values, np.bincount(codes).tolist(), strict=True))
            counts.pop("", None)
            if counts:
                found[name] = counts
        return found

    def matching(self, where: Mapping[str, str]) -> np.ndarray:
        """Return the rows (N',) int64 of the clips that have every value of ``where``.

        Raises:
            InputError: an attribute or value that no clip has.
        """
        fits = np.ones(len(self._clips), dtype=bool)
        for name, value in where.items():
            values, codes = self._column(name) if name in FACETS else ([], None)
            if not any(values):
                raise no_facet(name, self.counts())
            if not value or value not in values:
                raise no_value(name, value, self.counts())
            fits &= codes == values.index(value)
        return np.flatnonzero(fits).astype(np.int64)

    def _column(self, name: str) -> tuple[list[str], np.ndarray]:
        """Sorted values of one attribute, and the place among them of each clip's, (N,)."""
        if name not in self._columns:
            values = sorted({clip.told(name) for clip in self._clips})
            places = {value: place for place, value in enumerate(values)}
            codes = (places[clip.told(name)] for clip in self._clips)
            self._columns[name] = values, np.fromiter(codes, np.int32, len(self._clips))
        return self._columns[name]
