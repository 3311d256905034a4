"""A report becomes tables and pictures: ``pytest tests/test_results.py``."""

from __future__ import annotations

import json
import re

import pytest
from toys import SMALL, hear, know, make_clips, plain_wording

from raclap import evaluate, results
from raclap.config import InputError

__all__ = ["plain_wording"]  # a fixture


@pytest.fixture
def report(plain_wording):
    clips = make_clips(40)
    return evaluate.report(clips, hear(clips), know, protocol=SMALL)


def test_table_shows_percent_and_plain_correlations(report):
    text = results.table(report)
    assert "**Paired retrieval, unseen wording, ties at random**" in text
    assert "| | R@1 | R@5 | R@10 | mAP@10 |" in text
    assert "| ravdess text to speech | " in text
    assert "| ravdess | 100.0 [100.0, 100.0] |" in text
    assert "| ravdess | 1.00 [1.00, 1.00] | 0.00 [0.00, 0.00] |" in text
    for block in text.split("\n\n"):
        rows = [line.count("|") for line in block.splitlines() if line.startswith("|")]
        assert len(set(rows)) <= 1


def test_below_each_row_stand_chance_and_perfect_knowledge(report):
    first = results.table(report).split("\n\n")[1].splitlines()
    assert [line.split(" | ")[0] for line in first[2:8]] == [
        "| ravdess text to speech",
        "| *chance*",
        "| *perfect*",
        "| ravdess speech to text",
        "| *chance*",
        "| *perfect*",
    ]
    assert first[3] == "| *chance* | 2.5 | 12.5 | 25.0 | 7.3 |"  # one of forty, and so on
    best = report["ceiling"]["ravdess"]["text_to_speech"]["r1"]["mean"]
    assert first[4].startswith(f"| *perfect* | {100 * best:.1f}")
    emotion = results.table(report).partition("unseen wording (perfect: 100)")[2]
    emotions = len({clip.emotion for clip in make_clips(40)})
    assert re.search(rf"\| \*chance\* \|.* {100 / emotions:.1f} \|", emotion)


def test_a_part_of_a_report_is_enough_for_a_table():
    figure = {"mean": 0.5, "low": 0.25, "high": 0.75}
    assert "| ravdess | 50.0 [25.0, 75.0] |" in results.table(
        {"zero_shot": {"ravdess": {"emotion": figure}}}
    )


def test_means_keep_the_shape_and_drop_the_intervals():
    figure = {"mean": 0.123456, "low": 0.1, "high": 0.2}
    assert results.means({"paired": {"ravdess": {"r1": figure}}, "about": {"seed": 0}}) == {
        "paired": {"ravdess": {"r1": 0.1235}}
    }


def test_document_links_its_pictures(report):
    page = results.document(report, ["a report/paired.png"])
    assert page.startswith("# ESSR benchmark")
    assert "40 clips" in page
    assert results.table(report) in page
    assert page.endswith("![paired](<a report/paired.png>)\n")


HISTORY = [
    {"step": 10, "loss": 2.5, "contrastive": 2.5, "relation": 0.0},
    {"step": 20, "valid": {"a/emotion": 0.5, "b/emotion": 0.7, "a/t2s": 0.1, "score": 0.4}},
]


def test_illustrate_writes_a_picture_of_each_kind(report, tmp_path):
    files = results.illustrate(report, tmp_path / "new")
    assert [file.name for file in files] == ["paired.png", "emotion-ravdess.png"]
    files = results.illustrate(report, tmp_path / "new", HISTORY)
    assert [file.name for file in files][2:] == ["training.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_a_corpus_of_any_name_is_drawn_into_the_folder(report, tmp_path):
    counts = report["confusion"]["ravdess"]
    files = results.illustrate({**report, "confusion": {"a/b": counts}}, tmp_path)
    assert [file.name for file in files] == ["paired.png", "emotion-a=00002fb.png"]
    assert {*tmp_path.iterdir()} == {*files}


def test_the_curve_averages_over_corpora_and_leaves_out_what_was_not_trained():
    above, below = results._curve(HISTORY).axes
    assert [text.get_text() for text in above.get_legend().get_texts()] == ["loss"]
    shown = [text.get_text() for text in below.get_legend().get_texts()]
    assert shown == [
        "mean of all (best 40.0%)",
        "emotion, average recall (best 60.0%)",
        "description to clip, mAP@10 (best 10.0%)",
    ]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"about": {"seed": 0}}'])
def test_what_is_no_report_is_named(tmp_path, content):
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(InputError, match=r"r\.json"):
        results.read(tmp_path / "r.json")


def test_a_report_is_read_as_it_was_written(report, tmp_path):
    (tmp_path / "r.json").write_text(json.dumps(report))
    assert results.read(tmp_path / "r.json") == report
    with pytest.raises(InputError, match="nowhere"):
        results.read(tmp_path / "nowhere.json")
