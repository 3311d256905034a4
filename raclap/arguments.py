"""The words of a command line become values: places, settings, filters, reports, descriptions.

In: words, which a `Parser` takes apart, and files that they name. Out: values, or an error that
says which word is wrong. What takes long to import is imported where it is needed, as in `command`.
Deliberately not here: which words there are (`__main__`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from raclap import config
from raclap.config import InputError

if TYPE_CHECKING:
    from raclap.reading import Reader


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the usage in front."""

    def error(self, message: str) -> NoReturn:
        """Raise an `InputError` in place of printing two lines and exiting."""
        raise InputError(f"{message[0].upper()}{message[1:]}; see {self.prog} --help.")


def place(word: str) -> Path | str:
    """Read where a gallery is to be: a folder, a file or an address."""
    return word if "://" in word else Path(word)


def settings(
    preset: str | None, file: Path | None = None, single: Sequence[str] = ()
) -> config.Config:
    """Resolve a configuration: the preset, then a file, then single settings.

    Args:
        preset: name of a preset; by default "base".
        file: JSON object of what differs from it.
        single: ``KEY=VALUE`` with a dotted key, as in ``ess.epochs=3``.

    Raises:
        InputError: an unknown key or an impossible value.
    """
    values = config.to_dict(config.preset(preset or "base"))
    if file is not None:
        try:
            changes = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"The settings {file} are not JSON: {error}.") from error
        if not isinstance(changes, dict):
            raise InputError(f"The settings {file} must be a JSON object.")
        _merge(values, changes)
    for key, value in pairs(single, "--set").items():
        try:
            change = json.loads(value)
        except ValueError:
            change = value  # a word, such as an encoder's name
        for name in reversed(key.split(".")):
            change = {name: change}
        _merge(values, change)
    return config.from_dict(config.Config, values)


def pairs(words: Sequence[str], flag: str) -> dict[str, str]:
    """Split each ``NAME=VALUE``.

    Args:
        words: as given.
        flag: with which they were given, for the complaint.

    Raises:
        InputError: a word of another form, or a name that comes twice.
    """
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise InputError(f"{flag} {word!r} is not of the form NAME=VALUE.")
        if name in pairs:
            raise InputError(f"{flag} gives {name!r} twice; give it once.")
        pairs[name] = value
    return pairs


def models(words: Sequence[str]) -> dict[str, list[str]]:
    """Split each ``NAME=FILE,..`` of ``--compare``: model -> files, one a training seed.

    Without a name, a model is called as its first file is.

    Raises:
        InputError: two models of one name, or one without any.
    """
    files: dict[str, list[str]] = {}
    for word in words:
        name, equals, listed = word.partition("=")
        if not equals or Path(word).is_file():
            name, listed = Path(word.partition(",")[0]).stem, word
        if not name or name in files:
            raise InputError(
                f"--compare gives {name!r} twice or no name; tell the models apart with NAME=FILE."
            )
        files[name] = listed.split(",")
    return files


def lines(file: Path) -> list[str]:
    """Read one description a line.

    Raises:
        InputError: the file is empty or not UTF-8, or a line is no description.
    """
    from raclap.query import check_text

    try:
        with file.open(encoding="utf-8-sig") as opened:
            found = [*opened]  # at ends of lines alone, where str.splitlines knows further breaks
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not text in UTF-8; save it as such.") from error
    if not found:
        raise InputError(f"{file} is empty; write one description a line.")
    texts = []
    for number, line in enumerate(found):
        try:
            texts.append(check_text(line))
        except InputError as error:
            raise InputError(f"{file}, line {number} (the first is 0): {error}") from error
    return texts


def opened(checkpoint: str | None) -> Reader:
    """Load a checkpoint, by default the one that ships, ready to read clips.

    Raises:
        InputError: it is missing or damaged.
    """
    from raclap.checkpoint import CHECKPOINT, open_reader

    return open_reader(checkpoint or CHECKPOINT)


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, change in changes.items():
        if isinstance(change, dict) and isinstance(values.get(name), dict):
            _merge(values[name], change)
        else:
            values[name] = change
