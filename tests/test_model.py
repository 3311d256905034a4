"""Encoding, saving and loading of a tiny model. Run: python -m pytest tests/test_model.py."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors.torch import load_file, save_file
from stub import write_voice
from torch.nn.functional import normalize
from transformers import BertModel

import raclap.model
from raclap import audio, weights
from raclap.config import (
    PROSODY_ALONE,
    InputError,
    ModelConfig,
    SpeechConfig,
    TextConfig,
    preset,
)
from raclap.model import RACLAP

PARTS = ("frozen", "encoder", "model")
WEIGHTS = [f"{part}{tower}.safetensors" for part in PARTS for tower in ("", "-text")]
TEXTS = ["an angry man, shouting", "a calm woman", "someone whispers fast, frightened and low"]


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    told = ((110, 0.4), (180, 1.3), (260, 0.9))
    return [write_voice(folder / f"{f0}.wav", f0, seconds) for f0, seconds in told]


def make(voices, seed=0):
    torch.manual_seed(seed)
    model = RACLAP.create(preset("tiny").model)
    with torch.no_grad():
        frames = [model.speech.lower(audio.load(path)) for path in voices]
        pooled = torch.cat([model.speech.pooled(each) for each in frames])
        model.speech.calibrate(pooled, torch.cat([each.prosody for each in frames]))
    return model


@pytest.fixture(scope="module")
def model(voices):
    return make(voices)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def checkpoint(saved, tmp_path):
    """A copy of the checkpoint to damage."""
    return shutil.copytree(saved, tmp_path / "checkpoint")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Nothing here may reach for the hub."""

    def reach(*_, **__):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(PyTorchModelHubMixin, "push_to_hub", reach)
    monkeypatch.setattr(raclap.model, "snapshot_download", reach)


# ---- encoding


def test_vectors_are_unit_float32(model, voices):
    for vectors in (model.encode_speech(voices), model.encode_text(TEXTS)):
        assert (vectors.shape, vectors.dtype) == ((3, model.dim), torch.float32)
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(3))
        assert (vectors @ vectors.T).fill_diagonal_(0).max() < 0.999


def test_encoding_twice_is_identical_to_the_bit(model, voices):
    assert model.encode_speech(voices).equal(model.encode_speech(voices))
    assert model.encode_text(TEXTS).equal(model.encode_text(TEXTS))


def test_alone_as_in_a_batch(model, voices):
    alone = torch.cat([model.encode_speech([path]) for path in voices])
    for together in (model.encode_speech(voices), model.encode_speech(voices[::-1]).flip(0)):
        assert (alone * together).sum(-1).min() > 0.9999
    alone = torch.cat([model.encode_text([text]) for text in TEXTS])
    assert (alone * model.encode_text(TEXTS)).sum(-1).min() > 0.9999


def test_more_clips_than_one_pass_holds(model, voices):
    many = model.encode_speech(voices * 7)
    assert (many * model.encode_speech(voices).repeat(7, 1)).sum(-1).min() > 0.9999


def test_a_path_is_the_same_as_its_waveform(model, voices):
    found = model.encode_speech([voices[0]])
    assert found.equal(model.encode_speech([str(voices[0])]))
    assert found.equal(model.encode_speech([audio.load(voices[0])]))


def test_silence_at_the_ends_does_not_matter(model, voices):
    waveform = audio.load(voices[1])
    found = [model.encode_speech([np.pad(waveform, width)]) for width in (1_600, 16_000)]
    assert found[0].equal(found[1])  # 0.1 s stay in either case


def test_beyond_15_seconds_windows_are_averaged(model, voices):
    waveform = np.concatenate([np.tile(audio.load(path), 12) for path in voices])
    assert 30 < len(waveform) / audio.RATE_HZ < 45
    pieces = np.array_split(waveform, 3)
    expected = normalize(model.encode_speech(pieces).mean(0), dim=-1)
    assert model.encode_speech([waveform])[0] @ expected > 0.9999
    assert model.encode_speech([waveform[: 15 * audio.RATE_HZ]])[0] @ expected < 0.9999


