"""Towers against transformers' own forward passes, on tiny random encoders of all five classes.

python -m pytest tests/test_towers.py
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    HubertConfig,
    MPNetConfig,
    RobertaConfig,
    Wav2Vec2Config,
    WavLMConfig,
    WhisperFeatureExtractor,
)

from raclap import prosody
from raclap.audio import RATE_HZ
from raclap.config import InputError, ModelConfig, SpeechConfig, TextConfig, to_dict
from raclap.model import RACLAP
from raclap.style import LEVELS, levels
from raclap.tiny import tiny_speech, tiny_text
from raclap.towers import Frames, margins, mask_of, statistics

WAVE = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 8, 8),
    "conv_stride": (5, 8, 8),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
TEXT = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 70,
}


def wave(kind, norm="group", stable=False):
    return kind(**WAVE, feat_extract_norm=norm, do_stable_layer_norm=stable)


KINDS = {"wav2vec2": Wav2Vec2Config, "hubert": HubertConfig, "wavlm": WavLMConfig}
SPEECH = {"whisper": tiny_speech()} | {
    f"{name}-{norm}-{'stable' if stable else 'plain'}": wave(kind, norm, stable)
    for name, kind in KINDS.items()
    for norm in ("group", "layer")
    for stable in (False, True)
}
TEXTS = {"bert": BertConfig(**TEXT), "roberta": RobertaConfig(**TEXT)}
TEXTS |= {"mpnet": MPNetConfig(**TEXT)}


def build(speech=SPEECH["whisper"], text=TEXTS["bert"], **settings):
    """Return a model of tiny random encoders."""
    torch.manual_seed(0)
    config = ModelConfig(
        speech=SpeechConfig(hidden=24, **{"frozen_layers": 1, "dropout": 0.0} | settings),
        text=TextConfig(hidden=24, frozen_layers=1, dropout=0.0),
        dim=8,
    )
    return RACLAP(
        model=to_dict(config),
        speech_encoder=speech.to_diff_dict(),
        text_encoder=text.to_diff_dict(),
    )


def noise(seconds, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, int(seconds * RATE_HZ)).astype(np.float32)


@pytest.fixture(params=SPEECH)
def model(request):
    """A model of each speech encoder; nothing measured drowns what the encoder hears."""
    return build(SPEECH[request.param], prosody=False)


# ---- pooling


def test_a_mask_counts_its_lengths():
    mask = mask_of(torch.tensor([0, 2, 4]), 4)
    assert mask.tolist() == [[False] * 4, [True, True, False, False], [True] * 4]


def test_statistics_equal_the_loop():
    hidden = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(0))
    valid = torch.tensor([1, 4, 7])
    found = statistics(hidden, valid)
    for row, count in enumerate(valid.tolist()):
        for channel in range(5):
            values = [float(hidden[row, t, channel]) for t in range(count)]
            mean = sum(values) / count
            deviation = (sum((v - mean) ** 2 for v in values) / count + 1e-6) ** 0.5
            assert found[row, 0, channel].item() == pytest.approx(mean, abs=1e-5)
            assert found[row, 1, channel].item() == pytest.approx(deviation, abs=1e-5)


def test_statistics_do_not_see_what_is_behind_the_clip():
    hidden, valid = torch.randn(1, 9, 4), torch.tensor([5])
    spoiled = hidden.clone()
    spoiled[:, 5:] = 1e6
    assert statistics(spoiled, valid).equal(statistics(hidden, valid))


# ---- speech


def test_whisper_at_30_seconds_is_transformers_own():
    model = build(tail_seconds=0.0)
    backbone, waveform = model.speech.backbone, noise(30)
    with torch.no_grad():
        hidden, valid, below = backbone.lower(waveform)
        states = list(backbone.upper(hidden, torch.tensor([hidden.shape[1]])))
        mel = WhisperFeatureExtractor()(waveform, sampling_rate=RATE_HZ, return_tensors="pt")
        expected = backbone.encoder(mel.input_features, output_hidden_states=True).hidden_states
    assert valid == 1500 == hidden.shape[1]
    assert below.shape[1] + len(states) == len(expected) == 3
    for found, truth in zip(states, expected[backbone.cut :], strict=True):
        torch.testing.assert_close(found, truth, atol=1e-5, rtol=1e-5)
    everything = torch.tensor([1500])
    for state in range(backbone.cut):
        torch.testing.assert_close(below[:, state], statistics(expected[state], everything))


@pytest.mark.parametrize("frozen", [0, 1, 2, 9])
def test_where_whisper_is_cut_does_not_matter(frozen):
    waveform = noise(0.7)
    whole, cut = build(frozen_layers=0), build(frozen_layers=frozen)
    with torch.no_grad():
        a, b = (model.speech.pooled(model.speech.lower(waveform)) for model in (whole, cut))
    assert a.shape == (1, 3, 2, 32)
    if frozen <= 2:  # beyond, there is no trained layer norm at the end
        upper = slice(0, 2 if frozen == 2 else 3)
        torch.testing.assert_close(a[:, upper], b[:, upper], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in SPEECH if name != "whisper"])
def test_wave_states_are_transformers_own(name):
    model, waveform = build(SPEECH[name]), noise(0.5)
    tower = model.speech
    scaled = torch.from_numpy((waveform - waveform.mean()) / waveform.std(ddof=1))[None]
    with torch.no_grad():
        frames = tower.lower(waveform)
        found = list(tower.backbone.upper(frames.hidden, frames.attended))
        expected = tower.backbone.encoder(scaled, output_hidden_states=True)
    assert len(found) == len(expected.hidden_states) == 4
    torch.testing.assert_close(found[-1], expected.last_hidden_state, atol=1e-5, rtol=1e-4)
    # with layer norm before attention, transformers normalises what it lists last
    for state, truth in zip(found[:-1], expected.hidden_states[:-1], strict=True):
        torch.testing.assert_close(state, truth, atol=1e-5, rtol=1e-4)


def test_padding_does_not_change_a_shorter_clip(model):
    clips = [noise(seconds, seed) for seed, seconds in enumerate((0.3, 1.1, 0.7))]
    with torch.no_grad():
        frames = [model.speech.lower(clip) for clip in clips]
        together = model.speech(Frames.collate(frames))
        alone = torch.cat([model.speech(each) for each in frames])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert together.std(0).max() > 1e-3  # the clips do differ


def test_what_is_padded_is_not_heard(model):
    with torch.no_grad():
        batch = Frames.collate([model.speech.lower(noise(0.3)), model.speech.lower(noise(0.9, 1))])
        before = model.speech(batch)
        batch.hidden[0, int(batch.attended[0]) :] = 5.0
        torch.testing.assert_close(model.speech(batch), before, atol=1e-5, rtol=0)


@pytest.mark.parametrize("samples", [1_600, 1_601, 1_919])
def test_the_shortest_clip_has_a_vector(model, samples):
    with torch.no_grad():
        found = model.speech(model.speech.lower(noise(1)[:samples]))
    assert found.isfinite().all()


def test_the_silent_tail_is_attended_but_not_pooled():
    frames = build(tail_seconds=0.5).speech.lower(noise(1.0))
    assert (int(frames.attended), int(frames.valid)) == (75, 50)
    assert frames.hidden.shape == (1, 75, 32)


def test_states_are_what_is_pooled(model):
    tower, waveform = model.speech, noise(0.7)
    states, measured = tower.states(waveform)
    length = torch.tensor([states.shape[1]])
    with torch.no_grad():
        frames = tower.lower(waveform)
        pooled = torch.stack([statistics(state[None], length)[0] for state in states])
        torch.testing.assert_close(pooled[None], tower.pooled(frames), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(measured, frames.prosody)


def test_states_are_of_no_other_thread(model, monkeypatch):
    """A clip's states were mixed with those of what else was encoded at the time, and refused."""
    tower, waveform = model.speech, noise(0.7)
    alone, _ = tower.states(waveform)
    lower = tower.lower

    def meanwhile(waveform):
        with ThreadPoolExecutor(1) as other:
            other.submit(lambda: tower(lower(noise(0.3, 1)))).result()
        return lower(waveform)

    monkeypatch.setattr(tower, "lower", meanwhile)
    found, _ = tower.states(waveform)
    torch.testing.assert_close(found, alone)


