"""Make the bundled gallery, or a larger pool of training clips, of acted synthetic speech.

    python assets/gallery/make.py                                    the 360 bundled clips
    python assets/gallery/make.py --count 1400 --speakers train valid --seed 2 \
        --output .cache/synthetic                                    a training pool

Clips that exist are kept, so a run that was stopped goes on where it was. What is needed to run
this is in requirements.txt beside it and in README.md; the app itself needs none of it.
"""

from __future__ import annotations

import argparse
import csv
import sys
import zlib
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import acting
import numpy as np
import plan
import soundfile
import voices

HERE = Path(__file__).resolve().parent
BASES = HERE.parents[1] / ".cache" / "voices"
COLUMNS = [
    "id",
    "path",
    "corpus",
    "split",
    "speaker",
    "gender",
    "age",
    "language",
    "emotion",
    "intensity",
    "phonation",
    "text",
    "seconds",
]
# libsndfile turns this into about 28 kbit/s of Opus for one channel.
OPUS_COMPRESSION = 0.912


@lru_cache(maxsize=2)
def _analysed(voice: str, text: str) -> acting.Utterance:
    return acting.analyse(voices.speak(voice, text, BASES))


def _act(take: plan.Take, seed: int) -> np.ndarray:
    asked = asdict(take)
    speaker = take.speaker
    direction = acting.Direction(
        f0_hz=speaker.f0_hz,
        tract=speaker.tract,
        brightness=speaker.brightness,
        **{key: asked[key] for key in asked if key not in ("name", "speaker")},
    )
    rng = np.random.default_rng([seed, zlib.crc32(take.name.encode())])
    return acting.act(_analysed(speaker.voice, take.text), direction, rng)


def _row(take: plan.Take, path: Path, folder: Path) -> dict[str, object]:
    return {
        "id": f"synthetic/{take.name}",
        "path": path.relative_to(folder).as_posix(),
        "corpus": "synthetic",
        "split": take.speaker.split,
        "speaker": f"synthetic/{take.speaker.name}",
        "gender": take.speaker.gender,
        "age": "",
        "language": "en",
        "emotion": take.emotion,
        "intensity": take.intensity,
        "phonation": take.phonation,
        "text": take.text,
        "seconds": round(soundfile.info(path).duration, 3),
    }


def make(takes: list[plan.Take], folder: Path, seed: int) -> Path:
    """Act every take that is not there yet and write the manifest; return its path."""
    clips = folder / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    paths = {take.name: clips / f"{take.name}.opus" for take in takes}
    missing = [take for take in takes if not paths[take.name].exists()]
    # One sentence of one voice after the other, so that it is analysed once.
    missing.sort(key=lambda take: (take.speaker.voice, take.text))
    for done, take in enumerate(missing, start=1):
        partial = paths[take.name].with_suffix(".part")
        soundfile.write(
            partial,
            _act(take, seed),
            acting.RATE_HZ,
            format="OGG",
            subtype="OPUS",
            compression_level=OPUS_COMPRESSION,
        )
        partial.rename(paths[take.name])
        if done % 20 == 0 or done == len(missing):
            print(f"{done}/{len(missing)} clips", file=sys.stderr)
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_row(take, paths[take.name], folder) for take in takes)
    return manifest


def main(argv: list[str] | None = None) -> int:
    """Plan from one seed, act, and print where the manifest is."""
    parser = argparse.ArgumentParser(description="Make acted synthetic speech.")
    parser.add_argument("--count", type=int, help="make a pool of this many clips instead")
    parser.add_argument(
        "--speakers",
        nargs="+",
        choices=("train", "valid", "test"),
        default=["train"],
        help="whose voices the pool may use, by split",
    )
    parser.add_argument("--output", type=Path, default=HERE, help="folder for clips and manifest")
    parser.add_argument(
        "--seed", type=int, default=0, help="the one number everything follows from"
    )
    arguments = parser.parse_args(argv)
    if arguments.count is None:
        takes = plan.gallery(arguments.seed)
    else:
        if arguments.output == HERE:
            parser.error("a pool needs its own --output, or it would replace the gallery")
        takes = plan.pool(arguments.count, arguments.speakers, arguments.seed)
    print(make(takes, arguments.output, arguments.seed))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