@pytest.mark.parametrize(
    "text",
    [
        "An ANGRY man, SHOUTING",
        "  an angry\n man,\tshouting ",
        "an angery man, shouting",
        "an angry man, shoutting",
    ],
)
def test_case_space_and_typos_do_not_matter(model, text):
    assert model.clean(text) == model.clean(TEXTS[0])
    # To the last bit it is the same only where both lie alike in memory.
    same = model.encode_text(TEXTS[:1])
    torch.testing.assert_close(model.encode_text([text]), same, atol=1e-6, rtol=0)


@pytest.mark.parametrize("text", ["", "🙂", "声を聞く", "a " * 5_000])
def test_odd_texts_have_a_vector(model, text):
    assert model.encode_text([text]).norm() == pytest.approx(1, abs=1e-5)


def test_a_bare_string_or_array_is_a_type_error(model, voices):
    with pytest.raises(TypeError, match=r"encode_text\(\[text\]\)"):
        model.encode_text("an angry man")
    for clip in (str(voices[0]), voices[0], audio.load(voices[0])):
        with pytest.raises(TypeError, match=r"encode_speech\(\[clip\]\)"):
            model.encode_speech(clip)


def test_nothing_gives_nothing(model):
    assert model.encode_text([]).shape == model.encode_speech([]).shape == (0, model.dim)


def test_a_clip_that_cannot_be_read_is_named(model, voices, tmp_path):
    (tmp_path / "note.wav").write_text("not audio")
    with pytest.raises(InputError, match=r"note\.wav"):
        model.encode_speech([voices[0], tmp_path / "note.wav"])


def test_the_scale_is_the_inverse_temperature_and_stays_in_bounds(model, voices):
    assert model.scale == pytest.approx(1 / model.config.temperature)
    other = make(voices)
    for value, bound in ((99.0, 100.0), (-5.0, 1.0)):
        other.log_scale.data.fill_(value)
        other.clamp_scale()
        assert other.scale == pytest.approx(bound, rel=1e-5)


def test_training_sees_what_encoding_gives(model, voices):
    frames = raclap.model.Frames.collate(
        [model.speech.lower(audio.trim(audio.load(path))) for path in voices]
    )
    with torch.no_grad():
        out = model(frames, model.pool_texts(TEXTS))
    assert (out.speech * model.encode_speech(voices)).sum(-1).min() > 0.9999
    whole = model.encode_text(TEXTS)[1]  # the one text of a single clause
    assert (out.text[1] * whole).sum() > 0.9999
    torch.testing.assert_close(out.logits, model.scale * out.speech @ out.text.T)


def test_a_description_is_its_whole_and_its_clauses(model):
    text = "A calm woman, speaking slowly and with a deep voice."
    parts = ["A calm woman", "speaking slowly", "a deep voice"]
    whole = model(model_frames(model), model.pool_texts([text])).text[0].detach()
    each = model.encode_text(parts)  # of one clause each, so as they are
    expected = torch.nn.functional.normalize(
        whole + model.config.text.clauses * each.mean(0), dim=0
    )
    torch.testing.assert_close(model.encode_text([text])[0], expected, atol=1e-5, rtol=1e-4)


def model_frames(model):
    """Some clip: the text side does not depend on it."""
    return raclap.model.Frames.collate([model.speech.lower(np.zeros(8000, np.float32))])


# ---- saving and loading


def test_a_checkpoint_gives_the_same_vectors(model, saved, voices, tmp_path):
    loaded = RACLAP.from_pretrained(str(saved))
    # Half precision costs a random head, calibrated on three clips, up to 0.0006.
    assert (loaded.encode_speech(voices) * model.encode_speech(voices)).sum(-1).min() > 0.999
    assert (loaded.encode_text(TEXTS) * model.encode_text(TEXTS)).sum(-1).min() > 0.9999
    assert not loaded.training
    loaded.save_pretrained(tmp_path)
    again = RACLAP.from_pretrained(tmp_path)
    assert again.encode_speech(voices).equal(loaded.encode_speech(voices))
    assert again.encode_text(TEXTS).equal(loaded.encode_text(TEXTS))
    assert again.scale == loaded.scale
    assert again.config == loaded.config == model.config
    assert again.fingerprint == loaded.fingerprint == model.fingerprint


