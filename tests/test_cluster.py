"""A folder indexed by Ray's workers against the same in one process; one local cluster for all.

python -m pytest tests/test_cluster.py
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from stub import write_voice

from raclap import cluster
from raclap.__main__ import main
from raclap.checkpoint import open_reader
from raclap.config import InputError, preset
from raclap.index import Gallery
from raclap.intake import WORK, find_clips, take_in
from raclap.model import RACLAP

pytestmark = pytest.mark.slow

COUNT = 24


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A tiny model, and a folder of voices one of which is none."""
    folder = tmp_path_factory.mktemp("desk")
    RACLAP.create(preset("tiny").model).save_pretrained(folder / "model")
    for number in range(COUNT):
        path = folder / "voices" / f"{number:02}.wav"
        path.parent.mkdir(exist_ok=True)
        write_voice(path, f0_hz=100 + 9 * number, seconds=0.4 + 0.05 * (number % 5))
    (folder / "voices" / "broken.wav").write_text("not audio")
    return folder


@pytest.fixture(scope="module", autouse=True)
def local_cluster(desk):
    """Start a cluster of two workers, which every run here then finds."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    root = str(Path(cluster.__file__).parent.parent)
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        object_store_memory=100 * 2**20,
        runtime_env={"env_vars": {"PYTHONPATH": root}},
    )
    yield
    ray.shutdown()


def workers() -> list[int]:
    """Process ids of the workers of the cluster that this process started."""
    import ray

    session = ray._private.worker._global_node.get_session_dir_path()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes().decode(errors="replace")
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            above = Path(f"/proc/{parent}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if name.startswith("ray::MapWorker") and session in above:
            found.append(int(folder.name))
    return found


def test_interrupted_and_with_a_worker_killed_it_is_as_in_one_process(desk, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "SHARD", 3)
    given = ["index", str(desk / "voices"), "--checkpoint", str(desk / "model"), "--output"]
    assert main([*given, str(desk / "one")]) == 0
    skipped = json.loads(capsys.readouterr().out)["skipped"]

    def stop(found, initial, total):
        assert (initial, total) == (0, COUNT + 1)
        for number, each in enumerate(found):
            if number == 7:
                raise KeyboardInterrupt
            yield each

    clips, work = find_clips(desk / "voices"), desk / "many" / WORK
    with pytest.raises(KeyboardInterrupt):
        take_in(
            open_reader(desk / "model"),
            clips,
            work,
            examine=cluster.examine(desk / "model", workers=1),
            watch=stop,
        )
    kept = len(work.read_text().splitlines())
    assert kept in (6, 7)  # one of the seven may have been the broken one

    findings, killed = cluster._findings, []

    def harmed(ray, waiting, *rest):
        assert len(waiting) == COUNT + 1 - kept
        for number, each in enumerate(findings(ray, waiting, *rest)):
            if number == 0:
                killed.extend(workers()[:1])
                os.kill(killed[0], signal.SIGKILL)
            yield each

    monkeypatch.setattr(cluster, "_findings", harmed)
    assert main([*given, str(desk / "many"), "--engine", "ray"]) == 0
    out, err = capsys.readouterr()
    assert len(killed) == 1
    answer = json.loads(out.splitlines()[-1])  # the cluster of this test may speak before
    assert answer["clips"] == COUNT
    assert answer["skipped"] == skipped
    assert [*skipped] == ["broken.wav"]
    assert f"{kept}/{COUNT + 1} [" in err  # progress
    assert not work.exists()
    many, one = Gallery.load(desk / "many"), Gallery.load(desk / "one")
    assert many.clips == one.clips
    assert (many.vectors * one.vectors).sum(1).min() > 0.99999


def test_a_finished_run_asks_no_cluster(desk, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_Cluster", None)
    reader, clips = open_reader(desk / "model"), find_clips(desk / "voices")[:3]
    first = take_in(reader, clips, tmp_path / "work")
    examine = cluster.examine(desk / "model")
    again = take_in(reader, clips, tmp_path / "work", examine=examine)
    assert again.clips == first.clips
    np.testing.assert_array_equal(again.vectors, first.vectors)


def test_workers_that_always_die_are_told(desk, tmp_path, monkeypatch):
    import ray

    class Poisoned:
        def __init__(self, checkpoint):
            pass

        def __call__(self, shard):
            os._exit(1)

    monkeypatch.setattr(cluster, "_Worker", Poisoned)
    monkeypatch.setattr(cluster, "_TRIES", 0)
    clips = find_clips(desk / "voices")[:2]
    examine = cluster.examine(desk / "model", workers=1)
    with pytest.raises(InputError, match="gave up"):
        take_in(open_reader(desk / "model"), clips, tmp_path / "work", examine=examine)
    assert ray.is_initialized()


def test_a_missing_package_is_one_sentence(monkeypatch):
    original = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ray" else original(name)
    )
    with pytest.raises(InputError, match=r'pip install "ray\[data\]"'):
        cluster.examine("checkpoints/raclap-base")
