"""Kill -9 at random moments: an index, a training, a save; then look at what is left, and go on.

Run: .venv/bin/python tests/kills.py save,index,train [ROUNDS]    prints what became of the rounds

Each round is a fork of a process that has imported everything and read its tables, so that it
costs the work alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from stub import write_voice
from toys import tiny_model

from raclap import __main__, intake
from raclap import train as room
from raclap.config import InputError, preset
from raclap.corpus import Clip, write_manifest
from raclap.index import Gallery
from raclap.model import RACLAP

ROUNDS = 20


def killed(work: Callable[[], object], seconds: float) -> bool:
    """Fork, kill the child and all that it started after some seconds; whether that was needed."""
    child = os.fork()
    if not child:
        os.setsid()
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        os._exit(int(bool(work())))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, f"the work itself failed with {status}"
            return False
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def timed(work: Callable[[], object]) -> float:
    """How long the work takes when nobody interferes."""
    start = time.monotonic()
    assert not killed(work, 300)
    return time.monotonic() - start


class Moment:
    """When to kill: at random within what the work takes.

    That is measured once, perhaps on a machine that was busy just then, so it shrinks with every
    round that ended by itself: otherwise such a harness would never kill again, nor end.
    """

    def __init__(self, work: Callable[[], object], rng: random.Random) -> None:
        self.seconds, self._rng = timed(work), rng

    def strike(self, work: Callable[[], object], first: float, last: float) -> bool:
        """Run the work, and kill it between two shares of its time; whether that was needed."""
        dead = killed(work, self._rng.uniform(first, last) * self.seconds)
        self.seconds *= 1.02 if dead else 0.8
        return dead


def save(home: Path, rounds: int, rng: random.Random) -> dict[str, int]:
    """A gallery is saved over another: it is the one or the other."""
    clips = [
        Clip(id=f"c{n}", path=str(write_voice(home / f"c{n}.wav", 100 + n, 0.2))) for n in range(50)
    ]
    ones = np.eye(512, dtype=np.float32)[:50]
    galleries = [
        Gallery.build(sign * ones, clips, "stub", name=name) for name, sign in (("a", 1), ("b", -1))
    ]
    folder = home / "gallery"
    galleries[0].save(folder)
    moment = Moment(lambda: galleries[1].save(folder), rng)
    found = {"a": 0, "b": 0, "killed": 0}
    names = {"a": 1, "b": -1}
    while found["killed"] < rounds:
        other = galleries[(found["a"] + found["b"]) % 2]
        found["killed"] += moment.strike(lambda other=other: other.save(folder), 0, 1)
        left = Gallery.load(folder)
        np.testing.assert_array_equal(left.vectors, names[left.name] * ones)
        found[left.name] += 1
    galleries[0].save(folder)
    assert Gallery.load(folder).name == "a"
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []
    return found


def index(home: Path, rounds: int, rng: random.Random) -> dict[str, int]:
    """A folder is indexed: no finding is lost, no half gallery taken for a whole one."""
    for number in range(12):
        write_voice(home / "voices" / f"v{number}.wav", 100 + 9 * number, 0.4)
    tiny_model().save_pretrained(home / "model")
    intake._CHUNK_CLIPS = 1  # a finding is written down after every clip

    def make(output: Path) -> int:
        words = ("index", home / "voices", "--output", output, "--checkpoint", home / "model")
        return __main__.main([str(word) for word in words])

    moment = Moment(lambda: make(home / "whole"), rng)
    expected = Gallery.load(home / "whole")
    output, work = home / "parted", home / "parted" / intake.WORK
    found = {"killed": 0, "finished": 0, "most findings kept": 0}
    before = 0
    while found["killed"] < rounds:
        found["killed"] += (dead := moment.strike(lambda: make(output), 0.1, 0.9))
        kept = len(intake._read_work(work))
        whole = None
        with contextlib.suppress(InputError):
            whole = Gallery.load(output)
        assert kept >= before or whole, "findings were lost"
        found["most findings kept"] = max(found["most findings kept"], kept)
        before = kept
        if whole:
            np.testing.assert_array_equal(whole.vectors, expected.vectors)
            assert whole.clips == expected.clips
        if not dead:
            assert whole
            found["finished"] += 1
            shutil.rmtree(output)
            before = 0
    assert not killed(lambda: make(output), 300)
    np.testing.assert_array_equal(Gallery.load(output).vectors, expected.vectors)
    assert not work.exists()
    return found


def train(home: Path, rounds: int, rng: random.Random) -> dict[str, int]:
    """A stage is trained: it ends at the same weights, to the bit, and with the same log."""
    os.chdir(home)  # where the cache of features lands
    os.cpu_count = lambda: 0  # the cache is filled by the process itself
    clips = [
        Clip(
            id=f"{split}{number}",
            path=str(write_voice(home / f"{split}{number}.wav", 90 + 13 * number, 0.5)),
            corpus="vowels",
            split=split,
            gender=("female", "male")[number % 2],
            emotion=("angry", "sad", "happy")[number % 3],
        )
        for split, count in (("train", 16), ("valid", 6))
        for number in range(count)
    ]
    write_manifest(clips, home / "manifest.csv")
    config = preset("tiny")
    config = replace(config, ess=replace(config.ess, epochs=6, average=0.9))
    room._SAVE_SECONDS = -1  # keep a point after every step

    def make(output: Path) -> None:
        room.train(config=config, stage="ess", manifest=["manifest.csv"], output=output)

    moment = Moment(lambda: make(home / "whole"), rng)
    output = home / "parted"
    found = {"killed": 0, "finished": 0, "most steps kept": 0, "whole checkpoints": 0}
    while found["killed"] < rounds:
        found["killed"] += (dead := moment.strike(lambda: make(output), 0.05, 0.5))
        state = output / "resume" / "state.pt"
        if state.is_file():
            steps = torch.load(state, weights_only=True)["place"]["steps"]
            found["most steps kept"] = max(found["most steps kept"], steps)
        with contextlib.suppress(InputError):
            if not output.is_dir():
                continue
            RACLAP.from_pretrained(output)
            found["whole checkpoints"] += 1
        if not dead:
            _alike(home / "whole", output)
            found["finished"] += 1
            shutil.rmtree(output)
    assert not killed(lambda: make(output), 300)
    _alike(home / "whole", output)
    return found


def _alike(whole: Path, parted: Path) -> None:
    """The same checkpoint; the log, too, but for terms that are averaged since the last start."""
    weights = (path.name for path in whole.glob("*.safetensors"))
    for name in (*weights, "config.json", "training.json"):
        assert (whole / name).read_bytes() == (parted / name).read_bytes(), name
    logs = [
        [json.loads(line) for line in (at / "history.jsonl").read_text().splitlines()]
        for at in (whole, parted)
    ]
    kept = [[(row["step"], row.get("valid")) for row in log] for log in logs]
    assert kept[0] == kept[1], kept
    RACLAP.from_pretrained(parted)


if __name__ == "__main__":
    torch.set_num_threads(1)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else None)
    tiny_model().encode_text(["a frightened woman, whispering fast"])
    doors = {"save": save, "index": index, "train": train}
    for door in sys.argv[1].split(","):
        home = Path(tempfile.mkdtemp(prefix="raclap-kills-"))
        try:
            print(json.dumps(doors[door](home, rounds, rng)))
        finally:
            os.chdir("/")
            shutil.rmtree(home, ignore_errors=True)
