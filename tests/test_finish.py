"""What is done to vectors after the towers. Run: python -m pytest tests/test_finish.py."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.nn.functional import normalize

from raclap.ear import EMOTIONS
from raclap.finish import VOICES, Finish, expected, glossed, overruled
from raclap.style import ATTRIBUTES, EVERY_VALUE, SIZES, VALUES

D, OWN, WIDTH, BREADTH = (
    96,
    64,
    5,
    4,
)  # of them are the vectors' own; after them the values', last the spare
ANGRY = EVERY_VALUE.index(("emotion", "angry"))
FIRST = sum(SIZES[: ATTRIBUTES.index("emotion")]) + ATTRIBUTES.index("emotion")
LEVEL = [slice(sum(SIZES[:at]), sum(SIZES[: at + 1])) for at in range(len(SIZES))]


def units(count: int, seed: int) -> torch.Tensor:
    """Unit vectors that have nothing of the directions of the values and of the spare one."""
    vectors = torch.randn(count, D, generator=torch.Generator().manual_seed(seed))
    vectors[:, OWN:] = 0
    return normalize(vectors, dim=-1)


def blind(count: int) -> torch.Tensor:
    """Summaries of texts that say nothing."""
    return torch.zeros(count, BREADTH)


def deaf(count: int) -> torch.Tensor:
    """Summaries of clips that say nothing."""
    return torch.zeros(count, WIDTH)


@pytest.fixture
def made() -> Finish:
    """A finish with values and voices of its own, no means; reader and eye read nothing."""
    made = Finish(D, WIDTH, BREADTH)
    with torch.no_grad():
        made.values.copy_(units(sum(SIZES), 1))
        # As many directions as there are; two values of emotions share one.
        made.places[torch.arange(sum(SIZES)), OWN + torch.arange(sum(SIZES)) % (D - OWN - 1)] = 1
        made.voices.copy_(units(VOICES, 2))
        made.spare[-1] = 1
        made.scale.fill_(20.0)
        nothing = torch.tensor(SIZES).add(1).cumsum(0) - 1
        for answers in answering(made):
            answers.weight.zero_()
            answers.bias.zero_()
            answers.bias[nothing] = 50.0
        made.usual.copy_(made.common(units(50, 3)).mean())
    return made.eval().requires_grad_(False)


def answering(made: Finish):
    """The layers whose answers are what a text says: the reader's, and those of the eye."""
    return [made.reader, *(member[-1] for member in made.eye.members)]


def say(made: Finish, place: int, how_surely: float = 100.0) -> None:
    """Let every text say the value of this answer."""
    for answers in answering(made):
        answers.bias[place] = how_surely


def spoken(made: Finish, vectors: torch.Tensor) -> torch.Tensor:
    return made.speech(vectors, deaf(len(vectors)))


def written(made: Finish, vectors: torch.Tensor) -> torch.Tensor:
    nothing = torch.zeros(len(vectors), sum(SIZES))
    return made.text(vectors, made.told(vectors, blind(len(vectors)), nothing))


def both(made: Finish):
    """What finishes clips and what finishes texts."""
    return partial(spoken, made), partial(written, made)


def test_vectors_stay_of_unit_length_and_width(made):
    for finish in both(made):
        found = finish(units(7, 4))
        assert found.shape == (7, D)
        torch.testing.assert_close(found.norm(dim=-1), torch.ones(7))


def test_alone_or_among_others_a_vector_is_finished_alike(made):
    several = units(7, 4)
    for finish in both(made):
        torch.testing.assert_close(finish(several[2:3]), finish(several)[2:3])


def test_half_of_each_sides_own_mean_is_taken_off(made):
    vectors = units(5, 4)
    made.text_mean.copy_(units(1, 8)[0] / 2)
    made.usual.fill_(0.0)
    made.voices.zero_()  # nothing in common with any
    expected = normalize(vectors - made.text_mean / 2, dim=-1)
    torch.testing.assert_close(written(made, vectors), expected, atol=1e-5, rtol=0)
    made.speech_mean.copy_(-vectors[0])
    found = made.speech(vectors, deaf(5))[:, :OWN]
    expected = normalize(vectors + vectors[0] / 2, dim=-1)[:, :OWN]
    torch.testing.assert_close(normalize(found, dim=-1), expected)


def test_a_text_that_says_nothing_gains_no_value(made):
    assert written(made, units(5, 4))[:, OWN:-1].abs().max() < 1e-5


def test_a_text_gains_the_value_that_it_says_and_lies_nearer_to_its_vector(made):
    vectors, place = units(5, 4), FIRST + VALUES["emotion"].index("angry")
    composed = written(made, normalize(vectors + made.values[ANGRY], dim=-1))
    say(made, place)
    expected = normalize(composed + made.places[ANGRY], dim=-1)
    torch.testing.assert_close(written(made, vectors), expected, atol=1e-3, rtol=0)


def test_a_glossary_weighs_values_and_whether_any_is_said():
    told = torch.zeros(2, sum(SIZES))
    told[0, FIRST : FIRST + 3] = torch.tensor([0.4, 0.2, 0.1])
    told[0, 0] = 0.5  # of another attribute
    evidence = torch.full((2, sum(SIZES)), -3.5)
    evidence[:, FIRST + 1] = 0.0
    found = glossed(told, evidence)
    assert found[0, FIRST : FIRST + 3].argmax() == 1
    emotion = LEVEL[ATTRIBUTES.index("emotion")]
    assert float(found[0, emotion].sum()) > 0.9  # of 0.7
    assert float(found[0, 0]) < 0.5  # nothing was found for it
    assert found[1].sum() < 1e-3  # who hears nothing believes no hearsay
    for level in LEVEL:
        assert found[:, level].sum(1).max() <= 1 + 1e-6