def test_the_fingerprint_names_the_weights(model, voices):
    assert make(voices, seed=1).fingerprint != model.fingerprint
    changed = model.copied()
    assert changed.fingerprint == model.fingerprint
    changed = model.copied()
    changed.speech.center[0, 0, 0] += 1
    assert changed.fingerprint != model.fingerprint


def test_weights_are_halves_and_every_one_has_its_file(model, saved):
    held = [load_file(saved / name) for name in WEIGHTS]
    assert sum(map(len, held)) == len(model.state_dict())
    assert {name for each in held for name in each} == model.state_dict().keys()
    assert {tensor.dtype for each in held for tensor in each.values()} == {torch.float16}
    frozen, _, trained, *_ = held
    assert "speech.backbone.encoder.layers.0.fc1.weight" in frozen
    assert "speech.backbone.encoder.layers.1.fc1.weight" in trained
    assert not [path for path in saved.iterdir() if path.suffix == ".part"]


def test_more_texts_than_one_pass_holds(model):
    many = [f"a {word} voice number {i}" for i, word in enumerate(["calm", "very angry"] * 20)]
    alone = torch.cat([model.encode_text([text]) for text in many])
    assert (alone * model.encode_text(many)).sum(-1).min() > 0.9999


def test_texts_in_one_row_do_not_see_each_other(model):
    long = "a frightened woman " * 6
    texts = ["sad", long, "a calm man", "an angry one", long + "whispers", *["loud"] * 60]
    alone = torch.cat([model.pool_texts([text]) for text in texts])
    torch.testing.assert_close(model.pool_texts(texts), alone, rtol=1e-4, atol=1e-5)


def test_what_is_frozen_does_not_depend_on_the_stage(model):
    """Stage two stops the speech encoder; its upper layers were trained all the same."""
    later = model.copied()
    assert later.frozen_names() == model.frozen_names()


@pytest.mark.parametrize("name", ["config.json", "frozen.safetensors", "model.safetensors"])
def test_a_missing_file_is_named(checkpoint, name):
    (checkpoint / name).unlink()
    with pytest.raises(InputError, match=f"has no {name}; copy it whole"):
        RACLAP.from_pretrained(str(checkpoint))


@pytest.mark.parametrize(
    "name", [name for name in WEIGHTS if name not in ("frozen.safetensors", "model.safetensors")]
)
@pytest.mark.parametrize("summed", [True, False])
def test_missing_weights_of_any_shard_are_told(checkpoint, name, summed):
    (checkpoint / name).unlink()
    if not summed:
        (checkpoint / "checksums.json").unlink()
    tower = "text" if "text" in name else "speech"
    with pytest.raises(InputError, match=f"is damaged .({name}|Error.*{tower})"):
        RACLAP.from_pretrained(str(checkpoint))


def merge(folder, into, *names):
    """Put the weights of several files into one of them."""
    held = {}
    for name in names:
        held |= load_file(folder / f"{name}.safetensors")
        (folder / f"{name}.safetensors").unlink()
    save_file(held, folder / f"{into}.safetensors")


@pytest.mark.parametrize("towers", [("",), ("", "-text")], ids=["two files", "four files"])
def test_a_checkpoint_of_fewer_files_is_read_as_before(checkpoint, model, towers):
    """As checkpoints were: trained layers beside the heads, once both towers in the same files."""
    for tower in ("", "-text"):
        merge(checkpoint, f"model{tower}", f"encoder{tower}", f"model{tower}")
    if len(towers) == 1:
        for part in ("frozen", "model"):
            merge(checkpoint, part, part, f"{part}-text")
    (checkpoint / "checksums.json").unlink()
    assert RACLAP.from_pretrained(str(checkpoint)).fingerprint == model.fingerprint


def test_each_part_of_each_tower_has_a_file_of_its_own(saved):
    encoders = ("speech.backbone.", "text.encoder.")
    for name in WEIGHTS:
        held = load_file(saved / name)
        assert held
        assert {weight.startswith("text.") for weight in held} == {"text" in name}
        inside = {weight.startswith(encoders) for weight in held}
        assert inside == {not name.startswith("model")}


