"""Toy encoders get the figures they deserve: ``pytest tests/test_evaluate.py``."""

from __future__ import annotations

import json
import random
import re

import numpy as np
import pytest
from stub import StubModel, write_voice

from raclap import essr, evaluate, wording
from raclap.config import InputError
from raclap.corpus import Clip
from raclap.essr import DIRECTIONS, Protocol
from raclap.style import VALUES
from raclap.wording import Description

SMALL = Protocol(draws=4, gallery=60, wordings=3, queries=60, pairs=60, resamples=50)
NAMES = ("gender", "emotion", "intensity", "pitch", "speed", "energy")
AXES = {pair: axis for axis, pair in enumerate((n, v) for n in NAMES for v in VALUES[n])}


def make_clips(count, corpus="ravdess", seed=0):
    rng = random.Random(f"{corpus}{seed}")
    few = VALUES | {"emotion": VALUES["emotion"][:5]}
    return [
        Clip(id=f"{corpus}/{n}", path="", corpus=corpus, **{k: rng.choice(few[k]) for k in NAMES})
        for n in range(count)
    ]


def unit(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def know(texts):
    """Encode texts of the plain wording as the sum of one axis for each value they mention."""
    vectors = np.zeros((len(texts), len(AXES)))
    for vector, text in zip(vectors, texts, strict=True):
        for pair in re.findall(r"(\w+)=(\w+)", text):
            vector[AXES[pair]] = 1
    return unit(vectors)


def hear(clips):
    return know([" ".join(f"{k}={v}" for k, v in clip.style.known.items()) for clip in clips])


def guess(texts):
    """Encode texts as vectors that have nothing to do with what they say."""
    return unit([np.random.default_rng(list(text.encode())).normal(size=32) for text in texts])


@pytest.fixture
def plain_wording(monkeypatch):
    """Replace the grammar by ``unseen .123 gender=male pitch=low``, so that toys can read it."""

    def say(style, rng, pool):
        values = " ".join(f"{name}={value}" for name, value in style.known.items())
        return Description(text=f"{pool} {rng.random()} {values}", style=style)

    def partial(style, rng, *, pool, count):
        return say(style.only(rng.sample(list(style.known), count)), rng, pool)

    monkeypatch.setattr(wording, "describe", lambda style, rng, *, pool: say(style, rng, pool))
    monkeypatch.setattr(wording, "partial", partial)
    monkeypatch.setattr(
        wording,
        "prompts",
        lambda name, value, *, pool: [f"{pool} {name}={value}", f"{name}={value}"],
    )


@pytest.mark.usefixtures("plain_wording")
def test_perfect_knowledge_reaches_the_ceiling_and_every_other_mark():
    clips = make_clips(90)
    found = evaluate.report(clips, hear(clips), know, protocol=SMALL)
    for direction in DIRECTIONS:
        for metric in ("r1", "r5", "r10", "map10"):
            assert found["share"]["ravdess"][direction][metric]["mean"] == pytest.approx(
                1, abs=0.03
            )
        assert found["graded"]["ravdess"][direction]["ndcg10"]["mean"] > 0.9
    assert found["partial"]["ravdess"]["precision10"]["mean"] == 1
    assert found["paraphrase"]["ravdess"]["rank_correlation"]["mean"] == pytest.approx(1)
    assert found["paraphrase"]["ravdess"]["t"]["mean"] == 0
    assert {each["mean"] for each in found["zero_shot"]["ravdess"].values()} == {1}
    assert set(found["zero_shot"]["ravdess"]) == set(NAMES)
    assert found["faithful"]["ravdess"]["spearman"]["mean"] > 0.8


@pytest.mark.usefixtures("plain_wording")
def test_knowing_nothing_is_chance():
    clips = make_clips(300)
    speech = unit(np.random.default_rng(1).normal(size=(300, 32)))
    found = evaluate.report(clips, speech, guess, protocol=SMALL)
    for direction in DIRECTIONS:
        assert found["paired"]["ravdess"][direction]["r10"]["mean"] == pytest.approx(
            10 / 60, abs=0.08
        )
    assert found["zero_shot"]["ravdess"]["gender"]["mean"] == pytest.approx(0.5, abs=0.1)
    assert found["faithful"]["ravdess"]["spearman"]["mean"] == pytest.approx(0, abs=0.1)


@pytest.mark.usefixtures("plain_wording")
def test_one_score_for_everything_flatters_only_the_strict_count():
    clips = make_clips(120)
    same = np.ones((120, 1), dtype=np.float32)
    found = evaluate.report(clips, same, lambda texts: np.ones((len(texts), 1)), protocol=SMALL)
    assert found["paired_strict"]["ravdess"]["text_to_speech"]["r1"]["mean"] == 1
    assert found["paired"]["ravdess"]["text_to_speech"]["r1"]["mean"] < 0.1


@pytest.mark.usefixtures("plain_wording")
def test_a_model_that_knows_only_the_words_of_training_is_found_out():
    clips = make_clips(120)

    def memorise(texts):
        vectors = know(texts)
        strange = [row for row, text in enumerate(texts) if text.startswith("unseen")]
        if strange:
            noise = [np.random.default_rng(list(texts[row].encode())) for row in strange]
            vectors[strange] = unit([rng.normal(size=len(AXES)) for rng in noise])
        return vectors

    found = evaluate.report(clips, hear(clips), memorise, protocol=SMALL)
    seen, unseen = (found[name]["ravdess"]["text_to_speech"] for name in ("paired_seen", "paired"))
    assert seen["map10"]["mean"] > 0.5 > 0.2 > unseen["map10"]["mean"]
    assert found["paraphrase"]["ravdess"]["t"]["low"] > 1.96
    assert found["paraphrase"]["ravdess"]["rank_correlation"]["mean"] < 0.2


@pytest.mark.usefixtures("plain_wording")
def test_texts_that_are_near_every_clip_hurt_only_the_way_from_speech_to_text():
    clips = make_clips(90)

    def crowd(texts):
        hubs = [[random.Random(text).uniform(0, 5)] for text in texts]
        return np.hstack([know(texts), hubs])

    found = evaluate.report(
        clips, np.hstack([hear(clips), np.ones((90, 1))]), crowd, protocol=SMALL
    )
    share = found["share"]["ravdess"]
    assert share["text_to_speech"]["map10"]["mean"] == pytest.approx(1, abs=0.03)
    assert share["speech_to_text"]["map10"]["mean"] < 0.3
    graded = found["graded"]["ravdess"]
    assert graded["text_to_speech"]["ndcg10"]["low"] > graded["speech_to_text"]["ndcg10"]["high"]


@pytest.mark.usefixtures("plain_wording")
def test_the_ceiling_is_one_over_the_clips_of_the_same_style():
    twins = [
        Clip(id=f"{n}", path="", corpus="c", emotion=("sad", "happy")[n % 2]) for n in range(40)
    ]
    found = evaluate.report(twins, hear(twins), know, protocol=SMALL)["ceiling"]["c"]
    for direction in DIRECTIONS:  # twenty clips of each style, in random order
        assert found[direction]["r1"]["mean"] == pytest.approx(1 / 20, abs=0.06)
        assert found[direction]["r10"]["mean"] == pytest.approx(10 / 20, abs=0.15)


@pytest.mark.usefixtures("plain_wording")
def test_pooled_mixes_speech_and_leaves_vocal_bursts_out():
    clips = [*make_clips(30), *make_clips(30, "nemo"), *make_clips(30, "emogator")]
    found = evaluate.report(clips, hear(clips), know, protocol=SMALL)
    assert list(found["paired"]) == ["ravdess", "nemo", "emogator", "pooled"]
    bench = essr.Bench(clips, hear(clips), know, SMALL)
    assert dict(bench.groups())["pooled"].tolist() == list(range(60))


@pytest.mark.usefixtures("plain_wording")
def test_the_same_seed_gives_the_same_report_and_another_one_another():
    clips = make_clips(40)
    speech = unit(np.random.default_rng(1).normal(size=(40, 32)))
    first, again, other = (
        evaluate.report(clips, speech, guess, protocol=protocol)["paired"]
        for protocol in (SMALL, SMALL, Protocol(seed=1, draws=4, gallery=20, resamples=50))
    )
    assert first == again
    assert first != other


@pytest.mark.usefixtures("plain_wording")
def test_no_text_is_encoded_twice():
    clips, asked = make_clips(50), []

    def listen(texts):
        asked.extend(texts)
        return know(texts)

    evaluate.report(clips, hear(clips), listen, protocol=SMALL)
    assert len(asked) == len(set(asked))


@pytest.mark.usefixtures("plain_wording")
def test_what_is_unknown_has_no_figure():
    clips = [
        Clip(id=f"{n}", path="", corpus="c", gender=("male", "female")[n % 2]) for n in range(30)
    ]
    found = evaluate.report(
        [*clips, Clip(id="?", path="", corpus="d")], hear([*clips, clips[0]]), know
    )
    assert list(found["zero_shot"]["c"]) == ["gender"]
    assert list(found["graded"]["c"]["text_to_speech"]["precision10"]) == ["gender"]
    assert found["about"]["clips"] == 30


def test_the_grammar_gives_a_report_that_json_can_hold():
    clips = make_clips(40)
    speech = unit(np.random.default_rng(1).normal(size=(40, 32)))
    found = evaluate.report(clips, speech, guess, protocol=SMALL, fingerprint="abc")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found) == {*evaluate._TITLES, "about"}
    assert found["about"]["checkpoint"] == "abc"
    figures = dict(evaluate._walk(found))
    assert len(figures) > 50
    for path, figure in figures.items():
        assert set(figure) == {"mean", "low", "high"}, path
        assert figure["low"] <= figure["mean"] + 0.05, path
        assert figure["mean"] <= figure["high"] + 0.05, path


