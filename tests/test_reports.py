"""The verbs that measure, through the command line: python -m pytest tests/test_reports.py."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from raclap import essr, evaluate, reports
from raclap.__main__ import main

pytestmark = pytest.mark.usefixtures("model")


@pytest.fixture
def benchmark(voices, monkeypatch):
    """A manifest of two corpora, and a benchmark whose figures depend on the checkpoint alone."""
    (voices / "manifest.csv").write_text(
        "id,path,corpus,split,gender\na,clips/100.wav,hums,test,male\n"
        "b,clips/250.wav,hums,train,female\nc,clips/190.wav,calls,test,female\n"
        "d,clips/100.wav,hums,test,male\ne,clips/190.wav,calls,test,female\n"
    )
    asked = {}

    def evaluate_(model, clips):
        asked.update(model=model, clips=clips)
        figure = {"mean": 0.5, "low": 0.4, "high": 0.6}
        rank = {"r1": figure, "r5": figure, "r10": figure, "map10": figure}
        both = dict.fromkeys(essr.DIRECTIONS, rank)
        return {
            "paired": {"pooled": both},
            "ceiling": {"pooled": both},
            "partial": {"pooled": {"precision10": figure}},
            "confusion": {"hums": {"sad": {"sad": 1}}},
            "about": {
                **{"checkpoint": model.fingerprint, "manifest": "m", "clips": len(clips)},
                **asdict(essr.Protocol()),
            },
        }

    monkeypatch.setattr(evaluate, "evaluate", evaluate_)
    return asked


def test_evaluate_leaves_figures_tables_and_pictures(voices, tmp_path, run, benchmark):
    report = tmp_path / "new" / "r.json"
    result = run("evaluate", "--manifest", voices / "manifest.csv", "--output", report)
    assert result["report"] == str(report)
    assert result["figures"]["partial"] == {"pooled": {"precision10": 0.5}}
    assert json.loads(report.read_text())["partial"]["pooled"]["precision10"]["low"] == 0.4
    assert [clip.id for clip in benchmark["clips"]] == ["a", "c", "d", "e"]
    drawn = sorted(path.name for path in (tmp_path / "new" / "r").iterdir())
    assert drawn == ["emotion-hums.png", "paired.png", "training.png"]
    assert sorted(Path(picture).name for picture in result["pictures"]) == drawn
    page = (tmp_path / "new" / "r.md").read_text()
    assert "| pooled | 50.0 [40.0, 60.0] |" in page
    assert all(f"](<r/{name}>)" in page for name in drawn)
    assert (result["trained"]["stage"], result["trained"]["seed"]) == ("ra", 0)
    assert result["trained"]["steps"] > 0


def test_evaluate_leaves_out_what_is_not_wanted(voices, tmp_path, run, benchmark):
    flags = ["--corpus", "hums", "--no-figures", "--checkpoint", tmp_path]
    report = tmp_path / "r.json"
    result = run("evaluate", "--manifest", voices / "manifest.csv", "--output", report, *flags)
    assert [clip.id for clip in benchmark["clips"]] == ["a", "d"]
    assert result["pictures"] == []
    assert result["trained"] is None
    assert not (tmp_path / "r").exists()
    assert "](<" not in (tmp_path / "r.md").read_text()


@pytest.mark.parametrize(
    ("name", "text"), [("training.json", '{"stage": "ra"}'), ("history.jsonl", '{"step": 1}\n{')]
)
def test_a_damaged_record_of_the_training_is_told(voices, tmp_path, refused, benchmark, name, text):
    (tmp_path / "training.json").write_text('{"stage": "ra", "config": {"ra": {"seed": 0}}}')
    (tmp_path / "history.jsonl").write_text("")
    (tmp_path / name).write_text(text)
    flags = ["--manifest", voices / "manifest.csv", "--output", tmp_path / "r.json"]
    assert f"{name} is damaged" in refused("evaluate", *flags, "--checkpoint", tmp_path)


def test_a_corpus_of_one_clip_is_refused_before_a_model_is_loaded(
    voices, tmp_path, refused, monkeypatch
):
    monkeypatch.setattr(reports, "opened", None)
    (voices / "m.csv").write_text("id,path,corpus,split,gender\na,clips/100.wav,c,test,male\n")
    flags = ["--manifest", voices / "m.csv", "--output", tmp_path / "r.json"]
    assert "'c' has 1 clip" in refused("evaluate", *flags)


def test_what_json_cannot_hold_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        reports._write_json(tmp_path / "r.json", {"mean": float("nan")})
    assert not (tmp_path / "r.json").exists()


@pytest.fixture
def reported(voices, tmp_path, run, benchmark, monkeypatch) -> Path:
    """Reports of two models over two seeds; ``ra`` is better by 1 and by 3 points."""
    for seed in (0, 1):
        for name, gain in (("ess", 0), ("ra", 0.01 + 0.02 * seed)):
            path = tmp_path / f"{name}{seed}.json"
            flags = ["--manifest", voices / "manifest.csv", "--no-figures", "--output", path]
            run("evaluate", *flags)
            report = json.loads(path.read_text())
            report["about"] |= {"checkpoint": path.stem, "trained": {"stage": "ra", "seed": seed}}
            report["partial"]["pooled"]["precision10"]["mean"] += gain
            path.write_text(json.dumps(report))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_compare_subtracts_over_seeds(reported, run):
    groups = ["ess=ess0.json,ess1.json", "ra=ra0.json,ra1.json"]
    found = run("evaluate", "--compare", *groups, "--output", "new/c.json")
    gain = found["differences"]["ra"]["partial"]["pooled"]["precision10"]
    assert gain["mean"] == pytest.approx(0.02)
    assert gain["low"] == pytest.approx(0.02 - 12.706 * 0.01, abs=1e-4)  # t with one degree
    assert json.loads(Path("new/c.json").read_text()) == found
    page = Path("new/c.md").read_text()
    assert "# ra minus ess" in page
    assert "| pooled | +2.0 [-10.7, +14.7] |" in page
    assert "](<c/differences.png>)" in page
    assert Path("new/c/differences.png").read_bytes().startswith(b"\x89PNG")


def test_compare_of_bare_files_names_them_and_writes_nothing(reported, capsys):
    before = sorted(reported.rglob("*"))
    assert main(["evaluate", "--compare", "ess0.json", "ra1.json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["about"]["base"] == "ess0"
    assert "training seed is unknown" in err
    assert sorted(reported.rglob("*")) == before


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--compare", "ess0.json"], "two or more"),
        (["--compare", "ess0.json", "ess0.json"], "twice"),
        (["--compare", "a=ess0.json", "a=ra0.json"], "twice"),
        (["--compare", "a=ess0.json,ess1.json", "b=ra0.json"], "equally many"),
        (["--compare", "a=ess0.json,ess1.json", "b=ra1.json,ra0.json"], "order of seeds"),
        (["--compare", "ess0.json", "voices/manifest.csv"], "manifest.csv"),
        (["--compare", "ess0.json", "nowhere.json"], "nowhere.json"),
        (["--compare", "ess0.json", "ra0.json", "--corpus", "hums"], "--corpus"),
        (["--compare", "ess0.json", "ra0.json", "--split", "valid"], "--split"),
        (["--compare", "ess0.json", "ra0.json", "--output", "c.txt"], ".json"),
        (["--compare", "ess0.json", "ra0.json", "--manifest", "m.csv"], "not allowed"),
        (["--manifest", "voices/manifest.csv"], "--output"),
        (["--manifest", "voices/manifest.csv", "--output", "new"], ".json"),
        (["--manifest", "voices/manifest.csv", "--output", "r.json", "--corpus", "x"], "'calls'"),
        ([], "required"),
    ],
)
def test_a_wrong_evaluation_gets_one_sentence(reported, refused, argv, words):
    assert words in refused("evaluate", *argv)