def test_a_head_that_is_trained_leaves_the_other_files_as_they_are(model, saved, tmp_path):
    trained = model.copied()
    with torch.no_grad():
        trained.speech.projection[1].weight.mul_(1.5)
    trained.save_pretrained(tmp_path)
    changed = [n for n in WEIGHTS if (tmp_path / n).read_bytes() != (saved / n).read_bytes()]
    assert changed == ["model.safetensors"]


def test_a_missing_tokenizer_is_named(checkpoint):
    shutil.rmtree(checkpoint / "tokenizer")
    with pytest.raises(InputError, match="has no tokenizer"):
        RACLAP.from_pretrained(str(checkpoint))


def drop(weights):
    weights.popitem()


def add(weights):
    weights["speech.extra"] = torch.zeros(3)


def reshape(weights):
    weights["speech.projection.1.weight"] = torch.zeros(2, 2)


@pytest.mark.parametrize("change", [drop, add, reshape])
def test_weights_are_loaded_strictly(checkpoint, change):
    weights = load_file(checkpoint / "model.safetensors")
    change(weights)
    save_file(weights, checkpoint / "model.safetensors")
    with pytest.raises(InputError, match="is damaged") as error:
        RACLAP.from_pretrained(str(checkpoint))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("left", [0, 5, 2_000])
def test_truncated_weights_are_told(checkpoint, name, left):
    whole = (checkpoint / name).read_bytes()
    (checkpoint / name).write_bytes(whole[:left])
    with pytest.raises(InputError, match="is damaged"):
        RACLAP.from_pretrained(str(checkpoint))


def test_an_unknown_setting_is_told(checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    config["model"]["dims"] = 3
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="no setting 'dims'; did you mean 'dim'"):
        RACLAP.from_pretrained(str(checkpoint))


# ---- teacher


def test_the_teacher_is_kept_in_checkpoints(model, voices, tmp_path):
    student = make(voices)
    student.keep_teacher(model.copied())
    with torch.no_grad():
        student.text.projection[0].weight.mul_(1.5)
    student.save_pretrained(tmp_path)
    loaded = RACLAP.from_pretrained(tmp_path)
    teacher = loaded.teacher
    assert teacher.fingerprint == model.fingerprint
    assert loaded.fingerprint == student.fingerprint != model.fingerprint
    assert (teacher.encode_text(TEXTS) * model.encode_text(TEXTS)).sum(-1).min() > 0.9999
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert any(parameter.requires_grad for parameter in loaded.parameters())
    assert not any("teacher" in name for name, _ in loaded.named_modules())
    assert list(load_file(tmp_path / "teacher.safetensors")) == ["text.projection.0.weight"]
    own, its = loaded.state_dict(), teacher.state_dict()
    shared = {name for name in own if own[name].data_ptr() == its[name].data_ptr()}
    assert set(own) - shared == {"text.projection.0.weight"}  # what differs is all it costs
    student.keep_teacher(None)
    student.save_pretrained(tmp_path)
    assert RACLAP.from_pretrained(tmp_path).teacher is None


def test_a_teacher_differs_by_no_more_than_the_sign_of_a_zero(voices, tmp_path):
    """Training can leave a number so small that half precision keeps its sign alone."""
    student = make(voices)
    with torch.no_grad():
        student.text.projection[0].bias[0] = 0.0
    student.keep_teacher(student.copied())
    with torch.no_grad():
        student.text.projection[0].bias[0] = -1e-9
    student.save_pretrained(tmp_path)
    loaded = RACLAP.from_pretrained(tmp_path)
    assert loaded.teacher.fingerprint == student.teacher.fingerprint != loaded.fingerprint


def test_the_text_tower_starts_again_and_the_speech_tower_stays(model, voices):
    tuned, text = model.copied(), replace(preset("tiny").model.text, hidden=24)
    with torch.no_grad():
        for parameter in tuned.parameters():
            parameter.add_(0.1)
    fresh = tuned.with_fresh_text(text)
    assert torch.equal(fresh.encode_speech(voices), tuned.encode_speech(voices))
    assert fresh.scale == tuned.scale
    assert fresh.config == replace(tuned.config, text=text)
    assert fresh.text.projection[0].weight.shape[0] == 24
    assert fresh.teacher is None