def test_without_a_new_word_the_odds_are_flattened_and_nothing_else():
    told = torch.zeros(1, sum(SIZES))
    told[0, FIRST : FIRST + 2] = torch.tensor([0.6, 0.3])
    found = glossed(told, torch.zeros_like(told))[0, FIRST : FIRST + 2]
    assert float(found.sum()) == pytest.approx(9**0.7 / (1 + 9**0.7), abs=1e-3)
    assert float(found[0] / found[1]) == pytest.approx(2**0.7, abs=1e-3)


def test_what_is_known_overrules_what_was_read_of_its_attribute_alone():
    read, known = torch.rand(2, sum(SIZES)), torch.zeros(2, sum(SIZES))
    known[0, FIRST + 2 : FIRST + 4] = 0.5
    found = overruled(read, known)
    emotion = LEVEL[ATTRIBUTES.index("emotion")]
    assert found[0, emotion].equal(known[0, emotion])
    assert found[0, : emotion.start].equal(read[0, : emotion.start])
    assert found[0, emotion.stop :].equal(read[0, emotion.stop :])
    assert found[1].equal(read[1])


def test_a_voice_is_expected_as_far_as_no_whisper_is_asked_for():
    phonation = LEVEL[ATTRIBUTES.index("phonation")]
    told = torch.rand(3, sum(SIZES)) / 2
    told[:, LEVEL[ATTRIBUTES.index("emotion")]] = 0
    told[:, ANGRY] = 1.0
    told[0, phonation] = 0
    told[1, phonation] = torch.tensor([1.0, 0.0])
    told[2, phonation] = torch.tensor([0.2, 0.3])
    found = expected(told)
    torch.testing.assert_close(
        found[:, phonation], torch.tensor([[0, 0.3], [1, 0], [0.2, 0.3 + 0.15]])
    )
    assert found[:, : phonation.start].equal(told[:, : phonation.start])
    assert not told[0, phonation].any()


def test_no_emotion_is_expected_as_far_as_neither_it_nor_its_intensity_is_said():
    neutral = EVERY_VALUE.index(("emotion", "neutral"))
    intensity = LEVEL[ATTRIBUTES.index("intensity")]
    told = torch.zeros(4, sum(SIZES))
    told[1, ANGRY] = 1.0
    told[2, intensity.start] = 1.0
    told[3, ANGRY] = 0.5
    told[3, intensity.start] = 0.5
    torch.testing.assert_close(expected(told)[:, neutral], torch.tensor([0.2, 0, 0, 0.05]))


def test_a_text_of_two_values_shares_its_gain(made):
    other = EVERY_VALUE.index(("gender", "male"))
    say(made, FIRST + VALUES["emotion"].index("angry"))
    say(made, other)  # gender comes first
    gain = written(made, units(5, 4))[:, OWN:-1].norm(dim=-1)
    torch.testing.assert_close(gain, torch.full((5,), 0.5**0.5), atol=1e-3, rtol=0)


def test_a_voice_is_read_for_the_value_nearest_to_it(made):
    pitch = LEVEL[ATTRIBUTES.index("pitch")]
    voices = normalize(made.values[pitch][1] + 0.3 * units(20, 9), dim=-1)
    shares = made.heard(voices, deaf(20)).square()
    assert (shares[:, pitch].argmax(1) == 1).all()
    for level in LEVEL:
        torch.testing.assert_close(shares[:, level].sum(1), torch.ones(20))


def test_the_emotion_of_a_voice_is_what_the_ear_hears(made):
    place = VALUES["emotion"].index("angry")
    for member in made.ear.members:
        member[-1].weight.zero_()
        member[-1].bias.zero_()
        member[-1].bias[[place, EMOTIONS + place]] = 9.0
    vectors = units(20, 9)
    shares = made.heard(vectors, deaf(20)).square()[:, LEVEL[ATTRIBUTES.index("emotion")]]
    assert (shares[:, place] > 0.99).all()
    say(made, FIRST + place)  # and a text that says so is nearer than without
    said = written(made, units(1, 4))
    say(made, FIRST + place, 0.0)
    plain = written(made, units(1, 4))
    clips = made.speech(vectors, deaf(20))
    own = (clips[:, :OWN] @ said[:, :OWN].T, clips[:, :OWN] @ plain[:, :OWN].T)
    assert ((clips @ said.T - own[0]) > (clips @ plain.T - own[1]) + 0.1).all()


def test_a_text_near_to_every_voice_scores_less_for_all_alike(made):
    made.voices.copy_(normalize(units(1, 5) + 0.3 * units(VOICES, 6), dim=-1))
    common, rare = units(1, 5), units(1, 7)
    assert made.common(common) > made.common(rare) + 0.5
    clips = units(40, 10)
    heard = made.speech(clips, deaf(40))
    for text in (common, rare):
        excess = float(made.common(text) - made.usual)
        score = (heard @ written(made, text).T)[:, 0]
        # Lengths change a little, for all clips of one text alike, and the rest is taken off.
        length = (2 + 0.3**2) ** 0.5 * (1 + (excess / 0.6) ** 2) ** 0.5
        expected = ((clips @ text.T)[:, 0] - excess / 2) / length
        torch.testing.assert_close(score, expected, atol=1e-5, rtol=0)
    order = [heard @ written(made, common).T, clips @ common.T]
    assert order[0].argsort(0).equal(order[1].argsort(0))  # no clip is served worse than another
