"""Several ranks against one process: the same loss, gradients and training.

python -m pytest tests/test_parallel.py
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hums import history, hums
from torch import distributed, multiprocessing

from raclap.__main__ import main
from raclap.config import RelationConfig, TrainConfig, preset
from raclap.corpus import Clip, write_manifest
from raclap.data import Batch
from raclap.model import RACLAP
from raclap.objective import Objective
from raclap.parallel import ALONE, Ranks, joined
from raclap.style import ATTRIBUTES, VALUES, Style
from raclap.towers import Frames
from raclap.wording import Description, describe

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
STYLES = [
    Style(gender="female", emotion="angry", pitch="high"),
    Style(gender="male", emotion="angry", pitch="low"),
    Style(gender="female", emotion="sad", pitch="low"),
    Style(gender="male", emotion="happy"),
    Style(gender="male", emotion="happy", intensity="strong"),
]
CORPORA = ["one", "one", "two", "two", "two"]
STAGES = {
    "ess": TrainConfig(wordings=0),
    "ess with attributes": TrainConfig(wordings=0, attributes=1.0, positives="style"),
    "ess by sigmoid": TrainConfig(wordings=0, loss="sigmoid"),
    "ess over still texts": TrainConfig(wordings=0, text_rate=0.0),
    "ra": TrainConfig(wordings=0),
    "ra of one wording": TrainConfig(wordings=0),
}


def said(style: Style, seed: int) -> Description:
    return Description(text=describe(style, random.Random(seed)).text, style=style)


def cost(ranks: Ranks, name: str) -> dict[str, torch.Tensor]:
    """Loss and gradients of a batch of five clips, as the loop of training reckons them."""
    torch.manual_seed(0)
    model = RACLAP.create(preset("tiny").model)
    teacher = RACLAP.create(preset("tiny").model).eval() if name.startswith("ra") else None
    frames = [model.speech.lower(torch.randn(8000 + 800 * i).numpy()) for i in range(5)]
    config = STAGES[name]
    probes = {
        each: [said(Style(**{each: value}), 0) for value in VALUES[each]] for each in ATTRIBUTES
    }
    batch = Batch(
        frames=Frames.collate(ranks.share(frames)),
        corpora=CORPORA,
        styles=STYLES,
        descriptions=[said(style, seed) for seed, style in enumerate(STYLES)],
        probes=probes if config.attributes else {},
        drills=[said(Style(**{name: VALUES[name][0]}), 1) for name in ATTRIBUTES[: config.drills]],
    )
    clips = [
        Clip(id=str(i), path=str(i), corpus=corpus, **style.known)
        for i, (corpus, style) in enumerate(zip(CORPORA, STYLES, strict=True))
    ]
    relations = RelationConfig(wordings=1 if "one wording" in name else 3)
    for module in model.modules():  # each rank would drop other places
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    objective = Objective(model.train(), teacher, config, relations, clips, ranks)
    loss = objective(batch)
    loss.total.backward()
    learned = dict(model.named_parameters()) | {"bias": objective.bias}
    ranks.average(learned.values())
    found = {n: p.grad for n, p in learned.items() if p.grad is not None}
    terms = ("total", "contrastive", "relation", "attribute")
    return found | {f"loss {term}": getattr(loss, term).detach() for term in terms}


SIZES = (1, 2, 3)


def work(rank: int, folder: str) -> None:
    """Be one of the processes, alone and among others; leave what was found."""
    torch.set_num_threads(1)
    # Half precision rounds a sum of two halves otherwise than the whole.
    torch.autocast = lambda *_, **__: contextlib.nullcontext()
    for size in SIZES[rank:]:
        ranks = Ranks(rank, size)
        if size > 1:
            meeting = f"file://{folder}/meeting{size}"
            distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
        found = {name: cost(ranks, name) for name in STAGES}
        torch.save(found | {"told": ranks.tell({"from": rank})}, f"{folder}/{size}-{rank}.pt")
        if size > 1:
            distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[tuple[int, int], dict]:
    """What each rank found, by number of processes and rank."""
    folder = tmp_path_factory.mktemp("ranks")
    # What all import is imported once.
    multiprocessing.get_context("forkserver").set_forkserver_preload(["raclap.objective", "pytest"])
    multiprocessing.start_processes(
        work, (str(folder),), nprocs=SIZES[-1], start_method="forkserver"
    )
    places = [(size, rank) for size in SIZES for rank in range(size)]
    return {place: torch.load(folder / "{}-{}.pt".format(*place)) for place in places}


@pytest.mark.parametrize("place", [(2, 0), (2, 1), (3, 0), (3, 2)])
@pytest.mark.parametrize("name", STAGES)
def test_loss_and_gradients_are_those_of_one_process(found, name, place):
    expected, several = found[1, 0][name], found[place][name]
    assert several.keys() == expected.keys()
    assert ("text.encoder" in " ".join(expected)) == (STAGES[name].text_rate > 0)
    assert (expected["loss relation"] > 0) == name.startswith("ra")
    assert sum(float(value.abs().max()) > 1e-3 for value in expected.values()) > 10
    for key, value in expected.items():
        torch.testing.assert_close(several[key], value, atol=1e-5, rtol=1e-4, msg=key)


def test_every_rank_hears_what_the_first_says(found):
    assert all(each["told"] == {"from": 0} for each in found.values())


def test_shares_cover_the_batch_and_are_of_one_size():
    for count in range(1, 9):
        for size in range(1, 5):
            shares = [list(Ranks(rank, size).share(range(count))) for rank in range(size)]
            assert {len(share) for share in shares} == {-(-count // size)}
            assert [row for share in shares for row in share][:count] == [*range(count)]


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with joined() as ranks:
        assert ranks is ALONE
        assert ranks.leads


# ---- torchrun


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    """Eleven clips to train on, so that batches do not split evenly, and eight to validate."""
    home = tmp_path_factory.mktemp("corpus")
    clips = hums(home, ("train", "train", "valid"))
    # Speaker 1 has three clips only.
    clips = [clip for n, clip in enumerate(clips) if clip.id[-1] != "1" or n < 11]
    write_manifest(clips, home / "manifest.csv")
    return home / "manifest.csv"


def torchrun(folder: Path, *words: object) -> subprocess.Popen:
    """Start two ranks as a user does; what they say goes to files, which nobody needs to empty."""
    start = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)
    argv = [sys.executable, *start, "-m", "raclap", "train", "--preset", "tiny", *words]
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        return subprocess.Popen(
            [str(word) for word in argv],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )


def test_torchrun_trains_and_goes_on_after_a_kill(manifest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the cache of features lands
    alone = ("--preset", "tiny", "--manifest", manifest, "--set", "ess.epochs=1")
    alone = (*alone, "--set", "ess.same_corpus=0", "--set", "ess.partial=0")
    first = tmp_path / "ess"
    assert main([str(word) for word in ("train", "--stage", "ess", *alone, "--output", first)]) == 0
    given = ("--manifest", manifest, "--stage", "ra", "--init", first, "--set", "ra.epochs=30")
    given = (*given, "--set", "ra.same_corpus=0", "--set", "ra.partial=0", "--set", "ra.wordings=1")
    given = (*given, "--output", tmp_path / "ra")
    state, out, err = tmp_path / "ra" / "resume" / "state.pt", tmp_path / "out", tmp_path / "err"
    run = torchrun(tmp_path, *given)
    deadline = time.monotonic() + 120
    while not state.is_file() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert state.is_file(), err.read_text()
    ranks = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    assert len(ranks) == 2
    os.kill(int(ranks[1]), signal.SIGKILL)
    assert run.wait(60)
    assert not out.read_text()
    kept = torch.load(state, weights_only=True)["place"]
    assert 0 < kept["epoch"] < 30

    run = torchrun(tmp_path, *given)
    assert run.wait(200) == 0, err.read_text()
    (line,) = out.read_text().splitlines()  # one rank tells the result
    assert json.loads(line)["stage"] == "ra"
    rows = history(tmp_path / "ra")
    logged = [row["step"] for row in rows if "loss" in row]
    fresh = [step for step in logged if step > kept["steps"]]
    assert fresh[-1] == 60  # two batches an epoch
    assert fresh == sorted({*fresh})  # written once
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < 0.9 * losses[0]  # relations leave some
    assert not state.parent.exists()
    trained = RACLAP.from_pretrained(tmp_path / "ra")
    assert trained.teacher.fingerprint == RACLAP.from_pretrained(first).fingerprint
