"""Both stages of training: step, log, validate, keep the best, go on where a run stopped.

Stage ``ess`` trains both towers with InfoNCE. Stage ``ra`` starts from its result, keeps a frozen
copy of it as the teacher, and learns the teacher's soft relations beside the one-hot pairs.

    python -m raclap train --preset base --stage ess --manifest M.csv --output DIR
    python -m raclap train --preset base --stage ra --manifest M.csv --output DIR2 --init DIR

Both stages see only the clips whose split is ``train``; ``valid`` chooses the epoch that is kept.
Several ranks (``parallel``) share each batch; rank 0 validates, logs and saves.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from tqdm import tqdm

from raclap import metrics
from raclap.config import Config, InputError, TrainConfig, to_dict
from raclap.corpus import read_manifest, select
from raclap.data import Features, batches, grouped
from raclap.essr import Bench, Protocol, classify
from raclap.files import replacing
from raclap.model import ENCODERS, RACLAP
from raclap.objective import Objective
from raclap.parallel import ALONE, Ranks
from raclap.precision import mixed
from raclap.towers import Frames
from raclap.wording import describe

CACHE = Path(".cache/features")
_SPLITS = ("train", "valid")
_TERMS = ("total", "contrastive", "relation", "attribute", "reading")
_LOG_STEPS = 10
_WORKERS = 4  # processes that prepare batches for a GPU
_VALIDATIONS = 10  # about so many in a run
_SAVE_SECONDS = 180  # between two points from which a killed run can go on
_CALIBRATION = 2000  # clips that set the standardisation
_FEW = 50  # validation clips below which a corpus says too little


def train(
    *,
    config: Config,
    stage: str,
    manifest: Sequence[str | Path],
    output: str | Path,
    init: str | Path | None = None,
    leave_out: Sequence[str] = (),
    fresh_text: bool = False,
    fresh_heads: bool = False,
    cache: str | Path = CACHE,
    device: str = "",
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """Train one stage and leave a checkpoint.

    Args:
        config: settings of both stages; saved beside the weights.
        stage: ``ess`` or ``ra``.
        manifest: one or more manifests with ``train`` and ``valid`` clips.
        output: checkpoint folder; an unfinished run found there goes on.
        init: checkpoint to start from; stage ``ra`` is taught by it, too. Stage ``ess`` may take
            one whose heads were trained over frozen encoders (Kumar et al. 2022): fine-tuning
            then distorts the pretrained features less. Its shape stays, whatever
            ``config.model`` says; only ``speech.levels`` it can gain.
        leave_out: corpora of which no clip is trained on or validated with, so that they can be
            tested as unseen; ``init`` must have left them out, too.
        fresh_text: take only the speech tower from ``init``; the text tower starts from the
            pretrained encoder that ``config`` names.
        fresh_heads: take only both encoders from ``init``, and heed the hidden states that
            ``config.model.speech.layers`` names.
        cache: folder for the frames of the frozen layers.
        device: ``cpu`` or ``cuda``; by default a GPU if there is one.
        ranks: who trains together; all of them see ``output`` and ``cache``.

    Returns:
        The figures of the epoch that was kept.

    Raises:
        InputError: no training clips, an unknown stage, no ``init`` for what needs it, ``output``
            holds ``init`` or a run of something else, or the training diverges.
    """
    if stage not in ("ess", "ra"):
        raise InputError(f"There is no stage {stage!r}; choose ess or ra.")
    if stage == "ra" and init is None:
        raise InputError("Stage ra starts from a stage-one checkpoint; give it as init.")
    if init is None and (fresh_text or fresh_heads):
        raise InputError("Without a checkpoint to start from all is fresh; give one as init.")
    if init is not None:
        check_start(Path(init), leave_out, Path(output))
    settings: TrainConfig = getattr(config, stage)
    torch.manual_seed(settings.seed)

    # ---- model
    model = RACLAP.create(config.model) if init is None else RACLAP.from_pretrained(str(init))
    start = start_of(init and model.fingerprint, fresh_text, fresh_heads)
    model.__dict__.pop("fingerprint", None)
    model = model.unfinished()
    if init is not None and fresh_text:
        model = model.with_fresh_text(config.model.text)
    if init is not None and fresh_heads:
        model = model.with_fresh_heads(config.model.speech.layers)
    if config.model.speech.levels:
        model = model.with_levels()
    teacher = model.copied() if stage == "ra" else None
    model.keep_teacher(teacher)

    # ---- data
    clips = [clip for path in manifest for clip in read_manifest(path)]
    clips = select(clips, leave_out, keep=False)
    known = {split: [c for c in clips if c.split == split and c.style.known] for split in _SPLITS}
    if len(known["train"]) < 2:
        raise InputError(
            f"{', '.join(map(str, manifest))} has {len(known['train'])} clips of known style whose "
            "split is train; training needs two or more."
        )
    refuse_another(output, record_of(stage, config, leave_out, start))
    learning = Features(
        model.speech, known["train"], Path(cache), copies=settings.copies, ranks=ranks
    )
    held_out = Features(model.speech, known["valid"], Path(cache), ranks=ranks)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model.to(place)
    if teacher is not None:
        teacher.to(place)
    if init is None:
        _calibrate(model, learning)
    if settings.speech_rate == 0:
        learning.settle(model.speech)
        held_out.settle(model.speech)

    return fit(model, learning, held_out, config, stage, output, leave_out, ranks, start)


def fit(
    model: RACLAP,
    learning: Features,
    held_out: Features,
    config: Config,
    stage: str,
    output: str | Path,
    left_out: Sequence[str] = (),
    ranks: Ranks = ALONE,
    start: str = "",
) -> dict[str, float]:
    """Run the loop of one stage; see :func:`train`.

    Args:
        model: on its device, calibrated; for stage ``ra`` it keeps its teacher.
        learning: the training clips, settled if the speech encoder does not train.
        held_out: the validation clips, likewise.
        config: settings of both stages.
        stage: ``ess`` or ``ra``.
        output: checkpoint folder.
        left_out: corpora that were left out, for the record.
        ranks: who trains together.
        start: names what ``model`` started from; a run goes on only from the same.

    Raises:
        InputError: no two clips make a batch, the training diverges, or ``output`` holds another.
    """
    settings, output = getattr(config, stage), Path(output)
    torch.manual_seed(settings.seed)
    heard = [learning.clips[0, row] for row in learning.rows]
    teacher = model.teacher if stage == "ra" else None
    objective = Objective(model, teacher, settings, config.relation, heard, ranks)
    clips = [_digest_of(features) for features in (learning, held_out)]
    record = record_of(stage, config, left_out, start) | {"clips": clips}
    run = _Run(model, objective, settings, output, stage, record)
    steps = len(grouped(learning, learning.rows, settings, random.Random(0)))
    if not steps:
        raise InputError(
            f"No two of the {len(heard)} training clips make a batch; add clips of their corpora, "
            f"or lower {stage}.same_corpus."
        )
    run.total_steps = settings.epochs * steps
    run.resume()
    ranks.agree([*model.state_dict(keep_vars=True).values(), *objective.parameters])
    ranks.wait()  # until all have read where to go on
    while run.epoch < settings.epochs:
        run.one_epoch(learning)
        due = run.epoch % max(1, settings.epochs // _VALIDATIONS) == 0
        if ranks.leads and (due or run.epoch == settings.epochs):
            with run.averaged():
                run.keep_if_best(validate(model, held_out))
            run.save()
    return ranks.tell(run.finish() if ranks.leads else {})


class _Run:
    """What one run of a stage carries from step to step, and how it is kept on disk."""

    def __init__(
        self,
        model: RACLAP,
        objective: Objective,
        settings: TrainConfig,
        output: Path,
        stage: str,
        record: Mapping[str, object],
    ) -> None:
        self.model, self.objective, self.settings = model, objective, settings
        self.output, self.stage, self.record = output, stage, record
        self.ranks = objective.ranks
        groups = _groups_of(model, settings)
        if objective.parameters:
            groups.append({"params": objective.parameters, "lr": settings.head_rate})
        self.optimizer = AdamW(groups, weight_decay=settings.weight_decay)
        self.learned = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.average = [p.detach().clone() for p in self.learned] if settings.average else []
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.epoch = self.batch = self.steps = self.total_steps = 0
        self.best: dict[str, float] = {}
        self.saved = time.monotonic()

    def one_epoch(self, features: Features) -> None:
        """Train on what is left of the current epoch."""
        self.model.train()
        plan = batches(
            features,
            features.rows,
            self.settings,
            epoch=self.epoch,
            start=self.batch,
            # On a CPU the batches and the model would compete for the same cores.
            workers=_WORKERS if self.model.device.type == "cuda" else 0,
            ranks=self.ranks,
        )
        total = self.total_steps // self.settings.epochs
        bar = tqdm(
            plan,
            f"{self.stage} {self.epoch}",
            total=total,
            initial=self.batch,
            leave=False,
            mininterval=1 if sys.stderr.isatty() else 30,
            disable=not self.ranks.leads,
        )
        terms: list[list[float]] = []
        for batch in bar:
            # Dropout, too, resumes, and differs between ranks.
            torch.manual_seed(self.settings.seed * 1_000_003 + self.steps + (self.ranks.rank << 40))
            self._set_rates()
            loss = self.objective(batch)
            self.optimizer.zero_grad(set_to_none=True)
            loss.total.backward()
            self.ranks.average(self.learned)
            clip_grad_norm_(self.learned, 1.0)
            self.optimizer.step()
            self.model.clamp_scale()
            if self.average:
                self._follow()
            self.steps += 1
            self.batch += 1
            terms.append([getattr(loss, name).item() for name in _TERMS])
            if not math.isfinite(terms[-1][0]):
                raise self._diverged(f"the loss is {terms[-1][0]}")
            bar.set_postfix(loss=f"{terms[-1][0]:.3f}", refresh=False)
            if self.steps % _LOG_STEPS == 0 and self.ranks.leads:
                names = ("loss", *_TERMS[1:])
                means = dict(zip(names, np.mean(terms, axis=0).round(5).tolist(), strict=True))
                self._log(
                    {"step": self.steps, "epoch": self.epoch, "scale": self.model.scale} | means
                )
                terms.clear()
            if self.ranks.leads and time.monotonic() - self.saved > _SAVE_SECONDS:
                self.save()
        self.model.eval()
        self.epoch, self.batch = self.epoch + 1, 0

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights, faster while it is young."""
        decay = min(self.settings.average, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.learned], 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Lend the model its average weights, which are validated and kept."""
        if not self.average:
            yield
            return
        own = [p.detach().clone() for p in self.learned]
        _set(self.learned, self.average)
        try:
            yield
        finally:
            _set(self.learned, own)

    def keep_if_best(self, figures: dict[str, float]) -> None:
        """Log the validation figures, and write the checkpoint if none was better."""
        if math.isnan(figures["score"]):
            raise self._diverged("the vectors are not finite")
        self._log({"step": self.steps, "epoch": self.epoch, "valid": figures})
        print(
            f"{self.stage} epoch {self.epoch}: {json.dumps(figures)}", file=sys.stderr, flush=True
        )
        if figures["score"] >= self.best.get("score", -math.inf):
            self.best = figures | {"epoch": self.epoch}
            self.model.__dict__.pop("fingerprint", None)
            self.model.save_pretrained(self.output)
            with replacing(self.output / "training.json") as part:
                part.write_text(json.dumps(self.record, indent=2) + "\n")

    def _diverged(self, sign: str) -> InputError:
        rates = (f"{self.stage}.{name}_rate" for name in ("head", "speech", "text"))
        return InputError(
            f"The training diverged at step {self.steps}, where {sign}; lower {', '.join(rates)}, "
            "those that are not 0, and give another output."
        )

    def finish(self) -> dict[str, float]:
        """Drop what only a resumed run needs."""
        (self.output / "resume" / "state.pt").unlink(missing_ok=True)
        (self.output / "resume").rmdir()
        return self.best

    def save(self) -> None:
        """Keep a point from which the run can go on."""
        path = self.output / "resume" / "state.pt"
        trained = {n: p.detach() for n, p in self.model.named_parameters() if p.requires_grad}
        buffers = dict(self.model.speech.named_buffers())
        place = {"epoch": self.epoch, "batch": self.batch, "steps": self.steps, "best": self.best}
        state = {
            "trained": trained,
            "average": self.average,
            "own": [p.detach() for p in self.objective.parameters],
            "buffers": {n: b for n, b in buffers.items() if "center" in n or "spread" in n},
            "optimizer": self.optimizer.state_dict(),
            "place": place,
            "settings": self._settings(),
        }
        with replacing(path) as part:
            torch.save(state, part)
        self.saved = time.monotonic()

    def resume(self) -> None:
        """Go on from the last point kept, if the settings, the model and the clips are the same."""
        path = self.output / "resume" / "state.pt"
        if not path.is_file():
            if self.ranks.leads:
                refuse_another(self.output, self.record)
                path.parent.mkdir(parents=True, exist_ok=True)
                (self.output / "history.jsonl").unlink(missing_ok=True)
            return
        state = torch.load(path, weights_only=True, map_location=self.model.device)
        if state["settings"] != self._settings():
            raise InputError(
                f"{self.output} holds an unfinished run with other settings; finish it with those, "
                "or choose another output."
            )
        self.model.load_state_dict(state["trained"], strict=False)
        self.model.speech.load_state_dict(state["buffers"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = [value.to(self.model.device) for value in state["average"]]
        _set(self.objective.parameters, state["own"])
        for name, value in state["place"].items():
            setattr(self, name, value)
        if self.ranks.leads:
            self._rewind()

    def _rewind(self) -> None:
        """Drop from the log what came after the point from which the run goes on."""
        log = self.output / "history.jsonl"
        kept = []
        for line in log.read_text().splitlines() if log.is_file() else []:
            with contextlib.suppress(ValueError):  # the last line, cut short
                row = json.loads(line)
                if row["step"] <= self.steps and row["epoch"] <= self.epoch:
                    kept.append(line + "\n")
        with replacing(log) as part:
            part.write_text("".join(kept))

    def _settings(self) -> str:
        settings = to_dict(self.settings), to_dict(self.objective.relations)
        left_out, start, clips = (self.record[name] for name in ("left_out", "start", "clips"))
        shape = to_dict(self.model.config)
        return json.dumps([self.stage, *settings, *left_out, start, shape, *clips])

    def _set_rates(self) -> None:
        done = self.steps / max(1, self.total_steps)
        rise = min(1.0, done / self.settings.warmup) if self.settings.warmup else 1.0
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * max(rise, 1e-2) * max(fall, 1e-2)

    def _log(self, row: dict) -> None:
        with (self.output / "history.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


def start_of(fingerprint: str | None, fresh_text: bool = False, fresh_heads: bool = False) -> str:
    """Name what a run starts from: a checkpoint, or none, and how much of it is taken."""
    return json.dumps([fingerprint, fresh_text, fresh_heads])


def record_of(stage: str, config: Config, left_out: Sequence[str], start: str) -> dict[str, object]:
    """What ``training.json`` tells of a run, but for its clips."""
    plain = {"stage": stage, "config": to_dict(config), "left_out": sorted(left_out)}
    return plain | {"start": start}


def refuse_another(output: str | Path, record: Mapping[str, object]) -> None:
    """Refuse to lose a finished checkpoint of which ``record`` is not true.

    One of which it is true comes out the same again.
    """
    output = Path(output)
    if not (output / "checksums.json").is_file() or (output / "resume").is_dir():
        return
    had = training_of(output)
    if {name: had.get(name) for name in record} != record:
        raise InputError(
            f"{output} holds the finished checkpoint of another training, which would be lost; "
            "choose another output."
        )


def _digest_of(features: Features) -> str:
    """Name all that a run is told of its clips: what they are, what is known of them, how long."""
    digest = hashlib.sha256()
    for row in features.rows:
        clip = features.clips[0, row]
        told = (clip.id, clip.corpus, clip.style.known, features.length(row))
        digest.update(json.dumps(told).encode())
    return digest.hexdigest()


@torch.no_grad()
def _set(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    """Change weights in place, not behind their backs: copies of them in half precision notice."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


