"""How fast it is, where the time goes, and what it needs in memory.

In: a model and the bundled gallery. Out: a report of plain figures. Every ratio comes from one run
whose parts take turns, so that a busy machine slows both sides of it.
"""

from __future__ import annotations

import os
import platform
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import torch

from raclap import audio, nearest, precision, prosody, wording
from raclap.checkpoint import CHECKPOINT
from raclap.config import InputError
from raclap.corpus import read_manifest, write_manifest
from raclap.index import Gallery
from raclap.model import RACLAP
from raclap.rivals import rivals
from raclap.search import BUNDLED, ROOT

SECONDS = (2.0, 10.0)  # lengths of the clips that are encoded
SIZES = (10**4, 10**5, 10**6)
_FAR = 10**8  # vectors that are reckoned with
_TOP = 10
_ASKED = 200  # texts that are timed one by one
_BOTH = 60  # texts that are encoded in both precisions
_FOUND = 100  # queries of a kind by which an index's recall is told
_TIMED = 10  # queries in a round
_SHORT, _LONG = 24, 60  # clips that training and indexing are given


def about(threads: int) -> dict[str, object]:
    """Say on what the figures were measured."""
    return {
        "threads": threads,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "precision": precision.FAST,
        "torch": torch.__version__,
        "faiss": faiss.__version__,
        "load_before": round(os.getloadavg()[0], 2),
    }


def clips(gallery: Gallery, count: int) -> list[np.ndarray]:
    """Cut ``count`` clips of 2 to 10 s, evenly spread, from the gallery's audio in a row.

    Raises:
        InputError: it does not last that long.
    """
    lengths = [int(seconds * audio.RATE_HZ) for seconds in np.linspace(*SECONDS, count)]
    parts, held = [], 0
    for clip in gallery.clips:
        if held >= sum(lengths):
            break
        parts.append(audio.trim(audio.load(clip.path)))
        held += len(parts[-1])
    if held < sum(lengths):
        raise InputError(
            f"The gallery's audio lasts {held / audio.RATE_HZ:.0f} s, too little for {count} clips "
            f"of {SECONDS[0]:.0f} to {SECONDS[1]:.0f} s; ask for fewer."
        )
    stops = np.cumsum(lengths)
    return [wave.copy() for wave in np.split(np.concatenate(parts)[: stops[-1]], stops[:-1])]


def encoders(model: RACLAP, waveforms: Sequence[np.ndarray], rounds: int) -> dict[str, object]:
    """Measure clips a second against other encoders, from waveform to vector, one by one."""
    others = rivals(model)
    ours = "RA-CLAP"

    def encode() -> None:
        prosody.forget()  # each round measures anew
        model.encode_speech(waveforms)

    tasks: dict[str, Callable[[], object]] = {ours: encode}
    for name, rival in others.items():
        given = [rival.prepare(waveform) for waveform in waveforms]
        tasks[name] = lambda rival=rival, given=given: [rival.encode(each) for each in given]
    taken = interleaved(tasks, rounds)
    return {
        "clips": len(waveforms),
        "seconds": [round(len(waveform) / audio.RATE_HZ, 2) for waveform in waveforms],
        "rounds": rounds,
        "encoders": {
            name: {
                "clips_per_second": len(waveforms) / float(np.median(times)),
                "times_slower": float(np.median(times / taken[ours])),
                "goal": others[name].goal if name in others else 1.0,
                "weights": others[name].weights if name in others else _speech_weights(model),
            }
            for name, times in taken.items()
        },
    }


