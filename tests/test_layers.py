"""A room imports only rooms to its left. Run: python -m pytest tests/test_layers.py."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "raclap"

SHARED = (
    *("config", "files", "audio", "prosody", "style"),
    *("lexicon", "glossary", "query", "scope", "denial", "wording", "sayings"),
    *("layouts", "tables", "corpus", "transfer", "unpack", "homes"),
    *(
        "weights",
        "precision",
        "towers",
        "tiny",
        "ear",
        "eye",
        "finish",
        "negation",
        "model",
        "relation",
    ),
    *("canvas", "heatmaps"),
)
LEARNING = (
    *("glossing", "parallel", "data", "loss", "metrics", "objective", "essr", "evaluate"),
    *("curves", "results", "differences", "train", "study", "negating", "finishing"),
)
USING = (
    *("facets", "nearest", "ranking", "index", "sketch", "words", "reading", "checkpoint"),
    *("timeline", "evidence", "exhibits"),
    *("milvus", "intake", "cluster", "comparison", "collection", "search", "shelf"),
    *("sheets", "cards", "portrait", "matrix", "reasons", "atlas", "stock", "snippets"),
    *("answers", "widgets", "finder", "listener", "blender", "pairs", "panel"),
    *("explorer", "curator", "interface"),
)
# The command line joins learning and using.
DOORS = ("rivals", "benchmark", "timings", "arguments", "command", "reports", "__main__")
ORDER = (*SHARED, *LEARNING, *USING, *DOORS)
PAGE = {*USING[USING.index("answers") :]}  # what knows gradio


@cache
def imports(path: Path) -> frozenset[tuple[str, ...]]:
    """Dotted names that a file imports, those inside functions and for types only included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {tuple(name.name.split(".")) for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} imports relatively"
            module = tuple(node.module.split("."))
            found |= {(*module, name.name) for name in node.names}
    return frozenset(found)


def rooms_of(path: Path) -> set[str]:
    return {name[1] for name in imports(path) if name[0] == "raclap" and len(name) > 1}


def packages_of(path: Path) -> set[str]:
    return {name[0] for name in imports(path)}


def test_every_room_has_its_place():
    assert sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__") == sorted(
        ORDER
    )


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_rooms_to_its_left(room):
    assert not rooms_of(PACKAGE / f"{room}.py") - set(ORDER[: ORDER.index(room)])


@pytest.mark.parametrize("room", USING)
def test_using_does_not_import_learning(room):
    assert not rooms_of(PACKAGE / f"{room}.py") & set(LEARNING)


@pytest.mark.parametrize("room", LEARNING)
def test_learning_does_not_import_using(room):
    assert not rooms_of(PACKAGE / f"{room}.py") & set(USING)


@pytest.mark.parametrize("room", ORDER)
def test_only_the_page_knows_gradio(room):
    assert ("gradio" in packages_of(PACKAGE / f"{room}.py")) == (room in PAGE)


@pytest.mark.parametrize(
    "room",
    [
        *("config", "prosody", "style", "wording", "corpus", "facets", "nearest", "index"),
        *("sketch", "milvus", "collection"),
    ],
)
def test_rooms_without_torch(room):
    assert not packages_of(PACKAGE / f"{room}.py") & {"torch", "torchaudio", "transformers"}


def test_no_private_name_crosses_a_room():
    for room in ORDER:
        names = {name for name in imports(PACKAGE / f"{room}.py") if name[0] == "raclap"}
        assert not {name for name in names if name[-1].startswith("_")}, room


def test_no_room_is_called_utils():
    banned = {"utils", "helpers", "common", "misc", "manager"}
    assert not {path.stem for path in PACKAGE.glob("*.py")} & banned


def test_the_tests_mirror_the_rooms():
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")}
    # Rooms that only serve one other are tested through it.
    within = {
        *("lexicon", "glossing", "layouts", "tables", "tiny", "essr", "facets", "reading"),
        "checkpoint",
        *("timeline", "intake", "comparison", "collection", "words", "stock", "snippets"),
        *("answers", "widgets", "finder", "listener", "blender", "pairs", "explorer", "curator"),
        *("rivals", "timings", "__main__"),
    }
    assert set(ORDER) - within <= tests
