"""Bad input for every door: whatever comes, it is taken or refused with an `InputError`.

Run: .venv/bin/python tests/fuzz.py [CASES] [DOOR ...]    cases in all, shared out; counts by door
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from stub import StubModel, write_voice

from raclap import audio, denial, index, query
from raclap.config import InputError
from raclap.corpus import Clip, read_manifest
from raclap.files import digest_of
from raclap.index import Gallery
from raclap.search import Engine

HOME = Path(tempfile.mkdtemp(prefix="raclap-fuzz-"))
COUNTS = {"taken": 0, "refused": 0}


def ask(door: Callable, *given: object) -> object:
    """Knock; anything but an answer or an `InputError` of one line goes through."""
    try:
        answer = door(*given)
    except InputError:
        COUNTS["refused"] += 1
        return None
    COUNTS["taken"] += 1
    return answer


# ---------------------------------------------------------------------- damage

HOLES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8)
EDITS = st.tuples(HOLES, st.one_of(st.none(), st.floats(0, 1)), st.binary(max_size=12))


def damaged(content: bytes, edits: tuple) -> bytes:
    """Change bytes, half of the time near the start, cut the end off and put something else."""
    holes, cut, tail = edits
    content = bytearray(content)
    for place, value in holes:
        if content:
            span = min(len(content), 200) if value % 2 else len(content)
            content[min(span - 1, int(place * span))] = value
    if cut is not None:
        del content[int(cut * len(content)) :]
    return bytes(content) + tail


@cache
def recordings() -> dict[str, bytes]:
    """A short voice in each format."""
    rng = np.random.default_rng(0)
    samples = 0.1 * np.sin(np.arange(4000) / 9) + rng.normal(0, 1e-3, 4000)
    found = {}
    for suffix, kind in (
        *(("wav", "WAV"), ("flac", "FLAC"), ("ogg", "OGG"), ("mp3", "MP3"), ("aiff", "AIFF")),
        *(("au", "AU"), ("caf", "CAF"), ("w64", "W64")),
    ):
        file = io.BytesIO()
        soundfile.write(file, np.stack([samples, samples], 1), 16_000, format=kind)
        found[suffix] = file.getvalue()
    return found


@cache
def gallery() -> dict[str, bytes]:
    """The files of a whole gallery of eight clips."""
    clips = [
        Clip(id=f"c{n}", path=str(write_voice(HOME / f"c{n}.wav", 100 + n)), gender="male")
        for n in range(8)
    ]
    vectors = StubModel().encode_speech([clip.path for clip in clips]).numpy()
    Gallery.build(vectors, clips, "stub").save(HOME / "whole")
    return {path.name: path.read_bytes() for path in (HOME / "whole").iterdir()}


@cache
def checkpoint() -> dict[str, bytes]:
    """The files of a whole checkpoint of the preset tiny."""
    from toys import tiny_model

    folder = HOME / "checkpoint"
    tiny_model().save_pretrained(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def spread(files: dict[str, bytes], folder: Path) -> Path:
    """Write files anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)

# ---------------------------------------------------------------------- doors


@given(st.sampled_from(sorted(recordings())), EDITS, st.sampled_from(("wav", "mp3", "raw", "")))
def sound_files(kind: str, edits: tuple, suffix: str) -> None:
    """Damaged recordings under any name."""
    path = HOME / f"voice.{suffix}"
    path.write_bytes(damaged(recordings()[kind], edits))
    waveform = ask(audio.load, path)
    assert waveform is None or (waveform.dtype == np.float32 and np.isfinite(waveform).all())


SHAPES = st.one_of(
    st.tuples(st.integers(0, 4000)), st.tuples(st.integers(0, 3000), st.integers(0, 3)), st.just(())
)
KINDS = ("f2", "f4", "f8", "i1", "u1", "i2", "i4", "u4", "i8", "u8", "c8", "?", "U3", "O", "M8[s]")
RATES = st.one_of(
    st.sampled_from((1, 8_000, 16_000, 44_100, 48_000, 192_000)),
    *(st.integers(-5, 200_000), st.floats(), st.none(), st.text(max_size=3)),
)


@given(SHAPES, st.sampled_from(KINDS), RATES, st.one_of(st.floats(), st.floats(-1, 1)))
def sample_arrays(shape: tuple, kind: str, rate_hz: object, value: float) -> None:
    """Arrays of any type, shape, rate and level."""
    with np.errstate(all="ignore"):
        noise = np.random.default_rng(0).normal(size=shape)
        samples = noise * value if kind in ("f2", "f4", "f8", "c8") else noise * 100
        samples = np.nan_to_num(samples) if kind[0] in "iuM" else np.asarray(samples)
        samples = samples.astype(kind)
    waveform = ask(audio.from_samples, samples, rate_hz)
    assert waveform is None or (waveform.dtype == np.float32 and np.isfinite(waveform).all())


TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(categories=["Cs", "Cc", "Cf", "So", "Mn", "Lo"]), max_size=30),
    st.lists(
        st.sampled_from(
            [
                *("an", "angri", "woamn,", "very", "deep", "and", "not", "who", "speaks"),
                *("🙂", "their", "ﬀ", "’", "whisperingg", "é"),
            ]
        ),
        max_size=12,
    ).map(" ".join),
)


