"""What the verbs of ``python -m raclap`` do: parsed arguments in, a JSON-ready result out.

torch and transformers are imported inside the verbs, so that ``--help`` and a mistyped flag answer
at once. Deliberately not here: parsing, printing and exit codes (`__main__`).
"""

from __future__ import annotations

import functools
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from raclap import config
from raclap.config import InputError

if TYPE_CHECKING:
    from raclap.reading import Reader


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
    from raclap.parallel import joined
    from raclap.train import train

    if args.stage == "ra" and args.init is None:
        raise InputError("Stage ra starts from stage ess; give its checkpoint with --init DIR.")
    with joined() as ranks:
        report = train(
            config=settings(args.preset, args.config, args.set),
            stage=args.stage,
            manifest=args.manifest,
            output=args.output,
            init=args.init,
            leave_out=args.leave_out,
            thesaurus=args.thesaurus,
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


def evaluate(args: Namespace) -> dict[str, Any]:
    """Run the benchmark and write its report, or compare reports."""
    if args.output and args.output.suffix != ".json":
        raise InputError(
            f"--output {args.output} must end in .json; tables and pictures get the same name."
        )
    if args.compare:
        return _compare(args)
    if not args.output:
        raise InputError("A report needs a place; give it with --output R.json.")
    from raclap import corpus, evaluate, results

    clips = [clip for clip in corpus.read_manifest(args.manifest) if clip.split == args.split]
    if not clips:
        raise InputError(f"{args.manifest} has no clips whose split is {args.split}.")
    if args.corpus:
        clips = corpus.select(clips, args.corpus)
    model, (trained, history) = _reader(args).model, _training(args)
    report = evaluate.evaluate(model, clips)
    report["about"]["trained"] = trained
    _write_json(args.output, report)
    folder = args.output.with_suffix("")
    pictures = [] if args.no_figures else results.illustrate(report, folder, history)
    named = [f"{folder.name}/{picture.name}" for picture in pictures]
    text = results.document(report, named).encode()
    _write(args.output.with_suffix(".md"), lambda file: file.write(text))
    print(results.table(report), file=sys.stderr)
    return {
        "report": str(args.output),
        "table": str(args.output.with_suffix(".md")),
        "pictures": [str(picture) for picture in pictures],
        **report["about"],
        "figures": results.means(report),
    }


def _compare(args: Namespace) -> dict[str, Any]:
    """Set reports against each other; nothing but --output writes files."""
    from raclap import differences, results

    if args.checkpoint or args.corpus:
        raise InputError("--compare reads reports; leave out --checkpoint and --corpus.")
    files: dict[str, list[str]] = {}
    for word in args.compare:
        name, equals, listed = word.partition("=")
        if not equals or Path(word).is_file():
            name, listed = Path(word.partition(",")[0]).stem, word
        if not name or name in files:
            raise InputError(
                f"--compare gives {name!r} twice or no name; tell the models apart with NAME=FILE."
            )
        files[name] = listed.split(",")
    found = differences.compare({name: [*map(results.read, each)] for name, each in files.items()})
    pages = differences.document(found)
    if args.output:
        _write_json(args.output, found)
        folder = args.output.with_suffix("")
        pictures = [] if args.no_figures else differences.illustrate(found, folder)
        links = [f"![{picture.stem}](<{folder.name}/{picture.name}>)\n" for picture in pictures]
        text = "\n".join([pages, *links]).encode()
        _write(args.output.with_suffix(".md"), lambda file: file.write(text))
    print(pages, file=sys.stderr)
    return found


def _training(args: Namespace) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """What a checkpoint's folder tells of its training: stage, seed and steps, and its log."""
    from raclap.search import CHECKPOINT

    folder = Path(args.checkpoint or CHECKPOINT)
    try:
        training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:  # a name on the hub, or a checkpoint from elsewhere
        return None, []
    history = [json.loads(line) for line in lines]
    stage = training["stage"]
    return {
        "stage": stage,
        "seed": training["config"][stage]["seed"],
        "steps": max((row["step"] for row in history), default=0),
        "left_out": training.get("left_out", []),
    }, history


def index(args: Namespace) -> dict[str, Any]:
    """Make a gallery."""
    from tqdm import tqdm

    from raclap import cluster, milvus
    from raclap.checkpoint import CHECKPOINT
    from raclap.collection import Collection
    from raclap.index import Gallery, read_card
    from raclap.intake import find_clips, take_in

    remote = milvus.is_address(args.output)
    output = Path(Path(args.output).name).absolute() if remote else args.output.absolute()
    if not remote and output.exists() and not output.is_dir():
        raise InputError(f"--output {args.output} is a file; give a folder for the gallery.")
    clips, reader = find_clips(args.source), _reader(args)
    work = output.with_name(f".{output.name}.indexing.jsonl")
    taken = take_in(
        reader,
        clips,
        work,
        examine=cluster.examine(args.checkpoint or CHECKPOINT) if args.engine == "ray" else None,
        say=functools.partial(tqdm.write, file=sys.stderr),
        watch=functools.partial(tqdm, desc="clips", file=sys.stderr),
    )
    if not taken.clips:
        raise InputError(f"None of the {len(clips)} clips of {args.source} can be used.")
    if not remote:
        _refuse_loss(args.source.absolute(), output, taken.skipped)
    try:  # a gallery that is made again keeps its name and note
        before = Collection.load(args.output) if remote else read_card(output)
        name, note = before.name, before.note
    except InputError:
        name, note = output.stem if remote else output.name, ""
    made = (taken.vectors, taken.clips, reader.model.fingerprint)
    named = {"name": args.name or name, "note": args.note or note}
    if remote:
        milvus.save(args.output, *made, **named)
    else:
        Gallery.build(*made, **named).save(output)
    work.unlink(missing_ok=True)
    return {
        "gallery": str(args.output if remote else output),
        "clips": len(taken.clips),
        "skipped": taken.skipped,
    }


def search(args: Namespace) -> dict[str, Any]:
    """Find clips by description, or by a clip."""
    from raclap.evidence import accounts
    from raclap.search import CHECKPOINT, Engine, check_text
    from raclap.style import ATTRIBUTES

    if args.explain and args.clip:
        raise InputError("--explain tells how words make a score; give a TEXT instead of --clip.")
    query = str(args.clip) if args.clip else check_text(args.text)
    where = _pairs(args.where, "--where")
    engine = Engine.open(args.checkpoint or CHECKPOINT, args.gallery)
    hits = (engine.search_clip if args.clip else engine.search_text)(query, args.top, where)
    told = [{}] * len(hits)
    if args.explain:
        vectors = engine.gallery.vectors[[engine.gallery.rows[hit.clip.id] for hit in hits]]
        told = [
            {"rest": each["rest"], "parts": each["parts"]}
            for each in map(asdict, accounts(engine.model, vectors, query))
        ]
    return {
        "query": query,
        "hits": [
            {
                "rank": hit.rank,
                "id": hit.clip.id,
                "path": hit.path,
                "score": hit.score,
                **{name: getattr(hit.clip, name) for name in ATTRIBUTES},
                **account,
            }
            for hit, account in zip(hits, told, strict=True)
        ],
    }


def describe(args: Namespace) -> dict[str, Any]:
    """Tell how a clip is spoken."""
    from raclap import audio

    waveform = audio.load(args.clip)  # first, because it is quick to fail
    read = asdict(_reader(args).read(waveform, str(args.clip), args.top))
    descriptions = [
        {"rank": rank, "text": text, "score": score}
        for rank, (text, score) in enumerate(read.pop("descriptions"), start=1)
    ]
    return {**read, "descriptions": descriptions}


def embed(args: Namespace) -> dict[str, Any]:
    """Write the vectors of clips or texts."""
    import numpy as np
    from tqdm import tqdm

    from raclap import audio
    from raclap.reading import encode_clips, encode_texts

    if args.clips:
        ids = np.array([str(path) for path in args.clips])
        model = _reader(args).model
        with tqdm(args.clips, desc="clips", file=sys.stderr) as paths:
            vectors = np.concatenate([encode_clips(model, [audio.load(path)]) for path in paths])
    else:
        texts = _lines(args.texts)
        ids = np.arange(len(texts))
        vectors = np.concatenate(list(encode_texts(_reader(args).model, texts)))
    _write(args.output, lambda file: np.savez(file, ids=ids, vectors=vectors))
    return {"output": str(args.output), "count": len(ids), "dim": vectors.shape[1]}


def benchmark(args: Namespace) -> dict[str, Any]:
    """Measure speed and memory; write the report, its tables and its picture."""
    if args.output.suffix != ".json":
        raise InputError(f"--output {args.output} must end in .json; the tables get the same name.")
    for name in ("threads", "rounds", "clips", "vectors"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} is {getattr(args, name)}; it must be 1 or more.")
    import faiss
    import torch

    from raclap import benchmark, results, timings

    torch.set_num_threads(args.threads)
    faiss.omp_set_num_threads(args.threads)
    model, gallery = benchmark.open_model(args.checkpoint)
    report: dict[str, Any] = {"about": benchmark.about(args.threads)}
    sizes = [size for size in benchmark.SIZES if size < args.vectors]
    measure = {
        "encode": lambda: benchmark.encoders(
            model, benchmark.clips(gallery, args.clips), args.rounds
        ),
        "query": lambda: benchmark.queries(model, gallery, args.vectors),
        "start": lambda: benchmark.starts(args.rounds),
        "profile": lambda: benchmark.profile(model, gallery, benchmark.clips(gallery, args.clips)),
        "memory": benchmark.memory,
        "index": lambda: benchmark.growth(model, gallery, [*sizes, args.vectors]),
    }
    for part in args.part or measure:
        print(f"Measuring: {part}", file=sys.stderr)
        report[part] = measure[part]()
        _write_json(args.output, report)  # after each, for the next may take long
    text = timings.document(report)
    _write(args.output.with_suffix(".md"), lambda file: file.write(text.encode()))
    if "encode" in report:
        drawn = {args.output.stem: timings.picture(report["encode"])}
        results.save(drawn, args.output.parent)
    print(text, file=sys.stderr)
    return {"report": str(args.output), **report}


def place(word: str) -> Path | str:
    """Read where a gallery is to be: a folder, a file or an address."""
    return word if "://" in word else Path(word)


def settings(preset: str, file: Path | None = None, single: Sequence[str] = ()) -> config.Config:
    """Resolve a configuration: the preset, then a file, then single settings.

    Args:
        preset: name of a preset.
        file: JSON object of what differs from it.
        single: ``KEY=VALUE`` with a dotted key, as in ``ess.epochs=3``.

    Raises:
        InputError: an unknown key or an impossible value.
    """
    values = config.to_dict(config.preset(preset))
    if file is not None:
        try:
            changes = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"The settings {file} are not JSON: {error}.") from error
        if not isinstance(changes, dict):
            raise InputError(f"The settings {file} must be a JSON object.")
        _merge(values, changes)
    for key, value in _pairs(single, "--set").items():
        try:
            change = json.loads(value)
        except ValueError:
            change = value  # a word, such as an encoder's name
        for name in reversed(key.split(".")):
            change = {name: change}
        _merge(values, change)
    return config.from_dict(config.Config, values)


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, change in changes.items():
        if isinstance(change, dict) and isinstance(values.get(name), dict):
            _merge(values[name], change)
        else:
            values[name] = change


