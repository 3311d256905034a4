"""The door of the page. Run: pytest tests/test_app.py."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import gradio as gr
import pytest
import torch
from conftest import make_engine
from stub import write_voice

import app
from raclap import intake
from raclap.corpus import Clip
from raclap.index import Gallery
from raclap.intake import Intake, make_gallery
from raclap.interface import launch_options
from raclap.reading import Reader
from raclap.search import Engine
from raclap.shelf import Shelf


def test_missing_gallery_ends_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert app.main(["--gallery", str(tmp_path / "none")]) == 2
    told = capsys.readouterr().err
    assert str(tmp_path / "none") in told
    assert told.count("\n") == 1


def test_missing_checkpoint_ends_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture, engine
) -> None:
    engine.gallery.save(tmp_path)
    assert app.main(["--gallery", str(tmp_path), "--checkpoint", str(tmp_path / "none")]) == 2
    told = capsys.readouterr().err
    assert f"There is no checkpoint {tmp_path / 'none'}" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("words", [["--port", "x"], ["--prot", "7860"]])
def test_a_mistyped_flag_ends_with_one_sentence(words, capsys) -> None:
    assert app.main(words) == 2
    told = capsys.readouterr().err
    assert words[0] in told
    assert told.endswith("; see python app.py --help.\n")
    assert told.count("\n") == 1


def test_help_needs_neither_torch_nor_gradio() -> None:
    code = (
        "import sys, contextlib, app\n"
        "with contextlib.suppress(SystemExit): app.main(['--help'])\n"
        "sys.exit(bool({'torch', 'numpy', 'gradio'} & {*sys.modules}))"
    )
    root = Path(app.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: python app.py" in done.stdout


@pytest.mark.usefixtures("model")
def test_a_folder_of_audio_is_indexed_once_and_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    made: list[Path] = []

    def making(reader: Reader, clips: list[Clip], output: Path, **named: Any) -> Intake:
        made.append(output)
        return make_gallery(reader, clips, output, **named)

    monkeypatch.setattr(intake, "make_gallery", making)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    write_voice(folder / "a.wav")
    (folder / "b.wav").write_bytes(b"no audio")
    first = app.indexed(str(folder), "model")
    assert app.indexed(str(folder), "model") == first
    assert made == [Path(first)]
    assert Path(first).is_relative_to(tmp_path / "cache")
    assert "Skipped b.wav: " in capsys.readouterr().err
    gallery = Gallery.load(first)
    assert (gallery.name, gallery.note, [*gallery.rows]) == ("mine", "", ["a.wav"])
    write_voice(folder / "b.wav", f0_hz=200)
    assert app.indexed(str(folder), "model") != first
    for gender in ("male", "female"):
        (folder / "manifest.csv").write_text(f"id,path,gender\na,a.wav,{gender}\n")
        app.indexed(str(folder), "model")
    assert len(made) == 4


@pytest.mark.usefixtures("model")
def test_of_a_changed_folder_the_older_gallery_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder, namesake = tmp_path / "mine", tmp_path / "others" / "mine"
    kept = []
    for each in (folder, namesake):
        write_voice(each / "a.wav")
        kept += [app.indexed(str(each), "model"), app.indexed(str(each), "another model")]
    write_voice(folder / "b.wav", f0_hz=200)
    kept[0] = app.indexed(str(folder), "model")
    assert sorted(kept) == sorted(map(str, (tmp_path / "cache" / "raclap").iterdir()))


def test_a_gallery_is_opened_as_it_is(tmp_path: Path, engine) -> None:
    engine.gallery.save(tmp_path)
    assert app.indexed(str(tmp_path), "model") == str(tmp_path)
    assert app.indexed("bundled", "model") == "bundled"


@pytest.mark.parametrize(
    ("space", "words", "host", "port"),
    [
        ("", [], None, None),  # Gradio's own default is this machine only
        ("someone/space", [], "0.0.0.0", None),
        ("someone/space", ["--host", "127.0.0.2", "--port", "7777"], "127.0.0.2", 7777),
    ],
)
def test_where_the_page_listens(
    space: str, words: list[str], host: str | None, port: int | None, engine, monkeypatch
) -> None:
    seen: dict[str, object] = {}
    monkeypatch.setattr(Engine, "open", lambda *places: engine)
    monkeypatch.setattr(gr.Blocks, "launch", lambda page, **options: seen.update(options))
    monkeypatch.delenv("SPACE_ID", raising=False)
    if space:
        monkeypatch.setenv("SPACE_ID", space)
    assert app.main(words) == 0
    assert (seen["server_name"], seen["server_port"]) == (host, port)
    assert not seen["mcp_server"]
    assert seen.keys() >= launch_options(Shelf(engine)).keys()


def test_a_page_that_is_ended_closes_as_on_ctrl_c(engine, monkeypatch) -> None:
    """Python would otherwise stop at once, and what is a visitor's own would stay."""
    monkeypatch.setattr(Engine, "open", lambda *places: engine)
    monkeypatch.setattr(gr.Blocks, "launch", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt):
            app.main([])
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_environment_stands_for_flags_that_are_not_given(monkeypatch) -> None:
    assert vars(app.parser().parse_args([])) == {
        "gallery": "bundled",
        "checkpoint": None,
        "host": None,
        "port": None,
        "mcp": False,
    }
    monkeypatch.setenv("RACLAP_GALLERY", "voices")
    monkeypatch.setenv("RACLAP_CHECKPOINT", "someone/model")
    monkeypatch.setenv("RACLAP_MCP", "1")
    args = app.parser().parse_args([])
    assert (args.gallery, args.checkpoint, args.mcp) == ("voices", "someone/model", True)
    assert app.parser().parse_args(["--gallery", "others"]).gallery == "others"
    monkeypatch.setenv("RACLAP_GALLERY", "")
    assert app.parser().parse_args([]).gallery == "bundled"


