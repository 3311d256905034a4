"""A report of the benchmark is read: as its figures, as tables, as pictures.

In: a report as ``evaluate`` made it. Out: Markdown and PNG files. Deliberately not here: running
the benchmark, several reports against each other (`differences`), and where results are written.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from raclap import curves, heatmaps
from raclap.config import InputError
from raclap.essr import DIRECTIONS, SECTIONS, Protocol
from raclap.evaluate import put
from raclap.files import as_name

_TITLES = {
    "paired": "Paired retrieval, unseen wording, ties at random",
    "paired_seen": "Paired retrieval, seen wording",
    "paired_strict": "Paired retrieval, unseen wording, strictly higher scores counted",
    "share": "Share of perfect knowledge, unseen wording",
    "graded": "Graded by style overlap (perfect: 100)",
    "partial": "Queries of one to three attributes (perfect: 100)",
    "paraphrase": "Stability under rewording (chance: 0)",
    "zero_shot": "Zero-shot average recall, unseen wording (perfect: 100)",
    "zero_shot_seen": "Zero-shot average recall, seen wording (perfect: 100)",
    "faithful": "Similarity against true style overlap (chance: 0)",
}
_COLUMNS = {
    **{f"r{k}": f"R@{k}" for k in (1, 5, 10)},
    "map10": "mAP@10",
    "ndcg10": "nDCG@10",
    "precision10": "P@10",
    "rank_correlation": "rank correlation",
    "spearman": "Spearman",
}
_PLAIN = ("t", "rank_correlation", "spearman")  # shown as they are, not in percent
_CURVES = {
    "score": "mean of all",
    "emotion": "emotion, average recall",
    "intensity": "intensity, average recall",
    "t2s": "description to clip, mAP@10",
    "s2t": "clip to description, mAP@10",
}


def read(path: str | Path) -> dict:
    """Read a report from its JSON file.

    Raises:
        InputError: it cannot be read, or is no report.
    """
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The report {path} cannot be read: {error}.") from error
    about = report.get("about") if isinstance(report, dict) else None
    if (
        not isinstance(about, dict)
        or not {"checkpoint", "manifest", *asdict(Protocol())} <= about.keys()
    ):
        raise InputError(f"{path} is not a report; give a file that the verb evaluate wrote.")
    return report


def walk(tree: Mapping, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict]]:
    """Yield the path and the record of every figure of a report, chance and counts left out."""
    for name, branch in tree.items():
        if not path and name not in SECTIONS:
            continue
        if "mean" in branch:
            yield (*path, name), branch
        else:
            yield from walk(branch, (*path, name))


def means(report: Mapping) -> dict:
    """Return a report's figures without their intervals, rounded."""
    result: dict = {}
    for path, figure in walk(report):
        put(result, path, round(figure["mean"], 4))
    return result


