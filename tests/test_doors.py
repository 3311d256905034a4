"""Bad input gets a sentence. A few cases for every door of tests/fuzz.py, which runs many."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import fuzz
import numpy as np
import pytest
from safetensors.torch import save_file
from stub import StubModel, write_voice
from toys import tiny_model

from raclap import corpus, index
from raclap.config import InputError
from raclap.corpus import Clip, read_manifest
from raclap.files import digest_of
from raclap.index import Gallery
from raclap.intake import find_clips, take_in
from raclap.model import RACLAP
from raclap.reading import Reader
from raclap.search import Engine
from raclap.sketch import sketch
from raclap.style import ATTRIBUTES

CASES = {fuzz.checkpoints: 25, fuzz.galleries: 100, fuzz.sample_arrays: 100}


@pytest.mark.parametrize("door", fuzz.DOORS, ids=lambda door: door.__name__)
def test_whatever_comes_is_taken_or_refused_in_a_sentence(door):
    counts = fuzz.knock(door, CASES.get(door, 200))
    assert min(counts.values()) > 0  # both happen, so the cases mean something


def test_each_harness_finds_what_it_tests_from_anywhere(tmp_path):
    """As Python starts them: the folder of the script is on the path, that of the project not."""
    program = "import sys; sys.path[0] = sys.argv[1]; import fuzz, golden, kills, load"
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    folder = Path(__file__).parent
    subprocess.run([sys.executable, "-c", program, folder], check=True, cwd=tmp_path, env=alone)


@pytest.fixture
def gallery(tmp_path) -> Gallery:
    clips = [Clip(id=f"c{n}", path=str(write_voice(tmp_path / f"c{n}.wav"))) for n in range(3)]
    return Gallery.build(np.eye(8, dtype=np.float32)[:3], clips, "stub", name="old")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    tiny_model().save_pretrained(folder)
    return folder


@pytest.fixture
def checkpoint(whole, tmp_path) -> Path:
    return shutil.copytree(whole, tmp_path / "checkpoint")


# ---- disk full, read-only, two at once


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "No space left"), (errno.EROFS, "Read-only file system")]
)
@pytest.mark.parametrize("place", ["write_manifest", "save", "write", "digest_of"])
def test_a_full_or_read_only_disk_is_named_and_the_old_gallery_stays(
    gallery, tmp_path, monkeypatch, number, words, place
):
    gallery.save(tmp_path / "g")
    home = {"save": index.np, "write": index.nearest}.get(place, index)

    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(home, place, full)
        with pytest.raises(InputError, match=f"cannot be written .{words}.*as it was"):
            gallery.edited(gallery.vectors[:0], [], without=["c0"]).save(tmp_path / "g")
    assert len(Gallery.load(tmp_path / "g").clips) == 3
    assert sorted(path.name for path in (tmp_path / "g").iterdir()) == sorted(
        (index.CARD, index.INDEX, index.MANIFEST, index.VECTORS)
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_disk_that_is_really_full_ends_a_verb_with_one_sentence(tmp_path):
    write_voice(tmp_path / "a.wav")
    (tmp_path / "m.csv").write_text("what was there before")
    (tmp_path / ".m.csv.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):  # which the command line prints
        corpus.write_manifest([Clip(id="a", path=str(tmp_path / "a.wav"))] * 9, tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text() == "what was there before"


def test_a_full_disk_keeps_nobody_from_reading(gallery, tmp_path, monkeypatch):
    """What is kept for the next time alone is left away, and no part of it stays."""
    gallery.save(tmp_path / "g")

    def full(file: BinaryIO, **_: object) -> None:
        file.write(b"PK")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    assert len(sketch(Gallery.load(tmp_path / "g")).peaks) == 3
    assert Reader(StubModel(), tmp_path / "values.npz").classes.keys() == set(ATTRIBUTES)
    assert not [*tmp_path.rglob("*.npz"), *tmp_path.rglob("*.part")]


def test_a_gallery_is_written_by_one_process_at_a_time(gallery, tmp_path):
    gallery.save(tmp_path / "g")
    program = (
        "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "g"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=r"Another process is writing the gallery .*; wait"):
        gallery.save(tmp_path / "g")
    assert len(Gallery.load(tmp_path / "g").clips) == 3  # reading goes on
    other.kill()
    other.wait()
    gallery.save(tmp_path / "g")  # who dies lets go


def test_clips_are_indexed_by_one_process_at_a_time(gallery, tmp_path):
    reader = Reader(StubModel())
    work = tmp_path / "work.jsonl"

    def examine(_):
        with pytest.raises(InputError, match="Another process is indexing"):
            take_in(reader, gallery.clips, work)
        yield from ()

    take_in(reader, [], work, examine=examine)


def test_a_line_that_a_kill_cut_short_does_not_spoil_the_next(gallery, tmp_path):
    reader, work = Reader(StubModel()), tmp_path / "work.jsonl"
    take_in(reader, gallery.clips, work)
    lines = work.read_text().splitlines(keepends=True)
    work.write_text("".join(lines[:2]) + lines[2][:40])
    take_in(reader, gallery.clips, work)
    reader.model.clips_encoded = 0
    taken = take_in(reader, gallery.clips, work)
    assert len(taken.clips) == 3
    assert reader.model.clips_encoded == 0


def test_a_work_file_of_anything_is_read_as_far_as_it_goes(gallery, tmp_path):
    (tmp_path / "work.jsonl").write_bytes(b'5\n[1, 2, 3, 4]\n\xff\xfe\n{"a": 1}\n[[]')
    assert len(take_in(Reader(StubModel()), gallery.clips, tmp_path / "work.jsonl").clips) == 3


# ---- galleries and checkpoints from elsewhere


def test_another_models_gallery_is_named(gallery):
    with pytest.raises(InputError, match=r"made by another model \(stub\) than this one \(other"):
        Engine(StubModel("other"), gallery)


@pytest.mark.parametrize("tower", ["", "-text"])
@pytest.mark.parametrize("part", ["frozen", "encoder", "model"])
def test_a_flipped_byte_of_the_weights_is_noticed(checkpoint, part, tower):
    name = f"{part}{tower}.safetensors"
    content = bytearray((checkpoint / name).read_bytes())
    content[-9] ^= 1
    (checkpoint / name).write_bytes(content)
    with pytest.raises(InputError, match=f"is damaged .{name} is not what was saved.; copy it"):
        RACLAP.from_pretrained(checkpoint)
    (checkpoint / "checksums.json").unlink()  # as of checkpoints that were saved without
    RACLAP.from_pretrained(checkpoint)


def test_the_sums_do_not_name_files_elsewhere(checkpoint):
    (checkpoint / "checksums.json").write_text(json.dumps({"../../etc/passwd": ""}))
    with pytest.raises(InputError, match="is damaged"):
        RACLAP.from_pretrained(checkpoint)


def test_a_mixture_of_two_checkpoints_is_noticed(checkpoint, tmp_path):
    """As a kill between the files of a save would leave it, once config.json is written."""
    other = tiny_model()
    other.log_scale.data += 1
    other.save_pretrained(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", checkpoint)
    with pytest.raises(InputError, match=r"model\.safetensors is not what was saved"):
        RACLAP.from_pretrained(checkpoint)


def test_a_folder_without_weights_of_its_own_format_is_refused(checkpoint):
    (checkpoint / "checksums.json").unlink()
    save_file({}, checkpoint / "model.safetensors")
    with pytest.raises(InputError, match="is damaged"):
        RACLAP.from_pretrained(checkpoint)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"name": "\\ud800"}', "\x00", "[]", "5"])
def test_a_hostile_card_is_refused(gallery, tmp_path, text):
    gallery.save(tmp_path / "g")
    (tmp_path / "g" / index.CARD).write_text(text)
    with pytest.raises(InputError, match=index.CARD):
        Gallery.load(tmp_path / "g")


def test_vectors_of_another_type_are_refused_even_if_the_card_vouches(gallery, tmp_path):
    gallery.save(tmp_path / "g")
    np.save(tmp_path / "g" / index.VECTORS, np.eye(8, dtype=np.float64)[:3])
    card = json.loads((tmp_path / "g" / index.CARD).read_text())
    card["vectors_sha256"] = digest_of(tmp_path / "g" / index.VECTORS)
    (tmp_path / "g" / index.CARD).write_text(json.dumps(card))
    with pytest.raises(InputError, match="not of the kind"):
        Gallery.load(tmp_path / "g")


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    write_voice(tmp_path / "secret" / "s.wav")
    home = tmp_path / "voices"
    inside = write_voice(home / "a.wav")
    (home / "out.wav").symlink_to(tmp_path / "secret" / "s.wav")
    (home / "up").symlink_to(tmp_path / "secret")
    (home / "loop").symlink_to(home)
    (home / "b.wav").symlink_to(inside)
    assert [clip.id for clip in find_clips(home)] == ["a.wav", "b.wav"]


def test_a_manifest_of_an_impossible_name_is_refused():
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest("a\0b.csv")


def test_a_name_that_is_not_utf_8_is_why_its_file_is_left_out(tmp_path):
    """It was said to be no audio."""
    name = os.fsdecode(b"caf\xe9.wav")
    shutil.copy(write_voice(tmp_path / "v" / "a.wav"), tmp_path / "v" / name)
    taken = take_in(Reader(StubModel()), find_clips(tmp_path / "v"), tmp_path / "work")
    assert [clip.id for clip in taken.clips] == ["a.wav"]
    reason = r"The name of 'caf\udce9.wav', or of a folder it is in, is not UTF-8; rename it."
    assert taken.skipped == {name: reason}
