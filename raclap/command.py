"""What the verbs of ``python -m raclap`` do: parsed arguments in, a JSON-ready result out.

torch and transformers are imported inside the verbs, so that ``--help`` and a mistyped flag answer
at once. Deliberately not here: parsing, printing and exit codes (`__main__`), the verbs that
measure (`reports`).
"""

from __future__ import annotations

import contextlib
import functools
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raclap.arguments import lines, opened, pairs, settings
from raclap.config import InputError
from raclap.files import replacing


def corpus(args: Namespace) -> dict[str, Any]:
    """Turn a published corpus into a manifest."""
    from raclap import corpus, tables

    if args.fetch:
        _fetch(args.name, args.root)
    columns = tables.parse_columns(args.columns) if args.columns else None
    clips = corpus.build(args.name, args.root, table=args.table, columns=columns)
    corpus.write_manifest(clips, args.output)
    return {"manifest": str(args.output), "clips": len(clips)}


def _fetch(name: str, root: Path) -> None:
    """Bring a corpus from its own home, with a bar for each step."""
    from tqdm import tqdm

    from raclap import homes

    home, bars = homes.home(name), {}
    print(
        f"{home.title}, {home.licence}, {home.size}: {home.page}\n({home.checksum})",
        file=sys.stderr,
    )

    def watch(step: str, done: int, total: int | None) -> None:
        unit = {"unit": "B", "unit_scale": True} if step == "Downloading" else {"unit": " files"}
        if step not in bars:
            bars[step] = tqdm(desc=step, file=sys.stderr, initial=done, **unit)
        bars[step].total = total
        bars[step].update(done - bars[step].n)

    try:
        homes.fetch(home, root, watch)
    finally:
        for bar in bars.values():
            bar.close()


def train(args: Namespace) -> dict[str, Any] | None:
    """Train one stage; of several ranks, the first has the result."""
    from raclap.finishing import finish
    from raclap.parallel import joined
    from raclap.train import train

    before = {"ra": "ess", "finish": "ra"}.get(args.stage)
    if before and args.init is None:
        raise InputError(
            f"Stage {args.stage} starts from stage {before}; give its checkpoint with --init DIR."
        )
    if args.stage == "finish":
        if args.preset or args.config or args.set or args.fresh_text:
            raise InputError(
                "Stage finish has no settings; leave out --preset, --config, --set, --fresh-text."
            )
        report = finish(
            manifest=args.manifest,
            init=args.init,
            output=args.output,
            leave_out=args.leave_out,
            valid=args.with_valid,
        )
        return {"checkpoint": str(args.output), "stage": args.stage, **report}
    if args.with_valid:
        raise InputError(
            "--with-valid is for stage finish alone; the others choose an epoch with that split."
        )
    if args.fresh_text and args.init is None:
        raise InputError("--fresh-text keeps the speech tower of a checkpoint; give it as --init.")
    with joined() as ranks:
        report = train(
            config=settings(args.preset, args.config, args.set),
            stage=args.stage,
            manifest=args.manifest,
            output=args.output,
            init=args.init,
            leave_out=args.leave_out,
            fresh_text=args.fresh_text,
            ranks=ranks,
        )
    if not ranks.leads:
        return None
    return {"checkpoint": str(args.output), "stage": args.stage, **(report or {})}


def study(args: Namespace) -> dict[str, Any]:
    """Train recipes side by side."""
    from raclap.study import RECIPES, study

    if args.seeds < 1:
        raise InputError(f"--seeds is {args.seeds}; it must be 1 or more.")
    written = study(
        config=settings(args.preset, args.config, args.set),
        manifest=args.manifest,
        output=args.output,
        init=args.init,
        seeds=range(args.seeds),
        recipes=args.recipe or tuple(RECIPES),
    )
    return {"reports": [str(path) for path in written]}


