"""Galleries from a home on this machine, a folder, a zip. Run: pytest tests/test_shelf.py."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import make_engine
from home import Host, serving, zipped
from stub import StubModel, write_voice

from raclap import shelf as room
from raclap.config import InputError
from raclap.search import Engine
from raclap.shelf import Shelf
from raclap.stock import progress

PATIENCE_S = 60


def corpus(tmp_path: Path, count: int = 4) -> dict[str, bytes]:
    """Return clips that are called as RAVDESS calls them."""
    files = {}
    for number in range(1, count + 1):
        name = f"Actor_{number:02}/03-01-05-0{1 + number % 2}-01-01-{number:02}.wav"
        files[name] = write_voice(tmp_path / "made" / name, 100 + 10 * number).read_bytes()
    return files


def settled(shelf: Shelf) -> None:
    until = time.monotonic() + PATIENCE_S
    while any(job.running for job in shelf.jobs.values()):
        assert time.monotonic() < until
        time.sleep(0.02)


def gone(place: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while place.exists():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture
def host():
    with serving() as host:
        yield host


@pytest.fixture
def shelf(tmp_path, host):
    home = host.home(host.record("corpus.zip", zipped(corpus(tmp_path))))
    engine = make_engine(tmp_path / "vowels", 8)
    return Shelf(engine, tmp_path / "galleries", {"ravdess": home}, pause=0.01)


def test_a_corpus_is_fetched_indexed_and_searched(shelf):
    assert [entry.name for entry in shelf.entries()] == [""]
    job = shelf.take_corpus("ravdess")
    settled(shelf)
    assert (job.step, job.error, job.skipped) == ("Ready", "", [])
    first, fetched = shelf.entries()
    assert (first.count, fetched.name, fetched.title, fetched.count) == (8, "ravdess", "Vowels", 4)
    assert "CC0" in fetched.note
    hits = shelf["ravdess"].search_text("angry", 10)
    assert {hit.clip.emotion for hit in hits} == {"angry"}
    assert {hit.clip.gender for hit in hits} == {"male", "female"}
    assert len(shelf[""].search_text("angry", 10)) == 8
    assert shelf["ravdess"] is shelf["ravdess"]
    assert shelf.ready("ravdess")
    assert not shelf.begun("ravdess")  # it is here whole


def test_another_process_finds_what_was_taken_in(shelf):
    shelf.take_corpus("ravdess")
    settled(shelf)
    again = Shelf(shelf.first, shelf.folder, shelf.homes)
    assert len(again["ravdess"].gallery.clips) == 4
    other = Shelf(Engine(StubModel(), shelf.first.gallery), shelf.folder, shelf.homes)
    other.first.model.fingerprint = "another model"
    assert not other.ready("ravdess")
    assert len(other.entries()) == 1


def test_what_another_process_saved_since_is_opened_again(shelf, tmp_path):
    """It was listed anew, and what was searched stayed as it had been."""
    shelf.first.gallery.save(shelf.folder / "box")
    before = shelf["box"]
    assert shelf["box"] is before
    make_engine(tmp_path / "others", 3).gallery.save(shelf.folder / "box")
    assert len(shelf["box"].gallery.clips) == shelf.entries()[1].count == 3
    shutil.rmtree(shelf.folder / "box")
    with pytest.raises(InputError, match="no gallery"):
        shelf["box"]


@pytest.mark.parametrize("step", ["Downloading", "Unpacking", "Indexing"])
def test_a_stopped_job_goes_on_where_it_was(shelf, host, step, monkeypatch):
    watch = room.Job.watch

    def stopping(job, now, done, total):
        if now == step:
            job.stop.set()
        watch(job, now, done, total)

    monkeypatch.setattr(room.Job, "watch", stopping)
    job = shelf.take_corpus("ravdess")
    settled(shelf)
    assert (job.step, job.error) == ("Stopped", "")
    assert not shelf.ready("ravdess")
    assert shelf.begun("ravdess")
    monkeypatch.undo()
    sent = host.sent
    shelf.take_corpus("ravdess")
    settled(shelf)
    assert shelf.ready("ravdess")
    if step != "Downloading":
        assert host.sent - sent < 1000  # the record at most


def test_a_bad_home_ends_with_a_sentence(shelf, host):
    host.answers = [404]
    job = shelf.take_corpus("ravdess")
    settled(shelf)
    assert "answered 404" in job.error
    host.record("corpus.zip", zipped({"a/not-ravdess.wav": b"?"}))
    job = shelf.take_corpus("ravdess")
    settled(shelf)
    assert "nothing named like ravdess" in job.error
    assert not shelf.ready("ravdess")


def test_the_same_corpus_is_not_taken_in_twice_at_once(shelf, host):
    host.seconds = 1.0
    assert shelf.take_corpus("ravdess") is shelf.take_corpus("ravdess")
    settled(shelf)


def test_our_own_fault_is_logged_and_told_without_detail(shelf, monkeypatch, caplog):
    def fail(*inputs, **options):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(room, "make_gallery", fail)
    job = shelf.take_corpus("ravdess")
    settled(shelf)
    assert "secret" not in job.error
    assert "secret detail" in caplog.text


# ---------------------------------------------------------------------- one's own


def test_a_folder_of_this_machine_keeps_its_place(shelf, tmp_path):
    write_voice(tmp_path / "my voices" / "a.wav")
    name = shelf.take_folder(f" {tmp_path / 'my voices'} ")
    settled(shelf)
    assert name.startswith("my-voices-")
    write_voice(tmp_path / "my voices" / "b.wav", 200)
    assert shelf.take_folder(str(tmp_path / "my voices")) == name
    settled(shelf)
    assert len(shelf[name].gallery.clips) == 2
    assert str(tmp_path) not in shelf.entries()[1].note


@pytest.mark.parametrize("source", ["", "  ", "/nowhere/at all", "\0"])
def test_no_folder_is_told(shelf, source):
    with pytest.raises(InputError, match="There is no folder"):
        shelf.take_folder(source)


def test_a_zip_is_seen_by_who_knows_its_name_and_goes(shelf, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "KEPT_SECONDS", 5)
    write_voice(tmp_path / "a.wav")
    (tmp_path / "mine.zip").write_bytes(zipped({"a.wav": (tmp_path / "a.wav").read_bytes()}))
    name = shelf.take_zip(str(tmp_path / "mine.zip"), "mine")
    settled(shelf)
    assert len(name) > 30
    assert shelf[name].gallery.name == "mine"
    assert [entry.name for entry in shelf.entries()] == [""]
    gone(shelf.folder / "visitors" / name)
    assert name not in shelf.jobs
    with pytest.raises(InputError, match="no gallery"):
        shelf[name]


def test_ones_own_is_deleted_at_once_with_the_zip_it_came_from(shelf, tmp_path):
    write_voice(tmp_path / "a.wav")
    archive = tmp_path / "mine.zip"
    archive.write_bytes(zipped({"a.wav": (tmp_path / "a.wav").read_bytes()}))
    name = shelf.take_zip(str(archive), "mine")
    settled(shelf)
    assert "whoever has this address" in shelf[name].gallery.note
    assert name in shelf.jobs
    shelf.remove(name)
    assert name not in shelf.jobs  # which knows how files were called
    assert not archive.exists()
    assert not [*shelf.folder.glob("visitors/*")]
    with pytest.raises(InputError, match="no gallery"):
        shelf[name]
    shelf.remove(name)  # twice is no harm


@pytest.mark.parametrize("name", ["", "ravdess", "../vowels", "own-1"])
def test_nothing_else_is_deleted(shelf, name):
    shelf.take_corpus("ravdess")
    settled(shelf)
    with pytest.raises(InputError, match="Only a gallery of one's own"):
        shelf.remove(name)
    assert shelf.ready("ravdess")


def test_what_is_being_taken_in_is_not_deleted(shelf, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with shelf._lanes["own"]:
        name = shelf.take_zip(str(tmp_path / "a.zip"), "a")
        with pytest.raises(InputError, match="ready"):
            shelf.remove(name)
    settled(shelf)


def test_what_could_not_be_used_is_named(shelf, tmp_path):
    write_voice(tmp_path / "mixed" / "good.wav")
    for name in ("a", "b", "c", os.fsdecode(b"d\xe9")):
        (tmp_path / "mixed" / f"{name}.wav").write_bytes(b"no audio")
    name = shelf.take_folder(str(tmp_path / "mixed"))
    settled(shelf)
    job = shelf.jobs[name]
    said = "Ready. 4 clips could not be used: a.wav, b.wav, c.wav and 1 more."
    assert progress(job, ready=True) == f"<p>{said}</p>"
    assert job.skipped[3] == "d?.wav"  # what is no UTF-8 cannot be sent to a page
    job.skipped = ["<b>.wav"]
    said = "mixed: ready. 1 clip could not be used: &lt;b&gt;.wav."
    assert progress(job, ready=True, title="mixed") == f"<p>{said}</p>"


@pytest.mark.parametrize(
    ("count", "sentence"), [(1, "The only clip cannot"), (2, "None of the 2 clips can be used;")]
)
def test_a_folder_of_which_nothing_can_be_used_leaves_nothing(shelf, tmp_path, count, sentence):
    (tmp_path / "bad").mkdir()
    for number in range(count):
        (tmp_path / "bad" / f"{number}.wav").write_bytes(b"no audio")
    name = shelf.take_folder(str(tmp_path / "bad"))
    settled(shelf)
    assert shelf.jobs[name].error.startswith(sentence)
    assert not (shelf.folder / name).exists()


def test_a_bad_zip_leaves_nothing(shelf, tmp_path, monkeypatch):
    (tmp_path / "bad.zip").write_bytes(zipped({"../a.wav": b"1"}))
    ends = []
    monkeypatch.setattr(shelf, "_remove_in", lambda *end: ends.append(end))
    name = shelf.take_zip(str(tmp_path / "bad.zip"), "bad")
    settled(shelf)
    assert "would not stay in its folder" in shelf.jobs[name].error
    assert not [*shelf.folder.glob("visitors/*")]
    assert ends == [(room.KEPT_SECONDS, name)]  # what is said of it may name a visitor's files
    shelf._remove(name)
    assert name not in shelf.jobs


@pytest.mark.parametrize("age_s", [7_200, 3_599])
def test_what_a_killed_page_left_of_visitors_goes_within_its_hour(shelf, age_s):
    left = shelf.folder / "visitors" / f"own-{'0' * 32}"
    shelf.first.gallery.save(left)
    os.utime(left, (time.time() - age_s,) * 2)
    again = Shelf(shelf.first, shelf.folder)
    assert [entry.name for entry in again.entries()] == [""]
    gone(left)


def test_a_page_that_closes_leaves_what_visitors_of_another_own(shelf, tmp_path):
    """They were deleted with it: of two pages of one machine the second took all along."""
    write_voice(tmp_path / "a.wav")
    (tmp_path / "a.zip").write_bytes(zipped({"a.wav": (tmp_path / "a.wav").read_bytes()}))
    name = shelf.take_zip(str(tmp_path / "a.zip"), "a")
    settled(shelf)
    Shelf(shelf.first, shelf.folder).close()
    clip = shelf[name].gallery.clips[0]
    assert shelf[name].search_clip(clip.path, 1)[0].clip == clip


def test_nobody_opens_what_is_being_removed(shelf, monkeypatch):
    own = f"own-{'0' * 32}"
    shelf.first.gallery.save(shelf.folder / "visitors" / own)
    assert shelf[own].search_text("angry", 1)
    asked = []

    def ask(place, **_):
        asked.append(place.name)
        with pytest.raises(InputError, match="no gallery"):
            shelf[own]

    monkeypatch.setattr(room.shutil, "rmtree", ask)
    shelf.remove(own)
    assert asked == [own]


def test_a_page_that_closes_stops_its_jobs_and_removes_visitors_own(shelf, host, tmp_path):
    host.seconds = 4.0
    write_voice(tmp_path / "a.wav")
    (tmp_path / "a.zip").write_bytes(zipped({"a.wav": (tmp_path / "a.wav").read_bytes()}))
    name = shelf.take_zip(str(tmp_path / "a.zip"), "a")
    settled(shelf)
    job = shelf.take_corpus("ravdess")
    shelf.close()
    assert not job.running
    assert not (shelf.folder / "visitors" / name).exists()


def test_too_much_at_once_is_refused(shelf, host, tmp_path):
    host.seconds = 2.0
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with shelf._lanes["own"]:
        for _ in range(4):
            shelf.take_zip(str(tmp_path / "a.zip"), "a")
        with pytest.raises(InputError, match="Too many"):
            shelf.take_zip(str(tmp_path / "a.zip"), "a")
    settled(shelf)
    assert not [*shelf.folder.glob("visitors/*")]


@pytest.mark.parametrize("name", ["../vowels", "visitors", "/etc", "no such", "own-1", "."])
def test_a_name_never_leads_out_of_the_shelf(shelf, name):
    with pytest.raises(InputError, match="There is no gallery"):
        shelf[name]


# ---------------------------------------------------------------------- killed

CHILD = """
import sys
sys.path[:0] = sys.argv[5:]
import json, time
from pathlib import Path
from conftest import make_engine
from home import Host
from raclap.homes import Home, Remote
from raclap.shelf import Shelf
made, galleries, url, origin = sys.argv[1:5]
home = Home(title="V", speech="", size="", licence="", page="", origins=frozenset({origin}),
            files=(Remote(name="corpus.zip", url=url),))
