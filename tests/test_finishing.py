"""The last stage, on a tiny model. Run: python -m pytest tests/test_finishing.py."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hums import hums
from safetensors.torch import load_file

from raclap import audio, finishing, glossary, metrics, negating, query
from raclap.__main__ import main
from raclap.config import InputError, preset
from raclap.corpus import read_manifest, write_manifest
from raclap.evidence import accounts, word_by_time
from raclap.finish import VOICES, expected, overruled
from raclap.finishing import finish, places
from raclap.model import RACLAP
from raclap.sayings import sayings
from raclap.train import train

pytestmark = pytest.mark.slow

FILES = [f"{part}.safetensors" for part in ("finish", "ear", "eye", "negation")]
TEXTS = ["an angry man, shouting", "a calm woman", "a person speaking", "a dejected man"]


@pytest.fixture(scope="module")
def few_descriptions():
    """What teaches an eye, and what tells denials, that need not know much."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_DRILLS", "_EYE_DRILLS", "_EYE_WHOLES", "_EYE_PARTS"):
            patch.setattr(finishing, name, 60)
        few, written = negating.sentences()[::300], sayings()[::100]
        patch.setattr(negating, "sentences", lambda: few)
        patch.setattr(finishing, "sayings", lambda: written)
        patch.setattr(negating, "_DRILLS", 20)
        patch.setattr(negating, "_PASSES", 1)
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory, few_descriptions):
    """A tiny model of both stages, with its clips; the last clip's corpus was left out."""
    home = tmp_path_factory.mktemp("finishing")
    clips = hums(home, ("train", "valid"))
    clips += [replace(c, corpus="others", id=f"o-{c.id}") for c in hums(home, ("train",))]
    write_manifest(clips, home / "manifest.csv")
    config = preset("tiny")
    few = replace(config.ess, epochs=3, same_corpus=0.0)
    shared = {"manifest": [home / "manifest.csv"], "cache": home / "cache"}
    shared |= {"config": replace(config, ess=few), "leave_out": ["others"]}
    train(stage="ess", output=home / "ess", **shared)
    train(stage="ra", output=home / "ra", init=home / "ess", **shared)
    finish(
        **{"manifest": [home / "manifest.csv"], "cache": home / "cache"},
        **{"init": home / "ra", "output": home / "done"},
    )
    return home


@pytest.fixture(scope="module")
def before(home):
    return RACLAP.from_pretrained(home / "ra")


@pytest.fixture(scope="module")
def after(home):
    return RACLAP.from_pretrained(home / "done")


@pytest.fixture(scope="module")
def clips(home):
    clips = [c for c in read_manifest(home / "manifest.csv") if c.corpus == "hums"]
    return [clip for clip in clips if clip.split == "train"]


def test_only_what_comes_after_the_towers_is_new(home, before, after):
    assert (before.finish, before.config.finished) == (None, False)
    assert after.config == replace(before.config, finished=True)
    assert after.fingerprint != before.fingerprint
    names = [path.name for path in (home / "ra").glob("*.safetensors")]
    assert not {*FILES} & {*names}
    for name in (*names, "training.json", "history.jsonl"):
        assert (home / "done" / name).read_bytes() == (home / "ra" / name).read_bytes()
    held = load_file(home / "done" / "finish.safetensors")
    assert {name.split(".")[0] for name in held} == {"finish"}
    assert held["finish.voices"].shape == (VOICES, before.dim)
    for part, begins in (("ear", "finish.ear."), ("eye", "finish.eye."), ("negation",) * 2):
        seen = load_file(home / "done" / f"{part}.safetensors")
        assert all(name.startswith(begins) for name in seen)
        assert not any(name.startswith(begins) for name in held)
        matrices = [name for name in seen if name.endswith(".weight")]
        assert {seen[name].dtype for name in matrices} == {torch.int8}


def test_what_tells_denials_makes_no_vector(home, before, after):
    text, words = "not angry, a calm man", [(0, 3), (4, 9), (11, 12), (13, 17), (18, 21)]
    shares = after.denied(text, words)
    assert shares.shape == (5, 2)
    assert shares.min() > 0
    assert shares.sum(1).max() < 1
    (states, places), *_ = after.token_states([text])
    assert len(states) == len(places)
    assert "".join(text[first:last] for first, last in places) == text.replace(" ", "")
    assert before.negation is None
    assert not after.denied(text, [(500, 505)]).any()
    assert after.denied(text, []).shape == (0, 2)
    other = after.copied()
    torch.nn.init.zeros_(other.negation.members[0].told[1].weight)
    assert other.fingerprint == after.fingerprint
    assert not np.array_equal(other.denied(text, words), shares)