def test_settled_statistics_give_the_same_vector(model):
    tower = model.speech
    with torch.no_grad():
        frames = Frames.collate([tower.lower(noise(0.3)), tower.lower(noise(0.6, 1))])
        settled = Frames.settled(tower.pooled(frames), frames.prosody)
        torch.testing.assert_close(tower(settled), tower(frames))


def test_calibration_standardises():
    tower = build().speech
    with torch.no_grad():
        frames = [tower.lower(noise(0.4, seed) * (1 + seed)) for seed in range(5)]
        pooled = torch.cat([tower.pooled(each) for each in frames])
    measured = torch.cat([each.prosody for each in frames])
    tower.calibrate(pooled, measured)
    standard = (pooled - tower.center) / tower.spread
    assert standard.mean(0).abs().max() < 1e-3
    assert standard.std(0).max() == pytest.approx(1, abs=1e-3)
    level = (measured - tower.prosody_center) / tower.prosody_spread
    assert level[:, prosody.NAMES.index("level_db")].std() == pytest.approx(1, abs=1e-3)


def test_one_layer_alone_and_no_prosody():
    waveform = noise(0.5)
    single = build(layers=1, prosody=False)
    with torch.no_grad():
        frames = single.speech.lower(waveform)
        assert not frames.prosody.any()
        pooled = single.speech.pooled(frames)
        before = single.speech.project(pooled, frames.prosody)
        others = pooled.clone()
        others[:, [0, 2]] = 99.0
        assert single.speech.project(others, frames.prosody).equal(before)
        others[:, 1] = 99.0
        assert not single.speech.project(others, frames.prosody).allclose(before)


