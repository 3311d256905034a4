"""Zips that mean well and zips that do not. Run: pytest tests/test_unpack.py."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from home import zipped

from raclap.config import InputError
from raclap.unpack import Limits, unpack


def names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def write(tmp_path: Path, files: dict[str, bytes]) -> Path:
    archive = tmp_path / "in" / "some.zip"
    archive.parent.mkdir(exist_ok=True)
    archive.write_bytes(zipped(files))
    return archive


def test_audio_is_taken_and_nothing_else(tmp_path):
    archive = write(
        tmp_path,
        {
            "a/b.WAV": b"1",
            "c.flac": b"22",
            "a/run.sh": b"#!",
            "manifest.csv": b"id,path",
            "__MACOSX/a/._b.wav": b"?",
            ".hidden/d.wav": b"?",
            "page.html": b"<script>",
        },
    )
    told = []
    assert unpack(archive, tmp_path / "out", watch=lambda *now: told.append(now)) == 2
    assert names(tmp_path / "out") == ["a/b.WAV", "c.flac"]
    assert (tmp_path / "out" / "c.flac").read_bytes() == b"22"
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_tables_are_taken_where_they_are_wanted(tmp_path):
    archive = write(tmp_path, {"a.wav": b"1", "speakers.csv": b"2"})
    unpack(archive, tmp_path / "out", keep=(".wav", ".csv"))
    assert names(tmp_path / "out") == ["a.wav", "speakers.csv"]


@pytest.mark.parametrize(
    "name",
    [
        *("../a.wav", "x/../../a.wav", "/tmp/a.wav", "//host/a.wav", "C:/a.wav", "C:\\a.wav"),
        *("..\\a.wav", "x\\..\\..\\a.wav", "a.wav:stream.wav", "x//a.wav", "./a.wav"),
        "/".join("x" * 20) + "/a.wav",
        "../not-audio.txt",
    ],
)
def test_a_path_that_leads_out_spoils_the_whole_zip(tmp_path, name):
    archive = write(tmp_path, {"good.wav": b"1", name: b"2"})
    with pytest.raises(InputError, match="would not stay in its folder"):
        unpack(archive, tmp_path / "deep" / "out")
    assert names(tmp_path) == ["in/some.zip"]


def test_odd_names_are_made_harmless(tmp_path):
    long = "ż" * 150 + ".wav"  # 304 bytes
    odd = {"a\nb\u202e.wav": b"1", long: b"2", "trailing . /x.wav": b"3", "<img src=x>.wav": b"4"}
    unpack(write(tmp_path, odd), tmp_path / "out")
    found = names(tmp_path / "out")
    assert {"a_b_.wav", "<img src=x>.wav", "trailing/x.wav"} < set(found)
    assert all(len(part.encode()) <= 200 for name in found for part in name.split("/"))


def test_links_are_left_out(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("link.wav")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.wav", b"1")
    (tmp_path / "some.zip").write_bytes(packed.getvalue())
    assert unpack(tmp_path / "some.zip", tmp_path / "out") == 1
    assert names(tmp_path / "out") == ["a.wav"]


def test_two_names_for_one_place_are_refused(tmp_path):
    archive = write(tmp_path, {"a.wav": b"1", "A.wav": b"2"})
    with pytest.raises(InputError, match="twice"):
        unpack(archive, tmp_path / "out")


def bomb(tmp_path: Path) -> Path:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", bytes(20_000_000))
    return path


def test_a_bomb_is_refused_by_what_it_would_become(tmp_path):
    with pytest.raises(InputError, match="would become 20 MB"):
        unpack(bomb(tmp_path), tmp_path / "out")
    assert names(tmp_path) == ["bomb.zip"]


def test_a_bomb_that_lies_about_its_size_becomes_no_more_than_it_says(tmp_path):
    path = bomb(tmp_path)
    body = bytearray(path.read_bytes())
    claimed = (1000).to_bytes(4, "little")
    for at, offset in ((body.find(b"PK\x03\x04"), 22), (body.find(b"PK\x01\x02"), 24)):
        body[at + offset : at + offset + 4] = claimed
    path.write_bytes(body)
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")
    assert names(tmp_path) == ["bomb.zip"]


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(files=2), "lists 3 files"),
        (Limits(bytes=20), "would become"),
        (Limits(ratio=0), "would become"),
    ],
)
def test_limits_hold(tmp_path, limits, sentence):
    archive = write(tmp_path, {f"{number}.wav": b"0123456789" for number in range(3)})
    with pytest.raises(InputError, match=sentence):
        unpack(archive, tmp_path / "out", limits=limits)


def test_no_audio_is_told(tmp_path):
    with pytest.raises(InputError, match=r"holds none of \.wav"):
        unpack(write(tmp_path, {"a.txt": b"1"}), tmp_path / "out")


@pytest.mark.parametrize("damage", ["no zip", "cut", "bytes"])
def test_damage_is_told_and_leaves_nothing(tmp_path, damage):
    archive = write(tmp_path, {"a.wav": b"0123456789" * 100, "b.wav": b"1"})
    body = bytearray(archive.read_bytes())
    if damage == "bytes":
        body[100] ^= 255
    archive.write_bytes({"no zip": b"RIFF", "cut": body[:-40], "bytes": body}[damage])
    with pytest.raises(InputError, match=r"some\.zip cannot be unpacked"):
        unpack(archive, tmp_path / "out")
    assert names(tmp_path) == ["in/some.zip"]


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_is_told_of_any_packing(tmp_path, packing):
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("a.wav", bytes(range(256)) * 40)
    body = bytearray(path.read_bytes())
    body[60:90] = b"\xff" * 30
    path.write_bytes(body)
    with pytest.raises(InputError, match=r"some\.zip cannot be unpacked"):
        unpack(path, tmp_path / "out")


def test_a_name_that_is_no_text_is_told(tmp_path):
    archive = write(tmp_path, {"a.wav": b"1"})
    body = bytearray(archive.read_bytes())
    listed = body.find(b"PK\x01\x02")
    body[listed + 8 : listed + 10] = struct.pack("<H", 0x800)  # it claims to be in UTF-8
    body[listed + 46] = 0xFF
    archive.write_bytes(body)
    with pytest.raises(InputError, match=r"some\.zip cannot be unpacked"):
        unpack(archive, tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = write(tmp_path, {"a.wav": b"1"})
    body = bytearray(archive.read_bytes())
    body[body.find(b"PK\x03\x04") + 6] |= 1
    body[body.find(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(body)
    with pytest.raises(InputError, match="without a password"):
        unpack(archive, tmp_path / "out")


def test_a_stopped_work_leaves_the_old_folder_as_it_was(tmp_path):
    archive = write(tmp_path, {"a.wav": b"1", "b.wav": b"2"})
    unpack(archive, tmp_path / "out")

    def stop(done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out", watch=stop)
    assert names(tmp_path) == ["in/some.zip", "out/a.wav", "out/b.wav"]
