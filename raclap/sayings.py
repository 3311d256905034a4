"""Descriptions as people write them, and what each says of a voice.

In: ``sayings.txt``, one a line: a text, a bar, and what it says. Out: `Description`s. The grammar
(``wording``) names a style in the lexicon's words; people set scenes ("the vet comes out and
shakes his head"), compare, and jest. Written for this project by others than those whose queries
it is tested with; none has a word of the unseen pool. Deliberately not here: who learns from them
(``finishing``).
"""

from __future__ import annotations

from pathlib import Path

from raclap.style import Style
from raclap.wording import Description

_SAYINGS = Path(__file__).with_name("sayings.txt")


def sayings(path: Path = _SAYINGS) -> list[Description]:
    """Read the lines of a file; one that fits two emotions alike is there with each."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [each for line in lines if not line.startswith("#") for each in _parsed(line)]


def _parsed(line: str) -> list[Description]:
    text, _, marks = line.partition(" |")
    said = dict(mark.split("=") for mark in marks.split())
    emotions = said.pop("emotion", "").split("|")
    return [Description(text=text, style=Style(**said, emotion=each)) for each in emotions]
