"""The ESSR benchmark as a report: run, read as tables, compare between models.

In: clips of the test split and a model, or their vectors. Out: one dictionary that JSON can hold,
whose every figure is ``{"mean", "low", "high"}`` in fractions of one, by section and corpus.
``pooled`` is all clips of speech mixed; vocal bursts are left out of it. What each figure means
is in ``essr``. Deliberately not here: training, and where results are written.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from raclap import audio, figures, metrics, prosody
from raclap.config import InputError
from raclap.corpus import Clip, measured
from raclap.essr import DIRECTIONS, PARTS, Bench, EncodeText, Protocol, classify

if TYPE_CHECKING:
    from raclap.model import RACLAP

_CHUNK = 64  # clips decoded at a time
_TEXTS = 1024  # encoded between two steps of the progress bar
_PACKAGES = ("numpy", "torch", "transformers")
_TITLES = {
    "paired": "Paired retrieval, unseen wording, ties at random",
    "paired_seen": "Paired retrieval, seen wording",
    "paired_strict": "Paired retrieval, unseen wording, strictly higher scores counted",
    "ceiling": "Perfect knowledge of the style",
    "share": "Share of perfect knowledge",
    "graded": "Graded by style overlap",
    "partial": "Queries of one to three attributes",
    "paraphrase": "Stability under rewording",
    "zero_shot": "Zero-shot recognition from unseen wording, unweighted average recall",
    "zero_shot_seen": "Zero-shot recognition from seen wording",
    "faithful": "Similarity against true style overlap",
}
_COLUMNS = {
    **{f"r{k}": f"R@{k}" for k in (1, 5, 10)},
    "map10": "mAP@10",
    "ndcg10": "nDCG@10",
    "precision10": "P@10",
    "rank_correlation": "rank correlation",
    "spearman": "Spearman",
}


def evaluate(model: RACLAP, clips: Sequence[Clip], protocol: Protocol | None = None) -> dict:
    """Run the benchmark on a model.

    Args:
        model: encodes speech and texts.
        clips: the test clips; levels are measured here.
        protocol: how much is drawn.
    """
    clips, speech = listen(model, clips)

    def encode(texts: list[str]) -> np.ndarray:
        starts = tqdm(range(0, len(texts), _TEXTS), "texts", leave=False, file=sys.stderr)
        chunks = [model.encode_text(texts[start : start + _TEXTS]) for start in starts]
        return np.concatenate([chunk.cpu().numpy() for chunk in chunks])

    return report(clips, speech, encode, protocol=protocol, fingerprint=model.fingerprint)


def listen(model: RACLAP, clips: Sequence[Clip]) -> tuple[list[Clip], np.ndarray]:
    """Measure and encode the audio of clips; one that cannot be read is named and left out.

    Returns:
        N clips with their levels, and (N, D) float32 unit vectors.

    Raises:
        InputError: none could be read.
    """
    heard: list[Clip] = []
    vectors: list[np.ndarray] = []
    for start in tqdm(range(0, len(clips), _CHUNK), "clips", leave=False, file=sys.stderr):
        waveforms = []
        for clip in clips[start : start + _CHUNK]:
            try:
                waveforms.append(audio.load(clip.path))
            except InputError as error:
                tqdm.write(f"left out: {error}", file=sys.stderr)
                continue
            heard.append(measured(clip, prosody.measure(audio.trim(waveforms[-1]))))
        if waveforms:
            vectors.append(model.encode_speech(waveforms).cpu().numpy())
    if not heard:
        raise InputError(f"None of {len(clips)} clips could be read; check the manifest's paths.")
    return heard, np.concatenate(vectors)


def means(result: Mapping) -> dict | float:
    """Return a report's figures without their intervals, rounded."""
    if "mean" in result:
        return round(result["mean"], 4)
    return {name: means(branch) for name, branch in result.items() if name != "about"}


def report(
    clips: Sequence[Clip],
    speech: np.ndarray,
    encode_text: EncodeText,
    *,
    protocol: Protocol | None = None,
    fingerprint: str = "",
) -> dict:
    """Run the benchmark on speech vectors.

    Args:
        clips: N clips, styles filled in; those of which nothing is known are left out.
        speech: (N, D) float32 unit vectors.
        encode_text: texts to (n, D) unit vectors; each text is asked for once.
        protocol: how much is drawn.
        fingerprint: of the checkpoint, for the record.

    Raises:
        InputError: if vectors and clips do not match, or a corpus has fewer than two clips.
    """
    protocol = protocol or Protocol()
    speech = np.asarray(speech)
    if speech.ndim != 2 or len(speech) != len(clips) or not np.isfinite(speech).all():
        raise InputError(
            f"Evaluation needs one finite vector for each of {len(clips)} clips, found an array of "
            f"shape {speech.shape}; encode the clips again."
        )
    known = [row for row, clip in enumerate(clips) if clip.style.known]
    clips = [clips[row] for row in known]
    bench = Bench(clips, speech[known], encode_text, protocol)
    result: dict = {section: {} for section in _TITLES}
    for name, rows in bench.groups():
        if len(rows) < 2:
            raise InputError(
                f"Corpus {name!r} has {len(rows)} clip of known style; evaluation needs two or "
                "more, so add some or leave the corpus out."
            )
        for part in PARTS:
            for (section, *path), estimate in part(bench, rows).items():
                if math.isfinite(estimate.mean):
                    _put(result, (section, name, *path), asdict(estimate))
    result["about"] = {
        "checkpoint": fingerprint,
        "manifest": _digest(clips),
        "clips": len(clips),
        **asdict(protocol),
        "versions": {package: version(package) for package in _PACKAGES},
    }
    return result


