"""The whole house through the command line: train both stages, then use what came of it.

python -m pytest tests/test_train.py
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hums import history, hums
from safetensors.torch import load_file

from raclap import train as room
from raclap.__main__ import main
from raclap.config import Config, InputError, from_dict, preset
from raclap.corpus import read_manifest, write_manifest
from raclap.data import Features, batches
from raclap.index import Gallery
from raclap.model import RACLAP
from raclap.objective import Objective
from raclap.style import ATTRIBUTES

pytestmark = pytest.mark.slow


def run(*argv: object) -> dict:
    """Run a verb that must succeed; give its JSON."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in argv])
    assert code == 0, err.getvalue()
    return json.loads(out.getvalue())


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """Where it all happens; the cache of features lands here, too."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.chdir(home)
        yield home


@pytest.fixture(scope="module")
def manifest(home) -> Path:
    """Sixteen clips to train on, eight each to validate and to test: other speakers."""
    clips = hums(home, ("train", "train", "valid", "test"))
    write_manifest(clips, home / "manifest.csv")
    return home / "manifest.csv"


@pytest.fixture(scope="module")
def ess(home, manifest) -> dict:
    return run(
        *("train", "--preset", "tiny", "--stage", "ess", "--manifest", manifest),
        *("--output", home / "ess", "--set", "ess.epochs=40", "--set", "ess.same_corpus=0"),
        *("--set", "ess.partial=0", "--set", "ess.wordings=1"),
    )


@pytest.fixture(scope="module")
def ra(home, manifest, ess) -> dict:
    return run(
        *("train", "--preset", "tiny", "--stage", "ra", "--manifest", manifest),
        *("--output", home / "ra", "--init", home / "ess", "--set", "ra.epochs=5"),
        *("--set", "ra.partial=0", "--set", "ra.wordings=1"),
    )


@pytest.fixture(scope="module")
def gallery(home, manifest, ra) -> Path:
    run("index", manifest, "--output", home / "gallery", "--checkpoint", home / "ra")
    return home / "gallery"


# ---- training


def test_stage_one_learns(home, ess):
    assert (ess["checkpoint"], ess["stage"]) == (str(home / "ess"), "ess")
    losses = [row["loss"] for row in history(home / "ess") if "loss" in row]
    assert len(losses) == 8  # every tenth step of eighty
    assert losses[-1] < 0.6 * losses[0]
    valid = {row["epoch"]: row["valid"] for row in history(home / "ess") if "valid" in row}
    assert [*valid] == [*range(4, 41, 4)]
    best = max(figures["score"] for figures in valid.values())
    assert ess["score"] == best == valid[ess["epoch"]]["score"]
    assert {"hums/emotion", "hums/s2t", "hums/t2s", "score"} == valid[40].keys()


def test_stage_two_learns_from_stage_one(home, ess, ra):
    rows = [row for row in history(home / "ra") if "loss" in row]
    for row in rows:
        assert row["relation"] > 0
        assert row["loss"] == pytest.approx((row["contrastive"] + row["relation"]) / 2, abs=1e-4)
    student, teacher = (RACLAP.from_pretrained(home / name) for name in ("ra", "ess"))
    assert student.teacher.fingerprint == teacher.fingerprint != student.fingerprint
    assert teacher.teacher is None
    first = next(row for row in history(home / "ess") if "loss" in row)
    assert rows[-1]["contrastive"] < first["contrastive"]
    files = ("frozen", "frozen-text", "encoder")  # the speech encoder is still in stage two
    for file in (f"{name}.safetensors" for name in files):
        assert (home / "ess" / file).read_bytes() == (home / "ra" / file).read_bytes()


def test_stage_two_leaves_the_speech_encoder_alone(home, ra):
    before, after = (load_file(home / name / "model.safetensors") for name in ("ess", "ra"))
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed
    assert not {name for name in changed if "center" in name or "spread" in name}
    # A step moves the scale by less than the checkpoint's half precision may show.
    scales = [row["scale"] for row in history(home / "ra") if "scale" in row]
    start = float(before["log_scale"].float().exp())
    assert scales
    assert start not in [pytest.approx(scale, rel=1e-6) for scale in scales]


def settings_of(checkpoint):
    return from_dict(Config, room.training_of(checkpoint)["config"])


def test_a_checkpoint_knows_how_it_was_trained(home, ra):
    for stage in ("ess", "ra"):
        config = settings_of(home / stage)
        assert config.model == preset("tiny").model
        assert json.loads((home / stage / "training.json").read_text())["stage"] == stage
        assert not (home / stage / "resume").exists()
    assert settings_of(home / "ess").ess.epochs == 40


def test_a_run_can_add_levels_to_what_it_starts_from(home, manifest, ess):
    run(
        *("train", "--preset", "tiny", "--stage", "ra", "--manifest", manifest),
        *("--output", home / "able", "--init", home / "ess", "--set", "ra.epochs=1"),
        *("--set", "model.speech.levels=true"),
    )
    able, before = (RACLAP.from_pretrained(home / name) for name in ("able", "ess"))
    assert able.config.speech.levels
    assert not before.config.speech.levels
    name = "speech.prosody.0.weight"
    known, found = before.state_dict()[name], able.state_dict()[name]
    assert found[:, known.shape[1] :].abs().max() > 0  # heeded
    assert able.teacher.state_dict()[name][:, known.shape[1] :].abs().max() == 0


def test_a_corpus_that_is_left_out_is_not_heard(home, manifest, ess, monkeypatch, capsys):
    clips = [
        replace(clip, corpus="calls" if clip.emotion == "calm" else "hums")
        for clip in read_manifest(manifest)
    ]
    write_manifest(clips, home / "two.csv")
    heard = []

    def features(tower, known, *rest, **more):
        heard.extend(known)
        return Features(tower, known, *rest, **more)

    monkeypatch.setattr(room, "Features", features)
    given = ("train", "--preset", "tiny", "--manifest", home / "two.csv", "--leave-out", "calls")
    short = ("--stage", "ess", "--set", "ess.epochs=1", "--output", home / "left")
    run(*given, *short)
    assert len(heard) == 18  # three emotions of four, two genders, three speakers
    assert {clip.corpus for clip in heard} == {"hums"}
    assert json.loads((home / "left" / "training.json").read_text())["left_out"] == ["calls"]
    last = ("--stage", "ra", "--set", "ra.epochs=1", "--output", home / "left-ra", "--init")
    run(*given, *last, home / "left")
    assert main([str(word) for word in (*given, *last, home / "ess")]) == 2
    assert "did not leave out calls" in capsys.readouterr().err
    assert main([str(word) for word in (*given, "--leave-out", "shouts", *short)]) == 2
    assert "'shouts'" in capsys.readouterr().err


def test_eight_clips_are_learnt_by_heart(home, manifest):
    few = [clip for clip in read_manifest(manifest) if clip.id.endswith("0")]
    write_manifest(few, home / "few.csv")
    settings = replace(preset("tiny").ess, epochs=60, partial=0.0, wordings=1, same_corpus=0.0)
    given = [
        word
        for name in ("epochs", "partial", "wordings", "same_corpus")
        for word in ("--set", f"ess.{name}={getattr(settings, name)}")
    ]
    run(
        *("train", "--preset", "tiny", "--stage", "ess", "--manifest", home / "few.csv"),
        *("--output", home / "few", *given),
    )
    torch.manual_seed(settings.seed)
    untrained, trained = RACLAP.create(preset("tiny").model), RACLAP.from_pretrained(home / "few")
    features = Features(untrained.speech, few, room.CACHE, workers=0)
    (batch,) = batches(features, features.rows, settings, epoch=0)
    with torch.no_grad():
        before, after = (
            model(
                batch.frames.on(model.device),
                model.pool_texts([each.text for each in batch.descriptions]),
            )
            for model in (untrained, trained)
        )
    for logits in (after.logits, after.logits.T):
        assert logits.argmax(-1).equal(torch.arange(8))  # R@1 is 1
    assert (before.logits.argmax(-1) == torch.arange(8)).float().mean() < 0.5


# ---- a run that is killed


class KilledError(Exception):
    """Stands in for a kill."""


@pytest.mark.parametrize("stage", ["ess", "ra"])
@pytest.mark.parametrize("after", [1, 3])  # in the middle of an epoch, each
def test_a_killed_run_goes_on_to_the_same_weights(home, manifest, ess, monkeypatch, stage, after):
    config = preset("tiny")
    dropout = replace(config.model.speech, dropout=0.2)
    config = replace(
        config,
        model=replace(config.model, speech=dropout),
        **{stage: replace(getattr(config, stage), epochs=3, same_corpus=0.0, average=0.9)},
    )
    calls = itertools.count()
    forward = Objective.__call__

    def killed(*args):
        if next(calls) == after:
            raise KilledError
        return forward(*args)

    def start(output):
        given = {"manifest": [manifest], "init": home / "ess" if stage == "ra" else None}
        return room.train(config=config, stage=stage, output=output, **given)

    whole, parted = (home / f"{stage}-{after}-{name}" for name in ("whole", "parted"))
    expected = start(whole)
    monkeypatch.setattr(room, "_SAVE_SECONDS", -1)  # keep a point after every step
    monkeypatch.setattr(Objective, "__call__", killed)
    with pytest.raises(KilledError):
        start(parted)
    state = torch.load(parted / "resume" / "state.pt", weights_only=True)
    assert state["place"]["steps"] == after
    assert start(parted) == expected
    for name in ("model", "frozen"):
        files = [load_file(folder / f"{name}.safetensors") for folder in (whole, parted)]
        bits = [torch.cat([at[name].flatten() for name in files[0]]) for at in files]
        # The teacher meets its texts beside others, for which their last bits may differ.
        apart = (bits[0].view(torch.int16).int() - bits[1].view(torch.int16).int()).abs()
        assert apart.max() <= 1
        assert apart.float().mean() < 1e-3
    assert next(calls) == 6 + 1  # two steps an epoch; the killed one was tried twice
    scores = [[row["valid"] for row in history(at) if "valid" in row] for at in (whole, parted)]
    assert scores[0] == scores[1]


def test_other_settings_do_not_go_on(home, manifest, monkeypatch):
    def start(epochs):
        config = preset("tiny")
        config = replace(config, ess=replace(config.ess, epochs=epochs))
        room.train(config=config, stage="ess", manifest=[manifest], output=home / "other")

    def killed(*_):
        raise KilledError

    monkeypatch.setattr(room, "_SAVE_SECONDS", -1)
    with monkeypatch.context() as patch:
        patch.setattr(room, "validate", killed)
        with pytest.raises(KilledError):
            start(2)
    with pytest.raises(InputError, match="unfinished run with other settings"):
        start(3)


@pytest.mark.parametrize("change", ["clips", "a label", "shape", "start", "fresh text"])
def test_what_a_run_is_of_does_not_change_underway(home, manifest, ess, monkeypatch, change):
    clips, config = read_manifest(manifest), preset("tiny")
    given = {"stage": "ess", "output": home / f"other {change}", "init": None}
    if change in ("start", "fresh text"):
        given["init"] = home / "ess"
    write_manifest(clips, home / "of.csv")

    def killed(*_):
        raise KilledError

    def start(**changes):
        room.train(**{"config": config, "manifest": [home / "of.csv"], **given, **changes})

    monkeypatch.setattr(room, "_SAVE_SECONDS", -1)
    with monkeypatch.context() as patch:
        patch.setattr(room, "validate", killed)
        with pytest.raises(KilledError):
            start()
    changes = {}
    if change == "clips":
        write_manifest([replace(clip, id=f"other/{clip.id}") for clip in clips], home / "of.csv")
    elif change == "a label":
        write_manifest([replace(clips[0], emotion="bored"), *clips[1:]], home / "of.csv")
    elif change == "shape":
        changes = {"config": replace(config, model=replace(config.model, dim=24))}
    elif change == "start":
        torch.manual_seed(9)
        RACLAP.create(config.model).save_pretrained(home / "another")
        changes = {"init": home / "another"}
    else:
        changes = {"fresh_text": True}
    with pytest.raises(InputError, match="unfinished run with other settings"):
        start(**changes)


def test_a_finished_checkpoint_is_not_lost(home, manifest, ess, capsys):
    kept, tiny = home / "kept", ("--preset", "tiny", "--set", "ess.epochs=1")
    short = ("train", "--manifest", manifest, "--output", kept, "--stage")
    run(*short, "ess", *tiny)
    before = {path: path.read_bytes() for path in kept.rglob("*.*")}
    write_manifest(read_manifest(manifest)[1:], home / "fewer.csv")
    for words in (
        ("ess", *tiny, "--set", "ess.seed=7"),
        ("ess", *tiny, "--init", home / "ess"),
        ("ess", *tiny, "--manifest", home / "fewer.csv"),
        ("ra", *tiny, "--init", home / "ess"),
        ("ra", *tiny, "--init", kept),
        ("finish", "--init", home / "ess"),
        ("finish", "--init", kept),
    ):
        assert main([str(word) for word in (*short, *words)]) == 2
        assert "would be lost; choose another output" in capsys.readouterr().err.splitlines()[-1]
    assert {path: path.read_bytes() for path in kept.rglob("*.*")} == before
    run(*short, "ess", *tiny)  # the same comes out the same
    assert {path: path.read_bytes() for path in kept.rglob("*.*")} == before


def test_a_loss_that_diverges_is_told(home, manifest):
    config = preset("tiny")
    rates = dict.fromkeys(("head_rate", "speech_rate", "text_rate"), 1e12)
    config = replace(config, ess=replace(config.ess, epochs=9, **rates))
    with pytest.raises(
        InputError, match=r"diverged at step \d.* loss is nan; lower ess\.head_rate"
    ):
        room.train(config=config, stage="ess", manifest=[manifest], output=home / "far")


def test_vectors_that_the_last_step_spoilt_are_told(home, manifest, monkeypatch):
    config = preset("tiny")
    config = replace(config, ess=replace(config.ess, epochs=1))
    monkeypatch.setattr(room, "embed", lambda *_: torch.full((8, 16), torch.nan))
    with pytest.raises(InputError, match=r"diverged at step \d, where the vectors are not"):
        room.train(config=config, stage="ess", manifest=[manifest], output=home / "spoilt")


def test_a_training_without_a_step_is_told(home, manifest):
    clips = read_manifest(manifest)
    clips = [replace(clip, corpus=clip.id) for clip in clips if clip.split == "train"]
    write_manifest(clips, home / "apart.csv")
    config = preset("tiny")
    config = replace(config, ess=replace(config.ess, same_corpus=1.0))
    with pytest.raises(InputError, match=r"No two of the 16 .* ess\.same_corpus"):
        room.train(config=config, stage="ess", manifest=[home / "apart.csv"], output=home / "none")


# ---- mistakes


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--stage", "ra"], "give its checkpoint with --init"),
        (["--stage", "ess", "--set", "ess.epoch=3"], "did you mean 'epochs'"),
        (["--stage", "ra", "--init", "nowhere"], "There is no checkpoint nowhere"),
        (["--stage", "ess", "--fresh-text"], "give it as --init"),
        (["--stage", "finish", "--init", "ess"], "leave out --preset"),
    ],
)
def test_a_mistake_is_one_sentence(home, manifest, capsys, words, sentence):
    argv = ["train", "--preset", "tiny", "--manifest", str(manifest), "--output", "out", *words]
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert not out
    assert sentence in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize("text", ["{", "[]", '{"stage": "ess"}', "\x80"])
def test_a_damaged_record_is_told(tmp_path, text):
    (tmp_path / "training.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"training\.json is damaged"):
        room.check_start(tmp_path, [], tmp_path / "out")


def test_what_is_fresh_needs_something_to_start_from(home, manifest):
    with pytest.raises(InputError, match="give one as init"):
        room.train(
            **{"config": preset("tiny"), "stage": "ess", "manifest": [manifest]},
            **{"output": home / "fresh", "fresh_text": True},
        )


def test_too_few_clips_are_told(home, manifest, capsys):
    alone = [clip for clip in read_manifest(manifest) if clip.split != "train"]
    write_manifest(alone, home / "alone.csv")
    argv = ["train", "--preset", "tiny", "--stage", "ess", "--manifest", str(home / "alone.csv")]
    assert main([*argv, "--output", "out"]) == 2
    assert "has 0 clips of known style whose split is train" in capsys.readouterr().err


# ---- using what was trained


def test_the_gallery_is_searched_by_description(home, manifest, gallery):
    model, clips = RACLAP.from_pretrained(home / "ra"), read_manifest(manifest)
    text = "an Angry woman, shoutting"
    expected = (model.encode_speech([c.path for c in clips]) @ model.encode_text([text])[0]).numpy()
    order = np.argsort(-expected)
    found = run(*("search", text, "--gallery", gallery, "--top", 40, "--checkpoint", home / "ra"))
    assert found["query"] == text
    assert [hit["rank"] for hit in found["hits"]] == [*range(1, 33)]
    assert [hit["score"] for hit in found["hits"]] == pytest.approx(expected[order], abs=1e-4)
    for hit in found["hits"]:
        clip = next(clip for clip in clips if clip.id == hit["id"])
        assert hit["score"] == pytest.approx(expected[clips.index(clip)], abs=1e-4)
        assert (hit["emotion"], hit["gender"]) == (clip.emotion, clip.gender)


def test_a_clip_finds_itself_first(home, manifest, gallery):
    clip = read_manifest(manifest)[5]
    found = run(
        *("search", "--clip", clip.path, "--gallery", gallery, "--checkpoint", home / "ra"),
        *("--where", f"emotion={clip.emotion}"),
    )
    assert found["hits"][0]["id"] == clip.id
    assert found["hits"][0]["score"] == pytest.approx(1, abs=1e-3)
    assert {hit["emotion"] for hit in found["hits"]} == {clip.emotion}


def test_another_models_gallery_is_refused(home, gallery, capsys):
    argv = ["search", "sad", "--gallery", str(gallery), "--checkpoint", str(home / "ess")]
    assert main(argv) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_clip_is_described(home, manifest, ra):
    clip = next(c for c in read_manifest(manifest) if c.id == "female-angry-0")
    found = run("describe", clip.path, "--checkpoint", home / "ra", "--top", 3)
    assert found["attributes"].keys() == set(ATTRIBUTES)
    for shares in found["attributes"].values():
        assert sum(shares.values()) == pytest.approx(1)
    assert found["levels"]["pitch"]["number"] == pytest.approx(275, rel=0.03)
    assert found["seconds"] == pytest.approx(0.9)
    assert [each["rank"] for each in found["descriptions"]] == [1, 2, 3]


def test_vectors_are_the_same_from_everywhere(home, manifest, gallery):
    clips = read_manifest(manifest)[:3]
    given = ("--checkpoint", home / "ra", "--output")
    run("embed", "--clips", *(clip.path for clip in clips), *given, home / "v.npz")
    vectors = np.load(home / "v.npz")["vectors"]
    model = RACLAP.from_pretrained(home / "ra")
    batch = model.encode_speech([clip.path for clip in clips]).numpy()
    assert (vectors * batch).sum(1).min() > 0.9999
    loaded = Gallery.load(gallery)
    scores, rows = loaded.search(vectors, 1)
    assert [loaded.clips[row].id for row in rows[:, 0]] == [clip.id for clip in clips]
    assert scores.min() > 0.9999
    (home / "texts.txt").write_text("a sad man\nan angry woman\n")
    run("embed", "--texts", home / "texts.txt", *given, home / "t.npz")
    texts = model.encode_text(["a sad man", "an angry woman"]).numpy()
    assert (np.load(home / "t.npz")["vectors"] * texts).sum(1).min() > 0.9999


def test_the_benchmark_reports_on_the_test_split(home, manifest, ra):
    found = run(
        *("evaluate", "--checkpoint", home / "ra", "--manifest", manifest),
        *("--output", home / "report.json"),
    )
    report = json.loads((home / "report.json").read_text())
    assert report["about"]["checkpoint"] == RACLAP.from_pretrained(home / "ra").fingerprint
    assert found["clips"] == 8
    figures = report["zero_shot"]["hums"]["emotion"]
    assert 0 <= figures["low"] <= figures["mean"] <= figures["high"] <= 1
    paired = report["paired"]["hums"]["text_to_speech"]
    assert paired["r1"]["mean"] <= paired["r5"]["mean"] <= paired["r10"]["mean"] == 1  # of eight
