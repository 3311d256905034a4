"""The command line through ``main([...])``: results, progress, and every kind of bad input.

python -m pytest tests/test_command.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import types
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stub import DIM, StubModel, write_voice

from raclap import config, search
from raclap.__main__ import VERBS, main
from raclap.audio import load
from raclap.config import InputError
from raclap.corpus import Clip, read_manifest
from raclap.index import Gallery
from raclap.intake import take_in
from raclap.reading import Reader
from raclap.search import Engine
from raclap.sheets import plain_hit
from raclap.style import ATTRIBUTES

ROOT = Path(__file__).resolve().parent.parent


pytestmark = pytest.mark.usefixtures("model")


@pytest.fixture
def gallery(voices, capsys) -> Path:
    assert main(["index", str(voices), "--output", str(voices)]) == 0
    capsys.readouterr()
    return voices


# -- what the verbs give -------------------------------------------------------------------------


def test_index_then_search_by_text(gallery, run):
    result = run("search", "a low voice", "--gallery", gallery, "--top", 3)
    assert result["query"] == "a low voice"
    assert result["understood"] == {"pitch": "low"}
    assert result["remarks"] == []
    assert [hit["rank"] for hit in result["hits"]] == [1, 2, 3]
    (hit,) = Engine.open(gallery=gallery).search_text("a low voice", 1)
    assert result["hits"][0] == {**plain_hit(hit), "path": hit.path}
    assert all(Path(hit["path"]).is_file() for hit in result["hits"])
    scores = [hit["score"] for hit in result["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_search_explains_its_scores(gallery, run, refused):
    result = run("search", "a sad man", "--gallery", gallery, "--top", 2, "--explain")
    for hit in result["hits"]:
        assert [part["words"] for part in hit["parts"]] == ["a", "sad", "man"]
        total = hit["rest"] + sum(part["contribution"] for part in hit["parts"])
        assert total == pytest.approx(hit["score"], abs=1e-5)
        assert "denied" not in hit
    assert "TEXT" in refused("search", "--clip", "x.wav", "--gallery", gallery, "--explain")


def test_search_explains_what_is_denied(gallery, run):
    asked = ("search", "a man, not sad", "--gallery", gallery, "--top", 6, "--explain")
    hits = run(*asked)["hits"]
    for hit in hits:
        assert [part["words"] for part in hit["parts"]] == ["a", "man"]
        total = hit["rest"] + sum(part["contribution"] for part in hit["parts"]) + hit["denied"]
        assert total == pytest.approx(hit["score"], abs=1e-5)
        assert hit["denied"] <= 0
    assert any(hit["denied"] < -1e-4 for hit in hits)


def test_search_by_clip_with_filters(gallery, run):
    clip = gallery / "clips" / "250.wav"
    where = ["--where", "gender=female", "--where", "emotion=angry"]
    result = run("search", "--clip", clip, "--gallery", gallery, *where)
    assert result["query"] == str(clip)
    assert [hit["id"] for hit in result["hits"]] == ["v250", "v190"]


def test_search_by_clip_means_the_file_and_no_id(gallery, run, tmp_path, monkeypatch):
    """Ids of a folder's gallery are paths within it; it answered for the clip of the same name."""
    shutil.copy(gallery / "clips" / "100.wav", tmp_path / "v250")
    monkeypatch.chdir(tmp_path)
    result = run("search", "--clip", "v250", "--gallery", gallery, "--top", 1)
    assert result["query"] == "v250"
    assert [hit["id"] for hit in result["hits"]] == ["v100"]


def test_index_measures_levels_and_reports_on_stderr(voices, tmp_path, capsys):
    assert main(["index", str(voices / "manifest.csv"), "--output", str(tmp_path / "g")]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"gallery": str(tmp_path / "g"), "clips": 4, "skipped": {}}
    assert "clips" in err
    loaded = Gallery.load(tmp_path / "g")
    assert {clip.id: clip.pitch for clip in loaded.clips}["v100"] == "low"
    assert loaded.clips[0].path == str(voices / "clips" / "100.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g", "voices"]