def test_a_text_is_summed_up_whole_and_by_clauses(before):
    whole, clauses = "an angry man, shouting", ["an angry man", "shouting"]
    _, summaries = before.read([whole, "shouting"])
    with torch.inference_mode():
        pooled = before.pool_texts([whole, *clauses])
    expected = torch.stack(
        [torch.cat([pooled[0], pooled[1:].mean(0)]), torch.cat([pooled[2], pooled[2]])]
    )
    torch.testing.assert_close(summaries, expected, atol=1e-5, rtol=0)
    assert summaries.shape[1] == before.text.summary_width


def test_vectors_are_finished_wherever_they_are_made(before, after, clips):
    paths = [clip.path for clip in clips]
    with torch.inference_mode():
        frames = [before.speech.lower(audio.trim(audio.load(path))) for path in paths]
        heard = [(before.speech.pooled(each), each.prosody) for each in frames]
        summaries = [torch.cat(before.speech.summary(*each), dim=1) for each in heard]
        spoken = after.finish.speech(before.encode_speech(paths), torch.cat(summaries))
    torch.testing.assert_close(after.encode_speech(paths), spoken, atol=1e-5, rtol=0)
    told = torch.from_numpy(glossary.evidence(TEXTS))
    assert not told[:3].any()
    assert told[3].any()  # of this word the glossary knows more than training
    vectors, summaries = before.read(TEXTS)
    read = after.finish.told(vectors, summaries, told)
    said = after.finish.text(vectors, read).detach()
    torch.testing.assert_close(after.encode_text(TEXTS, lookup=False), said, atol=1e-5, rtol=0)
    known = overruled(read, torch.from_numpy(query.looked_up(TEXTS)))
    assert (known - read)[0].abs().max() > 0.01
    said = after.finish.text(vectors, expected(known)).detach()
    torch.testing.assert_close(after.encode_text(TEXTS), said, atol=1e-5, rtol=0)
    assert (after.encode_text(TEXTS) - before.encode_text(TEXTS)).abs().max() > 0.05
    assert (after.encode_speech(paths) - before.encode_speech(paths)).abs().max() > 0.05


def test_a_score_of_finished_vectors_is_accounted_for(after, clips):
    speech, text = after.encode_speech([clips[0].path]), after.encode_text([TEXTS[0]])
    score = float(speech @ text.T)
    found = accounts(after, speech.numpy(), TEXTS[0])[0]
    assert found.score == pytest.approx(score, abs=1e-5)
    relevance = word_by_time(after, audio.load(clips[0].path), TEXTS[0])
    assert relevance.score == pytest.approx(score, abs=1e-4)


def test_the_teacher_and_further_training_know_nothing_of_it(home, before, after):
    assert after.teacher.finish is None
    assert after.teacher.fingerprint == before.teacher.fingerprint
    torch.testing.assert_close(
        after.teacher.encode_text(TEXTS), before.teacher.encode_text(TEXTS), atol=0, rtol=0
    )
    after.teacher.save_pretrained(home / "teacher")
    alone = RACLAP.from_pretrained(home / "teacher")
    assert (alone.config, alone.fingerprint) == (before.config, before.teacher.fingerprint)
    assert after.config.finished  # still
    plain = after.unfinished()
    assert plain.fingerprint == before.fingerprint
    assert plain.teacher.fingerprint == before.teacher.fingerprint
    assert plain.unfinished() is plain
    assert torch.equal(plain.encode_text(TEXTS), before.encode_text(TEXTS))
    config = preset("tiny")
    train(
        config=replace(config, ra=replace(config.ra, epochs=1)),
        **{"stage": "ra", "output": home / "on", "init": home / "done", "cache": home / "cache"},
        **{"manifest": [home / "manifest.csv"], "leave_out": ["others"]},
    )
    on = RACLAP.from_pretrained(home / "on")
    assert (on.finish, on.teacher.fingerprint) == (None, before.fingerprint)


