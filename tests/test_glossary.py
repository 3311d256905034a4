"""What a dictionary tells of new words. Run: python -m pytest tests/test_glossary.py."""

from __future__ import annotations

import numpy as np
import pytest

from raclap import glossary, glossing, lexicon
from raclap.config import InputError
from raclap.query import normalize
from raclap.style import EVERY_VALUE, VALUES

pytestmark = pytest.mark.slow

SAD, ANGRY = (EVERY_VALUE.index(("emotion", each)) for each in ("sad", "angry"))
# Two clusters of adjectives, an adverb, a verb, and nouns of a feeling, an animal and a person's
# name, as wndb(5WN) has them; the licence is indented.
DATA = {
    "adj": """\
00000100 00 s 02 sad 0 zorrowful(a) 0 002 & 00000200 a 0000 + 00000700 n 0101 | full of grief
00000200 00 s 01 zalmish 0 001 & 00000100 a 0000 | feeling low; "a zalmish look"
00000300 00 a 01 angry 0 001 ! 00000100 a 0101 | wroth
00000400 01 a 01 pertinal 0 001 & 00000100 a 0000 | of or about sad things
""",
    "adv": "00000500 02 r 01 zalmishly 0 001 \\ 00000200 a 0101 | in a zalmish way\n",
    "verb": "00000600 29 v 01 vroth 0 001 @ 00000610 v 0000 01 + 02 00 | sound angry\n"
    "00000610 29 v 01 sound 0 001 ~ 00000600 v 0000 01 + 02 00 | make a noise\n",
    "noun": "00000700 12 n 01 zorrow 0 001 + 00000100 a 0101 | being sad\n"
    "00000800 05 n 01 zadbird 0 001 @ 00000700 n 0000 | a sad bird\n"
    "00000900 18 n 01 Zadman 0 001 @i 00000700 n 0000 | a sad man\n",
}


@pytest.fixture(scope="module")
def wordnet(tmp_path_factory):
    """A dictionary of ten meanings."""
    folder = tmp_path_factory.mktemp("wordnet")
    for name, lines in DATA.items():
        places: dict[str, list[str]] = {}
        for line in lines.splitlines():
            fields = line.split()
            for word in fields[4 : 4 + 2 * int(fields[3], 16) : 2]:
                places.setdefault(word.removesuffix("(a)").lower(), []).append(fields[0])
        index = [
            f"{word} {name[0]} {len(each)} 1 & {len(each)} 0 {' '.join(each)}  \n"
            for word, each in places.items()
        ]
        (folder / f"data.{name}").write_text("  1 This software is licensed\n" + lines)
        (folder / f"index.{name}").write_text("  1 This software is licensed\n" + "".join(index))
    return folder


@pytest.fixture(scope="module")
def net(wordnet):
    return glossing.Net(wordnet)


@pytest.fixture
def made(net, tmp_path, monkeypatch):
    """A glossary of that dictionary in place of the one that ships."""
    path = tmp_path / "glossary.npz"
    monkeypatch.setattr(glossing, "_FAINT", 0.005)  # few words, of which few speak for anything
    shares = glossing.weighed(net.spread([("sad", SAD), ("angry", ANGRY)]))
    assert glossing.write(net, shares, path) == len(np.load(path)["shares"])
    monkeypatch.setattr(glossary, "PATH", path)
    for kept in (glossary._rows, glossary._table, glossary._others):
        kept.cache_clear()
    yield glossary
    for kept in (glossary._rows, glossary._table, glossary._others):
        kept.cache_clear()


def test_the_database_is_read_as_its_manual_has_it(wordnet):
    meanings, senses = glossing.read(wordnet)
    assert len(meanings) == 10
    sad = meanings["a", 100]
    assert sad.words == ["sad", "zorrowful"]
    assert sad.pointers == [("&", ("a", 200)), ("+", ("n", 700))]
    assert sad.defined == ["full", "grief"]
    assert meanings["a", 200].defined == ["feeling", "low"]  # without the example
    assert senses["zorrowful"] == [("a", 100)]
    assert meanings["v", 610].words == ["sound"]


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("without fear; oblivious of dangers", ["oblivious", "dangers"]),
        ("not cheerful; calm", ["calm"]),
        ("lacking or deprived of joy (of a person)", ["person"]),
        ("free from anger", []),
        ("marked by notable sadness", ["marked", "notable", "sadness"]),
    ],
)
def test_what_a_definition_denies_does_not_define(definition, said):
    assert glossing._defined_by(definition) == said


def test_a_missing_database_is_told_in_one_sentence(tmp_path, capsys):
    with pytest.raises(InputError, match="wordnet"):
        glossing.read(tmp_path)
    assert glossing.main(["--wordnet", str(tmp_path)]) == 2
    assert "is missing" in capsys.readouterr().err


