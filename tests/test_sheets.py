"""Results as files. Run: pytest tests/test_sheets.py."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from raclap.comparison import Comparison
from raclap.corpus import Clip
from raclap.search import Hit
from raclap.sheets import comparison_rows, csv_of, hit_rows, json_of, plain_hit
from raclap.style import ATTRIBUTES

HIT = Hit(rank=1, clip=Clip(id="ü", path="/x.wav", text='say "so", now'), score=-0.25)


def test_hits_survive_csv_and_json() -> None:
    rows = hit_rows([HIT])
    (read,) = csv.DictReader(io.StringIO(csv_of(rows)))
    assert (read["id"], read["text"], read["score"]) == ("ü", 'say "so", now', "-0.25")
    assert json.loads(json_of(rows)) == rows
    assert "/x.wav" not in csv_of(rows)  # where files lie is nobody's business
    assert csv_of([]) == "\n"


def test_a_hit_has_the_same_keys_everywhere() -> None:
    clip = replace(HIT.clip, emotion="sad", heard_gender="male")
    plain, (flat,) = plain_hit(replace(HIT, clip=clip)), hit_rows([replace(HIT, clip=clip)])
    assert list(plain) == [
        *("rank", "id", "score", *ATTRIBUTES, "heard", "speaker", "language", "corpus"),
        *("text", "seconds"),
    ]
    assert plain["heard"] == {"gender": "male"}
    assert [*flat] == [
        each
        for name in plain
        for each in (("heard_gender", "heard_emotion") if name == "heard" else [name])
    ]
    assert (flat["emotion"], flat["pitch"], flat["heard_gender"]) == ("sad", "", "male")
    assert HIT.path == HIT.clip.path


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_a_text_that_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    (read,) = csv.reader(io.StringIO(csv_of([{text: text}]).partition("\n")[2]))
    assert read == [f"'{text}"]


def test_every_pair_is_a_row_and_an_unknown_overlap_is_empty() -> None:
    found = Comparison(
        clips=["a", "b"],
        texts=["x", "y"],
        similarity=np.array([[0.5, 0.25], [0.0, 1.0]], np.float32),
        taught=np.zeros((2, 2), np.float32),
        overlap=np.array([[1.0, np.nan], [0.0, 0.5]], np.float32),
    )
    rows = comparison_rows(found, ["Ann", "Bob"], 0.1)
    assert [(row["name"], row["description"]) for row in rows] == [
        ("Ann", "x"),
        ("Ann", "y"),
        ("Bob", "x"),
        ("Bob", "y"),
    ]
    assert [row["overlap"] for row in rows] == [1.0, "", 0.0, 0.5]
    assert {row["relation"] for row in rows} == {0.5}