def _pairs(words: Sequence[str], flag: str) -> dict[str, str]:
    """Split each ``NAME=VALUE``; no name may come twice."""
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise InputError(f"{flag} {word!r} is not of the form NAME=VALUE.")
        if name in pairs:
            raise InputError(f"{flag} gives {name!r} twice; give it once.")
        pairs[name] = value
    return pairs


def _reader(args: Namespace) -> Reader:
    """Load the checkpoint, ready to read clips."""
    from raclap.search import CHECKPOINT, open_reader

    return open_reader(args.checkpoint or CHECKPOINT)


def _refuse_loss(source: Path, output: Path, skipped: dict[str, str]) -> None:
    """Refuse to save over the manifest that was read if clips that it lists would be lost."""
    from raclap.corpus import read_manifest
    from raclap.index import MANIFEST

    manifest = output / MANIFEST
    if source in (output, manifest) and manifest.is_file():
        lost = skipped.keys() & {clip.id for clip in read_manifest(manifest)}
        if lost:
            raise InputError(
                f"{len(lost)} clips of {manifest} cannot be used ({min(lost)!r} is one) and would "
                "be lost from it; take them out of it, or give another --output."
            )


def _lines(file: Path) -> list[str]:
    """Read one description a line."""
    from raclap.search import check_text

    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not text in UTF-8; save it as such.") from error
    if not lines:
        raise InputError(f"{file} is empty; write one description a line.")
    texts = []
    for number, line in enumerate(lines):
        try:
            texts.append(check_text(line))
        except InputError as error:
            raise InputError(f"{file}, line {number} (the first is 0): {error}") from error
    return texts


def _write_json(path: Path, value: dict[str, Any]) -> None:
    _write(path, lambda file: file.write(json.dumps(value, indent=2).encode() + b"\n"))


def _write(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that a kill leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        write(file)
    part.replace(path)
