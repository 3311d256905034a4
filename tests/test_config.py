"""Presets, strict JSON both ways, and how a wrong setting is named.

python -m pytest tests/test_config.py
"""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from raclap.config import (
    PRESETS,
    Config,
    InputError,
    ModelConfig,
    RelationConfig,
    SpeechConfig,
    TextConfig,
    TrainConfig,
    from_dict,
    preset,
    to_dict,
)


def test_a_mistake_stays_on_one_line_whatever_it_quotes():
    assert str(InputError("no column 'a\n\tb';\r\n give one.")) == "no column 'a b'; give one."


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_survives_json(name):
    plain = json.loads(json.dumps(to_dict(preset(name))))
    assert from_dict(Config, plain) == preset(name)


def test_presets_differ_and_defaults_are_the_shipped_one():
    assert len({json.dumps(to_dict(config)) for config in PRESETS.values()}) == len(PRESETS)
    assert from_dict(Config, {}) == preset("base")


def test_a_change_survives_json():
    changed = replace(preset("base"), relation=RelationConfig(weight=0.25))
    assert from_dict(Config, to_dict(changed)) == changed != preset("base")


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        preset("tiny").model.dim = 3


def test_an_unknown_preset_is_told_the_known_ones():
    with pytest.raises(InputError, match="'huge'; choose one of tiny, base, large, paper"):
        preset("huge")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"modle": {}}, "Config has no setting 'modle'; did you mean 'model'?"),
        ({"ess": {"epoch": 3}}, "TrainConfig has no setting 'epoch'; did you mean 'epochs'?"),
        (
            {"model": {"speech": {"tail_second": 1}}},
            "SpeechConfig has no setting 'tail_second'; did you mean 'tail_seconds'?",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest(values, sentence):
    with pytest.raises(InputError) as error:
        from_dict(Config, values)
    assert str(error.value) == sentence


def test_a_key_like_no_other_lists_all():
    with pytest.raises(InputError, match="it has kind, weight, temperature"):
        from_dict(RelationConfig, {"zzzzz": 1})


@pytest.mark.parametrize(
    ("kind", "values", "wanted"),
    [
        (TrainConfig, {"epochs": "12"}, "int"),
        (TrainConfig, {"epochs": 1.5}, "int"),
        (TrainConfig, {"epochs": True}, "int"),
        (TrainConfig, {"head_rate": "fast"}, "float"),
        (TrainConfig, {"head_rate": None}, "float"),
        (SpeechConfig, {"encoder": 3}, "str"),
        (SpeechConfig, {"prosody": 1}, "bool"),
        (ModelConfig, {"speech": "whisper"}, "SpeechConfig"),
        (Config, {"model": []}, "ModelConfig"),
    ],
)
def test_a_wrong_type_is_named(kind, values, wanted):
    (name,) = values
    with pytest.raises(InputError, match=rf"{kind.__name__}\.{name} is .*of type {wanted}\."):
        from_dict(kind, values)


def test_levels_come_with_new_models_and_stay_out_of_older_checkpoints():
    assert preset("base").model.speech.levels
    assert preset("large").model.speech.levels
    assert not from_dict(ModelConfig, {"speech": {"hidden": 768}}).speech.levels
    with pytest.raises(InputError, match=r"levels is True; it must be false without prosody"):
        SpeechConfig(prosody=False, levels=True)


def test_a_whole_number_is_a_float_too():
    rate = from_dict(TrainConfig, {"head_rate": 1}).head_rate
    assert (rate, type(rate)) == (1.0, float)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (SpeechConfig, "frozen_layers", -1),
        (SpeechConfig, "hidden", 0),
        (SpeechConfig, "dropout", 1.0),
        (SpeechConfig, "dropout", -0.1),
        (SpeechConfig, "tail_seconds", 6.0),
        (SpeechConfig, "layers", -3),
        (TextConfig, "frozen_layers", -1),
        (TextConfig, "hidden", 0),
        (TextConfig, "dropout", 1.0),
        (TextConfig, "max_tokens", 7),
        (TextConfig, "clauses", -1.0),
        (TextConfig, "clauses", float("inf")),
        (ModelConfig, "dim", 0),
        (ModelConfig, "temperature", 0.004),
        (ModelConfig, "temperature", 1.1),
        (ModelConfig, "temperature", float("nan")),
        (RelationConfig, "weight", 1.01),
        (RelationConfig, "weight", -0.01),
        (RelationConfig, "temperature", 0.0),
        (RelationConfig, "temperature", float("inf")),
        (RelationConfig, "student_temperature", -1.0),
        (RelationConfig, "student_temperature", float("inf")),
        (RelationConfig, "wordings", 0),
        (TrainConfig, "epochs", 0),
        (TrainConfig, "batch", 1),
        (TrainConfig, "copies", 0),
        (TrainConfig, "head_rate", -1e-3),
        (TrainConfig, "head_rate", float("inf")),
        (TrainConfig, "seed", -1),
        (TrainConfig, "seed", 2**32),
        (TrainConfig, "speech_rate", -1.0),
        (TrainConfig, "text_rate", -1.0),
        (TrainConfig, "weight_decay", -0.1),
        (TrainConfig, "drills", -1),
        (TrainConfig, "warmup", 1.5),
        (TrainConfig, "partial", -0.5),
        (TrainConfig, "same_corpus", 2.0),
    ],
)
def test_an_impossible_value_is_refused(kind, name, value):
    with pytest.raises(InputError, match=rf"{kind.__name__}\.{name} is {value}; it must be"):
        from_dict(kind, {name: value})


@pytest.mark.parametrize("value", [10**400, "fast" * 99])
def test_what_is_refused_is_quoted_in_short(value):
    with pytest.raises(InputError, match="must be of type float") as refused:
        from_dict(TrainConfig, {"head_rate": value})
    assert len(str(refused.value)) < 120