def test_margins_tell_the_levels():
    rng, marked = np.random.default_rng(0), []
    for _ in range(300):
        figures = prosody.Prosody(
            **dict.fromkeys(prosody.NAMES, 0.0)
            | {"f0_hz": rng.uniform(80, 400), "rate_hz": rng.uniform(1, 8)}
            | {"energy_db": rng.uniform(-12, 12), "voiced": rng.uniform(0, 1), "seconds": 3.0}
        )
        (found,) = margins(torch.from_numpy(figures.vector())[None])
        assert found.abs().max() <= 1
        marked.append(found)
        above = (found > 0).tolist()  # of women's pitch, men's, rate, energy, voicing; countable
        scales = enumerate(("female", "male", "speed", "energy", "voiced"))
        level = {name: LEVELS[sum(above[2 * at : 2 * at + 2])] for at, name in scales}
        for gender in ("female", "male"):
            told = levels(figures, gender)
            assert told["pitch"] in ("", level[gender])
            assert (
                told["phonation"]
                == {"low": "whispered", "medium": "", "high": "voiced"}[level["voiced"]]
            )
            assert told["speed"] == (level["speed"] if above[-1] else "")
            assert told["energy"] == (
                level["energy"] if told["phonation"] != "whispered" else "low"
            )
    # Near a cut point they rise gently, elsewhere they have made up their mind.
    decided = (torch.stack(marked).abs() > 0.95).float().mean()
    assert 0.8 < decided < 1


def test_a_gate_chooses_which_margins_count():
    model = build(levels=True)
    tower = model.speech
    pooled = torch.randn(2, tower.backbone.states, 2, tower.backbone.width)
    measured = torch.zeros(2, len(prosody.NAMES))
    measured[:, prosody.NAMES.index("f0_hz")] = torch.tensor([150.0, 300.0])
    tower.prosody_spread.fill_(1e9)  # but for the margins both clips were the same
    with torch.no_grad():
        heard = tower.project(pooled[:1].expand(2, -1, -1, -1), measured)
        assert (heard[0] - heard[1]).abs().max() > 1e-4
        tower.gate.bias.fill_(-1e9)  # shut
        heard = tower.project(pooled[:1].expand(2, -1, -1, -1), measured)
    torch.testing.assert_close(heard[0], heard[1], rtol=1e-4, atol=1e-5)


def test_every_layer_has_its_weight():
    model = build()
    with torch.no_grad():
        pooled = torch.randn(1, 3, 2, 32)
        model.speech.layer_weights[:] = torch.tensor([-50.0, 50.0, -50.0])
        measured = torch.zeros(1, len(prosody.NAMES))
        before = model.speech.project(pooled, measured)
        pooled[:, [0, 2]] = 9.0
        torch.testing.assert_close(model.speech.project(pooled, measured), before)


# ---- gradients