def profile(model: RACLAP, gallery: Gallery, waveforms: Sequence[np.ndarray]) -> dict[str, object]:
    """Tell where the time of a clip and of a text query goes, in milliseconds each, medians."""
    speech, backbone = model.speech, model.speech.backbone
    path, steps = gallery.clips[0].path, {}
    with torch.inference_mode():
        frames = [speech.lower(wave) for wave in waveforms]
        pooled = [speech.pooled(each) for each in frames]
        steps["decode"] = _each([lambda: audio.load(path)] * 9)
        steps["prosody"] = _each(
            [lambda w=w: (prosody.forget(), prosody.measure(w)) for w in waveforms]
        )
        steps["mel"] = _each([lambda w=w: backbone.spectrogram(w) for w in waveforms])
        whole = _each([lambda w=w: backbone.lower(w) for w in waveforms])
        steps["lower layers"] = max(0.0, whole - steps["mel"])
        steps["upper layers"] = _each([lambda f=f: speech.pooled(f) for f in frames])
        heads = zip(pooled, frames, strict=True)
        steps["heads"] = _each([lambda p=p, f=f: speech.project(p, f.prosody) for p, f in heads])
    texts = descriptions(gallery, 40)
    vectors = model.encode_text(texts).numpy()
    tokens = _each([lambda t=t: model.tokenize([t]) for t in texts])
    text = _each([lambda t=t: model.encode_text([t]) for t in texts])
    found = _each([lambda v=v: gallery.search(v[None], _TOP) for v in vectors])
    return {
        "clip_seconds": float(np.mean([len(w) for w in waveforms]) / audio.RATE_HZ),
        "clip": steps,
        "text": {
            "tokenise": tokens,
            "encode": max(0.0, text - tokens),
            f"search of {len(gallery.clips)}": found,
        },
    }


def queries(model: RACLAP, gallery: Gallery, count: int) -> dict[str, object]:
    """Measure text queries over ``count`` vectors: encode and search, in milliseconds."""
    vectors = resembling(gallery.vectors, count)
    index = nearest.build(vectors)
    taken = []
    for text in descriptions(gallery, _ASKED + 5):
        start = time.perf_counter()
        query = model.encode_text([text]).numpy()
        encoded = time.perf_counter()
        nearest.search(index, vectors, query, _TOP)
        taken.append((encoded - start, time.perf_counter() - encoded))
    each = 1e3 * np.array(taken[5:])
    return {
        "vectors": count,
        "texts": _ASKED,
        "encode_median": float(np.median(each[:, 0])),
        "search_median": float(np.median(each[:, 1])),
        "median": float(np.median(each.sum(1))),
        "p95": float(np.percentile(each.sum(1), 95)),
        "goal": 60.0,
    }