def test_finishing_again_gives_the_same(home):
    again = finish(
        **{"manifest": [home / "manifest.csv"], "cache": home / "cache"},
        **{"init": home / "done", "output": home / "again"},
    )
    assert again == {"clips": 8}  # what training left out is left out here
    for name in (*FILES, "checksums.json"):
        assert (home / "again" / name).read_bytes() == (home / "done" / name).read_bytes()


def test_the_command_finishes_and_says_what_it_needs(home, capsys):
    asked = ["train", "--stage", "finish", "--manifest", str(home / "manifest.csv")]
    asked += ["--output", str(home / "verb")]
    assert main([*asked, "--init", str(home / "ra")]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"checkpoint": str(home / "verb"), "stage": "finish", "clips": 8}
    assert RACLAP.from_pretrained(home / "verb").config.finished
    assert main(asked) == 2
    assert "--init" in capsys.readouterr().err
    assert main([*asked, "--init", str(home / "ra"), "--with-valid"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 16
    assert main([*asked, "--init", str(home / "ess"), "--with-valid", "--stage", "ra"]) == 2
    assert "stage finish alone" in capsys.readouterr().err
    assert main([*asked, "--init", str(home / "ra"), "--set", "ra.epochs=2"]) == 2
    assert "no settings" in capsys.readouterr().err


def test_the_valid_split_teaches_the_ear_alone(home, after):
    finish(
        **{"manifest": [home / "manifest.csv"], "cache": home / "cache", "valid": True},
        **{"init": home / "ra", "output": home / "more"},
    )
    more = RACLAP.from_pretrained(home / "more").finish.state_dict()
    differs = {name for name, was in after.finish.state_dict().items() if (was != more[name]).any()}
    # Of directions that nothing uses at all, as few clips leave them, any will do: they may turn.
    differs -= {"places", "spare"}
    assert differs
    assert {name.split(".")[0] for name in differs} == {"ear"}
    for name in FILES[1:]:
        same = (home / "more" / name).read_bytes() == (home / "done" / name).read_bytes()
        assert same == (name != "ear.safetensors")


def test_values_lie_the_nearer_the_more_they_agree():
    agreed = torch.from_numpy(metrics.AGREEMENTS).float()
    wanted = (agreed + agreed.diag().diag()) / 2  # half of it, but for a value with itself
    basis = torch.linalg.qr(torch.randn(90, 90, generator=torch.Generator().manual_seed(0))).Q
    told = places(basis[:64])  # more directions than values
    torch.testing.assert_close(told @ told.T, wanted, atol=1e-4, rtol=0)
    few = places(basis[:6])
    nearest = (few @ few.T - wanted).norm()
    rest = torch.linalg.eigvalsh(wanted)[:-6]  # what six directions cannot hold (Eckart & Young)
    torch.testing.assert_close(nearest, rest.norm(), atol=1e-3, rtol=0)


def test_no_training_clips_is_told_in_one_sentence(home, tmp_path):
    clips = read_manifest(home / "manifest.csv")
    write_manifest([c for c in clips if c.corpus == "others"], tmp_path / "m.csv")
    with pytest.raises(InputError, match="has 0 clips of known style"):
        finish(manifest=[tmp_path / "m.csv"], init=home / "ra", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_training_left_out_need_not_be_in_the_manifest(home, tmp_path):
    clips = [c for c in read_manifest(home / "manifest.csv") if c.corpus == "hums"]
    write_manifest(clips, tmp_path / "m.csv")
    finish(manifest=[tmp_path / "m.csv"], init=home / "ra", output=tmp_path / "out")
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (home / "done" / name).read_bytes()
    with pytest.raises(InputError, match="did not leave out hums"):
        finish(
            manifest=[tmp_path / "m.csv"],
            init=home / "ra",
            output=tmp_path / "no",
            leave_out=["hums"],
        )


def test_saving_unfinished_over_finished_leaves_nothing_of_it(before, after, tmp_path):
    after.save_pretrained(tmp_path)
    names = [tmp_path / name for name in FILES]
    assert all(path.is_file() for path in names)
    before.save_pretrained(tmp_path)
    assert not any(path.exists() for path in names)
    assert RACLAP.from_pretrained(tmp_path).fingerprint == before.fingerprint
