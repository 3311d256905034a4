"""Clips are examined by many workers, on this machine or on a cluster, through Ray Data.

In: clips by key, as `intake.take_in` hands them out. Out: their findings, a shard at a time, in the
order in which workers finish. A worker that dies is replaced and its shard done again; findings
are written down by `intake`, so that a run that dies goes on. Needs ``ray[data]``. Deliberately
not here: what is found in a clip (`intake`).

    RAY_ADDRESS=HOST:PORT python -m raclap index DIR --engine ray --output GALLERY

Without RAY_ADDRESS a cluster of this machine's cores is started and stopped. On a real one every
machine has this folder, the checkpoint and the audio at the same paths, e.g. on a shared disk.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from raclap.config import InputError
from raclap.corpus import Clip
from raclap.intake import Examine, Finding, here, line_of, read_line

SHARD = 64  # clips that a worker takes at a time, and that are done again if it dies
_TRIES = 3  # how often a worker may die over one shard
_ROOT = Path(__file__).resolve().parent.parent


def examine(checkpoint: str | Path, workers: int | None = None) -> Examine:
    """Return what examines clips on a cluster.

    Args:
        checkpoint: folder as the workers see it, or name on the hub.
        workers: how many; by default one a core.

    Raises:
        InputError: Ray is missing, or no cluster answers; told when the examining begins.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            '--engine ray needs an extra package; install it with: pip install "ray[data]"'
        )
    folder = Path(checkpoint)
    name = str(folder.absolute() if folder.is_dir() else checkpoint)

    def run(clips: Mapping[str, Clip]) -> Iterator[tuple[str, Finding | str]]:
        if clips:
            # Ray tells of dead workers on stdout, where only the result belongs.
            with contextlib.redirect_stdout(sys.stderr), _Cluster() as ray:
                yield from _findings(ray, clips, name, workers)

    return run


class _Cluster:
    """A cluster for as long as it is needed; one that was there before stays."""

    def __enter__(self) -> Any:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        import ray
        import ray.data

        self.ours = not ray.is_initialized()
        if self.ours:
            try:
                ray.init(
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="error",
                    runtime_env={"env_vars": {"PYTHONPATH": str(_ROOT)}},
                )
            except (ConnectionError, OSError, RuntimeError, ValueError) as error:
                reason = " ".join(str(error).split())[:200]
                raise InputError(f"No Ray cluster answers or can be started: {reason}.") from error
        return ray

    def __exit__(self, *_: object) -> None:
        import ray

        if self.ours:
            ray.shutdown()


def _findings(
    ray: Any, clips: Mapping[str, Clip], checkpoint: str, workers: int | None
) -> Iterator[tuple[str, Finding | str]]:
    """Yield key and finding of each clip as workers finish."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # the caller has one of its own
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors are told below
    rows = [{"key": key, "clip": clip.to_json()} for key, clip in clips.items()]
    shards = -(-len(rows) // SHARD)
    workers = min(workers or int(ray.cluster_resources().get("CPU", 1)), shards)
    shared = ray.data.from_items(rows, override_num_blocks=shards)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the name it takes the limit under
        done = shared.map_batches(
            _Worker,
            fn_constructor_args=(checkpoint,),
            batch_size=SHARD,
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
            num_cpus=1,
            max_task_retries=_TRIES,
        )
    try:
        for shard in done.iter_batches(batch_size=None):
            for line, key, reason in zip(
                *(shard[name].tolist() for name in ("line", "key", "reason")), strict=True
            ):
                yield read_line(line) if line else (key, reason)
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"The workers on the Ray cluster gave up ({reason}); what they had finished is kept, "
            "give the same command to go on."
        ) from error


class _Worker:
    """One of the cluster's processes; it loads the checkpoint once."""

    def __init__(self, checkpoint: str) -> None:
        import torch

        from raclap.checkpoint import open_reader

        torch.set_num_threads(1)  # there is a worker a core
        self._examine = here(open_reader(checkpoint))

    def __call__(self, shard: dict[str, Any]) -> dict[str, list[str]]:
        """Examine one shard: a line a clip, or why there is none."""
        clips = {
            key: Clip.from_json(record)
            for key, record in zip(shard["key"].tolist(), shard["clip"].tolist(), strict=True)
        }
        found: dict[str, list[str]] = {"line": [], "key": [], "reason": []}
        for key, finding in self._examine(clips):
            failed = isinstance(finding, str)
            found["key"].append(key)
            found["line"].append("" if failed else line_of(key, finding))
            found["reason"].append(finding if failed else "")
        return found
