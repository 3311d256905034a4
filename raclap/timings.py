"""The figures of `benchmark` as Markdown and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from raclap import curves


def document(report: Mapping) -> str:
    """Return the report as Markdown: a table for each part that was measured."""
    about = report["about"]
    said = [
        f"Measured with {about['threads']} thread(s) on {about['cores']} cores, precision "
        f"{about['precision']}, torch {about['torch']}, FAISS "
        f"{about['faiss']}; {about['load_before']:.1f} other processes were running."
    ]
    for name, write in _PARTS.items():
        if name in report:
            said.append(write(report[name]))
    return "\n\n".join(said) + "\n"


def picture(found: Mapping) -> Figure:
    """Draw how many times slower than ours each encoder is, against its goal.

    Args:
        found: the report's part ``encode``.
    """
    others = {name: each for name, each in found["encoders"].items() if each["times_slower"] != 1}
    return curves.ratios(
        {name: each["times_slower"] for name, each in others.items()},
        {name: each["goal"] for name, each in others.items()},
    )


def _encode(found: Mapping) -> str:
    low, high = found["seconds"][0], found["seconds"][-1]
    rows = [
        [name, f"{e['weights'] / 1e6:.0f} M", f"{e['clips_per_second']:.2f}"]
        + ([f"{e['times_slower']:.1f}", f"{e['goal']:.0f}"] if e["times_slower"] != 1 else ["", ""])
        for name, e in found["encoders"].items()
    ]
    head = ["waveform to vector", "weights", "clips a second", "times slower", "goal"]
    return (
        f"**Encoding** {found['clips']} clips of {low:.0f} to {high:.0f} s one by one, medians of "
        f"{found['rounds']} rounds in turn; each with its own feature extraction, ours with its "
        "measured prosody; without reading files and resampling.\n\n" + _table(head, rows)
    )


def _profile(found: Mapping) -> str:
    tables = []
    for name, title in (
        ("clip", f"Encoding a clip of {found['clip_seconds']:.0f} s"),
        ("text", "A text query"),
    ):
        steps = found[name]
        total = sum(steps.values())
        rows = [[step, f"{ms:.1f}", f"{ms / total:.0%}"] for step, ms in steps.items()]
        rows.append(["together", f"{total:.1f}", ""])
        tables.append(_table([title, "ms", "share"], rows))
    return "**Where the time goes**, medians.\n\n" + "\n\n".join(tables)


def _query(found: Mapping) -> str:
    rows = [
        ["encode, median", f"{found['encode_median']:.1f}"],
        ["search, median", f"{found['search_median']:.1f}"],
        ["both, median", f"{found['median']:.1f}"],
        [f"both, 95th percentile (goal {found['goal']:.0f})", f"{found['p95']:.1f}"],
    ]
    title = f"{found['texts']} text queries over {found['vectors']:,} vectors"
    return "**Text queries**\n\n" + _table([title, "ms"], rows)


def _precision(found: Mapping) -> str:
    head = [f"full precision and {found['form']} in turn", "median, ms", "95th percentile, ms"]
    rows = [
        [f"{found[kind]['count']} {kind}, {name}"]
        + [f"{found[kind][f'{name}_{figure}']:.1f}" for figure in ("median", "p95")]
        + [f"{found[kind]['least_cosine']:.7f}" if name == "fast" else ""]
        for kind in ("texts", "clips")
        for name in ("full", "fast")
    ]
    return f"**Precision**, {found['rounds']} rounds\n\n" + _table([*head, "least cosine"], rows)


def _index(found: Mapping) -> str:
    head = ["vectors", "index", "build, s", "index, MB", "vectors, MB", "query, ms"]
    head += ["times the exact speed", "recall@10, clips", "recall@10, texts"]
    rows = [
        [f"{row['vectors']:,}", row["kind"], f"{row['build_seconds']:.1f}"]
        + [f"{row[name] / 1e6:,.0f}" for name in ("index_bytes", "vector_bytes")]
        + [f"{row['milliseconds']:.2f}", f"{row['times_faster']:.1f}"]
        + [f"{row[name]:.3f}" for name in ("recall_clip", "recall_text")]
        for row in found["rows"]
    ]
    far = found["reckoned"]
    rows.append(
        [f"{far['vectors']:,} (reckoned)", far["kind"], f"{far['build_seconds']:,.0f}"]
        + [f"{far[name] / 1e6:,.0f}" for name in ("index_bytes", "vector_bytes")]
        + [f"{far['milliseconds']:.1f}", "", "", ""]
    )
    made = " ".join(found["made"].split())
    return f"**Index.** {made}\n\n" + _table(head, rows)


def _memory(found: Mapping) -> str:
    rows = [[name, f"{size / 2**20:,.0f}"] for name, size in found.items()]
    return "**Peak memory**\n\n" + _table(["process", "MiB"], rows)


def _start(found: Mapping) -> str:
    rows = [[f"`python -m raclap {name}`", f"{seconds:.2f}"] for name, seconds in found.items()]
    return "**Command line, start to end**\n\n" + _table(["command", "s"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


_PARTS = {
    "encode": _encode,
    "query": _query,
    "precision": _precision,
    "start": _start,
    "profile": _profile,
    "memory": _memory,
    "index": _index,
}