def test_a_model_can_gain_levels_and_hears_as_before_until_it_trains(model, voices, tmp_path):
    able = model.with_levels()
    assert able.config.speech.levels
    assert able.with_levels() is able
    assert not model.config.speech.levels
    heard = able.encode_speech(voices)
    torch.testing.assert_close(heard, model.encode_speech(voices))
    torch.testing.assert_close(able.encode_text(TEXTS), model.encode_text(TEXTS))
    with torch.no_grad():  # as training may
        able.speech.prosody[0].weight[:, -11:].normal_()
    assert (able.encode_speech(voices) - heard).abs().max() > 1e-3
    able.save_pretrained(tmp_path)
    read = RACLAP.from_pretrained(tmp_path)
    assert read.config == able.config
    assert read.fingerprint == able.fingerprint


def test_fresh_heads_stand_over_the_same_encoders(model):
    torch.manual_seed(1)
    new = model.with_fresh_heads()
    torch.manual_seed(2)
    other = new.with_fresh_heads()
    start, found, again = (each.state_dict() for each in (model, new, other))
    kept = {name for name in start if ".encoder." in name or name.endswith(("center", "spread"))}
    assert all(torch.equal(start[name], found[name]) for name in kept)
    heads = [name for name in start if ".projection." in name and name.endswith("weight")]
    assert len(heads) == 4
    for name in heads:
        assert not torch.equal(start[name], found[name])
        assert not torch.equal(again[name], found[name])


def test_fresh_heads_and_levels_stand_over_the_towers_of_a_finished_model(voices):
    done = RACLAP.create(replace(preset("tiny").model, finished=True)).eval()
    assert done.with_fresh_heads().finish is None
    able = done.with_levels().eval()
    assert able.finish is None
    assert able.config.speech.levels
    torch.testing.assert_close(able.encode_speech(voices), done.unfinished().encode_speech(voices))


def test_many_clips_are_heard_some_at_a_time(model, voices, monkeypatch):
    together = model.encode_speech(voices)
    monkeypatch.setattr("raclap.model._CLIPS_HELD", 2)
    assert torch.equal(model.encode_speech(voices), together)
    assert model.encode_speech([]).shape == (0, model.dim)


def test_fresh_heads_may_heed_other_hidden_states(model, voices):
    deaf = model.with_fresh_heads(PROSODY_ALONE)
    assert deaf.config.speech.layers == PROSODY_ALONE
    before = deaf.encode_speech(voices)
    with torch.no_grad():
        for parameter in deaf.speech.backbone.parameters():
            parameter.add_(1.0)
    torch.testing.assert_close(deaf.encode_speech(voices), before)


def test_the_head_of_the_speech_tower_is_averaged_and_nothing_else(model):
    one, other = model.copied(), model.copied()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.5)
    before, name = one.fingerprint, "speech.projection.1.weight"
    one.average_speech(other)
    found, start = one.state_dict(), model.state_dict()
    changed = {n for n in found if not torch.equal(found[n], start[n])}
    head = {n for n, _ in one.speech.named_parameters() if not n.startswith("backbone.")}
    assert changed == {f"speech.{n}" for n in head}
    torch.testing.assert_close(found[name], start[name] + 0.25)
    assert one.fingerprint != before


# ---- eight bits


@pytest.fixture(scope="module")
def packed(voices):
    """A model whose text encoder is kept in eight bits, and the one that was rounded."""
    plain = make(voices).copied()
    made = make(voices).with_fresh_text(replace(preset("tiny").model.text, bits=8))
    made.text.load_state_dict(plain.text.state_dict())
    return made.eval(), plain


def test_eight_bits_lose_little_and_a_checkpoint_nothing_more(packed, voices, tmp_path):
    made, plain = packed
    made.save_pretrained(tmp_path)
    loaded = RACLAP.from_pretrained(tmp_path)
    assert loaded.fingerprint == made.fingerprint != plain.fingerprint
    assert (loaded.encode_text(TEXTS) * plain.encode_text(TEXTS)).sum(-1).min() > 0.999
    assert (loaded.encode_speech(voices) * plain.encode_speech(voices)).sum(-1).min() > 0.999
    again = tmp_path / "again"
    loaded.save_pretrained(again)
    for name in WEIGHTS:
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


