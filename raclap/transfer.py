"""One file comes over HTTP: resumed where it was cut, checked, and only then given its name.

In: an address on one of a fixed set of origins. Out: a whole file, or an error that says why not.
What has arrived waits in ``NAME.part``, with what tells its version in ``NAME.part.json``; a kill
at any moment loses neither, and neither is ever taken for the file. Deliberately not here: which
files there are (``homes``), what is in them (``unpack``).
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from raclap.config import InputError
from raclap.files import digest_of

Watch = Callable[[int, int | None], None]  # told bytes or files done, of how many if known

MOST_BYTES = 8 * 2**30
_TRIES = 5  # in a row that brought nothing
_HOPS = 5
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_TIMEOUT = httpx.Timeout(30.0)


class _CutError(Exception):
    """The transfer ended early; it can go on."""


def download(
    url: str,
    path: Path,
    *,
    origins: Collection[str],
    size: int | None = None,
    digest: str = "",
    watch: Watch = lambda done, total: None,
    pause: float = 1.0,
) -> str:
    """Fetch a file, or the rest of it.

    Args:
        url: where it is.
        path: what to call it once it is whole and checked.
        origins: the only places to ask, redirects included, as in "https://zenodo.org".
        size: its length in bytes, where its home publishes that.
        digest: "md5:..." or "sha256:..." that it must have, where that is known.
        watch: told of the bytes so far; what it raises ends the transfer, which can go on later.
        pause: seconds before the second try, doubled before each further one.

    Returns:
        Its digest, by the algorithm of ``digest``, else by SHA-256.

    Raises:
        InputError: a foreign host, no answer, no space, or not the file that was promised.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    notes = path.with_name(f"{path.name}.part.json")
    resumed = part.exists()
    if not path.exists():
        _Transfer(
            url=url,
            part=part,
            notes=notes,
            origins=origins,
            size=size,
            checked=bool(digest),
            watch=watch,
        ).fill(pause)
    whole = path if path.exists() else part
    algorithm = digest.partition(":")[0] or "sha256"
    found = f"{algorithm}:{digest_of(whole, algorithm)}"
    wrong = size is not None and whole.stat().st_size != size
    if wrong or (digest and found != digest):
        whole.unlink()
        notes.unlink(missing_ok=True)
        if resumed:  # its beginning may have been of another version
            again = {"origins": origins, "size": size, "digest": digest}
            return download(url, path, **again, watch=watch, pause=pause)
        raise InputError(
            f"{path.name} from {_host(url)} is damaged ({found} instead of {digest or size}) and "
            "was thrown away; fetch it again."
        )
    if whole is part:
        part.replace(path)
    notes.unlink(missing_ok=True)
    return found


def read_json(url: str, *, origins: Collection[str]) -> dict:
    """Return the JSON object at an address of ``origins``.

    Raises:
        InputError: as `download`, or something else than an object.
    """
    try:
        with httpx.Client(timeout=_TIMEOUT) as client:
            answer = _open(client, url, origins, {})
            try:
                if answer.status_code != httpx.codes.OK:
                    raise _refused(url, answer)
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > 1 << 24:
                        break
            finally:
                answer.close()
        told = json.loads(body)
    except InputError:
        raise
    except (httpx.HTTPError, ValueError) as error:
        raise InputError(f"{_host(url)} cannot be asked for {url}: {_why(error)}.") from error
    if not isinstance(told, dict):
        raise InputError(f"{url} does not answer as expected; its home may have changed.")
    return told


def waiting(path: Path) -> int:
    """Return how many bytes of an unfinished file have arrived."""
    return _arrived(path.with_name(f"{path.name}.part"))


