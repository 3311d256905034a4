"""Manifest to cached features to typed :class:`Batch`; everything random follows from one seed.

The lower part of the speech tower never trains, so its output is computed once per clip and kept
on disk, for the clip as recorded and for a few augmented copies of it. An augmented copy's levels
are measured again, so that what is said of it stays true.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, Dataset
from torchaudio.functional import add_noise, fftconvolve, resample
from tqdm import tqdm

from raclap import audio, prosody
from raclap.config import InputError, TrainConfig
from raclap.corpus import Clip, measured
from raclap.files import as_name, sharing
from raclap.parallel import ALONE, Ranks
from raclap.precision import mixed
from raclap.style import ATTRIBUTES, EVERY_VALUE, VALUES, Style
from raclap.towers import Frames, SpeechTower
from raclap.wording import WIDE, Description, describe, partial, prompts

SHARD = 256  # clips in one file of the cache
VERSION = 2  # raise when what the cache holds changes its meaning


def augment(waveform: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Make another clip of the same style: another speaker's size, another room, another gain.

    Speed perturbation (Ko et al. 2015) moves pitch, formants and tempo together by up to 12%.

    Args:
        waveform: (S,) float32 at 16 kHz.
        rng: what everything random is drawn from.

    Returns:
        The clip as a microphone would have it, and the same before room and noise were added:
        (S',) float32 each. Levels are to be measured on the second.
    """
    factor = rng.uniform(0.88, 1.12)
    clean = resample(torch.from_numpy(waveform.copy()), round(16_000 * factor / 100) * 100, 16_000)
    heard = clean
    if rng.random() < 0.5:
        seconds = rng.uniform(0.1, 0.4)  # reverberation time
        length = int(seconds * audio.RATE_HZ)
        decay = torch.from_numpy(np.exp(-6.9 * np.arange(length) / length).astype(np.float32))
        room = decay * torch.from_numpy(rng.standard_normal(length).astype(np.float32))
        room *= rng.uniform(0.1, 0.5) / room.norm()
        room[0] = 1.0
        heard = fftconvolve(heard, room)[: len(clean)]
    if rng.random() < 0.5:
        noise = torch.from_numpy(rng.standard_normal(len(heard)).astype(np.float32))
        smooth = torch.nn.functional.avg_pool1d(noise[None], 5, 1, 2)[0]  # less hiss, more hum
        heard = add_noise(heard, smooth, torch.tensor(rng.uniform(15, 40)))
    heard = heard * 10 ** (rng.uniform(-8, 8) / 20)
    return heard.clamp(-1, 1).numpy(), clean.numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shard:
    """A file of the cache: one copy of up to ``SHARD`` clips of one corpus."""

    path: Path
    copy: int
    rows: list[int]


