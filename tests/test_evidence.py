"""Evidence adds up, and what it names does matter to the score.

python -m pytest tests/test_evidence.py
"""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
import torch
from stub import write_voice
from torch.nn.functional import normalize
from toys import tiny_model

from raclap import audio, wording
from raclap.checkpoint import CHECKPOINT
from raclap.evidence import accounts, shapley, word_by_time
from raclap.index import Gallery
from raclap.model import RACLAP
from raclap.reading import ANYONE
from raclap.search import BUNDLED, Engine
from raclap.style import ATTRIBUTES, Style
from raclap.towers import statistics

pytestmark = pytest.mark.slow

TEXTS = [
    "a frightened woman whispering fast in a high trembling voice",
    "sad",
    "what a gravelly robot",
    "He is very loud, slightly angry: a furious man!",
    "怒った女性の声",
    "?!",
    " ".join(["strange words in a loud breathy whisper, rather angry"] * 18),
]


@pytest.fixture(scope="module")
def model() -> RACLAP:
    return tiny_model()


@pytest.fixture(scope="module")
def voice(tmp_path_factory) -> np.ndarray:
    folder = tmp_path_factory.mktemp("voice")
    low, high = (audio.load(write_voice(folder / f"{f0}.wav", f0, 1.3)) for f0 in (110, 240))
    silence = np.zeros(audio.RATE_HZ // 2, dtype=np.float32)
    return np.concatenate([silence, low, high, silence])


@pytest.fixture(scope="module")
def shipped() -> RACLAP:
    return RACLAP.from_pretrained(str(CHECKPOINT))


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return Gallery.load(BUNDLED)


def cosine(model, clip, text) -> float:
    return float(model.encode_speech([clip])[0] @ model.encode_text([text])[0])


# ---------------------------------------------------------------------- the division


def test_shapley_is_the_mean_over_all_orders():
    values = np.random.default_rng(0).normal(size=(2**4, 3))
    shares = np.zeros((4, 3))
    for order in itertools.permutations(range(4)):
        chosen = 0
        for player in order:
            shares[player] += values[chosen | 1 << player] - values[chosen]
            chosen |= 1 << player
    np.testing.assert_allclose(shapley(values), shares / math.factorial(4), atol=1e-12)


# ---------------------------------------------------------------------- sums


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:20])
def test_an_account_adds_up_to_the_score(model, voice, text):
    clips = [voice, voice[::-1].copy()]
    speech = model.encode_speech(clips).numpy()
    for clip, account in zip(clips, accounts(model, speech, text), strict=True):
        total = account.rest + sum(part.contribution for part in account.parts)
        assert total == pytest.approx(account.score, abs=1e-9)
        assert account.score == pytest.approx(cosine(model, clip, text), abs=1e-5)
        assert account.rest == pytest.approx(cosine(model, clip, ANYONE), abs=1e-5)
        assert sum(step for _, step in account.steps()) == pytest.approx(account.score, abs=1e-9)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:20])
def test_words_and_windows_add_up_to_the_score(model, voice, text):
    found = word_by_time(model, voice, text)
    assert found.matrix.shape == (len(found.words), len(found.seconds))
    assert len(found.words) <= 8 * 8
    assert found.score == pytest.approx(cosine(model, voice, text), abs=1e-5)
    total = found.rest + found.whole.sum() + found.matrix.sum()
    assert total == pytest.approx(found.score, abs=1e-5)


def test_rows_add_up_to_the_part_they_belong_to(model, voice):
    text = "a frightened woman whispering fast, trembling"
    (account,) = accounts(model, model.encode_speech([voice]).numpy(), text)
    found = word_by_time(model, voice, text)
    rows = dict(zip(found.words, found.matrix.sum(1) + found.whole, strict=True))
    parts = {part.attribute: part.contribution for part in account.parts}
    assert rows["woman"] == pytest.approx(parts["gender"], abs=1e-5)
    assert rows["frightened"] + rows["trembling"] == pytest.approx(parts["emotion"], abs=1e-5)
    assert sum(rows.values()) == pytest.approx(sum(parts.values()), abs=1e-5)


def test_two_parts_are_the_textbook_formula(model, voice):
    """With two players a share is the mean of what each adds first and last."""
    speech = model.encode_speech([voice]).numpy()
    (account,) = accounts(model, speech, "angry woman")
    nothing, angry, woman, both = (
        cosine(model, voice, text) for text in (ANYONE, "angry", "woman", "angry woman")
    )
    shares = {part.attribute: part.contribution for part in account.parts}
    assert shares["emotion"] == pytest.approx((angry - nothing + both - woman) / 2, abs=1e-5)
    assert shares["gender"] == pytest.approx((woman - nothing + both - angry) / 2, abs=1e-5)


