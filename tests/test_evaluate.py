"""Toy encoders get the figures they deserve: ``pytest tests/test_evaluate.py``."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import scipy.stats
from stub import StubModel, write_voice
from toys import AXES, NAMES, SMALL, guess, hear, know, make_clips, plain_wording, unit

from raclap import essr, evaluate, metrics
from raclap.config import InputError
from raclap.corpus import Clip
from raclap.essr import DIRECTIONS, Protocol
from raclap.results import walk

__all__ = ["plain_wording"]  # a fixture


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
def test_knowing_nothing_scores_what_is_reported_as_chance():
    clips = make_clips(250)
    runs = []
    for seed in range(8):
        speech = unit(np.random.default_rng(seed).normal(size=(250, 32)))
        runs.append(evaluate.report(clips, speech, guess, protocol=SMALL))
    chance = runs[0]["chance"]["ravdess"]
    sections = ("paired", "paired_seen", "graded", "partial", "zero_shot", "zero_shot_seen")
    assert set(chance) == set(sections)
    assert chance["paired"]["text_to_speech"]["r5"]["mean"] == 5 / SMALL.gallery
    assert chance["zero_shot"]["emotion"]["mean"] == 1 / 5
    compared = 0
    for section, tree in chance.items():
        for (_, *path), expected in walk({section: tree}):
            drawn = []
            for run in runs:
                figure = run[section]["ravdess"]
                for step in path:
                    figure = figure[step]
                drawn.append(figure["mean"])
            error = np.std(drawn, ddof=1) / np.sqrt(len(drawn))
            assert abs(np.mean(drawn) - expected["mean"]) < 5 * error + 1e-3, (section, path)
            compared += 1
    assert compared == 2 * 8 + 2 * 7 + 1 + 2 * 6


@pytest.mark.usefixtures("plain_wording")
def test_a_resample_of_faithful_draws_clips_together_with_their_descriptions():
    clips = make_clips(12)
    speech = unit(hear(clips) + np.random.default_rng(1).normal(0, 0.2, (12, len(AXES))))
    bench = essr.Bench(clips, speech, know, SMALL)
    rows = bench.sample(np.arange(12), SMALL.pairs, 6)
    said = [bench.said["unseen"][row][0] for row in rows]
    scores = bench.similarity(rows, [each.text for each in said])
    truth = metrics.overlaps(bench.codes[rows], metrics.codes([each.style for each in said]))
    drawn = []
    for count in bench.resample(12).astype(int):
        both = np.repeat(np.arange(12), count)
        pairs = (each[np.ix_(both, both)].ravel() for each in (scores, truth.round(9)))
        drawn.append(scipy.stats.spearmanr(*pairs).statistic)
    found = essr.faithful(bench, np.arange(12))["faithful", "spearman"]
    assert (found.low, found.high) == pytest.approx(np.percentile(drawn, (2.5, 97.5)))


@pytest.mark.usefixtures("plain_wording")
def test_confusion_counts_every_clip_of_known_emotion_once():
    clips = [*make_clips(40), *make_clips(20, "nemo")]
    found = evaluate.report(clips, hear(clips), know, protocol=SMALL)["confusion"]
    assert sum(sum(row.values()) for row in found["ravdess"].values()) == 40
    assert sum(sum(row.values()) for row in found["pooled"].values()) == 60
    assert all(set(row) == {meant} for meant, row in found["ravdess"].items())


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
    assert set(found) == {*essr.SECTIONS, "chance", "confusion", "about"}
    assert found["about"]["checkpoint"] == "abc"
    figures = dict(walk(found))
    assert len(figures) > 50
    for path, figure in figures.items():
        assert set(figure) == {"mean", "low", "high"}, path
        assert figure["low"] <= figure["mean"] + 0.05, path
        assert figure["mean"] <= figure["high"] + 0.05, path


@pytest.mark.usefixtures("plain_wording")
@pytest.mark.parametrize("count", [2, 3])
def test_few_clips_give_a_report_that_json_can_hold(count):
    clips = [
        Clip(id=f"{n}", path="", corpus="c", gender=("male", "female")[n % 2]) for n in range(count)
    ]
    speech = unit(np.random.default_rng(0).normal(size=(count, 32)))
    found = evaluate.report(clips, speech, guess, protocol=SMALL)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    # Of so few some resamples hold one clip alone, whose t is infinite.
    assert None in found["paraphrase"]["c"]["t"].values()


@pytest.mark.usefixtures("plain_wording")
@pytest.mark.parametrize(
    "speech", [np.ones((3, len(AXES))), np.ones(40), np.full((40, len(AXES)), np.nan)]
)
def test_vectors_that_do_not_match_the_clips_are_refused(speech):
    with pytest.raises(InputError, match="one finite vector for each of 40 clips"):
        evaluate.report(make_clips(40), speech, know)


@pytest.mark.usefixtures("plain_wording")
def test_a_corpus_of_one_clip_is_refused():
    clips = [*make_clips(5), *make_clips(1, "nemo")]
    with pytest.raises(InputError, match="'nemo' has 1 clip"):
        evaluate.report(clips, hear(clips), know, protocol=SMALL)


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


def vars_of(clip):
    return {name: getattr(clip, name) for name in clip.__slots__}
