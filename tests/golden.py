"""Makes golden.npz anew, the vectors that test_golden.py holds the checkpoint to.

    python tests/golden.py

They are computed in full precision, of 20 clips of the bundled gallery and 20 texts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from raclap import precision
from raclap.checkpoint import CHECKPOINT
from raclap.model import RACLAP
from raclap.search import BUNDLED

FILE = Path(__file__).with_name("golden.npz")
CLIPS = sorted((BUNDLED / "clips").iterdir())[::18][:20]
TEXTS = [
    "a frightened woman whispering fast",
    "a calm man, speaking slowly",
    "an angry man shouting",
    "a sad woman with a low voice",
    "joyful and high-pitched",
    "someone bored",
    "a neutral voice",
    "disgusted, and speaking up",
    "a surprised man",
    "he sounds proud",
    "she whispers sadly",
    "loud and fast",
    "quiet, slow and low",
    "a man who is afraid and speaks quickly in a high voice",
    "an angry woman whispering",
    "a woman laughing with joy",
    "strongly happy",
    "relief in a low voice",
    "A VERY Angri womn, shouting!",
    "a person speaking",
]


def vectors() -> dict[str, np.ndarray]:
    """Return the fingerprint, and (20, D) vectors of clips and texts."""
    model = RACLAP.from_pretrained(str(CHECKPOINT))
    return {
        "fingerprint": np.array(model.fingerprint),
        "speech": model.encode_speech(CLIPS).numpy(),
        "text": model.encode_text(TEXTS).numpy(),
    }


if __name__ == "__main__":
    precision.FAST = "float32"
    np.savez(FILE, **vectors())
    print(f"{FILE.name}: {len(CLIPS)} clips, {len(TEXTS)} texts")
