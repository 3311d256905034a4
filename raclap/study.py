"""Do soft relations help? Recipes that differ in nothing else, over several seeds, on one test.

In: a configuration and manifests. Out: for each recipe and seed a report of the test split, from
which ``evaluate --compare`` tells the differences. Each seed trains one ESS-CLAP; every recipe goes
on from it with the same clips, wordings, batches and number of steps, over the same encoder.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from raclap.config import Config, InputError, from_dict, to_dict
from raclap.corpus import Clip, read_manifest
from raclap.data import Features
from raclap.essr import Protocol
from raclap.evaluate import report
from raclap.files import replacing
from raclap.model import RACLAP
from raclap.train import (
    CACHE,
    check_start,
    embed,
    fit,
    record_of,
    refuse_another,
    start_of,
    train,
)

# Only which description belongs to which clip: what stage one learns from.
_PAIRS = {"ra.positives": "pair", "ra.attributes": 0.0, "ra.reading": 0.0, "ra.drills": 0}
_UNTAUGHT = {"relation.weight": 0.0}

RECIPES: dict[str, dict[str, object]] = {
    # the fair control: stage one's own loss for as many steps more
    "ess-clap": {**_PAIRS, **_UNTAUGHT},
    # Primus et al. 2024: the frozen teacher's view instead of the pairs, one fixed temperature
    "primus": {
        **_PAIRS,
        "relation.weight": 1.0,
        "relation.wordings": 1,
        "relation.temperature": 0.05,
        "relation.student_temperature": 0.05,
    },
    # SmoothCLAP, arXiv 2601.12591: clip-clip and text-text similarities, in a small part
    "smoothclap": {
        **_PAIRS,
        "relation.kind": "within",
        "relation.weight": 0.1,
        "relation.wordings": 1,
    },
    # Zhai et al. 2023: every pair a question of its own
    "siglip": {**_PAIRS, **_UNTAUGHT, "ra.loss": "sigmoid"},
    # plain self-distillation: the teacher is asked about the student's own description
    "relations-plain": {**_PAIRS, "relation.wordings": 1},
    # the teacher answers for a style, over several wordings of it
    "relations": {**_PAIRS},
    # the teacher is asked about one attribute at a time: how likely has the clip all that is said?
    "likelihood": {**_PAIRS, "relation.kind": "likelihood", "relation.weight": 0.8},
    # what a perfect teacher would say
    "overlap": {**_PAIRS, "relation.kind": "overlap"},
    # matches in part that the labels tell: a description fits all that have what it mentions
    "parts": {**_PAIRS, **_UNTAUGHT, "ra.positives": "style"},
    # and each value of a clip by itself
    "attributes": {**_UNTAUGHT, "ra.reading": 0.0, "ra.drills": 0},
    # and each value of a description: all that ships but the teacher
    "untaught": {**_UNTAUGHT},
    # as shipped
    "ra-clap": {},
}


def study(
    *,
    config: Config,
    manifest: Sequence[str | Path],
    output: str | Path,
    seeds: Sequence[int],
    init: str | Path | None = None,
    recipes: Sequence[str] = tuple(RECIPES),
    cache: str | Path = CACHE,
    device: str = "",
    protocol: Protocol | None = None,
) -> list[Path]:
    """Train and judge every recipe with every seed; what is there already is left as it is.

    Args:
        config: settings of both stages; recipes change some of them.
        manifest: one or more manifests; the first one's ``test`` clips are the benchmark.
        output: folder for the reports, and for each seed's checkpoints of stage one and of the
            recipe ``ra-clap``; those of other recipes are deleted once they are judged.
        seeds: of training; the benchmark draws the same for all.
        init: checkpoint whose encoders each seed starts from, under heads of its own: what these
            had learned already would hide what a recipe teaches. By default the pretrained ones.
        recipes: names out of ``RECIPES``.
        cache: folder for frames.
        device: ``cpu`` or ``cuda``; by default a GPU if there is one.
        protocol: how much the benchmark draws.

    Returns:
        The reports, ``output/RECIPE-SEED.json``; ``before-SEED.json`` is stage one's.

    Raises:
        InputError: an unknown recipe, a study of something else in ``output``, or what
            :func:`raclap.train.train` refuses.
    """
    unknown = [name for name in recipes if name not in RECIPES]
    if unknown:
        raise InputError(f"There is no recipe {unknown[0]!r}; choose from {', '.join(RECIPES)}.")
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    tested = [clip for clip in read_manifest(manifest[0]) if clip.split == "test"]
    start = start_of(None)
    if init is not None:
        check_start(Path(init), (), output)
        start = start_of(RACLAP.from_pretrained(str(init)).fingerprint, fresh_heads=True)
    written = []
    for seed in seeds:
        first = output / f"stage-one-{seed}"
        settings = replace(config, ess=replace(config.ess, seed=seed))
        refuse_another(first, record_of("ess", settings, (), start))
        if not (first / "checksums.json").is_file() or (first / "resume").is_dir():
            train(
                config=settings,
                stage="ess",
                manifest=manifest,
                output=first,
                init=init,
                fresh_heads=init is not None,
                cache=cache,
                device=device,
            )
        bench = _Seed(first, manifest, tested, config, Path(cache), device)
        for name in ("before", *recipes):
            path = output / f"{name}-{seed}.json"
            if not path.is_file():
                trained = first
                if name != "before":
                    trained = output / f"{name}-{seed}"
                    bench.train(_changed(config, RECIPES[name], seed), trained)
                figures = bench.judge(trained, protocol)
                with replacing(path) as part:
                    part.write_text(json.dumps(figures, indent=2) + "\n")
                print(f"{path} is written", file=sys.stderr, flush=True)
                if name not in ("before", "ra-clap"):
                    shutil.rmtree(trained)
            written.append(path)
    return written


def _changed(config: Config, changes: dict[str, object], seed: int) -> Config:
    plain = to_dict(config)
    for key, value in {**changes, "ra.seed": seed}.items():
        section, name = key.split(".")
        plain[section][name] = value
    return from_dict(Config, plain)


class _Seed:
    """What all recipes of one seed share: stage one, and all clips as its encoder hears them."""

    def __init__(
        self,
        first: Path,
        manifest: Sequence[str | Path],
        tested: Sequence[Clip],
        config: Config,
        cache: Path,
        device: str,
    ) -> None:
        if config.ra.speech_rate:
            raise InputError("A study keeps the speech encoder still: set ra.speech_rate to 0.")
        self.first = first
        self.place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model = RACLAP.from_pretrained(str(first))
        self.start = start_of(model.fingerprint)
        clips = [clip for path in manifest for clip in read_manifest(path) if clip.style.known]
        parts = [
            (clip for clip in clips if clip.split == "train"),
            (clip for clip in clips if clip.split == "valid"),
            (clip for clip in tested if clip.style.known),
        ]
        copies = (config.ra.copies, 1, 1)
        self.learning, self.held_out, self.tested = (
            Features(model.speech, list(part), cache, copies=count)
            for part, count in zip(parts, copies, strict=True)
        )
        model.to(self.place)
        for features in (self.learning, self.held_out, self.tested):
            features.settle(model.speech)

    def train(self, config: Config, output: Path) -> None:
        """Run stage two from stage one's result."""
        model = RACLAP.from_pretrained(str(self.first))
        teacher = model.copied().to(self.place)
        model.to(self.place).keep_teacher(teacher)
        fit(model, self.learning, self.held_out, config, "ra", output, start=self.start)

    def judge(self, checkpoint: Path, protocol: Protocol | None) -> dict:
        """Run the benchmark on a checkpoint."""
        model = RACLAP.from_pretrained(str(checkpoint)).to(self.place)
        clips = [self.tested.clips[0, row] for row in self.tested.rows]
        return report(
            clips,
            embed(model, self.tested).numpy(),
            lambda texts: np.asarray(model.encode_text(texts)),
            protocol=protocol,
            fingerprint=model.fingerprint,
        )