shelf = Shelf(make_engine(Path(made), 8), Path(galleries), {"ravdess": home}, pause=0.01)
print("ready", flush=True)
job = shelf.take_corpus("ravdess")
while job.running:
    time.sleep(0.01)
print(json.dumps([job.step, job.error]), flush=True)
"""


@pytest.mark.slow
def test_a_page_killed_anywhere_on_the_way_loses_nothing(tmp_path, host: Host):
    """Kill -9 while downloading, unpacking and indexing; the gallery is whole or not there."""
    url = host.record("corpus.zip", zipped(corpus(tmp_path, 12)))
    host.seconds = 1.0
    here = Path(__file__).resolve().parent
    words = [str(tmp_path / "vowels"), str(tmp_path / "galleries"), url, host.origin]
    words += [str(here), str(here.parent)]
    engine = make_engine(tmp_path / "vowels", 8)
    for wait in (0.3, 0.9, 1.2):
        child = subprocess.Popen([sys.executable, "-c", CHILD, *words], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(wait)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        seen = Shelf(engine, tmp_path / "galleries")
        assert not seen.ready("ravdess") or len(seen["ravdess"].gallery.clips) == 12
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *words], capture_output=True, text=True, timeout=120
    )
    assert json.loads(done.stdout.splitlines()[-1]) == ["Ready", ""]
    assert len(Shelf(engine, tmp_path / "galleries")["ravdess"].gallery.clips) == 12