@pytest.mark.usefixtures("plain_wording")
@pytest.mark.parametrize("speech", [np.ones((3, 2)), np.ones(40), np.full((40, 2), np.nan)])
def test_vectors_that_do_not_match_the_clips_are_refused(speech):
    with pytest.raises(InputError, match="40 clips"):
        evaluate.report(make_clips(40), speech, know)


@pytest.mark.usefixtures("plain_wording")
def test_a_corpus_of_one_clip_is_refused():
    clips = [*make_clips(5), *make_clips(1, "nemo")]
    with pytest.raises(InputError, match="'nemo' has 1 clip"):
        evaluate.report(clips, hear(clips), know, protocol=SMALL)


def shift(report, by):
    if "mean" in report:
        return {name: value + by for name, value in report.items()}
    return {k: v if k == "about" else shift(v, by) for k, v in report.items()}


@pytest.fixture
def reported(plain_wording):
    clips = make_clips(40)
    return evaluate.report(clips, hear(clips), know, protocol=SMALL)


def test_compare_gives_mean_and_interval_of_the_difference(reported):
    gains = (0.01, 0.02, 0.03, 0.04, 0.05)
    better = [shift(reported, gain) for gain in gains]
    found = evaluate.compare({"ess": [reported] * 5, "ra": better, "same": [reported] * 5})
    assert set(found) == {"ra", "same"}
    gain = found["ra"]["paired"]["ravdess"]["speech_to_text"]["map10"]
    assert gain["mean"] == pytest.approx(0.03)
    assert 0.01 < gain["low"] < 0.03 < gain["high"] < 0.05
    assert found["same"]["faithful"]["ravdess"]["spearman"] == {"mean": 0, "low": 0, "high": 0}
    assert "+3.0 [" in evaluate.table(found["ra"], signed=True)


