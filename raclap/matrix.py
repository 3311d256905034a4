"""Clips against descriptions as HTML tables: similarity, soft relation, true overlap.

In: a `Comparison`. Out: `markupsafe.Markup`; a cell is a button that plays its clip and asks
why. Deliberately not here: events, pictures of the same numbers (``heatmaps``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import Markup

from raclap.comparison import Comparison
from raclap.words import signed

_ABREAST = 6  # tables of more clips stand below each other
_LONG = 40  # and those of a description with more characters
_TABLES = Markup('{key}<div class="matrices{many}">{tables}</div>')
_KEY = Markup('<ol class="key" aria-label="Clips">{}</ol>')
_CLIP = Markup(
    '<li><button type="button" class="dot" data-sound="{address}" aria-label="Play clip {number}: '
    '{name}">{number}</button><span>{name}</span></li>'
)
_TABLE = Markup(
    '<div class="matrix" tabindex="0" role="region" aria-label="{title}">'
    "<table><caption><span><strong>{title}</strong> {meaning}</span></caption><thead><tr>"
    '<th scope="col">Description</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
)
_HEAD = Markup('<th scope="col"><abbr title="{}">{}</abbr></th>')
_ROW = Markup('<tr><th scope="row">{}</th>{}</tr>')
_CELL = Markup(
    '<td><button type="button" class="{side}" style="--strength:{strength:.0f}%" '
    'data-sound="{address}" data-cell="{column} {row}" '
    'aria-label="{value}, play clip {number}: {name}, and say why">{value}</button></td>'
)
_NOTHING = Markup(
    '<td class="unknown"><span aria-hidden="true">–</span><span class="aside">unknown</span></td>'
)


def matrices(
    found: Comparison, names: Sequence[str], addresses: Sequence[str], temperature: float
) -> Markup:
    """Return the clips by number, and three tables of descriptions against them.

    Args:
        found: N clips against M descriptions.
        names: N readable names.
        addresses: N addresses of the clips' audio.
        temperature: of the soft relations.
    """
    places = list(zip(range(1, len(names) + 1), names, addresses, strict=True))
    tables = [
        _table(
            "Similarity",
            "cosine, −1 to 1",
            found.similarity,
            found.texts,
            places,
            lambda number: signed(number, 2),
        ),
        _table(
            "Soft relation",
            f"share of the clip that the teacher gives, at temperature {temperature:.2f}",
            found.relation_at(temperature),
            found.texts,
            places,
            _percent,
        ),
        _table(
            "True overlap",
            "of the styles, in what both tell; without labels, in measured levels alone",
            found.overlap,
            found.texts,
            places,
            _percent,
        ),
    ]
    key = _KEY.format(
        Markup("").join(
            _CLIP.format(number=number, name=name, address=address)
            for number, name, address in places
        )
    )
    wide = len(places) > _ABREAST or max(map(len, found.texts)) > _LONG
    many = " many" if wide else ""
    return _TABLES.format(key=key, many=many, tables=Markup("").join(tables))


def _table(
    title: str,
    meaning: str,
    matrix: np.ndarray,
    texts: Sequence[str],
    places: Sequence[tuple[int, str, str]],
    written: Callable[[float], str],
) -> Markup:
    known = np.abs(matrix[~np.isnan(matrix)])
    most = max(float(known.max(initial=0)), 1e-6)
    rows = [
        _ROW.format(
            text,
            Markup("").join(
                _NOTHING
                if np.isnan(value)
                else _CELL.format(
                    side="below" if value < 0 else "above",
                    strength=100 * abs(value) / most,
                    value=written(float(value)),
                    number=number,
                    name=name,
                    address=address,
                    column=number - 1,
                    row=row,
                )
                for value, (number, name, address) in zip(column, places, strict=True)
            ),
        )
        for row, (text, column) in enumerate(zip(texts, matrix.T, strict=True))
    ]
    head = Markup("").join(_HEAD.format(name, number) for number, name, _ in places)
    return _TABLE.format(title=title, meaning=meaning, head=head, rows=Markup("").join(rows))


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