def test_a_walk_goes_somewhere_from_everywhere(net):
    total = np.asarray(net.steps.sum(1)).ravel()
    assert np.allclose(total, 1, atol=1e-5)


def test_what_lies_nearer_speaks_more_for_a_value(net):
    reached = net.spread([("sad", SAD), ("angry", ANGRY)])
    place = {word: row for row, word in enumerate(net.words)}
    near, nearer = reached[place["zalmishly"]], reached[place["zalmish"]]
    assert nearer[SAD] > near[SAD] > 0
    assert nearer[SAD] > nearer[ANGRY]
    # Opposites are no way to go; the words that define are.
    assert reached[place["vroth"]][ANGRY] > reached[place["vroth"]][SAD]
    assert not np.delete(reached, [SAD, ANGRY], axis=1).any()


def test_a_word_met_often_says_more_surely(net):
    once, often = (net.spread([("sad", SAD)] * times)[:, SAD].max() for times in (1, 5))
    assert often > 1.1 * once


def test_only_new_words_that_can_tell_how_somebody_speaks_are_kept(made):
    kept = set(made._rows())
    assert {"zalmish", "zalmishly", "zorrowful", "zorrow", "vroth"} <= kept
    assert not kept & {"sad", "angry", "sound"}  # training has these
    assert not kept & {"zadbird", "zadman", "pertinal"}


def test_evidence_is_of_new_words_and_of_nothing_else(made):
    told = made.evidence(["a zalmish man", "a sad man", "", "vrothing, angry", "🙂 ну"])
    assert told.shape == (5, sum(map(len, VALUES.values())))
    assert told[0].argmax() == SAD
    assert told[0].max() == pytest.approx(0, abs=1e-6)
    assert told[0].min() == pytest.approx(np.log(0.03 / 1.03), abs=1e-3)
    assert not told[[1, 2, 4]].any()
    assert told[3].argmax() == ANGRY  # in whatever form


def test_alone_or_among_others_a_text_has_the_same_evidence(made):
    texts = ["a zalmish man", "zorrow", "calm"]
    assert np.array_equal(made.evidence(texts)[1:2], made.evidence(["zorrow"]))


def test_the_forms_of_a_word():
    assert "quiver" in glossary.forms("quivering")
    assert "sob" in glossary.forms("sobbing")
    assert "angry" in glossary.forms("angrily")
    assert "weary" in glossary.forms("weariness")
    assert [*glossary.forms("is")] == ["is"]


def test_a_word_of_the_glossary_is_no_mistake(made):
    assert normalize("a zalmish man, vrothing") == "a zalmish man, vrothing"
    assert normalize("an angrry man") == "an angry man"


def test_other_words_are_listed_but_names_are_not(made):
    assert made.lists("zadbirds")
    assert made.lists("pertinal")
    assert made.lists("zalmish")
    assert not made.lists("zadman")
    assert not made.knows("pertinal")
    assert normalize("pertinal", ()) == "pertinal"


# ---- the one that ships


def test_the_glossary_that_ships_knows_no_word_of_training_and_was_told_no_unseen_one():
    words = set(glossary._rows())
    assert len(words) > 20_000
    assert not words & lexicon.learned()
    told = {text for text, _ in glossing.known()}
    for attribute, values in VALUES.items():
        for value in values:
            wide = {w.text for w in lexicon.wordings(attribute, value, lexicon.WIDE)}
            assert {text.replace("{their}", "") for text in wide} <= told
    assert len(told) <= sum(
        len(lexicon.wordings(attribute, value, lexicon.WIDE)) for attribute, value in EVERY_VALUE
    )


def test_the_glossary_that_ships_tells_unseen_words_better_than_chance_by_far():
    """Of unseen wordings with a new word, three in five emotions; chance is one in 33."""
    names = list(VALUES["emotion"])
    first = EVERY_VALUE.index(("emotion", names[0]))
    right = []
    for place, value in enumerate(names):
        texts = [w.text for w in lexicon.wordings("emotion", value, "unseen")]
        told = glossary.evidence(texts)
        new = told.any(1)
        right += (told[new, first : first + len(names)].argmax(1) == place).tolist()
    assert len(right) > 500
    assert np.mean(right) > 0.5


def test_what_ships_is_what_the_program_makes(tmp_path):
    """Its words and shares, whatever zlib makes of them; `.ci/run` installs WordNet."""
    assert glossing.main(["--output", str(tmp_path / "g.npz")]) == 0
    with np.load(tmp_path / "g.npz") as made, np.load(glossary.PATH) as shipped:
        assert made["words"].tobytes() == shipped["words"].tobytes()
        assert np.abs(made["shares"].astype(int) - shipped["shares"]).max() <= 1
    assert (tmp_path / glossary.OTHERS).read_text() == glossary.PATH.with_name(
        glossary.OTHERS
    ).read_text()