def index(args: Namespace) -> dict[str, Any]:
    """Make a gallery."""
    from tqdm import tqdm

    from raclap import cluster, milvus
    from raclap.checkpoint import CHECKPOINT
    from raclap.index import read_card
    from raclap.intake import find_clips, make_gallery

    remote = milvus.is_address(args.output)
    output = Path(args.output).absolute()
    if not remote and output.exists() and not output.is_dir():
        raise InputError(f"--output {args.output} is a file; give a folder for the gallery.")
    say, before = functools.partial(tqdm.write, file=sys.stderr), None
    clips = find_clips(args.source, say=say)
    if remote:  # before hours of work for an address that does not answer
        before = milvus.find(args.output)
    else:
        with contextlib.suppress(InputError):
            before = read_card(output)
    if before:  # a gallery that is made again keeps its name and note
        name, note = before.name, before.note
    else:
        name, note = output.stem if remote else output.resolve().name, ""
    taken = make_gallery(
        opened(args.checkpoint),
        clips,
        args.output,
        name=args.name or name,
        note=args.note or note,
        source=args.source,
        examine=cluster.examine(args.checkpoint or CHECKPOINT) if args.engine == "ray" else None,
        say=say,
        watch=functools.partial(tqdm, desc="clips", file=sys.stderr),
    )
    return {
        "gallery": str(args.output if remote else output),
        "clips": len(taken.clips),
        "skipped": taken.skipped,
    }


def search(args: Namespace) -> dict[str, Any]:
    """Find clips by description, or by a clip."""
    from raclap.checkpoint import CHECKPOINT
    from raclap.evidence import accounts
    from raclap.query import check_text
    from raclap.search import Engine
    from raclap.sheets import plain_hit

    if args.explain and args.clip:
        raise InputError("--explain tells how words make a score; give a TEXT instead of --clip.")
    query = args.clip or check_text(args.text)
    where = pairs(args.where, "--where")
    engine = Engine.open(args.checkpoint or CHECKPOINT, args.gallery)
    hits = (engine.search_clip if args.clip else engine.search_text)(query, args.top, where)
    told = [{}] * len(hits)
    if args.explain:
        wanted, denied = engine.sought(query)
        vectors = engine.gallery.vectors[[engine.gallery.rows[hit.clip.id] for hit in hits]]
        told = [
            {
                "rest": account.rest,
                "parts": [asdict(part) for part in account.parts],
                **({"denied": min(0.0, hit.score - account.score)} if denied else {}),
            }
            for hit, account in zip(hits, accounts(engine.model, vectors, wanted), strict=True)
        ]
    understood = {}
    if not args.clip:
        understood["understood"] = engine.understood(query).known
        understood["remarks"] = engine.remarks(query)
    return {
        "query": str(query),
        **understood,
        "hits": [
            {**plain_hit(hit), "path": hit.path, **account}
            for hit, account in zip(hits, told, strict=True)
        ],
    }


def describe(args: Namespace) -> dict[str, Any]:
    """Tell how a clip is spoken."""
    from raclap import audio
    from raclap.sheets import plain_reading

    waveform = audio.load(args.clip)  # first, because it is quick to fail
    read = opened(args.checkpoint).read(waveform, str(args.clip), args.top)
    return {"clip": read.clip, **plain_reading(read)}


def embed(args: Namespace) -> dict[str, Any]:
    """Write the vectors of clips or texts."""
    import numpy as np
    from tqdm import tqdm

    from raclap import audio
    from raclap.reading import encode_clips, text_vectors

    if args.clips:
        ids = np.array([str(path) for path in args.clips])
        model = opened(args.checkpoint).model
        with tqdm(args.clips, desc="clips", file=sys.stderr) as paths:
            vectors = np.concatenate([encode_clips(model, [audio.load(path)]) for path in paths])
    else:
        texts = lines(args.texts)
        ids = np.arange(len(texts))
        vectors = text_vectors(opened(args.checkpoint).model, texts)
    with replacing(args.output) as part, part.open("wb") as file:
        np.savez(file, ids=ids, vectors=vectors)
    return {"output": str(args.output), "count": len(ids), "dim": vectors.shape[1]}
