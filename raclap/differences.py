"""What models differ by: their reports, over training seeds, are subtracted pair by pair.

In: reports as ``evaluate`` made them, by model. Out: differences in the shape of a report, their
Markdown, and a picture of the main ones. Deliberately not here: how one report is read (`results`),
clips held against descriptions (`comparison`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from raclap import curves, metrics
from raclap.config import InputError
from raclap.evaluate import put
from raclap.results import save, table, walk

_SAME = ("manifest", "seed", "draws", "gallery", "wordings", "queries", "pairs")
_MAIN = {  # what the picture shows
    "mAP@10, description to clip": ("paired", "text_to_speech", "map10"),
    "mAP@10, clip to description": ("paired", "speech_to_text", "map10"),
    "share of perfect, description to clip": ("share", "text_to_speech", "map10"),
    "share of perfect, clip to description": ("share", "speech_to_text", "map10"),
    "nDCG@10, description to clip": ("graded", "text_to_speech", "ndcg10"),
    "nDCG@10, clip to description": ("graded", "speech_to_text", "ndcg10"),
    "partial queries, P@10": ("partial", "precision10"),
    "rewording, rank correlation": ("paraphrase", "rank_correlation"),
    "true overlap, Spearman": ("faithful", "spearman"),
    "emotion, average recall": ("zero_shot", "emotion"),
}


def subtract(reports: Mapping[str, Sequence[Mapping]], *, resamples: int = 10_000) -> dict:
    """Subtract the first model's figures from every other's, pair by pair of training seeds.

    The interval (``low``, ``high``) is Student's over the seeds' differences. It is the one to
    decide by: whether training again would show the same, on this test set. The percentile
    bootstrap beside it is too narrow for a handful of seeds (see :func:`metrics.t_interval`). With
    one seed both are unknown (None): the intervals of single reports are over clips, and say
    nothing about another training.

    Args:
        reports: by model name, one report for each training seed, in the same order of seeds.
        resamples: bootstrap samples.

    Returns:
        ``differences``: by the name of each model but the first, in the shape of a report; each
        figure also has ``bootstrap``. ``about``: what was compared.

    Raises:
        InputError: if there is nothing to compare, the reports differ in test clips, draws or
            order of seeds, or one checkpoint stands for two seeds.
    """
    _refuse_unlike(reports)
    (first, base), *others = reports.items()
    weights = metrics.resample(len(base), resamples, np.random.default_rng(0))
    before = [dict(walk(run)) for run in base]
    differences: dict = {}
    for name, runs in others:
        after = [dict(walk(run)) for run in runs]
        tree = differences[name] = {}
        for path in before[0]:
            if path[0] != "ceiling" and all(path in run for run in (*before, *after)):
                steps = np.array(
                    [
                        new[path]["mean"] - old[path]["mean"]
                        for old, new in zip(before, after, strict=True)
                    ]
                )
                figure = metrics.t_interval(steps).plain()
                drawn = metrics.ratio(steps, np.ones(len(steps)), weights).plain()
                alone = len(steps) == 1
                figure["bootstrap"] = {
                    end: None if alone else drawn[end] for end in ("low", "high")
                }
                put(tree, path, figure)
    runs = {
        name: [{key: run["about"].get(key) for key in ("checkpoint", "trained")} for run in each]
        for name, each in reports.items()
    }
    drawn = {key: base[0]["about"][key] for key in ("clips", *_SAME)}
    about = {"base": first, "seeds_of_training": len(base), "interval": "Student's t", "runs": runs}
    if len(base) == 1:
        about["interval"] = "unknown: one training seed"
    return {"differences": differences, "about": about | drawn}


def _refuse_unlike(reports: Mapping[str, Sequence[Mapping]]) -> None:
    counts = {name: len(runs) for name, runs in reports.items()}
    if len(counts) < 2 or len(set(counts.values())) > 1 or 0 in counts.values():
        raise InputError(
            f"A comparison needs two or more models with equally many seeds, found {counts}."
        )
    abouts = {name: [run["about"] for run in runs] for name, runs in reports.items()}
    if len({tuple(about[key] for key in _SAME) for each in abouts.values() for about in each}) > 1:
        raise InputError(
            "The reports are of different test clips or draws; evaluate every model the same way."
        )
    for name, each in abouts.items():
        prints = [about["checkpoint"] for about in each if about["checkpoint"]]
        if len(set(prints)) < len(prints):
            raise InputError(
                f"Model {name!r} has two reports of one checkpoint; give one for each training."
            )
    for place, pair in enumerate(zip(*abouts.values(), strict=True), start=1):
        seeds = {about["trained"]["seed"] for about in pair if about.get("trained")}
        if len(seeds) > 1 and max(counts.values()) > 1:
            raise InputError(
                f"The reports at place {place} are of training seeds {sorted(seeds)}; give those "
                "of every model in the same order of seeds."
            )


def document(found: Mapping) -> str:
    """Set what :func:`subtract` found as a Markdown page."""
    about = found["about"]
    seeds = about["seeds_of_training"]
    if seeds == 1:
        said = (
            "One training seed of each model: **how far these differences move with the training "
            "seed is unknown**, so none of them shows that one model is better."
        )
    else:
        said = (
            f"Means over {seeds} training seeds, paired, with Student's 95% intervals over seeds. "
            "An interval without zero decides."
        )
    pages = [
        f"# {name} minus {about['base']}\n\n{said}\n\n{table(tree, signed=True)}"
        for name, tree in found["differences"].items()
    ]
    return "\n".join(pages)


def illustrate(found: Mapping, folder: str | Path) -> list[Path]:
    """Draw the main differences, of all speech or, failing that, one corpus."""
    shown: dict[str, dict[str, Mapping]] = {}
    corpora = [c for tree in found["differences"].values() for c in tree["paired"]]
    corpus = "pooled" if "pooled" in corpora else corpora[0]
    for model, tree in found["differences"].items():
        taken = dict(walk(tree))
        places = {label: (path[0], corpus, *path[1:]) for label, path in _MAIN.items()}
        shown[model] = {label: taken[path] for label, path in places.items() if path in taken}
    where = "speech of all corpora" if corpus == "pooled" else corpus
    figure = curves.difference_intervals(shown, found["about"]["base"], where)
    return save({"differences": figure}, folder)