def test_indexing_in_place_keeps_what_lives_there(voices, run):
    (voices / "README.md").write_text("mine")
    index = ["index", voices / "manifest.csv", "--output", voices]
    run(*index, "--name", "Acted", "--note", "synthetic voices")
    assert (voices / "README.md").read_text() == "mine"
    run(*index)
    again = Gallery.load(voices)
    assert (again.name, again.note) == ("Acted", "synthetic voices")
    assert [clip.path for clip in again.clips] == [
        str(voices / "clips" / f"{f0}.wav") for f0 in (100, 140, 190, 250)
    ]


def test_all_that_indexing_writes_is_in_its_folder(voices, run, monkeypatch):
    """The folder above may be read-only, and `..` is no name."""
    made, opened = [], Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *how, **more: made.append(path) or opened(path, *how, **more)
    )
    monkeypatch.chdir(voices / "clips")
    run("index", ".", "--output", "..")
    assert all(path.resolve().is_relative_to(voices) for path in made if "indexing" in path.name)
    assert Gallery.load(voices).name == "voices"
    assert not [*voices.parent.glob(".*"), *voices.glob(".*")]


def test_index_skips_a_broken_file_and_counts_it(voices, tmp_path, capsys):
    (voices / "clips" / "broken.wav").write_text("text, not sound")
    assert main(["index", str(voices), "--output", str(tmp_path / "g")]) == 0
    out, err = capsys.readouterr()
    assert list(json.loads(out)["skipped"]) == ["clips/broken.wav"]
    assert err.count("Skipped clips/broken.wav: 'broken.wav' cannot be read as audio") == 1


def test_index_in_place_never_drops_a_listed_clip(voices, capsys):
    (voices / "clips" / "140.wav").write_text("text, not sound")
    before = (voices / "manifest.csv").read_bytes()
    code = main(["index", str(voices), "--output", str(voices)])
    assert code == 2
    assert "'v140'" in capsys.readouterr().err.splitlines()[-1]
    assert (voices / "manifest.csv").read_bytes() == before


