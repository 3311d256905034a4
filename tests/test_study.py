"""Recipes side by side on the tiny preset. Run: python -m pytest tests/test_study.py."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from stub import write_voice

from raclap import study as room
from raclap.__main__ import main
from raclap.config import InputError, preset
from raclap.corpus import Clip, write_manifest
from raclap.essr import Protocol
from raclap.model import RACLAP
from raclap.study import study

CONFIG = preset("tiny")
CONFIG = replace(
    CONFIG, ess=replace(CONFIG.ess, epochs=2), ra=replace(CONFIG.ra, epochs=1, text_rate=0.0)
)
FEW = Protocol(draws=2, gallery=8, queries=6, pairs=8, resamples=10)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hums")
    clips = [
        Clip(
            id=str(i),
            path=str(write_voice(folder / f"{i}.wav", 100 + 8 * i)),
            corpus="hums",
            split=("train", "train", "valid", "test")[i % 4],
            speaker=f"s{i % 4}",
            gender=("male", "female")[i // 16],
            emotion=("sad", "angry")[i // 2 % 2],
        )
        for i in range(32)
    ]
    write_manifest(clips, folder / "m.csv")
    return folder / "m.csv"


def run(manifest, output, recipes, seeds=(0,)):
    return study(
        config=CONFIG,
        manifest=[manifest],
        output=output,
        seeds=seeds,
        recipes=recipes,
        cache=output / "cache",
        device="cpu",
        protocol=FEW,
    )


def test_recipes_differ_only_in_what_they_say(manifest, tmp_path, monkeypatch):
    seen = []
    fit = room.fit

    def watched(model, learning, held_out, config, stage, output, *, start):
        assert model.teacher.fingerprint in start
        seen.append((config, stage, start, len(learning.rows)))
        return fit(model, learning, held_out, config, stage, output, start=start)

    monkeypatch.setattr(room, "fit", watched)
    written = run(manifest, tmp_path, ["ess-clap", "ra-clap"])
    assert [path.name for path in written] == ["before-0.json", "ess-clap-0.json", "ra-clap-0.json"]
    (control, *rest), (ra, *others) = seen
    assert rest == others  # same stage, same teacher, same clips
    assert replace(control, relation=ra.relation) == ra
    assert (control.relation.weight, ra.relation.weight) == (0.0, CONFIG.relation.weight)
    reports = [json.loads(path.read_text()) for path in written]
    assert len({report["about"]["manifest"] for report in reports}) == 1
    assert len({report["about"]["checkpoint"] for report in reports}) == 3

    seen.clear()
    before = [path.read_bytes() for path in written]
    assert run(manifest, tmp_path, ["ess-clap", "ra-clap"]) == written  # nothing is done twice
    assert not seen
    assert [path.read_bytes() for path in written] == before


def test_each_seed_has_heads_of_its_own_over_the_encoders_it_is_given(manifest, tmp_path):
    init = tmp_path / "init"
    RACLAP.create(CONFIG.model).save_pretrained(init)
    given = RACLAP.from_pretrained(str(init))  # in the precision that is kept
    still = replace(CONFIG.ess, speech_rate=0.0, text_rate=0.0, epochs=1)
    study(
        config=replace(CONFIG, ess=still),
        manifest=[manifest],
        output=tmp_path / "study",
        seeds=(0, 1),
        init=init,
        recipes=(),
        cache=tmp_path / "cache",
        device="cpu",
        protocol=FEW,
    )
    one, two = (RACLAP.from_pretrained(str(tmp_path / f"study/stage-one-{i}")) for i in (0, 1))
    start, found, other = (model.state_dict() for model in (given, one, two))
    assert all(torch.equal(start[name], found[name]) for name in start if ".encoder." in name)
    head = "text.projection.0.weight"
    apart = [(a[head] - b[head]).abs().mean() for a, b in ((start, found), (found, other))]
    assert min(apart) > 0.05  # an epoch's training moves less


def test_a_study_goes_on_only_from_the_same_start_and_settings(manifest, tmp_path, monkeypatch):
    RACLAP.create(CONFIG.model).save_pretrained(tmp_path / "init")
    short = replace(CONFIG, ess=replace(CONFIG.ess, epochs=1))
    shared = {"manifest": [manifest], "output": tmp_path / "study", "seeds": (0,), "recipes": ()}
    shared |= {"cache": tmp_path / "cache", "device": "cpu", "protocol": FEW}
    (written,) = study(config=short, **shared)
    before = written.read_bytes()
    for changes in ({"init": tmp_path / "init"}, {"config": CONFIG}):
        with pytest.raises(InputError, match="stage-one-0 holds the finished"):
            study(**{"config": short, **shared, **changes})
    assert study(config=short, **shared) == [written]
    assert written.read_bytes() == before


def test_every_recipe_is_possible():
    for changes in room.RECIPES.values():
        assert room._changed(CONFIG, changes, seed=3).ra.seed == 3


def test_an_unknown_recipe_is_told(manifest, tmp_path):
    with pytest.raises(InputError, match="There is no recipe 'magic'; choose from ess-clap"):
        run(manifest, tmp_path, ["magic"])


def test_the_speech_encoder_must_be_still(manifest, tmp_path, monkeypatch):
    moving = replace(CONFIG, ra=replace(CONFIG.ra, speech_rate=1e-3))
    monkeypatch.setattr("test_study.CONFIG", moving)
    with pytest.raises(InputError, match=r"ra.speech_rate to 0"):
        run(manifest, tmp_path, ["ess-clap"])


def test_the_verb_tells_a_mistake_in_one_sentence(manifest, tmp_path, capsys):
    given = ["study", "--preset", "tiny", "--manifest", str(manifest), "--output", str(tmp_path)]
    assert main([*given, "--seeds", "0"]) == 2
    assert main([*given, "--recipe", "magic"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "--seeds is 0; it must be 1 or more."
    assert told[-1].startswith("There is no recipe 'magic'")
