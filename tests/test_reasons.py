"""An explanation as HTML. Run: pytest tests/test_reasons.py."""

from __future__ import annotations

import base64
import csv
import io
import re
from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pytest
from conftest import HOSTILE_NAME, HOSTILE_TEXT
from stub import write_voice
from toys import tiny_model

from raclap import audio, reasons
from raclap.evidence import accounts, word_by_time
from raclap.reading import ANYONE
from raclap.reasons import Case
from raclap.search import Explanation
from raclap.sheets import relevance_rows

TEXT = "a frightened woman whispering fast"


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    model = tiny_model()
    waveform = audio.load(write_voice(tmp_path_factory.mktemp("voice") / "a.wav", 150, 1.3))
    vector = model.encode_speech([waveform]).numpy()
    found = Explanation(
        text=TEXT,
        account=accounts(model, vector, TEXT)[0],
        relevance=word_by_time(model, waveform, TEXT),
        waveform=waveform,
        without="",
        taken=0.0,
    )
    return Case(name="ann", address="clips/0", found=found)


def numbers(html: str) -> list[float]:
    """The numbers of the sum, in order; the last is the score."""
    found = re.findall(r'<td class="number">([^<]+)</td>', html)
    return [float(text.replace("−", "-")) for text in found]


def test_the_sum_adds_up_to_the_score(case: Case) -> None:
    *parts, score = numbers(reasons.view(case))
    account = case.found.account
    assert len(parts) == 1 + len(account.parts)
    assert sum(parts) == pytest.approx(score, abs=0.0005 * (len(parts) + 1))
    assert score == pytest.approx(account.score, abs=0.0005)


def test_what_is_not_wanted_is_a_part_of_the_sum(case: Case) -> None:
    less = replace(case, found=replace(case.found, without="a man", taken=0.125))
    *parts, score = numbers(reasons.view(less))
    assert parts[-1] == -0.125
    assert score == pytest.approx(case.found.account.score - 0.125, abs=0.001)
    assert "but not: “a man”" in reasons.view(less)


def test_of_what_only_denies_no_word_is_explained(case: Case) -> None:
    found = replace(case.found, text=ANYONE, without="angry", taken=0.25)
    html = reasons.view(replace(case, found=found))
    assert "any voice, but not “angry” and ann" in html
    assert len(numbers(html)) == 3  # any voice, what is taken, the score
    assert "<figure>" not in html
    assert "Most is added" not in reasons.heading(replace(case, found=found))


def test_bars_stand_on_one_another(case: Case) -> None:
    html = reasons.view(case)
    found = re.findall(r'<i class="([\w-]+)" style="left:([\d.]+)%;width:([\d.]+)%', html)
    at = None
    for kind, left, width in found[:-1]:
        left, right = float(left), float(left) + float(width)
        assert -0.11 <= left <= right <= 100.11
        start, end = (right, left) if kind == "less" else (left, right)
        assert at is None or start == pytest.approx(at, abs=0.25), kind
        at = end
    assert found[-1][0] == "score-bar"


def test_the_alternative_text_names_where_the_picture_is_strongest(case: Case) -> None:
    relevance = case.found.relevance
    said = reasons.said(relevance)
    row, column = np.unravel_index(relevance.matrix.argmax(), relevance.matrix.shape)
    edges = relevance.edges
    moment = f"from {edges[column]:.1f} to {edges[column + 1]:.1f} s"
    assert f"Most is added by “{relevance.words[row]}” {moment}" in said
    assert f'alt="{said}"' in reasons.view(case)


def test_the_table_holds_every_number_of_the_picture(case: Case) -> None:
    relevance = case.found.relevance
    table = reasons.view(case).partition("<details")[2]
    cells = [float(text.replace("−", "-")) for text in re.findall(r"<td>([^<]+)</td>", table)]
    shown = np.reshape(cells, (len(relevance.words), -1))
    wanted = np.column_stack(
        [relevance.matrix, relevance.whole, relevance.matrix.sum(1) + relevance.whole]
    )
    assert np.allclose(shown, wanted, atol=0.0006)


def test_colours_and_width_follow_the_page(case: Case) -> None:
    def drawn(**how: bool) -> np.ndarray:
        from matplotlib.image import imread

        (png,) = re.findall(r'src="data:image/png;base64,([^"]+)"', reasons.view(case, **how))
        return imread(io.BytesIO(base64.b64decode(png)))

    light, dark, narrow = drawn(), drawn(dark=True), drawn(narrow=True)
    assert light[0, 0].mean() > 0.9 > 0.2 > dark[0, 0, :3].mean()
    assert light.shape == dark.shape
    assert narrow.shape[1] < light.shape[1] * 0.6


def test_what_is_kept_adds_up_too(case: Case) -> None:
    (link,) = re.findall(r'download="why.csv" href="([^"]+)"', reasons.take(case, picture=False))
    rows = list(csv.DictReader(io.StringIO(unquote(link.partition(",")[2]))))
    assert len(rows) == len(relevance_rows(case.found.relevance))
    total = sum(float(row["adds"]) for row in rows)
    assert total == pytest.approx(case.found.relevance.score, abs=1e-5)
    (png,) = re.findall(
        r'why.png" href="data:image/png;base64,([^"]+)"', reasons.take(case, picture=True)
    )
    assert base64.b64decode(png).startswith(b"\x89PNG")


def test_hostile_names_and_texts_are_escaped(case: Case) -> None:
    found = replace(case.found, text=HOSTILE_TEXT, without=HOSTILE_TEXT)
    html = reasons.view(replace(case, name=HOSTILE_NAME, found=found))
    assert "<script" not in html
    assert "<img src=x" not in html


def test_the_heading_tells_the_score_and_what_adds_most(case: Case) -> None:
    best = max(case.found.account.parts, key=lambda part: part.contribution)
    line = reasons.heading(case)
    assert f"Score {case.found.account.score:.2f}".replace("-", "−") in line
    assert (f"“{best.words}”" in line) == (best.contribution > 0)