def test_a_gallery_outlives_a_clip_that_is_deleted(gallery, run, refused, capsys):
    (gallery / "clips" / "140.wav").unlink()
    assert len(run("search", "a low voice", "--gallery", gallery)["hits"]) == 4
    engine = search.Engine(StubModel(), Gallery.load(gallery))
    gone = engine.gallery.clips[engine.gallery.rows["v140"]].path
    assert engine.search_clip("v140", 1)[0].clip.id == "v140"
    assert not engine.sketch.peaks[engine.gallery.rows["v140"]].any()
    for ask in (
        lambda: engine.describe(gone),
        lambda: engine.follow(gone),
        lambda: engine.explain("v140", "sad"),
        lambda: engine.compare(["v140"], ["sad"]),
    ):
        with pytest.raises(InputError, match=r"There is no file '140\.wav'"):
            ask()
    assert "no file '140.wav'" in refused("search", "--clip", gone, "--gallery", gallery)
    capsys.readouterr()
    assert main(["index", str(gallery), "--output", str(gallery)]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["clips"] == 3
    assert f"Left out v140: its file {gone} is gone." in err
    for path in gallery.glob("clips/*.wav"):
        path.unlink()
    for source, words in ((gallery, "no audio"), (gallery / "manifest.csv", "any more")):
        assert main(["index", str(source), "--output", str(gallery)]) == 2
        assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_recording_that_was_replaced_keeps_no_level_of_the_old_one(gallery, run, tmp_path):
    """The gallery's own manifest holds what was measured, which is no label."""
    before = {clip.id: clip for clip in Gallery.load(gallery).clips}
    assert before["v100"].pitch == "low"
    noise = np.random.default_rng(0).normal(0, 0.05, 9_600)  # it has no pitch
    soundfile.write(tmp_path / "older.wav", noise, 16_000)
    os.utime(tmp_path / "older.wav", (1, 1))
    (tmp_path / "older.wav").replace(gallery / "clips" / "100.wav")
    run("index", gallery, "--output", gallery)
    after = {clip.id: clip for clip in Gallery.load(gallery).clips}
    assert (after["v100"].pitch, after["v100"].emotion) == ("", "sad")
    assert [after[id] for id in ("v140", "v190")] == [before[id] for id in ("v140", "v190")]


def test_a_manifest_that_is_corrected_while_indexing_stands_still_is_heeded(tmp_path, model):
    noise = np.random.default_rng(0).normal(0, 0.05, 9_600)
    soundfile.write(tmp_path / "a.wav", noise, 16_000)
    clip = Clip(id="a", path=str(tmp_path / "a.wav"), gender="male", pitch="high")
    for pitch in ("high", "low", ""):
        said = replace(clip, pitch=pitch)
        (found,) = take_in(Reader(model), [said], tmp_path / "work").clips
        assert found.pitch == pitch
    assert model.clips_encoded == 1


def test_describe_gives_attributes_levels_and_descriptions(voices, run):
    result = run("describe", voices / "clips" / "100.wav", "--top", 4)
    assert list(result) == ["clip", "seconds", "attributes", "levels", "descriptions"]
    assert list(result["attributes"]) == list(ATTRIBUTES)
    assert result["levels"]["pitch"]["value"] == "low"
    assert [each["rank"] for each in result["descriptions"]] == [1, 2, 3, 4]
    assert set(result["descriptions"][0]) == {"rank", "text", "score"}


def test_embed_clips_in_input_order(voices, tmp_path, run, model):
    paths = [str(voices / "clips" / f"{f0}.wav") for f0 in (250, 100, 190)]
    result = run("embed", "--clips", *paths, "--output", tmp_path / "v.npz")
    assert result == {"output": str(tmp_path / "v.npz"), "count": 3, "dim": DIM}
    with np.load(tmp_path / "v.npz", allow_pickle=False) as arrays:
        assert arrays["ids"].tolist() == paths
        assert arrays["vectors"].dtype == np.float32
        expected = model.encode_speech(paths).numpy()
        np.testing.assert_allclose(arrays["vectors"], expected, atol=1e-5)


def test_embed_texts_by_line_number(tmp_path, run, model):
    texts = [f"description number {n}" for n in range(130)]  # more than one chunk
    (tmp_path / "t.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    run("embed", "--texts", tmp_path / "t.txt", "--output", tmp_path / "v.npz")
    with np.load(tmp_path / "v.npz", allow_pickle=False) as arrays:
        assert arrays["ids"].tolist() == list(range(130))
        expected = model.encode_text(texts).numpy()
        np.testing.assert_allclose(arrays["vectors"], expected, atol=1e-5)


def test_corpus_writes_a_manifest(tmp_path, run):
    write_voice(tmp_path / "ravdess" / "Actor_02" / "03-01-05-02-01-01-02.wav")
    result = run("corpus", "ravdess", tmp_path / "ravdess", "--output", tmp_path / "m.csv")
    assert result == {"manifest": str(tmp_path / "m.csv"), "clips": 1}
    clip = read_manifest(tmp_path / "m.csv")[0]
    assert (clip.gender, clip.emotion, clip.intensity) == ("female", "angry", "strong")


def test_train_hands_over_the_resolved_settings(tmp_path, run, monkeypatch):
    asked = {}
    monkeypatch.setattr("raclap.train.train", lambda **given: asked.update(given))
    (tmp_path / "c.json").write_text('{"ess": {"epochs": 7, "batch": 5}}')
    flags = ["--preset", "tiny", "--config", tmp_path / "c.json", "--set", "ess.epochs=3"]
    manifests = ["--manifest", "a.csv", "--manifest", "b.csv"]
    left = ["--leave-out", "nemo", "--leave-out", "ased"]
    run("train", "--stage", "ess", *flags, *manifests, *left, "--output", tmp_path / "out")
    assert asked["leave_out"] == ["nemo", "ased"]
    assert (asked["config"].ess.epochs, asked["config"].ess.batch) == (3, 5)
    assert asked["config"].model == config.preset("tiny").model
    assert asked["manifest"] == [Path("a.csv"), Path("b.csv")]
    assert (asked["stage"], asked["init"]) == ("ess", None)


# -- bad input -----------------------------------------------------------------------------------


def _write_pcm(path: Path, samples: np.ndarray, rate_hz: int = 16_000) -> None:
    soundfile.write(path, samples, rate_hz, subtype="FLOAT")


def _write_hour(path: Path) -> None:
    """An hour of 8 kHz silence in 8 bits, its samples a hole in the file."""
    seconds = 3_600
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 8_000, 0, "NONE", ""))
        file.writeframes(b"")
    header = bytearray(path.read_bytes())
    header[4:8] = (36 + seconds * 8_000).to_bytes(4, "little")
    header[40:44] = (seconds * 8_000).to_bytes(4, "little")
    path.write_bytes(header)
    os.truncate(path, 44 + seconds * 8_000)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A folder with one file of each bad kind."""
    folder = tmp_path / "bad"
    voice = write_voice(folder / "voice.wav", seconds=1.0)
    samples = load(voice)
    (folder / "text.wav").write_text("this is a letter, not a sound\n" * 20)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "header.wav").write_bytes(voice.read_bytes()[:30])
    (folder / "nothing.wav").write_bytes(voice.read_bytes()[:44])
    _write_pcm(folder / "silence.wav", np.zeros(16_000))
    _write_pcm(folder / "short.wav", samples[:800])
    _write_pcm(folder / "nan.wav", np.where(np.arange(16_000) == 99, np.nan, samples))
    _write_pcm(folder / "infinite.wav", np.where(np.arange(16_000) == 99, np.inf, samples))
    _write_hour(folder / "hour.wav")
    (folder / "folder.wav").mkdir()
    voice.unlink()
    return folder


BAD = {
    "text.wav": "cannot be read as audio",
    "empty.wav": "empty",
    "header.wav": "cannot be read as audio",
    "nothing.wav": "0.00 s",
    "silence.wav": "silent",
    "short.wav": "0.05 s",
    "nan.wav": "not numbers",
    "infinite.wav": "not numbers",
    "hour.wav": "more than 10 minutes",
    "folder.wav": "no file",
    "missing.wav": "no file",
}


@pytest.mark.parametrize(("name", "words"), BAD.items())
def test_bad_audio_gets_one_sentence_from_every_verb(bad, gallery, refused, tmp_path, name, words):
    for verb in (
        ["describe", bad / name],
        ["search", "--clip", bad / name, "--gallery", gallery],
        ["embed", "--clips", bad / name, "--output", tmp_path / "v.npz"],
    ):
        sentence = refused(*verb)
        assert words in sentence
        assert name in sentence
    assert not (tmp_path / "v.npz").exists()


def test_a_folder_of_nothing_but_bad_audio_makes_no_gallery(bad, tmp_path, capsys):
    assert main(["index", str(bad), "--output", str(tmp_path / "g")]) == 2
    err = capsys.readouterr().err
    assert f"None of the {len(BAD) - 2} clips" in err.splitlines()[-1]
    assert err.count("Skipped ") == len(BAD) - 2
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(8_000, 1), (192_000, 1), (16_000, 6), (44_100, 2)]
)
def test_unusual_audio_gets_the_right_answer(tmp_path, run, rate_hz, channels):
    seconds, f0_hz = 1.0, 110
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    tone = sum(np.sin(2 * np.pi * f0_hz * n * time) / n for n in range(1, 12)) * 0.1
    _write_pcm(tmp_path / "odd.wav", np.repeat(tone[:, None], channels, axis=1), rate_hz)
    result = run("describe", tmp_path / "odd.wav")
    assert result["seconds"] == pytest.approx(seconds, abs=0.01)
    assert result["levels"]["pitch"]["number"] == pytest.approx(f0_hz, rel=0.03)


def test_a_truncated_recording_is_read_as_far_as_it_goes(tmp_path, run):
    voice = write_voice(tmp_path / "voice.wav", seconds=2.0)
    (tmp_path / "cut.wav").write_bytes(voice.read_bytes()[: voice.stat().st_size // 2])
    assert run("describe", tmp_path / "cut.wav")["seconds"] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("text", "words"), [("", "empty"), ("   ", "empty"), ("y" * 10_000, "10,000")]
)
def test_a_bad_query_gets_one_sentence(gallery, refused, text, words):
    assert words in refused("search", text, "--gallery", gallery)


@pytest.mark.parametrize("text", ["😡", "صوت امرأة غاضبة", "злой мужчина", "a\nb"])
def test_any_script_is_searched_for(gallery, run, text):
    result = run("search", text, "--gallery", gallery)
    assert result["query"] == text
    assert len(result["hits"]) == 4


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "required"),
        (["sing"], "sing"),
        (["search"], "required"),
        (["search", "x", "--clip", "y"], "not allowed"),
        (["search", "x", "--top", "many"], "many"),
        (["search", "x", "--top", "0"], "0"),
        (["search", "x", "--where", "angry"], "NAME=VALUE"),
        (["search", "x", "--where", "gender=male", "--where", "gender=female"], "twice"),
        (["search", "x", "--where", "mood=sad"], "mood"),
        (["search", "x", "--where", "emotion=glad"], "angry, sad"),
        (["search", "x", "--gallery", "nowhere"], "no gallery"),
        (["describe", "x.wav", "--louder"], "--louder"),
        (["embed", "--output", "v.npz"], "required"),
        (["embed", "--texts", "nowhere.txt", "--output", "v.npz"], "nowhere.txt"),
        (["index", "nowhere", "--output", "g"], "nowhere"),
        (["train", "--stage", "ra", "--manifest", "m.csv", "--output", "o"], "--init"),
        (["evaluate", "--manifest", "voices/manifest.csv", "--output", "r.json"], "no clips"),
        (["corpus", "nosuch", ".", "--output", "m.csv"], "nosuch"),
        (["evaluate", "--manifest", "nowhere.csv", "--output", "r.json"], "nowhere.csv"),
    ],
)
def test_a_wrong_command_gets_one_sentence(gallery, refused, monkeypatch, argv, words):
    monkeypatch.chdir(gallery.parent)
    room = types.ModuleType("raclap.train")
    room.train = None  # never reached
    monkeypatch.setitem(sys.modules, "raclap.train", room)
    if argv[:2] == ["search", "x"] and "--gallery" not in argv:
        argv = [*argv, "--gallery", str(gallery)]
    assert words in refused(*argv)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"one\n\nthree\n", "line 1 (the first is 0)"),
        (b"one\n" + b"y" * 1001, "line 1 (the first is 0)"),
        (b"", "empty"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_bad_lines_are_named(tmp_path, refused, content, words):
    (tmp_path / "t.txt").write_bytes(content)
    flags = ["--texts", tmp_path / "t.txt", "--output", tmp_path / "v.npz"]
    assert words in refused("embed", *flags)
    assert not (tmp_path / "v.npz").exists()


def test_a_damaged_gallery_and_another_models_are_named(gallery, refused, monkeypatch):
    monkeypatch.setattr(search, "open_reader", lambda _: Reader(StubModel("other")))
    assert "another model" in refused("search", "x", "--gallery", gallery)
    (gallery / "vectors.npy").write_bytes(b"")
    assert "vectors.npy" in refused("search", "x", "--gallery", gallery)


def test_ctrl_c_ends_with_130_and_one_sentence(voices, monkeypatch, capsys):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(VERBS, "describe", interrupt)
    assert main(["describe", str(voices / "clips" / "100.wav")]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1


def test_help_needs_no_torch():
    code = (
        "import sys, contextlib; from raclap.__main__ import main\n"
        "with contextlib.suppress(SystemExit): main(sys.argv[1:])\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    for argv in (["--help"], *([verb, "--help"] for verb in VERBS)):
        done = subprocess.run(
            [sys.executable, "-c", code, *argv], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "usage: python -m raclap" in done.stdout