@given(TEXTS)
def queries(text: str) -> None:
    """Any text in every function that reads one."""
    clean = query.normalize(text)
    assert query.normalize(clean) == clean
    query.mentioned(text), query.clauses(text), query.positive(text), denial.parted(text)
    ask(query.check_text, text)
    COUNTS["taken"] += 1


@cache
def engine() -> Engine:
    """An engine over the whole gallery."""
    gallery()
    return Engine(StubModel(), Gallery.load(HOME / "whole"))


@given(TEXTS, st.integers(-3, 10**12), st.one_of(st.none(), JUNK), TEXTS, st.booleans())
def searches(text: str, top: int, where: object, without: str, varied: bool) -> None:
    """Any text, number and filter in a search."""
    where = where if isinstance(where, dict) or where is None else {"gender": where}
    ask(lambda: engine().search_text(text, top, where, without=without, varied=varied))


CELLS = st.one_of(
    st.sampled_from(
        ("id", "path", "split", "emotion", "seconds", "description", "c0", "c0.wav", "sad", "1e999")
    ),
    st.text(max_size=12),
)


@given(
    st.lists(st.lists(CELLS, max_size=6), max_size=6), st.one_of(st.none(), EDITS), st.booleans()
)
def manifests(rows: list[list[str]], edits: tuple | None, headed: bool) -> None:
    """Tables of anything, half of them with a proper header, damaged or not."""
    gallery()  # so that c0.wav is there
    whole = [["id", "path", "seconds"], ["c0", "c0.wav", "0.6"], ["c1", "c1.wav", ""]]
    lines = [*whole, *rows] if headed else rows
    text = "\n".join(",".join(line) for line in lines)
    path = HOME / "manifest.csv"
    content = text.encode("utf-8", "surrogatepass")
    path.write_bytes(damaged(content, edits) if edits else content)
    ask(read_manifest, path)


@given(st.sampled_from(sorted(gallery())), EDITS, st.one_of(st.none(), JUNK), st.integers(0, 3))
def galleries(name: str, edits: tuple, junk: object, how: int) -> None:
    """Galleries with one file damaged; in half of them the card vouches for the damage."""
    files = dict(gallery())
    if how == 3:
        card = json.loads(files[index.CARD])
        card[sorted(card)[len(str(junk)) % len(card)]] = junk
        files[index.CARD] = json.dumps(card).encode()
    else:
        files[name] = damaged(files[name], edits)
    folder = spread(files, HOME / "gallery")
    if how in (1, 2) and name != index.CARD:
        card = json.loads(files[index.CARD])
        card[f"{name.split('.')[0]}_sha256"] = digest_of(folder / name)
        (folder / index.CARD).write_text(json.dumps(card))
    found = ask(Gallery.load, folder)
    if found is not None:
        ask(found.search, np.ones((1, 8), np.float32), 3)


@given(st.sampled_from(sorted(checkpoint())), EDITS, st.booleans(), st.one_of(st.none(), JUNK))
def checkpoints(name: str, edits: tuple, summed: bool, junk: object) -> None:
    """Checkpoints with one file damaged or, if JSON, one value; half of them without sums."""
    from raclap.model import RACLAP

    files = dict(checkpoint())
    if name.endswith(".json") and junk is not None:
        values = json.loads(files[name])
        values[sorted(values)[len(str(junk)) % len(values)]] = junk
        files[name] = json.dumps(values).encode()
    else:
        files[name] = damaged(files[name], edits)
    if not summed:
        files.pop("checksums.json")
    folder = spread(files, HOME / "damaged")
    found = ask(RACLAP.from_pretrained, folder)
    if found is not None and summed and name != "checksums.json" and name != "README.md":
        assert files[name] == checkpoint()[name], f"{name} was changed and nobody noticed"


DOORS = {  # and their shares of the cases
    sound_files: 0.2,
    sample_arrays: 0.06,
    queries: 0.5,
    searches: 0.1,
    manifests: 0.08,
    galleries: 0.05,
    checkpoints: 0.01,
}


def knock(door: Callable, cases: int, *, seeded: bool = True) -> dict[str, int]:
    """Try a door that often.

    Returns:
        How many cases were taken and refused; a query counts as both.
    """
    COUNTS.update(taken=0, refused=0)
    settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=seeded,
        suppress_health_check=list(HealthCheck),
    )(door)()
    return dict(COUNTS)


def main(total: int, *names: str) -> None:
    """Knock at all doors, or those named, and say what came of it."""
    for door, share in DOORS.items():
        if names and door.__name__ not in names:
            continue
        start, cases = time.perf_counter(), round(total * share)
        counts = knock(door, cases, seeded=False)
        seconds = time.perf_counter() - start
        print(f"{door.__name__}: {cases} cases asked for, {counts}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, *sys.argv[2:])
    finally:
        shutil.rmtree(HOME, ignore_errors=True)
