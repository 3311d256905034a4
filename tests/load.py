"""Fifty visitors at once, a thousand mixed requests, against the real app over HTTP.

Run: .venv/bin/python tests/load.py [CLIENTS] [REQUESTS]

Prints one JSON object: requests answered, failed and told that the page is busy (and, since a
client then waits and asks again, how often), seconds by kind, and the app's memory.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from gradio_client import Client, handle_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from raclap.search import BUNDLED

ROOT = Path(__file__).parents[1]
BUSY = "queue is full"
PATIENCE = 600  # seconds; a busy machine is slow, not wrong


def memory(process: int, name: str = "VmRSS") -> float:
    """Memory of a process in MiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024, 1)


def questions(rng: random.Random, clips: list[Path]) -> tuple[tuple[str, tuple], ...]:
    """Each of the four endpoints that ask the model, with its arguments."""
    text = rng.choice(("an angry man", "a sad woman", "whispering", "a calm low voice"))
    clip = rng.choice(clips)
    return (
        ("/search_by_text", (f"{text}, {rng.choice(('slow', 'fast'))}", 5)),
        ("/search_by_audio", (clip, 5)),
        ("/describe", (clip,)),
        ("/blend", (clip, "angrier", 2.0, 5)),
    )


def main(clients: int = 50, requests: int = 1000) -> dict:
    """Open the app, ask, close it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
    )
    clips = sorted((Path(BUNDLED) / "clips").iterdir())[:40]
    seconds, failed, busy = defaultdict(list), Counter(), Counter()
    lock, left = threading.Lock(), iter(range(requests))

    def connect() -> Client:
        for _ in range(300):
            try:
                return Client(
                    f"http://127.0.0.1:{port}", verbose=False, httpx_kwargs={"timeout": PATIENCE}
                )
            except Exception:
                time.sleep(0.5)
        raise RuntimeError("the app never answered")

    def ask(client: Client, name: str, given: tuple) -> None:
        words = [handle_file(each) if isinstance(each, Path) else each for each in given]
        client.predict(*words, api_name=name)

    def visit(number: int) -> None:
        client, rng = connect(), random.Random(number)
        while True:
            with lock:
                if next(left, None) is None:
                    return
            name, given = rng.choice(questions(rng, clips))
            while True:
                start = time.perf_counter()
                try:
                    ask(client, name, given)
                    with lock:
                        seconds[name].append(time.perf_counter() - start)
                except Exception as error:
                    with lock:
                        told = str(error)
                        (busy if BUSY in told.lower() else failed)[told[:200]] += 1
                    if BUSY in told.lower():
                        time.sleep(rng.uniform(0.5, 2))
                        continue
                break

    try:
        first = connect()
        for name, given in questions(random.Random(-1), clips):  # so that everything is loaded
            ask(first, name, given)
        before, start = memory(app.pid), time.perf_counter()
        visitors = [threading.Thread(target=visit, args=[number]) for number in range(clients)]
        for visitor in visitors:
            visitor.start()
        half = None
        while any(visitor.is_alive() for visitor in visitors):
            time.sleep(0.5)
            if half is None and sum(map(len, seconds.values())) >= requests / 2:
                half = memory(app.pid)
        each = {
            name: {f"p{p}": round(float(np.percentile(values, p)), 2) for p in (50, 95)}
            for name, values in sorted(seconds.items())
        }
        return {
            "answered": sum(map(len, seconds.values())),
            "failed": dict(failed),
            "told busy": dict(busy),
            "seconds in all": round(time.perf_counter() - start, 1),
            "seconds": each,
            "memory MiB": {
                "before": before,
                "halfway": half,
                "after": memory(app.pid),
                "peak": memory(app.pid, "VmHWM"),
            },
        }
    finally:
        app.terminate()
        app.wait()


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:])), indent=2))