def test_only_the_text_encoders_matrices_are_in_eight_bits(packed, tmp_path):
    packed[0].save_pretrained(tmp_path)
    held = {name: value for file in WEIGHTS for name, value in load_file(tmp_path / file).items()}
    eight = {name for name, value in held.items() if value.dtype == torch.int8}
    matrices = {name for name in eight if not name.endswith("/exponents")}
    assert eight == matrices | {f"{name}/exponents" for name in matrices}
    encoder = {n for n, v in packed[0].state_dict().items() if n.startswith("text.encoder.")}
    assert matrices == {name for name in encoder if packed[0].state_dict()[name].ndim == 2}


def test_a_teacher_in_eight_bits_keeps_only_what_differs(packed, tmp_path):
    student = packed[0].copied()
    student.keep_teacher(packed[0].copied())
    with torch.no_grad():
        student.text.projection[0].weight.mul_(1.5)
        student.text.encoder.encoder.layer[0].output.dense.weight.mul_(1.5)
    student.save_pretrained(tmp_path)
    loaded = RACLAP.from_pretrained(tmp_path)
    assert loaded.teacher.fingerprint == packed[0].fingerprint
    name = "text.encoder.encoder.layer.0.output.dense.weight"
    differs = {name, f"{name}/exponents", "text.projection.0.weight"}
    assert set(load_file(tmp_path / "teacher.safetensors")) == differs


def test_a_copy_is_apart_from_its_original(model):
    twin = model.copied()
    with torch.no_grad():
        twin.log_scale.add_(1)
    assert twin.scale != model.scale
    assert twin.teacher is None


# ---- creating


def test_an_encoder_that_is_nowhere_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("RACLAP_MODELS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    config = ModelConfig(
        speech=SpeechConfig(encoder="nobody/nothing"), text=preset("tiny").model.text
    )
    with pytest.raises(InputError, match=r"'nobody/nothing' is neither in \$RACLAP_MODELS nor"):
        RACLAP.create(config)


def test_a_local_encoder_is_taken_as_it_is(model, monkeypatch, tmp_path):
    """What ``create`` downloads for ``base``, from a folder: weights and tokenizer as saved."""
    folder = tmp_path / "some" / "bert"
    model.text.encoder.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    monkeypatch.setenv("RACLAP_MODELS", str(tmp_path))
    text = TextConfig(encoder="some/bert", frozen_layers=0, hidden=32)
    made = RACLAP.create(ModelConfig(speech=preset("tiny").model.speech, text=text, dim=16))
    expected = model.text.encoder.state_dict()
    found = made.text.encoder.state_dict()
    assert found.keys() == expected.keys()
    assert all(found[name].equal(expected[name]) for name in expected)
    assert made.tokenize(TEXTS) == model.tokenize(TEXTS)


def test_the_upper_layers_of_an_encoder_can_be_left_out(model, monkeypatch, tmp_path):
    folder = tmp_path / "some" / "bert"
    settings = copy.deepcopy(model.text.encoder.config)
    settings.num_hidden_layers = 2
    encoder = BertModel(settings, add_pooling_layer=False)
    encoder.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    monkeypatch.setenv("RACLAP_MODELS", str(tmp_path))
    whole = encoder.state_dict()
    for layers, kept in ((1, 1), (0, 2), (9, 2)):
        text = TextConfig(encoder="some/bert", layers=layers, frozen_layers=0, bits=8, hidden=32)
        made = RACLAP.create(ModelConfig(speech=preset("tiny").model.speech, text=text, dim=16))
        assert len(made.text.encoder.encoder.layer) == kept
        for name, value in made.text.encoder.state_dict().items():
            expected = weights.eighths(whole[name]) if value.ndim == 2 else whole[name]
            torch.testing.assert_close(value, expected, atol=1e-3, rtol=1e-3)
            assert value.ndim != 2 or torch.equal(weights.eighths(value), value)
        made.save_pretrained(tmp_path / "saved")
        loaded = RACLAP.from_pretrained(tmp_path / "saved")
        assert len(loaded.text.encoder.encoder.layer) == kept
        assert loaded.fingerprint == made.fingerprint
