"""A home on this machine that serves corpora well or badly, for the rooms that fetch."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from raclap.homes import Home, Remote


class Host(ThreadingHTTPServer):
    """Serves ``files``; how badly is told by its attributes.

    Attributes:
        files: path -> bytes.
        cuts: after how many bytes of each answer in turn the connection breaks.
        ranges: whether parts are served.
        tagged: whether answers have an ETag.
        weak: whether that stands for what means the same, which may be other bytes.
        sized: whether answers tell their length.
        answers: status codes to give first.
        redirects: path -> where to send instead.
        seconds: how long a file takes, drop by drop; what an API tells of it comes at once.
        asked: (path, Range) of each request.
        sent: bytes of bodies.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.answers: list[int] = []
        self.redirects: dict[str, str] = {}
        self.ranges = self.tagged = self.sized = True
        self.weak = False
        self.seconds = 0.0
        self.asked: list[tuple[str, str]] = []
        self.sent = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def record(self, name: str, body: bytes, **told: object) -> str:
        """Publish a file as Zenodo does; return the record's address."""
        self.files[f"/files/{name}"] = body
        entry = {
            "key": name,
            "size": len(body),
            "checksum": f"md5:{hashlib.md5(body).hexdigest()}",
            "links": {"self": f"{self.origin}/files/{name}"},
        }
        self.files["/api/records/1"] = json.dumps({"files": [entry | told]}).encode()
        return f"{self.origin}/api/records/1"

    def home(self, url: str, name: str = "corpus.zip") -> Home:
        return Home(
            title="Vowels",
            speech="four clips",
            size="about 0.1 MB",
            licence="CC0",
            page=self.origin,
            origins=frozenset({self.origin}),
            files=(Remote(name=name, url=url),),
        )


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        host: Host = self.server
        wanted = self.headers.get("Range", "")
        host.asked.append((self.path, wanted))
        self.close_connection = True
        if self.path in host.redirects:
            self.send_response(302)
            self.send_header("Location", host.redirects[self.path])
            return self._end()
        if host.answers:
            self.send_response(host.answers.pop(0))
            return self._end()
        body = host.files.get(self.path)
        if body is None:
            self.send_response(404)
            return self._end()
        tag = f'"{hashlib.sha1(body).hexdigest()}"'
        tag = f"W/{tag}" if host.weak else tag
        same = self.headers.get("If-Range", tag) == tag
        start = int(wanted[6:-1]) if wanted and host.ranges and same else 0
        if start >= len(body) > 0:
            self.send_response(416)
            return self._end()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if host.tagged:
            self.send_header("ETag", tag)
        if host.sized:
            self.send_header("Content-Length", str(len(body) - start))
        self.send_header("Connection", "close")
        self.end_headers()
        self._drip(host, body[start:], host.cuts.pop(0) if host.cuts else len(body))

    def _drip(self, host: Host, body: bytes, most: int) -> None:
        step = max(1, len(body) // 50)
        for at in range(0, min(len(body), most), step):
            piece = body[at : min(at + step, most)]
            try:
                self.wfile.write(piece)
            except OSError:  # the other side was killed
                return
            host.sent += len(piece)
            time.sleep(0 if self.path.startswith("/api/") else host.seconds / 50)

    def _end(self) -> None:
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None: ...


@contextmanager
def serving() -> Iterator[Host]:
    with Host() as host:
        threading.Thread(target=host.serve_forever, args=[0.05], daemon=True).start()
        yield host
        host.shutdown()


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip of these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return packed.getvalue()