# ---------------------------------------------------------------------- words


def test_parts_are_what_the_text_says(model):
    text = "An ANGRI woamn, speaking very loud: she is furious"
    (account,) = accounts(model, np.eye(1, model.dim, dtype=np.float32), text)
    assert [(part.attribute, part.value, part.words) for part in account.parts] == [
        ("", "", "an … speaking … is"),
        ("emotion", "angry", "angry … furious"),
        ("gender", "female", "woman … she"),
        ("energy", "high", "very loud"),
    ]


def test_words_that_only_the_model_knows_are_named_by_what_it_reads(shipped):
    speech = np.eye(1, shipped.dim, dtype=np.float32)
    for text, expected in (
        ("a bloke who has had enough", [("emotion", "angry"), ("gender", "male")]),
        ("a man speaking of something", [("", ""), ("gender", "male")]),
    ):
        (account,) = accounts(shipped, speech, text)
        assert [(part.attribute, part.value) for part in account.parts] == expected


def test_words_without_attributes_are_parts_themselves(model):
    speech = np.eye(1, model.dim, dtype=np.float32)
    (account,) = accounts(model, speech, "what a robot")
    assert [part.words for part in account.parts] == ["what", "a", "robot"]
    (account,) = accounts(model, speech, "one of the things that a robot can not do")
    assert [part.attribute for part in account.parts] == [""] * 7
    assert account.parts[0].words == "one of"


def test_every_word_is_in_one_row(model, voice):
    text = "a frightened woman whispering fast in a high trembling voice"
    assert word_by_time(model, voice, text).words == tuple(text.split())


# ---------------------------------------------------------------------- time


def test_windows_cover_the_clip_without_its_silent_ends(model, voice):
    found = word_by_time(model, voice, "a low voice")
    start, stop = audio.extent(voice)
    assert found.edges[0] == pytest.approx(start / audio.RATE_HZ)
    assert found.edges[-1] == pytest.approx(stop / audio.RATE_HZ)
    assert start > 0.3 * audio.RATE_HZ
    lengths = np.diff(found.edges)
    assert lengths.min() > 0.2
    assert lengths.max() < lengths.min() + 0.05
    assert len(lengths) == 10


def test_a_long_clip_has_windows_in_all_its_parts(model, voice):
    long = np.concatenate([voice] * 6)
    found = word_by_time(model, long, "a low voice")
    assert found.matrix.shape == (3, 21)  # ten in each half, and a pause between these
    assert not found.matrix[:, 10].any()
    assert np.delete(found.matrix, 10, axis=1).any(0).all()
    assert found.score == pytest.approx(cosine(model, long, "a low voice"), abs=1e-5)
    assert found.rest + found.whole.sum() + found.matrix.sum() == pytest.approx(
        found.score, abs=1e-5
    )


def test_the_shortest_clip_is_one_window(model):
    clip = 0.1 * np.sin(np.arange(1600) / 10).astype(np.float32)
    found = word_by_time(model, clip, "a low voice")
    assert found.matrix.shape == (3, 1)
    assert found.score == pytest.approx(cosine(model, clip, "a low voice"), abs=1e-5)


def test_the_same_question_has_the_same_answer(model, voice):
    first, second = (word_by_time(model, voice, TEXTS[0]) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, second.matrix)


