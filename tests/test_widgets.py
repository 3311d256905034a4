"""What the tabs share, without a page. Run: pytest tests/test_widgets.py."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from test_cards import CLIP

from raclap import widgets
from raclap.corpus import Clip
from raclap.finder import _filters, _variety
from raclap.search import Engine
from raclap.style import ATTRIBUTES, VALUES, overlap
from raclap.widgets import assorted, clip_choices
from raclap.words import natural

BARE = Clip(id="", path="")


def test_an_assortment_has_every_clip_once_before_any_twice() -> None:
    alike = [replace(CLIP, id=str(number)) for number in range(4)]
    sad = replace(CLIP, id="sad", emotion="sad")
    chosen = [clip.id for clip in assorted([*alike, sad], 5)]
    assert chosen[:2] == ["0", "sad"]
    assert sorted(chosen) == ["0", "1", "2", "3", "sad"]


def one_by_one(clips: list[Clip], most: int) -> list[Clip]:
    """Compare each clip with each that is chosen."""
    left, chosen = list(clips), []
    while left and len(chosen) < most:
        likeness = [max((overlap(c.style, d.style) for d in chosen), default=0) for c in left]
        chosen.append(left.pop(likeness.index(min(likeness))))
    return chosen


@pytest.mark.parametrize("seed", range(20))
def test_an_assortment_is_that_of_clips_compared_one_by_one(seed: int) -> None:
    rng = random.Random(seed)
    few = {name: ("", *values[: 1 + seed % 3]) for name, values in VALUES.items()}
    known = rng.sample(ATTRIBUTES, seed % 8)
    clips = [
        replace(BARE, id=str(n), **{name: rng.choice(few[name]) for name in known})
        for n in range(rng.randrange(40))
    ]
    for most in (-1, 0, 1, 6, 60):
        assert assorted(clips, most) == one_by_one(clips, most)


def test_an_assortment_compares_each_style_with_another_once(monkeypatch) -> None:
    """Of 2,000 clips it took five seconds, in which nobody else had an answer."""
    compared = []
    monkeypatch.setattr(widgets, "overlap", lambda *two: compared.append(two) or overlap(*two))
    styles = [(gender, pitch) for gender in VALUES["gender"] for pitch in VALUES["pitch"]]
    clips = [
        replace(BARE, id=f"{n}", gender=styles[n % 6][0], pitch=styles[n % 6][1])
        for n in range(2_000)
    ]
    assert len(assorted(clips, 50)) == 50
    assert len(compared) == len(set(compared)) == 36


def test_clips_are_listed_in_the_order_of_their_numbers() -> None:
    clips = [replace(CLIP, id=f"take {n}", emotion="", gender="", text="") for n in (10, 2, 1)]
    engine = SimpleNamespace(gallery=SimpleNamespace(clips=clips))
    assert [id for _, id in clip_choices(engine)] == ["take 1", "take 2", "take 10"]


def test_levels_are_offered_from_low_to_high(engine: Engine) -> None:
    choices = _filters(engine)["pitch"]["choices"]
    assert [value for _, value in choices] == ["", "low", "medium", "high"]


def test_speakers_are_only_counted_where_they_are_known(engine: Engine) -> None:
    assert "two clips of a speaker" in _variety(engine)
    unknown = SimpleNamespace(gallery=SimpleNamespace(facets=dict))
    assert "speaker" not in _variety(unknown)


def test_any_name_has_its_place_among_others() -> None:
    names = ["take 10", "take 2", "٣", "10", "9", "7" * 5_000, "²", "", "B", "a"]
    ordered = sorted(names, key=natural)
    assert ordered.index("9") < ordered.index("10") < ordered.index("7" * 5_000)
    assert ordered.index("take 2") < ordered.index("take 10")
    assert ordered.index("a") < ordered.index("B")
