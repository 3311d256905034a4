"""Files from a home that behaves well and badly. Run: pytest tests/test_transfer.py."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from home import Host, serving

from raclap.config import InputError
from raclap.transfer import download, read_json, waiting

BODY = random.Random(0).randbytes(300_000)
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"
SHA256 = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


@pytest.fixture
def host():
    with serving() as host:
        host.files["/a.zip"] = BODY
        yield host


def fetch(host: Host, path: Path, **options) -> str:
    options = {"origins": {host.origin}, "pause": 0.01} | options
    return download(f"{host.origin}/a.zip", path, **options)


def ranges(host: Host) -> list[str]:
    return [wanted for _, wanted in host.asked]


def test_a_file_comes_whole_and_its_progress_is_told(host, tmp_path):
    told = []
    path = tmp_path / "new" / "a.zip"
    assert fetch(host, path, watch=lambda *now: told.append(now)) == SHA256
    assert path.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert list(path.parent.iterdir()) == [path]


def test_the_digest_is_of_the_algorithm_asked_for(host, tmp_path):
    assert fetch(host, tmp_path / "a.zip", digest=MD5, size=len(BODY)) == MD5


def test_a_file_that_is_there_is_not_fetched_again(host, tmp_path):
    fetch(host, tmp_path / "a.zip")
    fetch(host, tmp_path / "a.zip", digest=MD5)
    assert len(host.asked) == 1


@pytest.mark.parametrize("sized", [True, False])
def test_a_cut_connection_is_resumed_where_it_broke(host, tmp_path, sized):
    host.cuts, host.sized = [100_000, 1, 50_000], sized
    size = None if sized else len(BODY)  # without any length a cut cannot be told from an end
    fetch(host, tmp_path / "a.zip", size=size, digest=MD5)
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert ranges(host) == ["", "bytes=100000-", "bytes=100001-", "bytes=150001-"]
    assert host.sent == len(BODY)


def test_a_home_that_ignores_ranges_is_asked_for_all_again(host, tmp_path):
    host.cuts, host.ranges = [100_000], False
    assert fetch(host, tmp_path / "a.zip") == SHA256
    assert host.sent == len(BODY) + 100_000


def test_a_file_that_changed_meanwhile_is_not_joined_to_the_old(host, tmp_path):
    host.cuts = [100_000, 0, 0, 0, 0]
    with pytest.raises(InputError, match="goes on from there"):
        fetch(host, tmp_path / "a.zip")
    host.files["/a.zip"] = new = BODY[::-1]
    fetch(host, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == new


def test_without_version_or_checksum_nothing_is_joined(host, tmp_path):
    host.cuts, host.tagged = [100_000], False
    assert fetch(host, tmp_path / "a.zip") == SHA256
    assert ranges(host) == ["", ""]


def test_a_weak_version_joins_nothing(host, tmp_path):
    host.cuts, host.weak = [100_000], True
    assert fetch(host, tmp_path / "a.zip") == SHA256
    assert ranges(host) == ["", ""]


def test_any_number_of_cuts_is_survived_while_something_comes(host, tmp_path):
    host.cuts = [20_000] * 9
    assert fetch(host, tmp_path / "a.zip") == SHA256
    assert len(host.asked) == 10


def test_a_beginning_of_another_version_is_found_by_the_checksum(host, tmp_path):
    host.tagged = False
    (tmp_path / "a.zip.part").write_bytes(b"?" * 1000)
    assert fetch(host, tmp_path / "a.zip", digest=MD5) == MD5
    assert ranges(host) == ["bytes=1000-", ""]


def test_a_part_that_is_too_long_is_begun_again(host, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(BODY + b"?")
    assert fetch(host, tmp_path / "a.zip", digest=MD5) == MD5


def test_a_damaged_file_is_thrown_away_and_told(host, tmp_path):
    host.files["/a.zip"] = BODY[:-1] + b"?"
    with pytest.raises(InputError, match=r"a\.zip from 127\.0\.0\.1 is damaged .*fetch it again"):
        fetch(host, tmp_path / "a.zip", digest=MD5)
    assert list(tmp_path.iterdir()) == []


def test_more_than_promised_is_refused(host, tmp_path):
    with pytest.raises(InputError, match="sends more"):
        fetch(host, tmp_path / "a.zip", size=1000)


def test_a_busy_home_is_asked_again(host, tmp_path):
    host.answers = [503, 429]
    assert fetch(host, tmp_path / "a.zip") == SHA256


@pytest.mark.parametrize("status", [404, 403, 401])
def test_a_refusal_is_told_at_once(host, tmp_path, status):
    host.answers = [status]
    with pytest.raises(InputError, match=f"answered {status}"):
        fetch(host, tmp_path / "a.zip")
    assert len(host.asked) == 1


def test_a_home_that_is_away_is_told_after_some_tries(tmp_path):
    with serving() as host:
        pass
    with pytest.raises(InputError, match="could not be fetched from 127"):
        fetch(host, tmp_path / "a.zip")


def test_a_redirect_within_the_home_is_followed(host, tmp_path):
    host.redirects["/a.zip"] = "/moved/a.zip"
    host.files["/moved/a.zip"] = BODY
    assert fetch(host, tmp_path / "a.zip") == SHA256


@pytest.mark.parametrize(
    "elsewhere",
    ["{other}/a.zip", "file:///etc/passwd", "//localhost/a.zip", "http://[", "http://127.0.0.1/x"],
)
def test_a_redirect_to_a_foreign_host_is_refused_unasked(host, tmp_path, elsewhere):
    with serving() as other:
        other.files["/a.zip"] = BODY
        host.redirects["/a.zip"] = elsewhere.format(other=other.origin)
        with pytest.raises(InputError, match="none of the places"):
            fetch(host, tmp_path / "a.zip")
        assert other.asked == []


def test_redirects_have_an_end(host, tmp_path):
    host.redirects["/a.zip"] = "/a.zip"
    with pytest.raises(InputError, match="without end"):
        fetch(host, tmp_path / "a.zip")


def test_no_room_is_told_before_anything_comes(host, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Disk", (), {"free": 1000}))
    with pytest.raises(InputError, match="make room"):
        fetch(host, tmp_path / "a.zip")
    assert waiting(tmp_path / "a.zip") == 0


def test_a_transfer_that_was_stopped_goes_on_later(host, tmp_path):
    def stop(done, total):
        if done > 50_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(host, tmp_path / "a.zip", watch=stop)
    kept = waiting(tmp_path / "a.zip")
    assert kept > 50_000
    assert not (tmp_path / "a.zip").exists()
    fetch(host, tmp_path / "a.zip")
    assert ranges(host) == ["", f"bytes={kept}-"]


@pytest.mark.parametrize("body", [b"[]", b"not json", b"\xff"])
def test_what_is_no_json_object_is_told(host, body):
    host.files["/record"] = body
    with pytest.raises(InputError, match="record"):
        read_json(f"{host.origin}/record", origins={host.origin})


CHILD = """
import sys
from pathlib import Path
from raclap.transfer import download
print("ready", flush=True)
download(sys.argv[1], Path(sys.argv[2]), origins={sys.argv[3]}, size=int(sys.argv[4]), pause=0.01)
"""


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_leave_nothing_half(host, tmp_path):
    """Kill -9 at a random moment, twenty times; the file is only ever there when it is whole."""
    host.seconds = 4.0
    path, chance, kept = tmp_path / "a.zip", random.Random(7), []
    words = [f"{host.origin}/a.zip", str(path), host.origin, str(len(BODY))]
    kills = 0
    for _ in range(20):
        child = subprocess.Popen([sys.executable, "-c", CHILD, *words], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(chance.uniform(0, 0.25))
        child.send_signal(signal.SIGKILL)
        kills += child.wait() == -signal.SIGKILL
        child.stdout.close()
        assert not path.exists() or path.read_bytes() == BODY
        part = tmp_path / "a.zip.part"
        arrived = part.read_bytes() if part.exists() else b""
        assert BODY.startswith(arrived)
        kept.append(len(arrived))
    assert kept == sorted(kept), "what had arrived was lost"
    host.seconds = 0
    assert fetch(host, path) == SHA256
    assert path.read_bytes() == BODY
    print(f"{kills} kills, {kept[-1]:,} of {len(BODY):,} bytes kept through them")
    assert kills > 10
    assert host.asked[-1][1] == (f"bytes={kept[-1]}-" if kept[-1] else "")