def _groups_of(model: RACLAP, settings: TrainConfig) -> list[dict]:
    """Sort the parameters by learning rate; a rate of 0 freezes an encoder."""
    encoders = dict(zip(ENCODERS, (settings.speech_rate, settings.text_rate), strict=True))
    groups: dict[str, list] = {prefix: [] for prefix in ("", *encoders)}
    for name, parameter in model.named_parameters():
        prefix = next((p for p in encoders if name.startswith(p)), "")
        if parameter.requires_grad:
            groups[prefix].append(parameter)
    rates = {"": settings.head_rate} | encoders
    for prefix, rate in encoders.items():
        if rate == 0:
            for parameter in groups.pop(prefix):
                parameter.requires_grad_(False)
    return [{"params": group, "lr": rates[p]} for p, group in groups.items() if group]


@torch.no_grad()
def _calibrate(model: RACLAP, features: Features, at_once: int = 64) -> None:
    """Set the standardisation of the pooled statistics from training clips."""
    rows = random.Random(0).sample(features.rows, min(_CALIBRATION, len(features.rows)))
    rows.sort(key=features.length)
    pooled, measured = [], []
    for start in tqdm(range(0, len(rows), at_once), "calibrate", leave=False):
        chosen = [features.frames(row) for row in rows[start : start + at_once]]
        frames = Frames.collate(chosen).on(model.device)
        with mixed(model.device):
            pooled.append(model.speech.pooled(frames))
        measured.append(frames.prosody)
    model.speech.calibrate(torch.cat(pooled), torch.cat(measured))


