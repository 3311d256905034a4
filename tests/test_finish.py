"""What is done to vectors after the towers. Run: python -m pytest tests/test_finish.py."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from raclap.finish import VOICES, Finish
from raclap.style import ATTRIBUTES, SIZES, VALUES

D = 96
ANGRY = [(a, v) for a in ATTRIBUTES for v in VALUES[a]].index(("emotion", "angry"))
FIRST = sum(SIZES[: ATTRIBUTES.index("emotion")]) + ATTRIBUTES.index("emotion")
LEVEL = [slice(sum(SIZES[:at]), sum(SIZES[: at + 1])) for at in range(len(SIZES))]


def units(count: int, seed: int) -> torch.Tensor:
    """Unit vectors that have nothing of the last direction, which is the spare one."""
    vectors = torch.randn(count, D, generator=torch.Generator().manual_seed(seed))
    vectors[:, -1] = 0
    return normalize(vectors, dim=-1)


@pytest.fixture
def made() -> Finish:
    """A finish with values and voices of its own, no means, and a reader that reads nothing."""
    made = Finish(D)
    with torch.no_grad():
        made.values.copy_(units(sum(SIZES), 1))
        made.voices.copy_(units(VOICES, 2))
        made.spare[-1] = 1
        made.scale.fill_(20.0)
        made.reader.weight.zero_()
        made.reader.bias.zero_()
        nothing = torch.tensor(SIZES).add(1).cumsum(0) - 1
        made.reader.bias[nothing] = 50.0
        made.usual.copy_(made.common(units(50, 3)).mean())
    return made.requires_grad_(False)


def test_vectors_stay_of_unit_length_and_width(made):
    for finish in (made.speech, made.text):
        found = finish(units(7, 4))
        assert found.shape == (7, D)
        torch.testing.assert_close(found.norm(dim=-1), torch.ones(7))


def test_alone_or_among_others_a_vector_is_finished_alike(made):
    several = units(7, 4)
    for finish in (made.speech, made.text):
        torch.testing.assert_close(finish(several[2:3]), finish(several)[2:3])


def test_half_of_each_sides_own_mean_is_taken_off(made):
    vectors = units(5, 4)
    made.text_mean.copy_(units(1, 8)[0] / 2)
    torch.testing.assert_close(made.told(vectors), normalize(vectors - made.text_mean / 2, dim=-1))
    made.speech_mean.copy_(-vectors[0])
    assert not made.heard(vectors).allclose(normalize(vectors, dim=-1), atol=0.01)
    assert (made.heard(vectors) @ vectors[0]).gt(vectors @ vectors[0] - 0.1).all()


def test_a_text_that_says_nothing_gains_no_value(made):
    vectors = units(5, 4)
    torch.testing.assert_close(made.told(vectors), vectors)


def test_a_text_gains_the_value_that_it_says(made):
    vectors, value = units(5, 4), made.values[ANGRY]
    place = FIRST + VALUES["emotion"].index("angry")
    made.reader.bias[place] = 100.0
    torch.testing.assert_close(made.told(vectors), normalize(vectors + value / 2, dim=-1))
    assert (made.told(vectors) @ value).gt(vectors @ value).all()


def test_a_voice_comes_nearer_to_the_value_that_is_nearest_to_it(made):
    voices = normalize(made.values[ANGRY] + units(20, 9), dim=-1)
    emotions = LEVEL[ATTRIBUTES.index("emotion")]
    assert ((voices @ made.values[emotions].T).argmax(1) + emotions.start == ANGRY).all()
    gain = (made.heard(voices) - voices) @ made.values[emotions].T
    angry = gain[:, ANGRY - emotions.start]
    others = (gain.sum(1) - angry) / (gain.shape[1] - 1)
    assert angry.mean() > others.mean() + 0.02


def test_a_text_near_to_every_voice_scores_less_for_all_alike(made):
    made.voices.copy_(normalize(units(1, 5) + 0.3 * units(VOICES, 6), dim=-1))
    common, rare = units(1, 5), units(1, 7)
    assert made.common(common) > made.common(rare) + 0.5
    clips = units(40, 10)
    heard = made.heard(clips)
    for text in (common, rare):
        told = made.told(text)
        excess = float(made.common(told) - made.usual)
        score = (made.speech(clips) @ made.text(text).T)[:, 0]
        # Lengths change a little, for all clips of one text alike, and the rest is taken off.
        length = (1 + 0.3**2) ** 0.5 * (1 + (excess / 0.6) ** 2) ** 0.5
        torch.testing.assert_close(score, ((heard @ told.T)[:, 0] - excess / 2) / length)
    order = [made.speech(clips) @ made.text(common).T, heard @ made.told(common).T]
    assert order[0].argsort(0).equal(order[1].argsort(0))  # no clip is served worse than another
