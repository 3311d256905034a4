"""Open the page: ``python app.py [--gallery NAME|DIR] [--checkpoint DIR] [--host H] [--port P]``.

Where no flag is given, RACLAP_GALLERY, RACLAP_CHECKPOINT and RACLAP_MCP=1 stand for theirs: a Space
knows environment variables only. A mistake, or something missing, ends with exit code 2 and one
sentence that says what to do.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from raclap.arguments import Parser
from raclap.config import InputError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from raclap.search import Engine


def main(argv: Sequence[str] | None = None) -> int:
    """Load what the page needs, open it, and stay until Ctrl-C.

    Args:
        argv: the words after ``python app.py``; by default those of this process.

    Returns:
        0, or 2 when the page cannot be opened.
    """
    try:
        args = parser().parse_args(argv)
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
        # Imports of several seconds wait until --help and mistyped flags have had their answer.
        from starlette.middleware import Middleware

        from raclap.checkpoint import CHECKPOINT
        from raclap.interface import build, launch_options
        from raclap.search import Engine
        from raclap.shelf import Shelf

        checkpoint = args.checkpoint or str(CHECKPOINT)
        if args.mcp and importlib.util.find_spec("mcp") is None:
            raise InputError('--mcp needs an extra package; install it with: pip install "mcp<2"')
        engine = Engine.open(checkpoint, indexed(args.gallery, checkpoint))
        accelerate(engine)
        threading.Thread(target=warm, args=[engine], daemon=True).start()
        shelf = Shelf(engine)
        # As on Ctrl-C: otherwise Python stops at once, and what is a visitor's own would stay.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        options = launch_options(shelf)
        options["app_kwargs"]["middleware"] = [Middleware(Headers), Middleware(Packed)]
        build(shelf).launch(
            server_name=args.host or ("0.0.0.0" if "SPACE_ID" in os.environ else None),
            server_port=args.port,
            mcp_server=args.mcp,
            **options,
        )
    except (InputError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(prog="python app.py", description="Search voices by style.")
    parser.add_argument(
        "--gallery",
        metavar="NAME|DIR",
        default=os.environ.get("RACLAP_GALLERY") or "bundled",
        help="'bundled', a gallery (here or in Milvus), or any folder of audio, indexed first",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="DIR",
        default=os.environ.get("RACLAP_CHECKPOINT"),
        help="folder or hub name of another model",
    )
    parser.add_argument("--host", metavar="H", help="address to listen on (default: this machine)")
    parser.add_argument("--port", metavar="P", type=int, help="default: the first free from 7860")
    parser.add_argument(
        "--mcp",
        action="store_true",
        default=os.environ.get("RACLAP_MCP") == "1",
        help="offer the endpoints as MCP tools too",
    )
    return parser


def indexed(gallery: str, checkpoint: str) -> str:
    """Return the gallery to open; a plain folder of audio is indexed first.

    Its gallery is kept in the user's cache under a digest of the folder's files, of the model and
    of what is found in clips, so that it is made again, and the one before removed, when any of
    them changes.
    """
    from tqdm import tqdm

    from raclap.checkpoint import open_reader
    from raclap.files import cache
    from raclap.index import CARD, MANIFEST
    from raclap.intake import EDITION, find_clips, make_gallery
    from raclap.milvus import is_address

    folder = Path(gallery).resolve()
    if (
        gallery == "bundled"
        or is_address(gallery)
        or not folder.is_dir()
        or (folder / CARD).exists()
    ):
        return gallery
    clips = find_clips(folder)
    files = [Path(clip.path) for clip in clips]
    files += [*folder.glob(MANIFEST), *sorted(Path(checkpoint).glob("*.safetensors"))]
    seen = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    place, state = (
        hashlib.sha256(repr(each).encode()).hexdigest()[:16]
        for each in ((str(folder), checkpoint), (EDITION, seen))
    )
    output = cache() / f"{folder.name}-{place}-{state}"
    if not (output / CARD).exists():
        print(f"Indexing {folder} into {output}", file=sys.stderr)
        make_gallery(
            open_reader(checkpoint),
            clips,
            output,
            name=folder.name,
            say=functools.partial(tqdm.write, file=sys.stderr),
            watch=functools.partial(tqdm, desc="clips", file=sys.stderr),
        )
        for other in output.parent.iterdir():
            if other.name.startswith(f"{folder.name}-{place}-") and other != output:
                shutil.rmtree(other, ignore_errors=True)
    return str(output)


def accelerate(engine: Engine) -> None:
    """Let clips be heard on a GPU that is lent for the moment, where a Space has one (ZeroGPU).

    Without the package ``spaces`` nothing changes. Texts stay on the CPU: they take 10 ms there,
    less than a GPU takes to be lent.
    """
    if importlib.util.find_spec("spaces") is None:
        return
    import spaces
    import torch

    model = engine.model
    plain = model.encode_speech

    def encode_speech(clips: Sequence[str | Path | np.ndarray]) -> torch.Tensor:
        if not torch.cuda.is_available():
            return plain(clips)
        home = model.device
        model.to("cuda")
        try:
            return plain(clips)
        finally:
            model.to(home)

    model.encode_speech = spaces.GPU(encode_speech)


class Headers:
    """Adds to every answer of the page what a browser may do with it (ASGI middleware).

    Types are not guessed, the address (it holds the query) is not told to other sites, only
    Hugging Face may frame the page, as a Space is, and the microphone is the page's own.
    """

    _EACH = (
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (
            b"content-security-policy",
            b"frame-ancestors 'self' https://huggingface.co https://*.hf.space; object-src 'none'; "
            b"base-uri 'self'",
        ),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=(self)"),
    )

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as ``app`` does, with the headers added."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._EACH]
            await send(message)

        await self.app(scope, receive, answer)


class Packed:
    """Compresses the page itself and its scripts (ASGI middleware).

    Audio is compressed already, and is asked for in ranges of the file as it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        from starlette.middleware.gzip import GZipMiddleware

        self.plain, self.packed = app, GZipMiddleware(app, minimum_size=2_000, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as ``app`` does."""
        path = scope.get("path", "")
        is_text = path in ("/", "/config") or path.endswith((".js", ".css"))
        await (self.packed if is_text else self.plain)(scope, receive, send)


def warm(engine: Engine) -> None:
    """Ask once for everything that is slow the first time."""
    try:
        engine.search_text("warm", top=1)
        _ = engine.sketch
        if "SPACES_ZERO_GPU" not in os.environ:  # there a GPU is lent to a visitor's request only
            engine.describe(engine.gallery.clips[0].path)
    except Exception:
        logging.getLogger(__name__).exception("The first question failed")


if __name__ == "__main__":
    sys.exit(main())