def _arrived(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Transfer:
    """One file on its way.

    Attributes:
        url: where it is.
        part: where it gathers.
        notes: what tells the version of the bytes in ``part``.
        origins: the only places to ask.
        size: its length in bytes, if known.
        checked: whether its digest is known, so that a wrong file would be noticed.
        watch: told of the bytes so far.
    """

    url: str
    part: Path
    notes: Path
    origins: Collection[str]
    size: int | None
    checked: bool
    watch: Watch

    def fill(self, pause: float) -> None:
        """Bring ``part`` to its full length."""
        tries, why = 0, ""
        with httpx.Client(timeout=_TIMEOUT) as client:
            while tries < _TRIES:
                if tries:
                    self._rest(pause * 2 ** (tries - 1))
                before = _arrived(self.part)
                try:
                    return self._continue(client)
                except (_CutError, httpx.TransportError) as error:
                    why = _why(error)
                tries = 1 if _arrived(self.part) > before else tries + 1
        raise InputError(
            f"{self.part.stem} could not be fetched from {_host(self.url)} ({why}); what has "
            "arrived is kept, and fetching again goes on from there."
        )

    def _continue(self, client: httpx.Client) -> None:
        """Ask for what is missing of ``part`` and append it."""
        have = _arrived(self.part)
        if self.size is not None and have == self.size:
            return
        version = _version(self.notes, self.url)
        # Without a version or a checksum nobody could tell two halves of different files.
        if have and not (version or self.checked):
            have = 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and version:
            headers["If-Range"] = version
        answer = _open(client, self.url, self.origins, headers)
        try:
            start = have
            if answer.status_code == httpx.codes.PARTIAL_CONTENT:
                start, total = _content_range(answer)
                if start != have:
                    self.part.unlink()
                    raise _CutError("its home resumed at another place than asked")
            elif answer.status_code == httpx.codes.OK:
                start, length = 0, answer.headers.get("Content-Length", "")
                total = int(length) if length.isdecimal() else None
            elif answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                self.part.unlink()
                raise _CutError("its home has a shorter file now")
            elif answer.status_code in _AGAIN:
                raise _CutError(f"its home answered {answer.status_code}")
            else:
                raise _refused(self.url, answer)
            total = total if total is not None else self.size
            _check_room(self.part, (total or 0) - start, total)
            note = {"url": self.url, "version": _told_version(answer)}
            fresh = self.notes.with_name(f"{self.notes.name}.new")
            fresh.write_text(json.dumps(note), encoding="utf-8")
            # Nothing, then the note, then bytes: a kill never leaves bytes under a wrong note.
            if start == 0:
                self.part.write_bytes(b"")
            fresh.replace(self.notes)
            done = start
            with self.part.open("r+b") as file:
                file.seek(start)
                for chunk in answer.iter_raw():  # as it comes: a cut loses nothing
                    file.write(chunk)
                    file.flush()
                    done += len(chunk)
                    self.watch(done, total)
                    if done > min(MOST_BYTES, self.size if self.size is not None else MOST_BYTES):
                        raise InputError(
                            f"{_host(self.url)} sends more than {self.part.stem} should have."
                        )
            if total is not None and done < total:
                raise _CutError("the connection was cut")
        finally:
            answer.close()

    def _rest(self, seconds: float) -> None:
        """Wait, but let ``watch`` end it."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.watch(_arrived(self.part), self.size)
            time.sleep(min(0.2, left))


def _open(
    client: httpx.Client, url: str, origins: Collection[str], headers: dict[str, str]
) -> httpx.Response:
    """Send a request, and follow redirects within ``origins``; the answer's body is unread."""
    for _ in range(_HOPS):
        place = _origin(url)
        if place not in origins:
            raise InputError(
                f"{place} is none of the places this may be fetched from "
                f"({', '.join(sorted(origins))}); nothing was asked there."
            )
        request = client.build_request("GET", url, headers={"Accept-Encoding": "identity"})
        request.headers.update(headers)
        answer = client.send(request, stream=True, follow_redirects=False)
        if not answer.has_redirect_location:
            return answer
        answer.close()
        url = _joined(url, answer.headers["Location"])
    raise InputError(f"{_host(url)} leads from one place to the next without end.")


def _content_range(answer: httpx.Response) -> tuple[int, int | None]:
    """Start and total of a partial answer."""
    unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or not start.isdecimal():
        return -1, None
    return int(start), int(total) if total.isdecimal() else None


def _version(notes: Path, url: str) -> str:
    """What tells the version of the bytes that wait, if they are of this address."""
    try:
        note = json.loads(notes.read_text(encoding="utf-8"))
        return note["version"] if note["url"] == url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _told_version(answer: httpx.Response) -> str:
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _check_room(part: Path, missing: int, total: int | None) -> None:
    if (total or 0) > MOST_BYTES:
        raise InputError(f"{part.stem} has {total:,} bytes, more than is ever fetched.")
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise InputError(
            f"{part.stem} needs {missing / 1e6:,.0f} MB more in {part.parent}, where "
            f"{free / 1e6:,.0f} MB are free; make room there."
        )


def _refused(url: str, answer: httpx.Response) -> InputError:
    return InputError(
        f"{_host(url)} answered {answer.status_code} for {url}; look there whether it has moved."
    )


def _why(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise InputError(f"{location!r} is none of the places this may be fetched from.") from error


def _origin(url: str) -> str:
    place = urlsplit(url)
    return f"{place.scheme}://{place.netloc}"


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