def test_compare_refuses_what_cannot_be_compared(reported):
    other = {**reported, "about": {**reported["about"], "manifest": "else"}}
    with pytest.raises(InputError, match="different test clips"):
        evaluate.compare({"a": [reported], "b": [other]})
    with pytest.raises(InputError, match="equally many seeds"):
        evaluate.compare({"a": [reported], "b": [reported, reported]})
    with pytest.raises(InputError, match="two or more models"):
        evaluate.compare({"a": [reported]})


def test_table_shows_percent_and_plain_correlations(reported):
    text = evaluate.table(reported)
    assert "**Paired retrieval, unseen wording, ties at random**" in text
    assert "| | R@1 | R@5 | R@10 | mAP@10 |" in text
    assert "| ravdess text to speech | " in text
    assert "| ravdess | 100.0 [100.0, 100.0] |" in text
    assert "| ravdess | 1.00 [1.00, 1.00] | 0.00 [0.00, 0.00] |" in text
    for block in text.split("\n\n"):
        rows = [line.count("|") for line in block.splitlines() if line.startswith("|")]
        assert len(set(rows)) <= 1


@pytest.mark.usefixtures("plain_wording")
def test_illustrate_writes_readable_pictures(reported, tmp_path):
    clips = make_clips(40)
    files = evaluate.illustrate(reported, clips, hear(clips), know, tmp_path / "new")
    assert [file.name for file in files] == ["paired.png", "emotion-ravdess.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


def test_evaluate_is_report_on_what_the_model_hears(tmp_path, capsys):
    names = {"low": 110.0, "high": 240.0, "other": 150.0}
    clips = [
        Clip(
            **{**vars_of(clip), "id": name, "path": str(write_voice(tmp_path / f"{name}.wav", hz))}
        )
        for clip, (name, hz) in zip(make_clips(3), names.items(), strict=True)
    ]
    (tmp_path / "other.wav").write_text("no audio")
    model = StubModel()
    heard, vectors = evaluate.listen(model, clips)
    assert "other.wav" in capsys.readouterr().err
    assert [clip.id for clip in heard] == ["low", "high"]
    assert all(clip.energy for clip in heard)
    alone = np.concatenate([model.encode_speech([clip.path]).numpy() for clip in heard])
    np.testing.assert_allclose(vectors, alone, atol=1e-6)
    found = evaluate.evaluate(model, clips, SMALL)
    expected = evaluate.report(
        heard,
        vectors,
        lambda texts: model.encode_text(texts).numpy(),
        protocol=SMALL,
        fingerprint="stub",
    )
    assert json.dumps(found) == json.dumps(expected)
    with pytest.raises(InputError, match="None of 1 clips"):
        evaluate.listen(model, clips[2:])


def test_means_keep_the_shape_and_drop_the_intervals():
    figure = {"mean": 0.123456, "low": 0.1, "high": 0.2}
    assert evaluate.means({"paired": {"ravdess": {"r1": figure}}, "about": {"seed": 0}}) == {
        "paired": {"ravdess": {"r1": 0.1235}}
    }


def vars_of(clip):
    return {name: getattr(clip, name) for name in clip.__slots__}
