"""The door of the page. Run: pytest tests/test_app.py."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import gradio as gr
import pytest
from stub import write_voice

import app
from raclap import command
from raclap.interface import launch_options
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


def test_a_folder_of_audio_is_indexed_once_and_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def index(args: Namespace) -> None:
        made.append(args.output)
        args.output.mkdir(parents=True)
        (args.output / "gallery.json").touch()

    monkeypatch.setattr(command, "index", index)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "mine"
    write_voice(folder / "a.wav")
    first = app.indexed(str(folder), "model")
    assert app.indexed(str(folder), "model") == first
    assert made == [Path(first)]
    assert Path(first).is_relative_to(tmp_path / "cache")
    write_voice(folder / "b.wav", f0_hz=200)
    assert app.indexed(str(folder), "model") != first
    assert len(made) == 2


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
