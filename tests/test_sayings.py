"""What people write of voices. Run: python -m pytest tests/test_sayings.py."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from test_wording import CARRIERS, GRAMMAR, roots

from raclap import lexicon
from raclap.sayings import sayings
from raclap.style import EVERY_VALUE

HERE = Path(__file__).parent
# Words of many meanings, which alone tell nothing of a voice.
PLAIN = {"with", "very", "more", "time", "times", "play", "high", "human", "need", "thanking"}


def test_a_line_says_what_is_behind_its_bar(tmp_path):
    file = tmp_path / "sayings.txt"
    lines = [
        "# a comment",
        "her son won | gender=female emotion=happy|pride",
        "a film on beetles |",
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    first, second, third = sayings(file)
    assert first.text == second.text == "her son won"
    assert first.style.known == {"gender": "female", "emotion": "happy"}
    assert second.style.known == {"gender": "female", "emotion": "pride"}
    assert (third.text, third.style.known) == ("a film on beetles", {})


def test_every_value_is_said_and_only_values():
    said = Counter(each for saying in sayings() for each in saying.style.known.items())
    assert said.keys() == {*EVERY_VALUE}
    assert min(said.values()) >= 10
    assert any(not saying.style.known for saying in sayings())


def test_none_has_a_wording_that_is_kept_for_tests():
    """Nor a word of the family of one; words of which wordings of several words are made may be."""
    phrases, single = set(), set()
    for attribute, value in EVERY_VALUE:
        for wording in lexicon.wordings(attribute, value, "unseen"):
            plain = re.sub(r"^(an?|the|in|with) ", "", wording.text)
            words = [word for word in lexicon.words(plain) if word != "their"]
            phrases.add(f" {' '.join(words)} ")
            single |= {*words} if len(words) == 1 else set()
    carried = set.union(GRAMMAR, PLAIN, *CARRIERS.values())
    kept = single - carried
    families = {root for word in kept for root in roots(word)}
    beginnings = {word[:6] for word in kept if len(word) >= 7}
    for saying in sayings():
        words = lexicon.words(saying.text.lower().replace("’", "'"))
        line = f" {' '.join(w for w in words if w not in ('his', 'her', 'their'))} "
        assert not [phrase for phrase in phrases if phrase.count(" ") > 2 and phrase in line]
        for word in {*words} - carried:
            assert word not in kept
            assert len(word) <= 3 or not roots(word) & families, saying
            assert len(word) < 7 or word[:6] not in beginnings, saying


def test_none_is_asked_by_a_test():
    asked = {saying.text.lower() for saying in sayings(HERE / "sayings.txt")}
    for path in HERE.glob("queries*.json"):
        asked |= {each["query"].lower() for each in json.loads(path.read_text(encoding="utf-8"))}
    assert len(asked) > 1_700
    assert not asked & {saying.text.lower() for saying in sayings()}
