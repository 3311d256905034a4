"""The command line: ``python -m raclap VERB``.

Results are one JSON object on stdout, progress goes to stderr. A user's mistake ends with exit
code 2 and one sentence, never a traceback. Deliberately not here: what the verbs do (`command`,
`reports`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from raclap import command, reports
from raclap.arguments import Parser, place
from raclap.config import PRESETS, InputError

VERBS = {
    "corpus": command.corpus,
    "train": command.train,
    "study": command.study,
    "evaluate": reports.evaluate,
    "index": command.index,
    "search": command.search,
    "describe": command.describe,
    "embed": command.embed,
    "benchmark": reports.benchmark,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: the words after ``python -m raclap``; by default those of this process.

    Returns:
        0, or 2 after a user's mistake, or 130 after Ctrl-C.
    """
    try:
        args = parser().parse_args(argv)
        result = VERBS[args.verb](args)
        if result is not None:
            print(json.dumps(result, allow_nan=False))
    except (InputError, OSError, UnicodeError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; give the same command to go on.", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = Parser(prog="python -m raclap", description="Speech style retrieval with RA-CLAP.")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    verb = _verb(verbs, "corpus", "turn a published corpus into a manifest")
    verb.add_argument("name", metavar="NAME", help="the corpus, e.g. ravdess or textrolspeech")
    verb.add_argument("root", metavar="ROOT", type=Path, help="folder of the corpus's audio")
    verb.add_argument("--output", metavar="M.csv", type=Path, required=True)
    verb.add_argument(
        "--fetch",
        action="store_true",
        help="first bring it into ROOT from its own home: ravdess, emodb, nemo, crema-d",
    )
    verb.add_argument("--table", type=Path, help="file of descriptions, where a corpus has one")
    verb.add_argument(
        "--columns", metavar="OURS=THEIRS,..", help="where a release's columns are called otherwise"
    )

    verb = _verb(verbs, "train", "train a model: stage ess, then ra with it as the teacher")
    verb.add_argument("--preset", choices=PRESETS, help="(default: base)")
    verb.add_argument("--config", metavar="F.json", type=Path, help="settings over the preset's")
    verb.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="one setting: ess.epochs=3"
    )
    verb.add_argument("--stage", choices=("ess", "ra", "finish"), required=True)
    verb.add_argument(
        "--manifest", metavar="M.csv", action="append", type=Path, required=True, help="repeatable"
    )
    verb.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="checkpoint; resumed if begun"
    )
    verb.add_argument(
        "--init", metavar="DIR", type=Path, help="where to start; ra and finish need it"
    )
    verb.add_argument(
        "--leave-out",
        metavar="CORPUS",
        action="append",
        default=[],
        help="never train on or validate with it; repeatable",
    )
    verb.add_argument(
        "--fresh-text", action="store_true", help="take only the speech tower from --init"
    )
    verb.add_argument(
        "--with-valid", action="store_true", help="finish: the ear hears the valid split, too"
    )

    verb = _verb(verbs, "study", "train recipes that differ in nothing else, over several seeds")
    verb.add_argument("--preset", choices=PRESETS, default="base")
    verb.add_argument("--config", metavar="F.json", type=Path, help="settings over the preset's")
    verb.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="one setting: ra.epochs=3"
    )
    verb.add_argument(
        "--manifest", metavar="M.csv", action="append", type=Path, required=True, help="repeatable"
    )
    verb.add_argument("--output", metavar="DIR", type=Path, required=True, help="goes on if begun")
    verb.add_argument("--init", metavar="DIR", type=Path, help="where each stage one starts")
    verb.add_argument("--seeds", metavar="N", type=int, default=5)
    verb.add_argument(
        "--recipe", metavar="NAME", action="append", default=[], help="repeatable (default: all)"
    )

    verb = _verb(verbs, "evaluate", "run the ESSR benchmark, or compare its reports")
    _add_checkpoint(verb)
    given = verb.add_mutually_exclusive_group(required=True)
    given.add_argument("--manifest", metavar="M.csv", type=Path, help="the clips to run it on")
    given.add_argument(
        "--compare",
        metavar="NAME=R.json,..",
        nargs="+",
        help="reports of models, one a training seed; each but the first minus the first",
    )
    verb.add_argument("--split", choices=("train", "valid", "test"), help="(default: test)")
    verb.add_argument(
        "--corpus", metavar="CORPUS", action="append", default=[], help="only this; repeatable"
    )
    verb.add_argument(
        "--output",
        metavar="R.json",
        type=Path,
        help="the figures; R.md beside it has the tables and R/ the pictures",
    )
    verb.add_argument("--no-figures", action="store_true", help="draw no pictures")

    verb = _verb(verbs, "index", "make a gallery of a folder of audio or a manifest")
    verb.add_argument("source", metavar="DIR_OR_MANIFEST", type=Path)
    verb.add_argument(
        "--output",
        metavar="GALLERY",
        type=place,
        required=True,
        help="folder, which may be the source itself; or milvus://HOST:PORT/NAME, or FILE.db",
    )
    verb.add_argument(
        "--engine",
        choices=("here", "ray"),
        default="here",
        help="who does it: this process, or the cores of a Ray cluster (default: here)",
    )
    verb.add_argument("--name", help="what to call it (default: the folder's name)")
    verb.add_argument("--note", help="what a listener should know, e.g. 'synthetic voices'")
    _add_checkpoint(verb)

    verb = _verb(verbs, "search", "find clips by description, or by a clip")
    query = verb.add_mutually_exclusive_group(required=True)
    query.add_argument("text", metavar="TEXT", nargs="?", help="how it should sound")
    query.add_argument("--clip", metavar="FILE", type=Path, help="find what sounds like this clip")
    verb.add_argument(
        "--gallery",
        metavar="G",
        default="bundled",
        help="folder, milvus://HOST:PORT/NAME or FILE.db (default: bundled)",
    )
    verb.add_argument("--top", metavar="K", type=int, default=10)
    verb.add_argument(
        "--where", metavar="ATTRIBUTE=VALUE", action="append", default=[], help="repeatable filter"
    )
    verb.add_argument(
        "--explain", action="store_true", help="tell what each thing said adds to a score"
    )
    _add_checkpoint(verb)

    verb = _verb(verbs, "describe", "tell how a clip is spoken")
    verb.add_argument("clip", metavar="FILE", type=Path)
    verb.add_argument("--top", metavar="K", type=int, default=5, help="how many descriptions")
    _add_checkpoint(verb)

    verb = _verb(verbs, "embed", "write the vectors of clips or texts")
    things = verb.add_mutually_exclusive_group(required=True)
    things.add_argument("--clips", metavar="PATH", nargs="+", type=Path)
    things.add_argument("--texts", metavar="FILE", type=Path, help="one description a line")
    verb.add_argument("--output", metavar="V.npz", type=Path, required=True)
    _add_checkpoint(verb)

    verb = _verb(verbs, "benchmark", "measure speed and memory, against other encoders too")
    verb.add_argument(
        "--part",
        action="append",
        choices=("encode", "query", "precision", "start", "profile", "memory", "index"),
        help="repeatable (default: all)",
    )
    verb.add_argument("--threads", metavar="N", type=int, default=1)
    verb.add_argument("--rounds", metavar="N", type=int, default=5, help="repeats, taking turns")
    verb.add_argument("--clips", metavar="N", type=int, default=5, help="of 2 to 10 s")
    verb.add_argument("--vectors", metavar="N", type=int, default=10**6, help="the largest index")
    verb.add_argument(
        "--output",
        metavar="R.json",
        type=Path,
        required=True,
        help="the figures; R.md beside it has the tables and R.png the picture",
    )
    _add_checkpoint(verb)
    return parser


def _verb(verbs: argparse._SubParsersAction, name: str, summary: str) -> argparse.ArgumentParser:
    return verbs.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")


def _add_checkpoint(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--checkpoint",
        metavar="DIR",
        help="folder or hub name (default: the one that ships)",
    )


if __name__ == "__main__":
    sys.exit(main())