def test_a_mistake_in_the_environment_ends_with_one_sentence(
    tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("RACLAP_GALLERY", str(tmp_path / "none"))
    assert app.main([]) == 2
    told = capsys.readouterr().err
    assert str(tmp_path / "none") in told
    assert told.count("\n") == 1


def test_without_the_package_spaces_nothing_changes(tmp_path: Path, monkeypatch) -> None:
    engine = make_engine(tmp_path, 2)
    monkeypatch.setitem(sys.modules, "spaces", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    app.accelerate(engine)
    assert "encode_speech" not in vars(engine.model)


def test_a_lent_gpu_hears_clips_and_leaves_texts(tmp_path: Path, monkeypatch) -> None:
    lent: list[str] = []

    def gpu(task):
        def borrowed(*inputs):
            lent.append(task.__name__)
            return task(*inputs)

        return borrowed

    engine = make_engine(tmp_path, 2)
    path = engine.gallery.clips[1].path
    untouched = make_engine(tmp_path, 2)
    before = untouched.search_clip(path), untouched.search_text("angry")
    spaces = ModuleType("spaces")
    spaces.GPU = gpu
    spaces.__spec__ = ModuleSpec("spaces", None)
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    app.accelerate(engine)
    assert engine.search_clip(path) == before[0]
    assert lent == ["encode_speech"]
    assert engine.search_text("angry") == before[1]
    assert lent == ["encode_speech"]


def test_a_model_is_on_the_lent_gpu_only_while_it_hears(tmp_path: Path, monkeypatch) -> None:
    places: list[str] = []
    engine = make_engine(tmp_path, 2)
    model = engine.model
    model.device = "cpu"
    model.to = lambda place: setattr(model, "device", place)
    plain = model.encode_speech
    model.encode_speech = lambda clips: places.append(model.device) or plain(clips)
    spaces = ModuleType("spaces")
    spaces.GPU = lambda task: task
    spaces.__spec__ = ModuleSpec("spaces", None)
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    app.accelerate(engine)
    engine.search_clip(engine.gallery.clips[1].path)
    assert places == ["cuda"]
    assert model.device == "cpu"