class _ShardMaker(Dataset):
    """Computes one shard of the cache per item and writes it; a complete one is left alone."""

    def __init__(self, tower: SpeechTower, clips: Sequence[Clip], shards: list[_Shard]) -> None:
        self.tower, self.clips, self.shards = tower, clips, shards

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, item: int) -> list[str]:
        """Return the complaints about clips that cannot be read."""
        shard = self.shards[item]
        if shard.path.is_file():
            complaints = self._still_left_out(shard)
            if complaints is not None:
                return complaints
        places, frames, clean, complaints = [], [], [], []
        for place, row in enumerate(shard.rows):
            clip = self.clips[row]
            try:
                waveform = dry = audio.trim(audio.load(clip.path))
            except InputError as error:
                complaints.append(str(error))
                continue
            if shard.copy:
                seed = int.from_bytes(hashlib.sha256(f"{clip.id}/{shard.copy}".encode()).digest())
                waveform, dry = augment(waveform, np.random.default_rng(seed))
            places.append(place)
            count = math.ceil(len(waveform) / (audio.WINDOW_SECONDS * audio.RATE_HZ))
            window = np.array_split(waveform, count)[0]  # the whole of most clips
            with mixed(torch.device("cpu")):
                frames.append(self.tower.lower(window))
            known = self.tower.config.prosody and dry is waveform
            truth = frames[-1].prosody[0].numpy() if known else prosody.measure(dry).vector()
            clean.append(truth)
        if not places:  # nothing to keep, and the next run shall complain again
            return complaints
        tensors = {
            "places": torch.tensor(places),
            "hidden": torch.cat([f.hidden[0] for f in frames]).half(),
            "attended": torch.cat([f.attended for f in frames]),
            "valid": torch.cat([f.valid for f in frames]),
            "lower": torch.cat([f.lower for f in frames]).half(),
            "prosody": torch.cat([f.prosody for f in frames]),
            "clean": torch.from_numpy(np.stack(clean)),
        }
        # Another run may be at the same shard, perhaps on another machine with the same disk.
        with sharing(shard.path) as part:
            save_file(tensors, part)
        return complaints

    def _still_left_out(self, shard: _Shard) -> list[str] | None:
        """The complaints about what a shard lacks, or None if some of it can be read by now."""
        with safe_open(shard.path, "pt") as file:
            there = set(file.get_tensor("places").tolist())
        complaints = []
        for place in sorted(set(range(len(shard.rows))) - there):
            try:
                audio.trim(audio.load(self.clips[shard.rows[place]].path))
            except InputError as error:
                complaints.append(str(error))
            else:
                return None
        return complaints