def precisions(
    model: RACLAP, gallery: Gallery, waveforms: Sequence[np.ndarray], rounds: int
) -> dict[str, object]:
    """Measure texts and clips in full precision and in what the processor does fastest.

    They take turns and are encoded one by one: milliseconds, and the least cosine between both.
    """
    texts = descriptions(gallery, _BOTH)

    def encoded(one: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
        prosody.forget()
        start = time.perf_counter()
        vector = one()
        return 1e3 * (time.perf_counter() - start), vector

    kinds: dict[str, list[Callable[[], torch.Tensor]]] = {
        "texts": [lambda text=text: model.encode_text([text]) for text in texts],
        "clips": [lambda wave=wave: model.encode_speech([wave]) for wave in waveforms],
    }
    found: dict[str, object] = {"form": precision.FAST, "rounds": rounds}
    for kind, tasks in kinds.items():
        taken: dict[str, list[float]] = {"full": [], "fast": []}
        least = 1.0
        for number in range(rounds + 1):
            for task in tasks:
                with precision.full():
                    slow, exact = encoded(task)
                fast, vector = encoded(task)
                least = min(least, float((exact * vector).sum()))
                if number:  # the first is for warmth
                    taken["full"].append(slow)
                    taken["fast"].append(fast)
        found[kind] = {"count": len(tasks), "least_cosine": least} | {
            f"{name}_{figure}": float(np.percentile(times, percent))
            for name, times in taken.items()
            for figure, percent in (("median", 50), ("p95", 95))
        }
    return found


def growth(model: RACLAP, gallery: Gallery, sizes: Sequence[int]) -> dict[str, object]:
    """Measure the index at several sizes, and reckon what 10^8 vectors would take."""
    texts = model.encode_text(descriptions(gallery, _FOUND)).numpy()
    rows = []
    for size in sizes:
        vectors = resembling(gallery.vectors, size + _FOUND)
        given = {"clip": vectors[size:], "text": texts}
        for memory in [None] if size <= nearest.EXACT else [None, 0.0]:
            rows.append(_indexed(vectors[:size], given, memory))
    return {"made": resembling.__doc__, "rows": rows, "reckoned": _reckoned(rows)}


def _indexed(
    vectors: np.ndarray, queries: Mapping[str, np.ndarray], memory: float | None
) -> dict[str, object]:
    """Build one index and hold its answers against the exact ones."""
    start = time.perf_counter()
    index = nearest.build(vectors, memory)
    built = time.perf_counter() - start
    exact = faiss.IndexFlatIP(vectors.shape[1])
    exact.add(vectors)
    recall = {
        name: _recall(
            [nearest.search(index, vectors, query[None], _TOP)[1][0] for query in each],
            exact.search(each, _TOP)[1],
        )
        for name, each in queries.items()
    }
    few = queries["text"][:_TIMED]
    tasks = {
        "ours": lambda: [nearest.search(index, vectors, query[None], _TOP) for query in few],
        "exact": lambda: [exact.search(query[None], _TOP) for query in few],
    }
    ours, plain = (taken / len(few) for taken in interleaved(tasks, 5).values())
    return {
        "vectors": len(vectors),
        "kind": "exact" if nearest.is_exact(index) else _kind(index),
        "build_seconds": built,
        "index_bytes": len(faiss.serialize_index(index)),
        "vector_bytes": vectors.nbytes,
        "milliseconds": 1e3 * float(np.median(ours)),
        "exact_milliseconds": 1e3 * float(np.median(plain)),
        "times_faster": float(np.median(plain / ours)),
        "recall_clip": recall["clip"],
        "recall_text": recall["text"],
    }


def memory() -> dict[str, object]:
    """Measure the peak resident memory, in bytes, of processes of their own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        known = read_manifest(BUNDLED / "manifest.csv")[:_LONG]
        write_manifest(known, folder / "index.csv")
        split = ("train", "train", "valid", "test")
        few = [replace(clip, split=split[n % 4]) for n, clip in enumerate(known[:_SHORT])]
        write_manifest(few, folder / "train.csv")
        raclap = (sys.executable, "-m", "raclap")
        train = ("train", "--preset", "tiny", "--stage", "ess", "--output", str(folder / "run"))
        index = ("index", str(folder / "index.csv"), "--output", str(folder / "gallery"))
        return {
            "search": _peak([*raclap, "search", "an angry man"]),
            f"index of {_LONG} clips": _peak([*raclap, *index]),
            "app, started": _peak(
                [sys.executable, str(ROOT / "app.py"), "--port", str(_free_port())], "http://"
            ),
            f"training of {_SHORT} clips, preset tiny": _peak(
                [*raclap, *train, "--manifest", str(folder / "train.csv")]
            ),
        }


def starts(rounds: int) -> dict[str, float]:
    """Measure how long the command line takes to answer, in seconds, medians."""
    words = {
        "--help": ["--help"],
        "search": ["search", "an angry man", "--top", "3"],
    }
    tasks = {
        name: lambda given=given: subprocess.run(
            [sys.executable, "-m", "raclap", *given], cwd=ROOT, capture_output=True, check=True
        )
        for name, given in words.items()
    }
    return {name: float(np.median(times)) for name, times in interleaved(tasks, rounds).items()}


def resembling(vectors: np.ndarray, count: int) -> np.ndarray:
    """Points between two random gallery clips, plus noise shaped like the gallery's own.

    Each noise is a random mixture of the differences between gallery clips and their nearest
    neighbours, so that it points where real clips differ; seed 0, scaled to unit length.
    """
    rng = np.random.default_rng(0)
    near = vectors @ vectors.T
    np.fill_diagonal(near, -1)
    apart = (vectors - vectors[near.argmax(1)]) / np.float32(len(vectors) ** 0.5)
    made = np.empty((count, vectors.shape[1]), np.float32)
    for start in range(0, count, 50_000):
        size = min(50_000, count - start)
        first, second = vectors[rng.integers(0, len(vectors), (2, size))]
        share = rng.random((size, 1), dtype=np.float32)
        point = share * first + (1 - share) * second
        point /= np.linalg.norm(point, axis=1, keepdims=True)
        point += rng.standard_normal((size, len(vectors)), dtype=np.float32) @ apart
        made[start : start + size] = point / np.linalg.norm(point, axis=1, keepdims=True)
    return made


def descriptions(gallery: Gallery, count: int) -> list[str]:
    """Compose descriptions of one to four attributes of gallery clips, always the same."""
    rng = random.Random(0)
    styles = [gallery.clips[(7 * n) % len(gallery.clips)].style for n in range(count)]
    return [wording.partial(s, rng, count=1 + n % 4).text for n, s in enumerate(styles)]


def interleaved(tasks: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """Run every task once in each round, after one round for warmth: seconds, (rounds,) each."""
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if number:
                taken[name].append(time.perf_counter() - start)
    return {name: np.array(times) for name, times in taken.items()}


def _each(tasks: Sequence[Callable[[], object]]) -> float:
    """Median over tasks of the time of one, in milliseconds, the second time it is run."""
    taken = interleaved({str(number): task for number, task in enumerate(tasks)}, 1)
    return 1e3 * float(np.median(list(taken.values())))


def _peak(command: Sequence[str], until: str = "") -> int:
    """Peak resident bytes of a process; one that does not end is ended when it prints ``until``."""
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONUNBUFFERED": "1"}
    # The kernel's own count at the end would begin with the memory of this process.
    peak = 0
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            told = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
            peak = max([peak, *(1024 * int(size) for size in told)])
            said.seek(0)
            if until and until in said.read():
                process.terminate()
                process.wait()
            time.sleep(0.02)
        said.seek(0)
        if process.returncode and not until:
            raise RuntimeError(f"{' '.join(command[1:4])} failed: {said.read()[-300:]}")
    return peak


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _kind(index: faiss.IndexIVF) -> str:
    coded = "RaBitQ" if isinstance(index, faiss.IndexIVFRaBitQ) else "SQ8"
    return f"IVF{index.nlist}, {coded}, {index.nprobe} probed"


def _recall(found: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> float:
    return float(np.mean([len({*a} & {*b}) / len(b) for a, b in zip(found, truth, strict=True)]))


def _reckoned(rows: Sequence[Mapping[str, float]]) -> dict[str, object]:
    """What 10^8 vectors would take, from the largest number that was measured.

    Cells and their sizes both grow with the root of N, so a query does; placing N vectors among
    4 sqrt(N) centres grows with N^1.5; memory with N.
    """
    last = rows[-1]
    times = _FAR / last["vectors"]
    power = 1.0 if last["kind"] == "exact" else 0.5
    return {
        "vectors": _FAR,
        "kind": last["kind"].split(",")[0].rstrip("0123456789") + ", " + nearest.coding(_FAR, 256),
        "milliseconds": last["milliseconds"] * times**power,
        "build_seconds": last["build_seconds"] * times ** (1 + power),
        "index_bytes": int(last["index_bytes"] * times),
        "vector_bytes": int(last["vector_bytes"] * times),
    }


def _speech_weights(model: RACLAP) -> int:
    return sum(weight.numel() for weight in model.speech.parameters())


def open_model(checkpoint: str | Path | None) -> tuple[RACLAP, Gallery]:
    """Load what is measured: a checkpoint, and the gallery that ships with it."""
    return RACLAP.from_pretrained(str(checkpoint or CHECKPOINT)), Gallery.load(BUNDLED)
