"""The README is true: its tree, commands and recipes. Run: pytest tests/test_readme.py."""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from functools import cache
from importlib.metadata import metadata
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import metadata_load
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from PIL import Image
from stub import write_voice

import app
from raclap import layouts, tables
from raclap.__main__ import VERBS, parser
from raclap.arguments import settings
from raclap.config import preset
from raclap.corpus import read_manifest
from raclap.essr import Protocol
from raclap.index import FACETS, Gallery
from raclap.intake import find_clips
from raclap.style import ATTRIBUTES, VALUES

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FRONT = metadata_load(ROOT / "README.md")
PINS = dict(
    line.split("==")
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)
BRANCH = re.compile(r"((?:│   |    )*)[├└]── (\S+) +(\S.*)")


def fences(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every shell command of the README, as words."""
    lines = "\n".join(fences("bash")).replace("\\\n", " ").splitlines()
    chained = [shlex.split(line, comments=True) for line in lines]
    found = []
    for words in chained:
        found += [part.split("\0") for part in "\0".join(words).split("\0&&\0") if part]
    return found


def arguments(*program: str) -> list[list[str]]:
    """What follows ``python PROGRAM`` in each command that runs it."""
    size = len(program) + 1
    return [
        words[size:]
        for words in commands()
        if Path(words[0]).name == "python" and tuple(words[1:size]) == program
    ]


def tree() -> list[str]:
    """Paths and patterns of the README's tree, folders left out."""
    (block,) = [block for block in fences("text") if block.startswith(".\n")]
    folders: list[str] = []
    paths = []
    for line in block.splitlines()[1:]:
        match = BRANCH.fullmatch(line) or re.fullmatch(r"(.*)[├└]── (\S+/)()", line)
        assert match, f"not a line of a tree with a purpose: {line!r}"
        del folders[len(match[1]) // 4 :]
        if match[2].endswith("/"):
            folders.append(match[2])
        else:
            paths.append("".join(folders) + match[2])
    return paths


@cache
def disk() -> list[str]:
    """The repository's files, those behind a dot left out."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        paths = [path for path in listed.stdout.split("\0") if path and (ROOT / path).exists()]
    else:  # a copy without history, beside whose files a user may keep others
        tops = {Path(path).parts[0] for path in tree()}
        files = [file for top in sorted(tops) for file in [ROOT / top, *(ROOT / top).rglob("*")]]
        paths = [file.relative_to(ROOT).as_posix() for file in files if file.is_file()]
    hidden = re.compile(r"(^|/)(\.|__pycache__/)")
    return [path for path in paths if not hidden.search(path)]


# ---------------------------------------------------------------------- the tree


def test_every_file_has_a_line_in_the_tree():
    lines = tree()
    assert [p for p in disk() if not any(fnmatch.fnmatchcase(p, line) for line in lines)] == []


@pytest.mark.parametrize("line", tree())
def test_every_line_of_the_tree_is_a_file(line):
    assert any(path.is_file() for path in ROOT.glob(line)), f"{line} is in the tree only"


def test_a_line_of_the_tree_comes_once():
    assert len(set(tree())) == len(tree())


# ---------------------------------------------------------------------- the Space


def test_the_space_installs_the_pinned_gradio():
    assert FRONT["sdk"] == "gradio"
    assert FRONT["sdk_version"] == PINS["gradio"]


def test_the_space_runs_the_app():
    assert (ROOT / FRONT["app_file"]).is_file()
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {FRONT["colorFrom"], FRONT["colorTo"]} <= colours
    assert len(FRONT["short_description"]) <= 60


def test_the_stated_python_is_a_string_that_the_linter_shares():
    # Unquoted, YAML would read 3.10 as 3.1. The package needs 3.11 for tomllib.
    assert isinstance(FRONT["python_version"], str)
    assert Version(FRONT["python_version"]) >= Version("3.11")
    target = 'target-version = "py{}"'.format(FRONT["python_version"].replace(".", ""))
    assert target in (ROOT / ".ruff.toml").read_text(encoding="utf-8")
    assert f"Python {FRONT['python_version']} or newer" in README


@pytest.mark.parametrize("package", PINS)
def test_the_stated_python_can_install_every_pin(package):
    needed = metadata(package)["Requires-Python"] or ""
    assert SpecifierSet(needed).contains(f"{FRONT['python_version']}.0"), needed


@pytest.mark.parametrize(
    "words", [w for w in commands() if w[:2] == ["hf", "upload"]], ids=" ".join
)
def test_an_upload_is_what_the_hub_client_accepts(words):
    client = Path(sys.executable).parent / "hf"
    # With --help it takes the words apart, and does nothing.
    asked = [client, *words[1:], "--help"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([*asked[:-1], "--nonsense", "--help"], capture_output=True).returncode
    _, _, _, folder, inside, *options = words
    kind = options[options.index("--type") + 1]
    needed = {"space": ("README.md", FRONT["app_file"]), "model": ("config.json", "README.md")}[
        kind
    ]
    assert all((ROOT / folder / name).is_file() for name in needed)
    assert inside == "."


def test_the_settings_of_a_space_are_those_the_app_reads():
    stated = set(re.findall(r"^\| `(RACLAP_\w+)` \|", README, re.MULTILINE))
    readers = (ROOT / "app.py", ROOT / "raclap" / "curator.py", ROOT / "raclap" / "shelf.py")
    code = "".join(path.read_text("utf-8") for path in readers)
    assert stated == set(re.findall(r'environ\.get\("(RACLAP_\w+)"', code))


def test_the_animation_moves_and_is_small():
    path = ROOT / "assets" / "page.webp"
    assert f"](assets/{path.name})" in README
    assert path.stat().st_size <= 1_500_000
    with Image.open(path) as film:
        assert film.n_frames >= 10
        thumbs = []
        for number in range(film.n_frames):
            film.seek(number)
            thumbs.append(np.asarray(film.convert("L").resize((80, 60)), dtype=float))
    changes = [np.abs(a - b).mean() for a, b in itertools.pairwise(thumbs)]
    assert sum(change > 1 for change in changes) >= 5  # whole views change, not only a letter


# ---------------------------------------------------------------------- commands


@pytest.mark.parametrize("words", arguments("-m", "raclap"), ids=" ".join)
def test_a_command_is_what_the_parser_accepts(words):
    args = parser().parse_args(words)
    if args.verb == "corpus":
        assert args.name in {*layouts.LAYOUTS, *tables.TABLES}
        assert bool(args.table) == (args.name in tables.TABLES)
        if args.columns:
            tables.parse_columns(args.columns)
    if args.verb == "train":
        settings(args.preset, args.config, args.set)
        assert args.stage == "ess" or args.init
    if args.verb == "search":
        for name, _, value in (pair.partition("=") for pair in args.where):
            assert name in FACETS
            assert value in VALUES.get(name, (value,))


def test_every_verb_has_a_recipe():
    assert {words[0] for words in arguments("-m", "raclap")} == set(VERBS)


@pytest.mark.parametrize("words", arguments("app.py"), ids=" ".join)
def test_a_start_of_the_page_is_what_the_app_accepts(words):
    app.parser().parse_args(words)


def test_the_two_commands_of_the_quick_start():
    setup, test = fences("bash")[:2]
    assert setup == (
        "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt "
        "&& .venv/bin/python app.py\n"
    )
    assert test == "bash .ci/run\n"
    assert (ROOT / ".ci" / "run").is_file()


def test_the_checks_are_those_of_ci():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    checks = [words for words in commands() if words[0].endswith("ruff") or "pytest" in words]
    assert len(checks) == 4
    assert all(shlex.join(words) in script for words in checks)


# ---------------------------------------------------------------------- recipes


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with all that the recipes speak of, made by an untrained tiny model."""
    from raclap.model import RACLAP  # transformers takes seconds to import

    folder = tmp_path_factory.mktemp("desk")
    model = RACLAP.create(preset("tiny").model)
    for place in ("checkpoints/raclap-base", "runs/reading-on", "runs/ra-large"):
        model.save_pretrained(folder / place)
    write_voice(folder / "voice.wav", f0_hz=205)
    for f0_hz in (120, 180, 240):
        write_voice(folder / "my-voices" / f"{f0_hz}.wav", f0_hz=f0_hz)
    clips = [replace(clip, phonation="voiced") for clip in find_clips(folder / "my-voices")]
    vectors = model.encode_speech([clip.path for clip in clips]).numpy()
    Gallery.build(vectors, clips, model.fingerprint, name="mine", note="").save(
        folder / "my-gallery"
    )
    figure = {"mean": 0.5, "low": 0.25, "high": 0.75}
    report = {"zero_shot": {"ravdess": {"emotion": figure}}}
    (folder / "results.json").write_text(json.dumps(report), encoding="utf-8")
    return folder


@pytest.mark.parametrize("recipe", fences("python"), ids=lambda code: code.splitlines()[0])
def test_a_recipe_runs(recipe, desk, monkeypatch, request, capsys):
    if "gradio_client" in recipe:
        address = request.getfixturevalue("address")
        assert "http://127.0.0.1:7860" in recipe
        recipe = recipe.replace("http://127.0.0.1:7860", address)
    monkeypatch.chdir(desk)
    exec(compile(recipe, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


# ---------------------------------------------------------------------- what the text says


def test_local_links_lead_to_files():
    targets = re.findall(r"\]\(([^)#\s]+)\)", README)
    local = [target for target in targets if "://" not in target]
    assert "assets/page.png" in local
    assert [target for target in local if not (ROOT / target).is_file()] == []


def test_every_corpus_that_can_be_read_is_named():
    named = set(re.findall(r"`([\w-]+)`", README))
    assert {*layouts.LAYOUTS, *tables.TABLES} <= named


def test_the_attributes_are_those_of_the_code():
    section = README.partition("## What it knows")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (\w+) \| ([^|]+) \|", section, re.MULTILINE))
    assert [name for name in rows if name != "attribute"] == list(ATTRIBUTES)
    for name in ATTRIBUTES:
        stated = rows[name] if name != "emotion" else rows[name].partition(", and finer")[0]
        values = tuple(stated.split(", "))
        assert values == VALUES[name][: len(values)]
        assert len(values) == len(VALUES[name]) or name == "emotion"


def test_the_bundled_gallery_is_as_large_as_stated():
    clips = read_manifest(ROOT / "assets" / "gallery" / "manifest.csv")
    speakers = {clip.speaker for clip in clips}
    assert f"The {len(clips)} clips of the bundled gallery, by {len(speakers)} speakers" in README
    assert {clip.corpus for clip in clips} == {"synthetic"}


def test_the_protocol_is_that_of_the_code():
    protocol = Protocol()
    assert f"draws {protocol.draws} galleries of {protocol.gallery} clips" in README


def test_the_settings_are_those_of_the_preset():
    base = preset("base")
    assert f"| {base.relation.weight}, {base.relation.temperature} |" in README
    assert base.model.speech.frozen_layers == base.model.text.frozen_layers == 3
    words = {2: "two", 4: "four"}
    assert f"mean over {words[base.relation.wordings]} wordings" in README
    assert f"for {words[base.ess.copies - 1]} augmented" in " ".join(README.split())
    assert min(base.ess.speech_rate, base.ess.text_rate) > 0
    assert base.ra.speech_rate == base.ra.text_rate == 0  # "stage 2 leaves both encoders"


def test_the_place_for_results_is_there_once():
    assert README.count("<!-- results -->") == README.count("<!-- /results -->") == 1
    assert README.index("<!-- results -->") < README.index("<!-- /results -->")