def table(report: Mapping, *, signed: bool = False) -> str:
    """Lay out a report, or one model's differences, as Markdown tables.

    Figures are in percent, correlations and t as they are, each with its interval if it has one.
    Below a report's rows stands what chance reaches and, where it is not simply all, what perfect
    knowledge of the style does.

    Args:
        report: from :func:`evaluate.report`, or differences from :func:`differences.subtract`.
        signed: whether to write the plus of positive numbers, as differences want it.
    """
    lines = []
    for section, title in _TITLES.items():
        rows: dict[tuple[str, ...], dict[str, str]] = {}
        for (_, corpus, *path), figure in walk({section: report.get(section, {})}):
            heading = (corpus, path.pop(0)) if path[0] in DIRECTIONS else (corpus,)
            rows.setdefault(heading, {})[_column(path)] = _cell(path, figure, signed)
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        if rows:
            lines += ["", f"**{title}**", ""]
            lines += [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        for heading, row in rows.items():
            named = {" ".join(heading).replace("_", " "): row}
            named |= _baselines(report, section, *heading)
            for name, cells in named.items():
                lines.append(f"| {name} | {' | '.join(cells.get(c, '') for c in columns)} |")
    return "\n".join(lines[1:]) + "\n"


def _baselines(report: Mapping, section: str, corpus: str, *path: str) -> dict[str, dict[str, str]]:
    """Cells of what needs no model, by the name of the row."""
    sources = {"chance": report.get("chance", {}).get(corpus, {}).get(section, {})}
    if section in ("paired", "paired_seen"):
        sources["perfect"] = report.get("ceiling", {}).get(corpus, {})
    result = {}
    for name, tree in sources.items():
        for step in path:
            tree = tree.get(step, {})
        found = [(path, dict(figure)) for (_, *path), figure in walk({section: tree})]
        for _, figure in found:
            if figure["low"] == figure["high"]:  # worked out, not drawn
                figure |= {"low": None, "high": None}
        cells = {_column(path): _cell(path, figure, False) for path, figure in found}
        if cells:
            result[f"*{name}*"] = cells
    return result


def _column(path: Sequence[str]) -> str:
    return " ".join(_COLUMNS.get(name, name) for name in path)


def _cell(path: Sequence[str], figure: Mapping[str, float | None], signed: bool) -> str:
    plain = path[0] in _PLAIN
    form = ("+" if signed else "") + ("z.2f" if plain else "z.1f")
    mean, *ends = (
        format((1 if plain else 100) * figure[key], form)
        for key in ("mean", "low", "high")
        if figure[key] is not None
    )
    return f"{mean} [{', '.join(ends)}]" if ends else mean


def document(report: Mapping, pictures: Sequence[str] = ()) -> str:
    """Set a report as a Markdown page: what was measured, tables, pictures by relative path."""
    about = report["about"]
    lines = [
        "# ESSR benchmark",
        "",
        f"Checkpoint {about['checkpoint']}, {about['clips']:,} clips, {about['draws']} galleries "
        f"of {about['gallery']} from each corpus. Percent, with 95% bootstrap intervals over "
        "clips; correlations and t as they are.",
        "",
        table(report),
        *(f"![{Path(picture).stem}](<{picture}>)\n" for picture in pictures),
    ]
    return "\n".join(lines)


def illustrate(report: Mapping, folder: str | Path, history: Sequence[Mapping] = ()) -> list[Path]:
    """Draw a report: paired retrieval of all corpora, what emotions are taken for, the training.

    Args:
        report: from :func:`evaluate.report`.
        folder: where the PNG files go; made if missing.
        history: lines of the checkpoint's ``history.jsonl``; without them no curve is drawn.

    Returns:
        The files written.
    """
    drawn = {"paired": curves.paired_bars(report["paired"], report["ceiling"])}
    for corpus, counts in report.get("confusion", {}).items():
        if corpus != "pooled":
            drawn[f"emotion-{as_name(corpus)}"] = heatmaps.confusion(counts)
    if history:
        drawn["training"] = _curve(history)
    return save(drawn, folder)


def _curve(history: Sequence[Mapping]) -> Figure:
    """Losses as logged, and validation figures averaged over corpora."""
    rows = []
    for row in history:
        kinds = defaultdict(list)
        for name, value in row.get("valid", {}).items():
            kinds[name.rpartition("/")[2]].append(value)
        rows.append({**row, **{kind: float(np.mean(values)) for kind, values in kinds.items()}})
    taken = {name for row in rows for name, value in row.items() if value}
    losses = {name: name for name in ("loss", "contrastive", "relation") if name in taken}
    if "relation" not in losses:  # then the loss is the contrastive term
        losses.pop("contrastive", None)
    scores = {name: shown for name, shown in _CURVES.items() if name in taken}
    return curves.training_curve(rows, losses=losses, scores=scores)


def save(drawn: Mapping[str, Figure], folder: str | Path) -> list[Path]:
    """Write each picture under its name into a folder, which is made if missing."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]
