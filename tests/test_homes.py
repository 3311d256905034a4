"""Corpora from their homes, which are on this machine here. Run: pytest tests/test_homes.py."""

from __future__ import annotations

import json
import random
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from home import serving, zipped
from stub import write_voice

from raclap import homes
from raclap.config import InputError
from raclap.homes import HOMES, begun, complete, fetch
from raclap.layouts import LAYOUTS

AUDIO = {f"Actor_0{n}/03-01-05-01-01-01-0{n}.wav": random.Random(n).randbytes(4000) for n in (1, 2)}
BODY = zipped(AUDIO | {"README.txt": b"no audio", "speakers.csv": b"id,age"})


@pytest.fixture
def host():
    with serving() as host:
        yield host


def audio(root: Path) -> dict[str, bytes]:
    folder = root / "corpus"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.wav")
    }


def test_every_home_is_of_a_corpus_that_can_be_read_and_asks_only_https():
    assert HOMES.keys() <= LAYOUTS.keys()
    for home in HOMES.values():
        assert home.licence
        for file in home.files:
            place = urlsplit(file.url)
            assert f"{place.scheme}://{place.netloc}" in home.origins
        assert all(origin.startswith("https://") for origin in home.origins)


def test_an_unknown_corpus_is_told():
    with pytest.raises(InputError, match="ravdess, emodb, nemo, crema-d can"):
        homes.home("my voices")


def test_a_recorded_file_is_checked_unpacked_and_not_fetched_again(host, tmp_path):
    home = host.home(host.record("corpus.zip", BODY))
    steps = []
    assert not complete(home, tmp_path)
    fetch(home, tmp_path, watch=lambda step, done, total: steps.append((step, done, total)))
    assert audio(tmp_path) == AUDIO
    assert complete(home, tmp_path)
    assert ("Downloading", len(BODY), len(BODY)) in steps
    assert steps[-1] == ("Unpacking", 3, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "fetched.json"]
    asked = len(host.asked)
    fetch(home, tmp_path)
    assert len(host.asked) == asked


def test_a_wrong_checksum_is_told_and_nothing_is_unpacked(host, tmp_path):
    home = host.home(host.record("corpus.zip", BODY, checksum="md5:" + "0" * 32))
    with pytest.raises(InputError, match=r"corpus\.zip from 127\.0\.0\.1 is damaged"):
        fetch(home, tmp_path)
    assert not complete(home, tmp_path)
    assert begun(home, tmp_path) == 0


@pytest.mark.parametrize(
    "told", [{"key": "other.zip"}, {"size": "big"}, {"links": {}}, {"links": None}]
)
def test_a_record_that_changed_is_told(host, tmp_path, told):
    with pytest.raises(InputError, match=r"lists no corpus\.zip"):
        fetch(host.home(host.record("corpus.zip", BODY, **told)), tmp_path)


def test_a_record_cannot_lead_to_another_host(host, tmp_path):
    with serving() as other:
        record = host.record("corpus.zip", BODY, links={"self": f"{other.origin}/corpus.zip"})
        with pytest.raises(InputError, match="none of the places"):
            fetch(host.home(record), tmp_path)
        assert other.asked == []


def test_without_a_published_checksum_the_first_download_counts(host, tmp_path):
    host.files["/corpus.zip"] = BODY
    home = host.home(f"{host.origin}/corpus.zip")
    assert "trusted" in home.checksum
    fetch(home, tmp_path)
    noted = json.loads((tmp_path / "fetched.json").read_text())["corpus.zip"]
    assert noted["digest"].startswith("sha256:")
    assert not noted["published"]
    (tmp_path / "corpus").rename(tmp_path / "lost")
    host.files["/corpus.zip"] = zipped({"a.wav": b"changed"})
    with pytest.raises(InputError, match="damaged"):
        fetch(home, tmp_path)
    host.files["/corpus.zip"] = BODY
    fetch(home, tmp_path)
    assert audio(tmp_path) == AUDIO


def test_a_table_beside_the_audio_stays_a_file(host, tmp_path):
    host.files["/VideoDemographics.csv"] = b"ActorID,Age"
    home = host.home(f"{host.origin}/VideoDemographics.csv", "VideoDemographics.csv")
    fetch(home, tmp_path)
    assert (tmp_path / "VideoDemographics.csv").read_bytes() == b"ActorID,Age"
    assert complete(home, tmp_path)


@pytest.mark.parametrize("step", ["Downloading", "Unpacking"])
def test_what_was_stopped_goes_on_and_is_complete_in_the_end(host, tmp_path, step):
    home = host.home(host.record("corpus.zip", BODY))

    def stop(now, done, total):
        if now == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(home, tmp_path, watch=stop)
    assert not complete(home, tmp_path)
    assert begun(home, tmp_path) > 0
    fetch(home, tmp_path)
    assert audio(tmp_path) == AUDIO
    assert begun(home, tmp_path) == 0


def test_the_verb_fetches_then_reads(host, tmp_path, monkeypatch, capsys):
    from raclap.__main__ import main

    voices = {}
    for name in AUDIO:
        write_voice(tmp_path / "made" / name)
        voices[name] = (tmp_path / "made" / name).read_bytes()
    home = host.home(host.record("corpus.zip", zipped(voices)))
    monkeypatch.setattr(homes, "HOMES", {"ravdess": home})
    words = ["corpus", "ravdess", str(tmp_path / "root"), "--output", str(tmp_path / "m.csv")]
    assert main([*words, "--fetch"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"manifest": str(tmp_path / "m.csv"), "clips": 2}
    assert "CC0" in err
    assert "Downloading" in err
    assert main(["corpus", "savee", *words[2:], "--fetch"]) == 2
    assert "'savee' cannot be fetched" in capsys.readouterr().err