def test_the_lower_part_never_trains(model):
    frames = Frames.collate([model.speech.lower(noise(0.3)), model.speech.lower(noise(0.5, 1))])
    ids = torch.randint(5, 60, (2, 6), generator=torch.Generator().manual_seed(0))
    model.train()(frames, model.text.pooled(ids.tolist())).logits.diag().sum().backward()
    frozen = {id(p) for part in model.speech.backbone.frozen for p in part.parameters()}
    frozen |= {id(p) for part in model.text.frozen(1) for p in part.parameters()}
    assert not any(p.requires_grad for p in model.parameters() if id(p) in frozen)
    got = {name for name, p in model.named_parameters() if p.grad is not None}
    assert not {name for name, p in model.named_parameters() if id(p) in frozen} & got
    assert len(frozen) > 10
    layers = {name.split("layers.")[1][0] for name in got if "speech" in name and "layers." in name}
    assert layers == ({"1"} if "Whisper" in type(model.speech.backbone).__name__ else set("012"))
    for name in ("speech.layer_weights", "speech.prosody.0.weight", "text.projection.0.weight"):
        assert name in got


# ---- text


@pytest.mark.parametrize("name", TEXTS)
def test_texts_behind_each_other_are_as_alone(name):
    """In one row, in several of which some are padded, and where one text is longer than a row."""
    model = build(text=TEXTS[name])
    model.text.longest = 20
    rng = np.random.default_rng(0)
    lengths = (6, 3, 1, 12, 2, 25, 4)
    texts = [rng.integers(5, 60, length).tolist() for length in lengths]
    with torch.no_grad():
        together = model.text(texts)
        for text, found in zip(texts, together, strict=True):
            hidden = model.text.encoder(input_ids=torch.tensor([text])).last_hidden_state
            expected = model.text.projection(hidden.mean(1))[0]
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
            torch.testing.assert_close(model.text([text])[0], expected, atol=1e-5, rtol=0)
    assert not together[0].allclose(together[1], atol=1e-3)


def test_a_query_takes_one_pass_over_the_weights(monkeypatch):
    model, rows = build(), []
    encoder = model.text.encoder
    encoder.register_forward_pre_hook(
        lambda _, args, given: rows.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    model.text([[7, 8, 9], [7], [7, 9]])
    assert rows == [(1, 6)]


def test_what_was_just_encoded_is_remembered_if_asked_for():
    model, rows = build(), []
    model.text.encoder.register_forward_pre_hook(
        lambda _, args, given: rows.append(given["input_ids"].numel()), with_kwargs=True
    )
    texts = [[7, 8, 9], [7, 9], [7, 8, 9]]
    with torch.no_grad():
        expected = model.text(texts)
        torch.testing.assert_close(model.text(texts), expected)
        assert rows == [8, 8]
        model.text.remember()
        for _ in range(2):
            torch.testing.assert_close(model.text(texts), expected)
        assert rows == [8, 8, 5]
        torch.testing.assert_close(model.text([[7, 9], [8, 9, 5, 6]])[0], expected[1])
        assert rows == [8, 8, 5, 4]
        model.text([[number] for number in range(5, 60)])
        model.text([[number, 5] for number in range(5, 60)])
        rows.clear()
        torch.testing.assert_close(model.text(texts), expected)
        assert rows == [5]  # forgotten meanwhile


def test_all_encoders_pair_up():
    """The five classes that the preset ``paper`` names, and what ships, each with each."""
    kinds = set()
    for speech in ("wavlm-group-plain", "hubert-group-plain", "wav2vec2-group-plain"):
        for text in TEXTS.values():
            model = build(SPEECH[speech], text)
            kinds |= {type(model.speech.backbone.encoder).__name__}
            kinds |= {type(model.text.encoder).__name__}
            found = model.encode_speech([noise(0.4), noise(0.3, 1)])
            assert found.shape == (2, 8)
            torch.testing.assert_close(found.norm(dim=-1), torch.ones(2))
    published = {"WavLMModel", "HubertModel", "Wav2Vec2Model", "BertModel", "RobertaModel"}
    assert kinds == published | {"MPNetModel"}


def test_the_pooling_head_is_left_out():
    for text in (*TEXTS.values(), tiny_text()):
        assert getattr(build(text=text).text.encoder, "pooler", None) is None


def test_no_buffer_is_left_uninitialised(model):
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


def test_a_hidden_state_that_the_encoder_has_not_is_refused():
    last = len(build().speech.backbone.layers)  # states: the input, then each layer's output
    assert build(layers=last).config.speech.layers == last
    with pytest.raises(InputError, match=f"layers is {last + 1}; .* states are 0 to {last}"):
        build(layers=last + 1)
