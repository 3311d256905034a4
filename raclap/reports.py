"""The verbs that measure: figures as JSON, beside them their tables and pictures.

In: parsed arguments of ``evaluate`` and ``benchmark``. Out: files, and a JSON-ready result. torch
and matplotlib are imported inside, as in `command`. Deliberately not here: what is measured
(`raclap.evaluate`, `raclap.benchmark`), how it is set (`results`, `differences`, `timings`).
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from raclap.arguments import models, opened
from raclap.config import InputError
from raclap.files import replacing


def evaluate(args: Namespace) -> dict[str, Any]:
    """Run the benchmark and write its report, or compare reports."""
    if args.output and args.output.suffix != ".json":
        raise InputError(
            f"--output {args.output} must end in .json; tables and pictures get the same name."
        )
    if args.compare:
        return _compare(args)
    if not args.output:
        raise InputError("A report needs a place; give it with --output R.json.")
    from raclap import corpus, evaluate, results

    split = args.split or "test"
    clips = [clip for clip in corpus.read_manifest(args.manifest) if clip.split == split]
    if not clips:
        raise InputError(f"{args.manifest} has no clips whose split is {split}.")
    if args.corpus:
        clips = corpus.select(clips, args.corpus)
    evaluate.refuse_few(clips)
    (trained, history), model = _training(args), opened(args.checkpoint).model
    report = evaluate.evaluate(model, clips)
    report["about"]["trained"] = trained
    _write_json(args.output, report)
    folder = args.output.with_suffix("")
    pictures = [] if args.no_figures else results.illustrate(report, folder, history)
    named = [f"{folder.name}/{picture.name}" for picture in pictures]
    text = results.document(report, named)
    _write(args.output.with_suffix(".md"), text)
    print(results.table(report), file=sys.stderr)
    return {
        "report": str(args.output),
        "table": str(args.output.with_suffix(".md")),
        "pictures": [str(picture) for picture in pictures],
        **report["about"],
        "figures": results.means(report),
    }


def benchmark(args: Namespace) -> dict[str, Any]:
    """Measure speed and memory; write the report, its tables and its picture."""
    if args.output.suffix != ".json":
        raise InputError(f"--output {args.output} must end in .json; the tables get the same name.")
    for name in ("threads", "rounds", "clips", "vectors"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} is {getattr(args, name)}; it must be 1 or more.")
    import faiss
    import torch

    from raclap import benchmark, results, timings

    torch.set_num_threads(args.threads)
    faiss.omp_set_num_threads(args.threads)
    model, gallery = benchmark.open_model(args.checkpoint)
    report: dict[str, Any] = {"about": benchmark.about(args.threads)}
    sizes = [size for size in benchmark.SIZES if size < args.vectors]
    measure = {
        "encode": lambda: benchmark.encoders(
            model, benchmark.clips(gallery, args.clips), args.rounds
        ),
        "query": lambda: benchmark.queries(model, gallery, args.vectors),
        "precision": lambda: benchmark.precisions(
            model, gallery, benchmark.clips(gallery, args.clips), args.rounds
        ),
        "start": lambda: benchmark.starts(args.rounds),
        "profile": lambda: benchmark.profile(model, gallery, benchmark.clips(gallery, args.clips)),
        "memory": benchmark.memory,
        "index": lambda: benchmark.growth(model, gallery, [*sizes, args.vectors]),
    }
    for part in args.part or measure:
        print(f"Measuring: {part}", file=sys.stderr)
        report[part] = measure[part]()
        _write_json(args.output, report)  # after each, for the next may take long
    text = timings.document(report)
    _write(args.output.with_suffix(".md"), text)
    if "encode" in report:
        drawn = {args.output.stem: timings.picture(report["encode"])}
        results.save(drawn, args.output.parent)
    print(text, file=sys.stderr)
    return {"report": str(args.output), **report}


def _compare(args: Namespace) -> dict[str, Any]:
    """Set reports against each other; nothing but --output writes files."""
    from raclap import differences, results

    if args.checkpoint or args.corpus or args.split:
        raise InputError("--compare reads reports; leave out --checkpoint, --corpus and --split.")
    files = models(args.compare)
    found = differences.subtract({name: [*map(results.read, each)] for name, each in files.items()})
    pages = differences.document(found)
    if args.output:
        _write_json(args.output, found)
        folder = args.output.with_suffix("")
        pictures = [] if args.no_figures else differences.illustrate(found, folder)
        links = [f"![{picture.stem}](<{folder.name}/{picture.name}>)\n" for picture in pictures]
        text = "\n".join([pages, *links])
        _write(args.output.with_suffix(".md"), text)
    print(pages, file=sys.stderr)
    return found


def _training(args: Namespace) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """What a checkpoint's folder tells of its training: stage, seed and steps, and its log."""
    from raclap.checkpoint import CHECKPOINT
    from raclap.train import training_of

    folder = Path(args.checkpoint or CHECKPOINT)
    training, log = training_of(folder), folder / "history.jsonl"
    if not training or not log.is_file():  # a name on the hub, or a checkpoint from elsewhere
        return None, []
    try:
        history = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise InputError(f"{log} is damaged ({error}); restore it, or delete it.") from error
    stage = training["stage"]
    return {
        "stage": stage,
        "seed": training["config"][stage]["seed"],
        "steps": max((row["step"] for row in history), default=0),
        "left_out": training["left_out"],
    }, history


def _write_json(path: Path, value: dict[str, Any]) -> None:
    _write(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
