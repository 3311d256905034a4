"""A file is digested, or written whole or not at all. Run: python -m pytest tests/test_files.py."""

from __future__ import annotations

import os

import pytest

from raclap.config import InputError
from raclap.files import as_name, claim, digest_of, keeping, replacing, sharing


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),  # FIPS 180
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),  # RFC 1321
    ],
)
def test_the_digest_is_the_published_one(tmp_path, algorithm, digest):
    (tmp_path / "file").write_bytes(b"abc")
    assert digest_of(tmp_path / "file", algorithm) == digest


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    file = tmp_path / "file"
    for text in ("old", "new"):
        with replacing(file) as part:
            part.write_text(text)
            assert file.exists() == (text == "new")

    def fail():
        with replacing(file) as part:
            part.write_text("hal")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert file.read_text() == "new"
    with replacing(file) as part:
        part.write_text("newer")
    assert file.read_text() == "newer"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_stays_one_and_what_is_no_file_is_written_to(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "far" / "file")
    for text in ("old", "new"):
        with replacing(tmp_path / "link") as part:
            part.write_text(text)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "file").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    with replacing(tmp_path / "pipe") as part:
        assert part == tmp_path / "pipe"
    assert (tmp_path / "pipe").is_fifo()


def test_any_text_is_part_of_a_name_of_its_own(tmp_path):
    assert as_name("crema-d v1.0 漢字") == "crema-d v1.0 漢字"
    texts = ["a/b", "a\0b", "a_b", "a=00002fb", "../b", "<a>\nb", "\ud800"]
    names = {as_name(text) for text in texts}
    assert len(names) == len(texts)
    for name in names:
        (tmp_path / f"x-{name}").touch()
    assert {path.name for path in tmp_path.iterdir()} == {f"x-{name}" for name in names}


def test_what_can_be_made_again_is_kept_where_that_can_be(tmp_path):
    kept = tmp_path / "kept.npz"
    with keeping(kept) as part, part.open("wb") as file:
        file.write(b"old")
    with keeping(kept) as part:
        part.write_bytes(b"half")
        raise OSError("the disk is full")
    assert kept.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [kept]
    with keeping(tmp_path / "nowhere" / "kept.npz") as part:
        part.write_bytes(b"new")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("writing", [keeping, sharing])
def test_threads_may_write_one_file_at_once(tmp_path, writing):
    file = tmp_path / "file"
    with writing(file) as first, writing(file) as second:
        first.write_text("first")
        second.write_text("second")
    assert file.read_text() == "first"
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("writing", [keeping, sharing])
def test_no_error_leaves_a_part_behind(tmp_path, writing):
    def fail():
        with writing(tmp_path / "file") as part:
            part.write_text("hal")
            raise ValueError("not JSON")

    with pytest.raises(ValueError, match="not JSON"):
        fail()
    assert not [*tmp_path.iterdir()]


def test_a_file_is_claimed_until_it_is_closed(tmp_path):
    with (tmp_path / "file").open("a") as first, (tmp_path / "file").open("a") as second:
        claim(first, "It is taken; wait.")
        with pytest.raises(InputError, match="It is taken; wait"):
            claim(second, "It is taken; wait.")
        first.close()
        claim(second, "It is taken; wait.")
