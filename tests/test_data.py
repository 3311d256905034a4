"""The cache of features, augmentation, and batches. Run: python -m pytest tests/test_data.py."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from stub import write_voice

from raclap import audio, data, lexicon, prosody
from raclap.config import InputError, TrainConfig, preset
from raclap.corpus import Clip, measured
from raclap.data import Features, augment, batches, grouped
from raclap.model import RACLAP
from raclap.style import ATTRIBUTES, LEVELS, VALUES
from raclap.towers import Frames

COUNT = 10


@pytest.fixture(scope="module")
def tower():
    torch.manual_seed(0)
    return RACLAP.create(preset("tiny").model).speech


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    return [
        Clip(
            id=f"v{i}",
            path=str(write_voice(folder / f"{i}.wav", 100 + 18 * i, 0.5 + 0.1 * i)),
            corpus=("hums", "drones")[i % 2],
            split="train",
            gender=("male", "female")[i // 5],
            emotion=("sad", "angry", "calm")[i % 3],
        )
        for i in range(COUNT)
    ]


@pytest.fixture(scope="module")
def features(tower, clips, tmp_path_factory):
    return Features(tower, clips, tmp_path_factory.mktemp("cache"), copies=2, workers=0)


# ---- augmentation


def test_augmentation_follows_from_its_generator(clips):
    waveform = audio.load(clips[0].path)
    before = waveform.copy()
    first, again, other = (augment(waveform, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert np.array_equal(waveform, before)


def test_augmented_copies_stay_near_the_clip(clips):
    waveform = audio.load(clips[3].path)
    was = prosody.measure(waveform)
    factors = []
    for seed in range(12):
        heard, clean = augment(waveform, np.random.default_rng(seed))
        assert heard.shape == clean.shape
        assert heard.dtype == np.float32
        assert np.isfinite(heard).all()
        assert abs(heard).max() <= 1
        factor = len(waveform) / len(clean)
        factors.append(factor)
        assert 0.87 < factor < 1.13
        assert prosody.measure(clean).f0_hz == pytest.approx(was.f0_hz * factor, rel=0.03)
    assert max(factors) - min(factors) > 0.1


# ---- the cache


def test_frames_are_what_the_tower_gives(tower, clips, features):
    for row, clip in enumerate(clips):
        expected = tower.lower(audio.trim(audio.load(clip.path)))
        found = features.frames(row).on(torch.device("cpu"))
        assert found.valid.equal(expected.valid)
        assert found.attended.equal(expected.attended)
        assert found.prosody.equal(expected.prosody)
        torch.testing.assert_close(found.hidden, expected.hidden, atol=0.1, rtol=0.05)  # halves
        torch.testing.assert_close(found.lower, expected.lower, atol=0.1, rtol=0.05)
        assert features.length(row) == int(expected.attended)


def test_the_second_time_nothing_is_computed(tower, clips, tmp_path, monkeypatch):
    first = Features(tower, clips, tmp_path, workers=0)

    def compute(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(tower, "lower", compute)
    again = Features(tower, clips, tmp_path, workers=0)
    assert again.clips == first.clips
    assert again.frames(4).hidden.equal(first.frames(4).hidden)


def test_a_lost_shard_is_computed_again_alike(tower, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SHARD", 2)
    first = Features(tower, clips, tmp_path, copies=2, workers=0)
    shards = sorted(tmp_path.rglob("*.safetensors"))
    assert len(shards) == 2 * 2 * 3  # copies, corpora, shards of 2 for 5 clips
    digests = {path: hashlib.sha256(path.read_bytes()).digest() for path in shards}
    kept = {path: path.stat().st_mtime_ns for path in shards[1::2]}
    (tmp_path / "left.part").touch()
    for path in shards[::2]:
        path.unlink()
    again = Features(tower, clips, tmp_path, copies=2, workers=0)
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in shards} == digests
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert again.clips == first.clips
    for copy, row in first.clips:
        assert again.frames(row, copy).hidden.equal(first.frames(row, copy).hidden)


def test_other_weights_below_the_cut_have_another_cache(tower, clips, tmp_path):
    Features(tower, clips[:2], tmp_path, workers=0)
    before = set(tmp_path.iterdir())
    torch.manual_seed(1)
    Features(RACLAP.create(preset("tiny").model).speech, clips[:2], tmp_path, workers=0)
    assert len(set(tmp_path.iterdir()) - before) == len(before) == 2


@pytest.mark.parametrize(
    "other", [{"prosody": False}, {"frozen_layers": 0}, {"tail_seconds": 0.25}], ids=str
)
def test_all_that_the_lower_part_reads_names_the_cache(tower, clips, tmp_path, other):
    config = preset("tiny").model
    assert all(getattr(config.speech, name) != value for name, value in other.items())
    speech = replace(config.speech, **{"levels": False, **other})
    changed = RACLAP.create(replace(config, speech=speech)).speech
    for backbone in (changed.backbone, tower.backbone):
        assert len(backbone.layers) > 1
    changed.backbone.encoder.load_state_dict(tower.backbone.encoder.state_dict())
    Features(tower, clips[:1], tmp_path, workers=0)
    found = Features(changed, clips[:1], tmp_path, workers=0).frames(0)
    fresh = Features(changed, clips[:1], tmp_path / "fresh", workers=0).frames(0)
    assert len([*tmp_path.glob("hums-*")]) == 2
    assert found.hidden.equal(fresh.hidden)
    assert found.prosody.equal(fresh.prosody)


@pytest.mark.parametrize("name", ["a/b", "../../escape", "x\0y"])
def test_a_corpus_of_any_name_stays_in_the_cache(tower, clips, tmp_path, name):
    Features(tower, [replace(clips[0], corpus=name)], tmp_path / "a" / "b" / "c", workers=0)
    (folder,) = (tmp_path / "a" / "b" / "c").iterdir()
    assert [path.name for path in folder.iterdir()] == ["0-000000.safetensors"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_upper_weights_do_not_touch_the_cache(tower, clips, tmp_path):
    Features(tower, clips[:2], tmp_path, workers=0)
    before = set(tmp_path.iterdir())
    other = RACLAP.create(preset("tiny").model).speech
    other.load_state_dict(tower.state_dict())
    with torch.no_grad():
        other.backbone.encoder.layers[1].fc1.weight.zero_()
    Features(other, clips[:2], tmp_path, workers=0)
    assert set(tmp_path.iterdir()) == before


def test_a_broken_clip_is_left_out_with_a_message(tower, clips, tmp_path, capsys):
    (tmp_path / "note.wav").write_text("not audio")
    broken = Clip(id="b", path=str(tmp_path / "note.wav"), corpus="hums", split="train")
    found = Features(tower, [clips[0], broken, clips[2]], tmp_path / "cache", workers=0)
    assert "left out: 'note.wav' cannot be read as audio" in capsys.readouterr().err
    assert found.rows == [0, 2]
    expected = tower.lower(audio.trim(audio.load(clips[2].path)))
    assert found.frames(2).valid.equal(expected.valid)
    assert found.clips[0, 2].id == "v2"


def test_a_corpus_of_broken_clips_is_left_out(tower, clips, tmp_path, capsys):
    (tmp_path / "note.wav").write_text("not audio")
    broken = Clip(id="b", path=str(tmp_path / "note.wav"), corpus="notes", split="train")
    for _ in range(2):
        found = Features(tower, [broken, clips[0]], tmp_path / "cache", workers=0)
        assert "left out: 'note.wav'" in capsys.readouterr().err
        assert found.rows == [1]


def test_a_clip_that_can_be_read_again_is_taken_in(tower, clips, tmp_path, capsys, monkeypatch):
    load = audio.load

    def away(path):
        if path == clips[2].path:
            raise InputError("it is away")
        return load(path)

    with monkeypatch.context() as patch:
        patch.setattr(audio, "load", away)
        for _ in range(2):  # it is told every time
            found = Features(tower, clips[:4], tmp_path, copies=2, workers=0)
            assert capsys.readouterr().err.count("left out: it is away") == 2
            assert found.rows == [0, 1, 3]
    found = Features(tower, clips[:4], tmp_path, copies=2, workers=0)
    assert found.rows == [0, 1, 2, 3]
    assert (1, 2) in found.clips
    assert "left out" not in capsys.readouterr().err


def test_a_recording_that_is_replaced_is_heard_anew(tower, tmp_path):
    clip = Clip(id="a", path=str(write_voice(tmp_path / "a.wav", 100)), corpus="c", gender="male")
    first = Features(tower, [clip], tmp_path / "cache", workers=0)
    write_voice(tmp_path / "a.wav", 240)
    again = Features(tower, [clip], tmp_path / "cache", workers=0)
    assert (first.clips[0, 0].pitch, again.clips[0, 0].pitch) == ("low", "high")
    assert not again.frames(0).hidden.equal(first.frames(0).hidden)


def test_two_runs_may_fill_one_cache_at_a_time(tower, clips, tmp_path, monkeypatch):
    save = data.save_file

    def overtaken(tensors, path):
        save(tensors, path)
        monkeypatch.setattr(data, "save_file", save)
        Features(tower, clips[:1], tmp_path, workers=0)  # another run makes the same shard

    monkeypatch.setattr(data, "save_file", overtaken)
    assert Features(tower, clips[:1], tmp_path, workers=0).rows == [0]
    assert not [*tmp_path.rglob("*.part")]


def test_workers_give_the_same(tower, clips, features, tmp_path):
    found = Features(tower, clips, tmp_path, copies=2, workers=1)
    assert found.clips == features.clips
    assert found.frames(3, 1).hidden.equal(features.frames(3, 1).hidden)


def test_settled_frames_give_the_same_vector(tower, clips, tmp_path):
    features = Features(tower, clips[:3], tmp_path, workers=0)
    with torch.no_grad():
        place = torch.device("cpu")
        before = torch.cat([tower.pooled(features.frames(row).on(place)) for row in range(3)])
        features.settle(tower)
        settled = Frames.collate([features.frames(row) for row in range(3)]).on(place)
    assert settled.hidden.shape[1] == 0
    torch.testing.assert_close(tower.pooled(settled), before, atol=2e-3, rtol=2e-3)


# ---- levels


def test_levels_are_of_the_clip(clips, features):
    for row, clip in enumerate(clips):
        truth = prosody.measure(audio.trim(audio.load(clip.path)))
        assert features.clips[0, row] == measured(clip, truth)
        assert features.clips[0, row].pitch in LEVELS


def test_levels_of_augmented_copies_are_measured_again(clips, features):
    for row, clip in enumerate(clips):
        seed = int.from_bytes(hashlib.sha256(f"{clip.id}/1".encode()).digest())
        waveform = audio.trim(audio.load(clip.path))
        _, clean = augment(waveform, np.random.default_rng(seed))
        assert features.clips[1, row] == measured(clip, prosody.measure(clean))
    assert any(features.clips[0, row].pitch != features.clips[1, row].pitch for row in range(COUNT))


def test_vocal_bursts_have_no_levels_but_energy():
    burst = Clip(id="b", path="b.wav", corpus="emogator", gender="male")
    figures = prosody.Prosody(**dict.fromkeys(prosody.NAMES, 5.0))
    assert measured(burst, figures).style.known.keys() == {"gender", "energy"}
    assert len(measured(replace(burst, corpus="other"), figures).style.known) == 5


# ---- batches


SETTINGS = TrainConfig(batch=3, copies=2, seed=7)


def same(a, b):
    return (
        a.frames.hidden.equal(b.frames.hidden)
        and a.styles == b.styles
        and a.descriptions == b.descriptions
    )


def test_batches_follow_from_seed_and_epoch(features):
    def run(settings=SETTINGS, epoch=1):
        return list(batches(features, features.rows, settings, epoch=epoch))

    first = run()
    assert len(first) > 2
    assert all(same(a, b) for a, b in zip(first, run(), strict=True))
    for other in (run(epoch=2), run(replace(SETTINGS, seed=8))):
        assert not all(same(a, b) for a, b in zip(first, other, strict=False))


def test_start_skips_exactly(features):
    whole = list(batches(features, features.rows, SETTINGS, epoch=0))
    for start in range(len(whole) + 1):
        rest = list(batches(features, features.rows, SETTINGS, epoch=0, start=start))
        assert len(rest) == len(whole) - start
        assert all(same(a, b) for a, b in zip(whole[start:], rest, strict=True))


def test_descriptions_are_true_of_their_clips(features):
    shares = []
    for epoch in range(6):
        for batch in batches(features, features.rows, SETTINGS, epoch=epoch):
            assert len(batch.styles) == len(batch.descriptions) == len(batch.frames.valid)
            for style, description in zip(batch.styles, batch.descriptions, strict=True):
                assert description.style == style.only(description.style.known)
                assert description.style.known
                shares.append(len(description.style.known) <= 3)
    assert 0.3 < np.mean(shares) < 0.7


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_partial_descriptions(features, share):
    settings = replace(SETTINGS, partial=share)
    for batch in batches(features, features.rows, settings, epoch=0):
        for style, description in zip(batch.styles, batch.descriptions, strict=True):
            assert (len(description.style.known) <= 3) == bool(share)
            left_out = set(style.known) - set(description.style.known)
            assert share or left_out <= {"phonation"}  # voiced goes without saying


def test_fixed_wordings_are_few(features):
    settings = replace(SETTINGS, wordings=2, copies=1)
    said = [
        (style, description.text)
        for epoch in range(12)
        for batch in batches(features, features.rows, settings, epoch=epoch)
        for style, description in zip(batch.styles, batch.descriptions, strict=True)
    ]
    styles = {features.clips[0, row].style for row in features.rows}
    assert len(styles) < len(set(said)) <= 2 * len(features.rows)
    fresh = replace(settings, wordings=0)
    afresh = {
        description.text
        for epoch in range(12)
        for batch in batches(features, features.rows, fresh, epoch=epoch)
        for description in batch.descriptions
    }
    assert len(afresh) > 3 * len(features.rows)


def test_training_draws_from_the_wide_pool_and_never_from_the_unseen_one(features):
    drawn = {
        word
        for epoch in range(40)
        for batch in batches(features, features.rows, SETTINGS, epoch=epoch)
        for description in batch.descriptions
        for word in lexicon.words(description.text)
    }
    words = {
        pool: {
            word
            for attribute in ATTRIBUTES
            for value in VALUES[attribute]
            for wording in lexicon.wordings(attribute, value, pool)
            for word in lexicon.words(wording.text)
        }
        | {word for frame in lexicon.frames(pool) for word in lexicon.words(frame.template)}
        for pool in ("seen", "unseen", "wide")
    }
    assert len(drawn & (words["wide"] - words["seen"])) > 20
    assert len(words["unseen"] - words["wide"]) > 500
    assert not drawn & (words["unseen"] - words["wide"])


def test_drills_say_one_value_each_and_pass_over_none(features):
    settings = replace(SETTINGS, reading=1.0, drills=200)
    met = list(batches(features, features.rows, settings, epoch=0))
    assert all(len(batch.drills) == 200 for batch in met)
    said = [tuple(drill.style.known.items()) for batch in met for drill in batch.drills]
    assert {len(each) for each in said} == {1}
    assert {each[0] for each in said} == {(a, value) for a in ATTRIBUTES for value in VALUES[a]}
    again = list(batches(features, features.rows, settings, epoch=0))
    assert [batch.drills for batch in again] == [batch.drills for batch in met]
    silent = replace(settings, reading=0.0)
    assert not any(batch.drills for batch in batches(features, features.rows, silent, epoch=0))


class Many:
    """Clips without audio: lengths and corpora are all that the plan looks at."""

    def __init__(self, count=1_000):
        rng = random.Random(0)
        self.lengths = [rng.randrange(50, 1_500) for _ in range(count)]
        self.clips = {(0, row): SimpleNamespace(corpus="abcd"[row % 4]) for row in range(count)}
        self.rows = list(range(count))

    def length(self, row):
        return self.lengths[row]


def plan(share, batch=16, many=None):
    many = many or Many()
    settings = TrainConfig(batch=batch, same_corpus=share)
    return grouped(many, many.rows, settings, random.Random(0))


def test_an_epoch_meets_every_clip_once():
    met = sorted(row for group in plan(0.5) for row in group)
    assert len(met) == len(set(met)) >= 995  # a lone last clip has nothing to contrast with
    assert {len(group) for group in plan(0.5)} <= set(range(2, 17))


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0.05), (0.5, 0.4, 0.6), (1.0, 1, 1)])
def test_the_share_of_single_corpus_batches(share, low, high):
    alone = [len({row % 4 for row in group}) == 1 for group in plan(share)]
    assert low <= np.mean(alone) <= high


def test_batches_hold_clips_of_about_one_length():
    many = Many()
    spread = np.mean([np.ptp([many.length(row) for row in group]) for group in plan(0.5)])
    shuffled = random.Random(1).sample(many.rows, 1_000)
    chance = np.mean([np.ptp([many.length(r) for r in shuffled[i : i + 16]]) for i in range(984)])
    assert spread < 0.4 * chance


def test_buckets_come_in_no_order():
    many = Many()
    lengths = [np.mean([many.length(row) for row in group]) for group in plan(0.5)]
    assert abs(np.corrcoef(lengths, range(len(lengths)))[0, 1]) < 0.4


def test_a_long_clip_is_cached_by_its_first_window(tower, clips, tmp_path):
    waveform = np.tile(audio.load(clips[0].path), 34)
    assert len(waveform) > 15 * audio.RATE_HZ
    soundfile.write(tmp_path / "long.wav", waveform, audio.RATE_HZ)
    long = replace(clips[0], path=str(tmp_path / "long.wav"))
    features = Features(tower, [long], tmp_path / "cache", workers=0)
    assert features.length(0) <= 15.5 * 50
