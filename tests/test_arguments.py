"""Words become settings, or a sentence says which one cannot: pytest tests/test_arguments.py."""

from __future__ import annotations

import pytest

from raclap.arguments import lines, settings
from raclap.config import PRESETS, InputError, preset


def test_settings_without_changes_are_the_preset():
    for name in PRESETS:
        assert settings(name) == preset(name)


@pytest.mark.parametrize(
    ("single", "words"),
    [
        ("ess.epoch=3", "epochs"),
        ("ess.epochs=many", "epochs"),
        ("ess.epochs=0", "1 or more"),
        ("ess=3", "TrainConfig"),
        ("epochs", "NAME=VALUE"),
    ],
)
def test_an_impossible_setting_is_named(single, words):
    with pytest.raises(InputError, match=words):
        settings("tiny", None, [single])


def test_descriptions_are_parted_at_ends_of_lines_alone(tmp_path):
    texts = ["calm\u2028and soft", "low\u2029voice", "a\x85b", "sad\x0cman", "loud"]
    (tmp_path / "t.txt").write_bytes("\r\n".join(texts).encode())
    assert lines(tmp_path / "t.txt") == texts