@torch.no_grad()
def embed(model: RACLAP, features: Features, at_once: int = 64) -> Tensor:
    """Return (N, D) unit vectors of the clips as recorded, in the order of ``features.rows``."""
    order = sorted(range(len(features.rows)), key=lambda i: features.length(features.rows[i]))
    vectors = torch.zeros(len(order), model.dim)
    for start in range(0, len(order), at_once):
        chosen = order[start : start + at_once]
        batch = Frames.collate([features.frames(features.rows[i]) for i in chosen]).on(model.device)
        with mixed(model.device):
            vectors[chosen] = normalize(model.speech(batch).float(), dim=-1).cpu()
    return vectors


def validate(model: RACLAP, features: Features) -> dict[str, float]:
    """Measure what decides the epoch that is kept, with seen wording only.

    Returns:
        Zero-shot recall of emotion and intensity, and paired mAP@10, by corpus; ``score`` is the
        mean of all, and alone and NaN where vectors are not finite.
    """
    figures: dict[str, float] = {}
    clips = [features.clips[0, row] for row in features.rows]
    speech = embed(model, features).numpy()
    bench = Bench(clips, speech, lambda texts: model.encode_text(texts).numpy(), Protocol())
    for corpus in dict.fromkeys(clip.corpus for clip in clips):
        rows = np.array([i for i, clip in enumerate(clips) if clip.corpus == corpus])
        if len(rows) < min(_FEW, len(clips)):
            continue
        for attribute in ("emotion", "intensity"):
            truth, guess = classify(bench, rows, attribute, pool="seen")
            if len(set(truth)) > 1:
                recall = metrics.unweighted_recall(truth, guess)[0]
                figures[f"{corpus}/{attribute}"] = float(recall)
        texts = [describe(clips[i].style, random.Random(f"valid/{clips[i].id}")).text for i in rows]
        similarity = speech[rows] @ model.encode_text(texts).numpy().T
        if not np.isfinite(similarity).all():
            return {"score": math.nan}
        pair = np.arange(len(rows))
        for name, scores in (("s2t", similarity), ("t2s", similarity.T)):
            rank = metrics.ranks(scores, pair, np.random.default_rng(0)).fair
            figures[f"{corpus}/{name}"] = float(metrics.average_precision(rank).mean())
    figures["score"] = float(np.mean(list(figures.values()))) if figures else 0.0
    return {name: round(value, 4) for name, value in figures.items()}


