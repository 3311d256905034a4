"""What the benchmark measures and writes. Run: python -m pytest tests/test_benchmark.py."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from raclap import audio, benchmark, nearest, precision, rivals, timings
from raclap.__main__ import main
from raclap.config import InputError
from raclap.index import Gallery
from raclap.search import BUNDLED, ROOT

pytestmark = pytest.mark.slow

FORBIDDEN = ("gradio", "matplotlib", "sklearn", "pandas", "scipy.signal", "scipy.stats")


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return Gallery.load(BUNDLED)


def test_tasks_take_turns_after_one_round_for_warmth():
    seen = []
    taken = benchmark.interleaved({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 2)
    assert "".join(seen) == "ababab"
    assert {name: len(times) for name, times in taken.items()} == {"a": 2, "b": 2}


def test_clips_last_from_two_to_ten_seconds(gallery):
    waves = benchmark.clips(gallery, 5)
    assert [len(wave) / audio.RATE_HZ for wave in waves] == [2, 4, 6, 8, 10]
    assert all(np.abs(wave).max() > 0.01 for wave in waves)
    alone = Gallery.build(gallery.vectors[:1], gallery.clips[:1], "")
    with pytest.raises(InputError, match="too little for 200 clips of 2 to 10 s"):
        benchmark.clips(alone, 200)


def test_made_vectors_resemble_the_gallerys(gallery):
    made = benchmark.resembling(gallery.vectors, 2_000)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert (made == benchmark.resembling(gallery.vectors, 2_000)).all()
    nearest_real = np.median((made @ gallery.vectors.T).max(1))
    own = gallery.vectors @ gallery.vectors.T
    np.fill_diagonal(own, -1)
    assert abs(nearest_real - np.median(own.max(1))) < 0.15
    assert len(np.unique(made.round(6), axis=0)) == 2_000


def test_what_is_reckoned_follows_the_growth_that_is_stated():
    row = {"vectors": 10**6, "kind": "IVF4000, SQ8", "milliseconds": 2.0, "build_seconds": 60.0}
    far = benchmark._reckoned([row | {"index_bytes": 264 * 10**6, "vector_bytes": 1024 * 10**6}])
    assert far["vectors"] == 10**8
    assert far["milliseconds"] == pytest.approx(20)
    assert far["build_seconds"] == pytest.approx(60_000)
    assert far["index_bytes"] == 264 * 10**8


def test_the_clap_tower_has_the_size_of_the_published_one():
    rival = rivals._clap()
    assert 27e6 < rival.weights < 29e6
    given = rival.prepare(np.random.default_rng(0).normal(size=16_000).astype(np.float32))
    assert len(given) == 48_000
    assert rival.encode(given).shape == (1, 512)


def test_a_part_alone_is_measured_and_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(nearest, "EXACT", 1_000)
    words = ["benchmark", "--part", "index", "--part", "query", "--vectors", "3000"]
    assert main([*words, "--output", str(tmp_path / "r.json")]) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report.keys() == {"about", "index", "query"}
    assert [row["vectors"] for row in report["index"]["rows"]] == [3000, 3000]
    for row in report["index"]["rows"]:
        assert row["kind"].startswith("IVF219")
        assert min(row["recall_clip"], row["recall_text"]) > 0.9
    assert report["query"]["p95"] >= report["query"]["median"] > 0
    table = (tmp_path / "r.md").read_text()
    assert "| 3,000 | IVF219" in table
    assert "100,000,000 (reckoned)" in table
    assert json.loads(capsys.readouterr().out)["index"] == report["index"]


def test_precision_is_measured_against_full_precision(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "_BOTH", 6)
    words = ["--part", "precision", "--rounds", "1", "--clips", "2"]
    assert main(["benchmark", *words, "--output", str(tmp_path / "r.json")]) == 0
    found = json.loads((tmp_path / "r.json").read_text())["precision"]
    assert found["form"] == precision.FAST
    for kind, count in (("texts", 6), ("clips", 2)):
        assert found[kind]["count"] == count
        assert 0.9999 < found[kind]["least_cosine"] < 1.00001
        for name in ("full", "fast"):
            assert found[kind][f"{name}_p95"] >= found[kind][f"{name}_median"] > 0
    assert "| 2 clips, fast |" in (tmp_path / "r.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"), [(["--output", "r.txt"], ".json"), (["--rounds", "0"], "--rounds is 0")]
)
def test_a_mistake_ends_with_a_sentence(words, said, capsys, tmp_path):
    assert main(["benchmark", "--output", str(tmp_path / "r.json"), *words]) == 2
    assert said in capsys.readouterr().err


def test_the_picture_shows_each_rival_and_its_goal():
    encoders = {
        "RA-CLAP": {"times_slower": 1.0, "goal": 1.0},
        "other": {"times_slower": 7.5, "goal": 6.0},
    }
    (axes,) = timings.picture({"encoders": encoders}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["other"]
    assert [text.get_text() for text in axes.texts] == ["7.5"]
    assert list(axes.lines[0].get_xdata()) == [6.0, 6.0]


def test_a_text_search_imports_nothing_it_does_not_need():
    code = (
        "import sys; from raclap.__main__ import main; "
        "assert main(['search', 'an angry man', '--top', '1']) == 0; "
        f"print([name for name in {FORBIDDEN} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip().endswith("[]")


def test_help_needs_no_torch():
    code = (
        "import sys\nfrom raclap.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([n for n in ('torch', 'numpy', 'faiss') if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