class Features:
    """Cached frames and true styles of a manifest's clips, computed on first use.

    Args:
        tower: its lower part makes the frames; it computes on the CPU, in the workers.
        clips: rows of the manifest.
        cache: folder for all caches; a corpus under given lower weights has its own inside.
        copies: 1 for the clips as recorded, more for augmented copies beside them.
        workers: processes that compute.
        ranks: each computes its part; the folder is one that all of them see.

    Attributes:
        clips: (copy, row) -> the clip with its measured levels.
        rows: the clips that could be read.
    """

    def __init__(
        self,
        tower: SpeechTower,
        clips: Sequence[Clip],
        cache: str | Path,
        *,
        copies: int = 1,
        workers: int | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        shards = list(_shards(tower, clips, Path(cache), copies))
        maker = _ShardMaker(tower, clips, shards[ranks.rank :: ranks.size])
        workers = (os.cpu_count() or 1) if workers is None else workers
        loader = DataLoader(maker, batch_size=None, num_workers=workers)
        for complaints in tqdm(loader, "clips to frames", unit="shard", leave=False):
            for complaint in complaints:
                tqdm.write(f"left out: {complaint}", file=sys.stderr)
        ranks.wait()
        self.clips: dict[tuple[int, int], Clip] = {}
        self._where: dict[tuple[int, int], tuple[dict[str, Tensor], int, int]] = {}
        self._settled: dict[tuple[int, int], Tensor] = {}
        for shard in shards:
            self._open(shard, clips)
        self.rows = sorted(row for copy, row in self._where if copy == 0)

    def _open(self, shard: _Shard, clips: Sequence[Clip]) -> None:
        if not shard.path.is_file():  # none of its clips could be read
            return
        with safe_open(shard.path, "pt") as file:  # memory-mapped: frames are read when asked for
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        ends = held["attended"].cumsum(0).tolist()
        for index, (place, end) in enumerate(zip(held["places"].tolist(), ends, strict=True)):
            row = shard.rows[place]
            figures = prosody.Prosody(
                **dict(zip(prosody.NAMES, held["clean"][index].tolist(), strict=True))
            )
            self.clips[shard.copy, row] = measured(clips[row], figures)
            self._where[shard.copy, row] = (held, index, end)

    def frames(self, row: int, copy: int = 0) -> Frames:
        """Return the frames of one clip, a batch of one, in half precision as they are kept."""
        held, place, end = self._where[copy, row]
        if (copy, row) in self._settled:
            return Frames.settled(self._settled[copy, row], held["prosody"][place][None])
        here = slice(place, place + 1)
        return Frames(
            hidden=held["hidden"][None, end - int(held["attended"][place]) : end],
            attended=held["attended"][here],
            valid=held["valid"][here],
            lower=held["lower"][here],
            prosody=held["prosody"][here],
        )

    @torch.no_grad()
    def settle(self, tower: SpeechTower, at_once: int = 64) -> None:
        """Run the upper layers once, for a stage in which they do not train."""
        device = tower.layer_weights.device
        keys = sorted(self._where, key=lambda key: self.length(key[1]))
        for start in tqdm(range(0, len(keys), at_once), "frames to statistics", leave=False):
            chosen = keys[start : start + at_once]
            frames = Frames.collate([self.frames(row, copy) for copy, row in chosen]).on(device)
            with mixed(device):
                pooled = tower.pooled(frames).half().cpu()
            self._settled.update(zip(chosen, pooled.split(1), strict=True))

    def length(self, row: int) -> int:
        """Frames of a clip, to bucket by."""
        held, place, _ = self._where[0, row]
        return int(held["attended"][place])


def _shards(
    tower: SpeechTower, clips: Sequence[Clip], cache: Path, copies: int
) -> Iterator[_Shard]:
    """Lay out the cache. A folder is named after all that its content depends on."""
    lower = hashlib.sha256()
    config = tower.config
    read = [VERSION, audio.EDITION, config.frozen_layers, config.tail_seconds, config.prosody]
    lower.update(json.dumps(read).encode())
    for module in tower.backbone.frozen:
        for tensor in module.state_dict().values():
            lower.update(tensor.float().numpy().tobytes())
    corpora: dict[tuple[str, str], list[int]] = {}
    for row, clip in enumerate(clips):
        corpora.setdefault((clip.corpus, clip.split), []).append(row)
    for (corpus, split), rows in corpora.items():
        digest = lower.copy()
        for row in rows:
            clip = clips[row]
            digest.update(f"{clip.id}\0{clip.path}\0{_state(clip.path)}\0".encode())
        folder = cache / f"{as_name(corpus)}-{split}-{digest.hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        for copy in range(copies):
            for start in range(0, len(rows), SHARD):
                path = folder / f"{copy}-{start:06d}.safetensors"
                yield _Shard(path=path, copy=copy, rows=rows[start : start + SHARD])


def _state(path: str) -> str:
    """What changes when a file is replaced by another, without reading it."""
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):  # whoever reads it will complain
        return ""
    return f"{stat.st_size} {stat.st_mtime_ns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """B clips, each with one description of it.

    Attributes:
        frames: of the clips; among several ranks, of this one's share only.
        corpora: where each clip is from.
        styles: of the clips, everything that is known.
        descriptions: one a clip, true of it, possibly of a part of its style only.
        probes: a description of each single value, by attribute; empty unless asked for.
        drills: further descriptions of a single value, of no clip; empty unless asked for.
    """

    frames: Frames
    corpora: list[str]
    styles: list[Style]
    descriptions: list[Description]
    probes: dict[str, list[Description]]
    drills: list[Description]


class _Epoch(Dataset):
    """The batches of one epoch by their number, whoever asks and in whatever order."""

    def __init__(
        self,
        features: Features,
        rows: Sequence[int],
        config: TrainConfig,
        epoch: int,
        ranks: Ranks = ALONE,
    ) -> None:
        self.features, self.config, self.epoch, self.ranks = features, config, epoch, ranks
        rng = random.Random(f"{config.seed}/{epoch}")
        self.groups = grouped(features, rows, config, rng)

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, step: int) -> Batch:
        features, config = self.features, self.config
        rng = random.Random(f"{config.seed}/{self.epoch}/{step}")
        keys = [(rng.randrange(config.copies), row) for row in self.groups[step]]
        clips = [features.clips[key] for key in keys]
        return Batch(
            frames=Frames.collate(
                [features.frames(row, copy) for copy, row in self.ranks.share(keys)]
            ),
            corpora=[clip.corpus for clip in clips],
            styles=[clip.style for clip in clips],
            descriptions=[
                _draw(clip.style, config, key, rng) for key, clip in zip(keys, clips, strict=True)
            ],
            probes=_probes(rng) if config.attributes or config.reading else {},
            drills=[drill(rng) for _ in range(config.drills)] if config.reading else [],
        )


def batches(
    features: Features,
    rows: Sequence[int],
    config: TrainConfig,
    *,
    epoch: int,
    start: int = 0,
    workers: int = 0,
    ranks: Ranks = ALONE,
) -> Iterator[Batch]:
    """Yield one epoch of batches: shuffled, length-bucketed, the same for the same seed and epoch.

    Args:
        features: where frames come from.
        rows: the clips of this epoch.
        config: batch size, shares and seed.
        epoch: decides the shuffle with the seed.
        start: batches of the epoch to skip, for going on where a run stopped.
        workers: processes that prepare batches ahead; the batches are the same for any number.
        ranks: who shares the frames of a batch; all else of it is the same for each.
    """
    plan = _Epoch(features, rows, config, epoch, ranks)
    ahead = {"prefetch_factor": 4} if workers else {}
    yield from DataLoader(
        plan, batch_size=None, sampler=range(start, len(plan)), num_workers=workers, **ahead
    )


def grouped(
    features: Features, rows: Sequence[int], config: TrainConfig, rng: random.Random
) -> list[list[int]]:
    """Cut the rows into batches, some of a single corpus, each of clips of about one length."""
    pools: dict[str, list[int]] = {}
    for row in rng.sample(list(rows), len(rows)):
        alone = rng.random() < config.same_corpus
        pools.setdefault(features.clips[0, row].corpus if alone else "", []).append(row)
    groups = []
    for pool in pools.values():
        for start in range(0, len(pool), 4 * config.batch):
            chunk = sorted(pool[start : start + 4 * config.batch], key=features.length)
            groups += [chunk[i : i + config.batch] for i in range(0, len(chunk), config.batch)]
    groups = [group for group in groups if len(group) > 1]  # one clip has nothing to contrast with
    rng.shuffle(groups)
    return groups


def _draw(
    known: Style, config: TrainConfig, key: tuple[int, int], rng: random.Random
) -> Description:
    """Word a clip: everything that is known, or one to three attributes."""
    if config.wordings:
        rng = random.Random(f"{config.seed}/{key}/{rng.randrange(config.wordings)}")
    if rng.random() < config.partial:
        count = rng.randint(1, max(1, min(3, len(known.known))))
        return partial(known, rng, pool=WIDE, count=count)
    return describe(known, rng, pool=WIDE)


def drill(rng: random.Random) -> Description:
    """Word one value of any attribute; clips alone would leave some values rare."""
    attribute, value = rng.choice(EVERY_VALUE)
    return describe(Style(**{attribute: value}), rng, pool=WIDE)


_prompts = cache(prompts)


def value_vectors(encode_text: Callable[[list[str]], Tensor]) -> Tensor:
    """Return (V, D) unit vectors of all values of all attributes, each from all its prompts."""
    means = [encode_text(_prompts(attribute, value)).mean(0) for attribute, value in EVERY_VALUE]
    return normalize(torch.stack(means), dim=-1)


def _probes(rng: random.Random) -> dict[str, list[Description]]:
    """Choose one of the prompts of every single value."""
    return {
        attribute: [
            Description(
                text=rng.choice(_prompts(attribute, value)), style=Style(**{attribute: value})
            )
            for value in VALUES[attribute]
        ]
        for attribute in ATTRIBUTES
    }