def _put(tree: dict, path: Sequence[str], figure: dict) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = figure


def _digest(clips: Sequence[Clip]) -> str:
    rows = [[clip.id, clip.corpus, clip.style.known] for clip in clips]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def _walk(tree: Mapping, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict]]:
    """Yield the path and the record of every figure of a report."""
    for name, branch in tree.items():
        if name == "about":
            continue
        if "mean" in branch:
            yield (*path, name), branch
        else:
            yield from _walk(branch, (*path, name))


def compare(reports: Mapping[str, Sequence[Mapping]], *, resamples: int = 10_000) -> dict:
    """Subtract the first model's figures from every other's.

    Args:
        reports: by model name, one report for each training seed, in the same order of seeds.
        resamples: bootstrap samples.

    Returns:
        By the name of each model but the first, its differences in the shape of a report. Means are
        over seeds, and intervals bootstrap the seeds: they say whether training again would show
        the same, on this test set.

    Raises:
        InputError: if there is nothing to compare, or the reports differ in seeds or test clips.
    """
    counts = {name: len(runs) for name, runs in reports.items()}
    if len(counts) < 2 or len(set(counts.values())) > 1 or 0 in counts.values():
        raise InputError(
            f"A comparison needs two or more models with equally many seeds, found {counts}."
        )
    drawn = ("manifest", "seed", "draws", "gallery", "wordings", "queries", "pairs")
    if (
        len(
            {tuple(run["about"][key] for key in drawn) for runs in reports.values() for run in runs}
        )
        > 1
    ):
        raise InputError(
            "The reports are of different test clips or draws; evaluate every model the same way."
        )
    (_, base), *others = reports.items()
    weights = metrics.resample(len(base), resamples, np.random.default_rng(0))
    before = [dict(_walk(run)) for run in base]
    result: dict = {}
    for name, runs in others:
        after = [dict(_walk(run)) for run in runs]
        result[name] = {}
        for path in before[0]:
            if all(path in run for run in (*before, *after)):
                steps = [
                    new[path]["mean"] - old[path]["mean"]
                    for old, new in zip(before, after, strict=True)
                ]
                estimate = metrics.ratio(np.array(steps), np.ones(len(steps)), weights)
                _put(result[name], path, asdict(estimate))
    return result


def table(result: Mapping, *, signed: bool = False) -> str:
    """Lay out a report, or one model's differences, as Markdown tables.

    Figures are in percent, correlations and t as they are, each with its interval.

    Args:
        result: from :func:`report`, or one entry of :func:`compare`.
        signed: whether to write the plus of positive numbers, as differences want it.
    """
    lines = []
    for section, title in _TITLES.items():
        cells: dict[tuple[str, str], dict[str, str]] = {}
        for (corpus, *path), figure in _walk(result.get(section, {})):
            direction = path.pop(0).replace("_", " ") if path[0] in DIRECTIONS else ""
            column = " ".join(_COLUMNS.get(name, name) for name in path)
            cells.setdefault((corpus, direction), {})[column] = _cell(
                path[0], figure, "+" if signed else ""
            )
        if cells:
            columns = list(dict.fromkeys(column for row in cells.values() for column in row))
            lines += [
                "",
                f"**{title}**",
                "",
                f"| | {' | '.join(columns)} |",
                "|---" * (len(columns) + 1) + "|",
            ]
            for heading, row in cells.items():
                found = " | ".join(row.get(column, "") for column in columns)
                lines.append(f"| {' '.join(heading).strip()} | {found} |")
    return "\n".join(lines[1:]) + "\n"


def _cell(name: str, figure: Mapping[str, float], sign: str) -> str:
    plain = name in ("t", "rank_correlation", "spearman")
    form = f"{sign}z.2f" if plain else f"{sign}z.1f"
    mean, low, high = (
        format((1 if plain else 100) * figure[key], form) for key in ("mean", "low", "high")
    )
    return f"{mean} [{low}, {high}]"


def illustrate(
    result: Mapping,
    clips: Sequence[Clip],
    speech: np.ndarray,
    encode_text: EncodeText,
    folder: str | Path,
) -> list[Path]:
    """Draw a report: paired retrieval of all corpora, and what emotions are taken for in each.

    Args:
        result: from :func:`report` on the same clips and vectors.
        clips: N clips, styles filled in.
        speech: (N, D) float32 unit vectors.
        encode_text: texts to (n, D) unit vectors.
        folder: where the PNG files go; made if missing.

    Returns:
        The files written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"paired": figures.paired_bars(result["paired"], result["ceiling"])}
    bench = Bench(clips, speech, encode_text, Protocol())
    for name, rows in bench.groups():
        if "emotion" in result["zero_shot"].get(name, {}) and name != "pooled":
            drawn[f"emotion-{name}"] = figures.confusion(*classify(bench, rows, "emotion"))
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]