def check_start(init: Path, leave_out: Sequence[str], output: Path) -> list[str]:
    """Return the corpora that a checkpoint's training left out, ``leave_out`` among them.

    Raises:
        InputError: there is no such checkpoint, it has heard one of ``leave_out``, or ``output``
            is its own folder.
    """
    if not init.is_dir():
        raise InputError(f"There is no checkpoint {init} to start from; give a trained folder.")
    if init.resolve() == output.resolve():
        raise InputError(
            f"{output} is the checkpoint to start from, which would be lost; choose another output."
        )
    had = training_of(init).get("left_out", [])
    if heard := sorted(set(leave_out) - set(had)):
        raise InputError(
            f"{init} did not leave out {', '.join(heard)}, so a model that starts there has heard "
            "it; train that one with the same --leave-out."
        )
    return had


def training_of(checkpoint: str | Path) -> dict[str, Any]:
    """Read how a checkpoint was trained: ``stage``, ``config``, ``left_out`` and what else is told.

    Returns:
        What its ``training.json`` holds; empty where there is none, as of a name on the hub.

    Raises:
        InputError: that file is damaged.
    """
    path = Path(checkpoint) / "training.json"
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        int(told["config"][told["stage"]]["seed"])
        return {"left_out": [], **told}
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{path} is damaged and does not tell how {checkpoint} was trained; restore it, e.g. "
            "with git."
        ) from error