@torch.no_grad()
def test_two_windows_are_the_textbook_formula(model, voice):
    """With two windows a share is the mean of what each adds first and last."""
    samples = voice[audio.RATE_HZ :][: audio.RATE_HZ * 6 // 10]  # 0.6 s, 30 frames
    states, prosody = model.speech.states(samples)

    def heard(frames):
        length = torch.tensor([frames.shape[1]])
        pooled = torch.stack([statistics(state[None], length)[0] for state in frames])
        return normalize(model.speech.project(pooled[None], prosody), dim=-1)[0]

    nothing = normalize(model.speech.project(model.speech.center[None], prosody), dim=-1)[0]
    first, second, both = heard(states[:, :15]), heard(states[:, 15:]), heard(states)
    said = model.encode_text(["sad"])[0]
    added = said - model.encode_text([ANYONE])[0]
    shares = torch.stack([first - nothing + both - second, second - nothing + both - first]) / 2
    found = word_by_time(model, samples, "sad")
    np.testing.assert_allclose(found.matrix[0], shares @ added, atol=1e-5)
    np.testing.assert_allclose(found.moments, shares @ said, atol=1e-5)
    np.testing.assert_allclose(found.whole, [nothing @ added], atol=1e-5)


# ---------------------------------------------------------------------- the shipped checkpoint


def test_deleting_what_mattered_costs_most(shipped, gallery):
    """Cut out of the sound, or of the text, and encoded afresh: the sum over a few clips."""
    rng, lost = random.Random(0), {"sound": [], "text": []}
    for clip in rng.sample(gallery.clips, 5):
        style = Style(**{name: getattr(clip, name) for name in ATTRIBUTES})
        text = shipped.clean(wording.describe(style, rng).text)
        waveform, words = audio.load(clip.path), text.split()
        found = word_by_time(shipped, waveform, text)
        pieces = np.split(waveform, (found.edges * audio.RATE_HZ).astype(int))[1:-1]
        if len(found.words) != len(words) or min(len(words), len(pieces)) < 4:
            continue
        for share, parts, kind in (
            (found.moments, pieces, "sound"),
            (found.matrix.sum(1) + found.whole, words, "text"),
        ):
            order, half = np.argsort(share, kind="stable"), len(parts) // 2
            least, most = (sorted(set(order) - set(out)) for out in (order[:half], order[-half:]))
            without_least, without_most = (
                cosine(shipped, np.concatenate([parts[at] for at in kept]), text)
                if kind == "sound"
                else cosine(shipped, waveform, " ".join(parts[at] for at in kept))
                for kept in (least, most)
            )
            lost[kind].append(without_least - without_most)
    assert len(lost["sound"]) >= 4
    assert np.mean(lost["sound"]) > 0.01
    assert np.mean(lost["text"]) > 0.1


def test_relevance_lies_in_the_half_that_is_described(shipped, gallery):
    """Two clips of one speaker, joined: "angry" belongs to the angry one."""
    by = {(clip.speaker, clip.emotion): clip for clip in gallery.clips if clip.phonation}
    words = {"angry": "angry", "sad": "sad", "happy": "happy", "fearful": "frightened"}
    right = []
    for speaker in sorted({clip.speaker for clip in gallery.clips})[::2]:
        for pair in (("angry", "sad"), ("happy", "fearful")):
            clips = [audio.trim(audio.load(by[speaker, emotion].path)) for emotion in pair]
            for half, emotion in enumerate(pair):
                found = word_by_time(shipped, np.concatenate(clips), f"{words[emotion]} voice")
                row = found.matrix[0]
                own = (found.seconds < len(clips[0]) / audio.RATE_HZ) == (half == 0)
                right.append(row[own].mean() > row[~own].mean())
    assert np.mean(right) > 0.6


def test_a_part_adds_more_where_it_is_true(shipped, gallery):
    """Share of pairs in which the clip that has the value gets more than one that has not."""
    wins, texts = {}, ("a sad man speaking slowly", "an angry woman, high-pitched and loud")
    for text in texts:
        told = accounts(shipped, gallery.vectors, text)
        for number, part in enumerate(told[0].parts):
            if part.attribute:
                added = np.array([account.parts[number].contribution for account in told])
                values = np.array([getattr(clip, part.attribute) for clip in gallery.clips])
                true, false = values == part.value, (values != part.value) & (values != "")
                wins[part.words] = (added[true][:, None] > added[false]).mean()
    assert len(wins) == 7
    assert min(wins.values()) > 0.6, wins
    assert np.mean(list(wins.values())) > 0.75, wins


def test_the_engine_explains_its_hits(shipped, gallery):
    engine = Engine(shipped, gallery)
    text = "a sad man, speaking slowly"
    hit = engine.search_text(text, top=1)[0]
    found = engine.explain(hit.clip.id, text)
    # Among other texts, half precision rounds a text a little otherwise than alone.
    assert found.account.score == pytest.approx(hit.score, abs=1e-4)
    assert found.relevance.score == pytest.approx(hit.score, abs=1e-3)
    assert {part.attribute for part in found.account.parts} >= {"emotion", "gender", "speed"}
    assert (found.text, found.without, found.score) == (text, "", found.account.score)
    less = engine.explain(hit.clip.id, f"{text}, not happy", "loud")
    assert (less.text, less.without) == (text, "happy, loud")
    vector = gallery.vectors[gallery.rows[hit.clip.id]]
    taken = max(0.0, float(vector @ engine.reader.against("happy, loud")))
    assert less.score == pytest.approx(found.score - taken, abs=1e-6)
    again = engine.explain(found.waveform, text)
    np.testing.assert_allclose(again.relevance.matrix, found.relevance.matrix, atol=1e-6)
