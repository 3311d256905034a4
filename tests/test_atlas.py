"""A gallery as a map. Run: pytest tests/test_atlas.py."""

from __future__ import annotations

import re

import numpy as np
from conftest import HOSTILE_NAME

from raclap import atlas as room
from raclap.atlas import atlas
from raclap.corpus import Clip
from raclap.search import Hit

CLIPS = [
    Clip(id=HOSTILE_NAME, path="", emotion="sad"),
    Clip(id="b", path="", emotion="angry"),
    Clip(id="c", path="", emotion="angry"),
    Clip(id="d", path=""),
]
PLACES = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)


def drawn(clips=CLIPS, colour="emotion", hits=()) -> str:
    places = PLACES if len(clips) == 4 else np.zeros((len(clips), 2), np.float32)
    return str(atlas(clips, places, lambda row: f"clips/{row}", colour, hits))


def keys(html: str) -> list[tuple[str, str, str]]:
    """Class, name and count of each colour."""
    return re.findall(r'data-only="(\w+)".*?</i>([\w ]+) <small>(\d+)', html)


def test_every_clip_is_a_point_at_its_place_in_its_colour() -> None:
    points = re.findall(r'<circle class="([^"]+)" cx="([\d.]+)" cy="([\d.]+)"', drawn())
    assert points == [
        ("c3", "40.0", "40.0"),
        ("c4", "960.0", "40.0"),
        ("c4", "40.0", "960.0"),
        ("rest", "960.0", "960.0"),
    ]
    assert keys(drawn()) == [("c3", "sad", "1"), ("c4", "angry", "2"), ("rest", "not known", "1")]


def test_a_value_has_one_colour_in_all_galleries() -> None:
    clips = [
        Clip(id=str(n), path="", emotion=emotion)
        for n, emotion in enumerate(("pride", "angry", "guilt", "neutral"))
    ]
    assert [key[:2] for key in keys(drawn(clips))] == [
        ("c0", "neutral"),
        ("c4", "angry"),  # as beside sadness
        ("c1", "guilty"),  # has no place of its own, takes what is free
        ("c2", "proud"),
    ]


def test_hits_are_ringed_and_the_query_lies_amid_them() -> None:
    hits = [Hit(rank=n, clip=CLIPS[n], score=0.5) for n in (1, 2)]
    html = drawn(hits=hits)
    assert len(re.findall(r'class="c4 hit-point"', html)) == 2
    assert re.findall(r'class="rank-mark"[^>]*>(\d)<', html) == ["1", "2"]
    assert 'class="query-mark" d="M500.0 500.0m' in html
    assert "query-mark" not in drawn()
    assert "query-mark" not in drawn(hits=hits[:1])  # it would lie on the clip


def test_numbers_of_hits_can_be_told_apart_and_lie_off_the_star() -> None:
    clips = [Clip(id=str(n), path="") for n in range(5)]  # all at one place
    hits = [Hit(rank=n + 1, clip=clip, score=0.5) for n, clip in enumerate(clips)]
    html = drawn(clips, "id", hits)
    found = re.findall(r'style="--x:(-?\d+);--y:(-?\d+)"', html)
    asides = np.array(found, float)
    assert found[0] == ("0", "-26")  # above
    assert (np.linalg.norm(asides, axis=1) > 22).all()
    apart = np.linalg.norm(asides[:, None] - asides, axis=-1)
    assert apart[~np.eye(5, dtype=bool)].min() > 22


def test_one_point_can_be_reached_by_tab_and_all_have_names() -> None:
    html = drawn()
    assert html.count('tabindex="0"') == 1
    assert html.count('role="button"') == len(re.findall("<circle [^>]*aria-label=", html)) == 4


def test_a_large_gallery_is_thinned_but_no_hit_is_lost(monkeypatch) -> None:
    monkeypatch.setattr(room, "MOST_POINTS", 10)
    clips = [Clip(id=str(n), path="", speaker=f"s{n}") for n in range(95)]
    hits = [Hit(rank=1, clip=clips[11], score=0.5)]
    html = drawn(clips, "speaker", hits)
    assert html.count("<circle") == 11
    assert "Map of 11 of 95 clips" in html
    assert len(set(re.findall(r'<circle class="(\w+)', html))) == 11  # ten colours and the rest
    assert keys(html)[-1][:2] == ("rest", "others")
    clips[0] = Clip(id="0", path="")
    hits += [Hit(rank=2, clip=clips[12], score=0.4)]
    assert keys(drawn(clips, "speaker", hits))[-1][:2] == ("rest", "others or not known")


def test_hostile_names_are_escaped() -> None:
    assert "<img" not in drawn()
