"""The gallery against a naive full sort, and against every kind of damage.

python -m pytest tests/test_index.py
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from raclap import index, nearest
from raclap.config import InputError
from raclap.corpus import Clip
from raclap.files import digest_of
from raclap.index import CARD, INDEX, MANIFEST, VECTORS, Gallery, read_card

FILES = (MANIFEST, VECTORS, INDEX, CARD)
COUNT, DIM = 60, 12


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.normal(size=(count, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def gallery(tmp_path: Path, rng: np.random.Generator) -> Gallery:
    (tmp_path / "g" / "clips").mkdir(parents=True)
    clips = []
    for number in range(COUNT):
        path = tmp_path / "g" / "clips" / f"{number}.wav"
        path.touch()
        emotion, gender = ("angry", "sad", "")[number % 3], ("female", "male")[number % 2]
        clips.append(Clip(id=f"c{number}", path=str(path), emotion=emotion, gender=gender))
    return Gallery.build(unit(rng, COUNT), clips, "model-a", name="test", note="synthetic voices")


def naive(gallery: Gallery, query: np.ndarray, top: int, where: dict[str, str]) -> list[int]:
    """Rows by a full sort of all scores, filtered afterwards."""
    order = sorted(range(COUNT), key=lambda row: (-float(gallery.vectors[row] @ query), row))
    fits = [all(getattr(clip, n) == v for n, v in where.items()) for clip in gallery.clips]
    return [row for row in order if fits[row]][:top]


@pytest.mark.parametrize("top", [1, 7, COUNT, COUNT + 40])
@pytest.mark.parametrize(
    "where", [{}, {"emotion": "sad"}, {"gender": "male"}, {"emotion": "angry", "gender": "female"}]
)
def test_search_equals_a_naive_full_sort(gallery, rng, top, where):
    queries = unit(rng, 5)
    scores, rows = gallery.search(queries, top, where)
    for query, query_scores, query_rows in zip(queries, scores, rows, strict=True):
        expected = naive(gallery, query, top, where)
        assert query_rows.tolist() == expected
        np.testing.assert_allclose(query_scores, gallery.vectors[expected] @ query, atol=1e-6)


def test_the_filter_works_inside_faiss(gallery, rng, monkeypatch):
    """A filtered search asks FAISS for no more rows than the caller wants."""
    asked = []
    original = faiss.IndexFlatIP.search

    def spy(self, queries, count, params=None):
        asked.append((count, params is not None))
        return original(self, queries, count, params=params)

    monkeypatch.setattr(faiss.IndexFlatIP, "search", spy)
    gallery.search(unit(rng, 1), 3, {"emotion": "sad"})
    assert asked == [(3, True)]


def test_equal_vectors_come_in_row_order(rng):
    vectors = np.repeat(unit(rng, 1), 9, axis=0)
    clips = [Clip(id=str(n), path=f"/{n}.wav") for n in range(9)]
    _, rows = Gallery.build(vectors, clips, "m").search(vectors[:1], 9)
    assert rows.tolist() == [list(range(9))]


def test_a_combination_that_no_clip_has_gives_an_honest_nothing(rng):
    clips = [
        Clip(id="a", path="/a.wav", gender="male", emotion="sad"),
        Clip(id="b", path="/b.wav", gender="female", emotion="angry"),
    ]
    gallery = Gallery.build(unit(rng, 2), clips, "m")
    scores, rows = gallery.search(unit(rng, 3), 5, {"gender": "male", "emotion": "angry"})
    assert scores.shape == rows.shape == (3, 0)


@pytest.mark.parametrize(
    ("where", "found", "offered"),
    [
        ({"mood": "sad"}, "'mood'", "gender, emotion"),
        ({"pitch": "low"}, "'pitch'", "gender, emotion"),  # known, but no clip has any
        ({"path": "/x"}, "'path'", "gender, emotion"),
        ({"emotion": "bored"}, "'bored'", "angry, sad"),
        ({"emotion": ""}, "''", "angry, sad"),
    ],
)
def test_a_filter_that_cannot_be_lists_what_can(gallery, rng, where, found, offered):
    with pytest.raises(InputError, match=found) as error:
        gallery.search(unit(rng, 1), 3, where)
    assert offered in str(error.value)


def test_zero_results_cannot_be_asked_for(gallery, rng):
    with pytest.raises(InputError, match="0"):
        gallery.search(unit(rng, 1), 0)


def test_facets_are_the_values_present(gallery):
    facets = gallery.facets()
    assert {name: [*values] for name, values in facets.items()} == {
        "gender": ["female", "male"],
        "emotion": ["angry", "sad"],
    }
    for name, counts in facets.items():
        known = (getattr(clip, name) for clip in gallery.clips)
        assert counts == Counter(value for value in known if value)


def test_what_no_label_tells_is_filtered_by_what_was_heard(gallery, rng):
    clips = [
        replace(clip, heard_emotion="sad", heard_gender="female" if clip.gender else "male")
        for clip in gallery.clips
    ]
    heard = Gallery.build(gallery.vectors, clips, "model-a")
    assert heard.facets()["emotion"] == {"angry": 20, "sad": 40}
    assert heard.facets()["gender"] == gallery.facets()["gender"]  # labels come first
    _, rows = heard.search(unit(rng, 1), COUNT, {"emotion": "sad"})
    assert sorted(rows[0]) == [row for row in range(COUNT) if row % 3]


def test_build_refuses_what_cannot_be_searched(rng):
    clips = [Clip(id="a", path="/a.wav"), Clip(id="b", path="/b.wav")]
    vectors = unit(rng, 2)
    with pytest.raises(ValueError, match="N >= 1"):
        Gallery.build(vectors[:0], [], "m")
    with pytest.raises(ValueError, match="for 1 clips"):
        Gallery.build(vectors, clips[:1], "m")
    with pytest.raises(ValueError, match="with 1 ids"):
        Gallery.build(vectors, [clips[0], clips[0]], "m")
    with pytest.raises(ValueError, match="unit length"):
        Gallery.build(vectors * 2, clips, "m")
    with pytest.raises(ValueError, match="unit length"):
        Gallery.build(vectors * np.nan, clips, "m")


def test_another_models_fingerprint_is_refused(gallery):
    gallery.check("model-a")
    with pytest.raises(InputError, match="another model"):
        gallery.check("model-b")


def test_a_saved_gallery_comes_back_the_same(gallery, tmp_path, rng):
    gallery.save(tmp_path / "g")
    again = Gallery.load(tmp_path / "g")
    assert (again.name, again.note, again.fingerprint) == ("test", "synthetic voices", "model-a")
    assert again.clips == gallery.clips
    assert again.rows == gallery.rows
    queries = unit(rng, 4)
    for before, after in zip(gallery.search(queries, 9), again.search(queries, 9), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_gallery_moves_with_the_audio_below_it(gallery, tmp_path):
    gallery.save(tmp_path / "g")
    (tmp_path / "g").rename(tmp_path / "moved")
    assert Gallery.load(tmp_path / "moved").clips[0].path == str(tmp_path / "moved/clips/0.wav")


def test_saving_leaves_everything_else_in_the_folder_alone(gallery, tmp_path):
    (tmp_path / "g" / "README.md").write_text("mine")
    gallery.save(tmp_path / "g")
    replace(gallery, name="second").save(tmp_path / "g")
    names = {path.name for path in (tmp_path / "g").iterdir()}
    assert names == {*FILES, "README.md", "clips"}
    assert read_card(tmp_path / "g").name == "second"


@pytest.mark.parametrize("steps", range(20))
def test_a_kill_while_saving_leaves_the_old_or_the_new(gallery, tmp_path, monkeypatch, steps):
    """Stop the saving after any number of file operations: what loads is whole."""
    gallery.save(tmp_path / "g")
    new = Gallery.build(-gallery.vectors, gallery.clips, "model-b", name="new")
    left = steps

    def dying(function):
        def step(*args, **kwargs):
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return function(*args, **kwargs)

        return step

    with monkeypatch.context() as patch:
        for name in ("mkdir", "rename", "replace", "rmdir", "write_text"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        for name in ("write_manifest", "digest_of"):
            patch.setattr(index, name, dying(getattr(index, name)))
        try:
            new.save(tmp_path / "g")
        except KeyboardInterrupt:
            died = True
        else:
            died = False
    found = Gallery.load(tmp_path / "g")
    sign = {"test": 1, "new": -1}[found.name]
    np.testing.assert_array_equal(found.vectors, sign * gallery.vectors)
    assert died or found.name == "new"
    new.save(tmp_path / "g")  # and the next save is not in the way of the leftovers
    assert Gallery.load(tmp_path / "g").name == "new"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["missing", "empty", "cut", "changed"])
def test_damage_is_named_with_what_to_do(gallery, tmp_path, name, how):
    gallery.save(tmp_path / "g")
    path = tmp_path / "g" / name
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {"empty": b"", "cut": content[:-9], "changed": content[:99] + b"?" + content[100:]}[how]
        )
    with pytest.raises(InputError, match=name) as error:
        Gallery.load(tmp_path / "g")
    assert "python -m raclap index" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_no_gallery_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match="no gallery folder"):
        Gallery.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="not a gallery"):
        Gallery.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"version": 99}, "99"), ({"count": 3}, "should hold 3"), ({"dim": "12"}, "damaged")],
)
def test_a_card_that_contradicts_its_files_is_refused(gallery, tmp_path, changes, word):
    gallery.save(tmp_path / "g")
    card = tmp_path / "g" / CARD
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))
    with pytest.raises(InputError, match=word):
        Gallery.load(tmp_path / "g")


def test_nothing_is_ever_unpickled(gallery, tmp_path):
    gallery.save(tmp_path / "g")
    np.save(tmp_path / "g" / VECTORS, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    card = tmp_path / "g" / CARD
    values = json.loads(card.read_text())
    values["vectors_sha256"] = digest_of(tmp_path / "g" / VECTORS)
    card.write_text(json.dumps(values))
    with pytest.raises(InputError, match=VECTORS):
        Gallery.load(tmp_path / "g")


def test_vectors_whose_header_ends_in_the_middle_are_told(gallery, tmp_path):
    gallery.save(tmp_path / "g")
    vectors = tmp_path / "g" / VECTORS
    vectors.write_bytes(vectors.read_bytes().replace(b"), }", b",   ", 1))
    card = tmp_path / "g" / CARD
    values = json.loads(card.read_text()) | {"vectors_sha256": digest_of(vectors)}
    card.write_text(json.dumps(values))
    with pytest.raises(InputError, match=f"{VECTORS} or"):
        Gallery.load(tmp_path / "g")


@pytest.mark.parametrize("limit", [10**6, 10], ids=["exact", "approximate"])
def test_clips_are_added_replaced_and_removed(gallery, tmp_path, rng, monkeypatch, limit):
    """Whatever the index, an edited gallery is the one that would be built of the same clips."""
    monkeypatch.setattr(nearest, "EXACT", limit)
    gallery = Gallery.build(gallery.vectors, gallery.clips, "model-a")
    before = gallery.vectors.copy()
    new = unit(rng, 3)
    clips = [
        replace(gallery.clips[4], emotion="sad"),
        Clip(id="n1", path=str(tmp_path / "n1.wav"), gender="male"),
        Clip(id="n2", path=str(tmp_path / "n2.wav")),
    ]
    for clip in clips:
        Path(clip.path).touch()
    edited = gallery.edited(new, clips, without=["c0", "c7", "c59"])
    wanted = {clip.id: vector for clip, vector in zip(gallery.clips, before, strict=True)}
    wanted |= {clip.id: vector for clip, vector in zip(clips, new, strict=True)}
    for id in ("c0", "c7", "c59"):
        del wanted[id]
    assert {clip.id for clip in edited.clips} == wanted.keys() == edited.rows.keys()
    for row, clip in enumerate(edited.clips):
        assert edited.rows[clip.id] == row
        np.testing.assert_array_equal(edited.vectors[row], wanted[clip.id])
        assert edited.search(wanted[clip.id][None], 1)[1].item() == row
    assert edited.clips[edited.rows["c4"]].emotion == "sad"
    edited.save(tmp_path / "e")
    again = Gallery.load(tmp_path / "e").edited(new[:0], [], without=["n1"])
    assert "n1" not in again.rows
    assert len(again.clips) == COUNT - 2
    assert len(gallery.clips) == COUNT
    np.testing.assert_array_equal(gallery.vectors, before)


def test_an_id_to_remove_may_come_twice(gallery, rng):
    edited = gallery.edited(unit(rng, 0), [], without=["c3", "c3", "c59", "c3"])
    assert edited.rows.keys() == gallery.rows.keys() - {"c3", "c59"}


def test_an_impossible_edit_says_why(gallery, rng):
    with pytest.raises(InputError, match="no clip 'nobody'"):
        gallery.edited(unit(rng, 0), [], without=["nobody"])
    with pytest.raises(InputError, match="Nothing would be left"):
        gallery.edited(unit(rng, 0), [], without=[clip.id for clip in gallery.clips])
    for clips, without in ((gallery.clips[:1], ["c0"]), ([gallery.clips[0]] * 2, [])):
        with pytest.raises(InputError, match="'c0' is given twice"):
            gallery.edited(unit(rng, len(clips)), clips, without)
    some = gallery.vectors[:2]
    for vectors in (some[:1], some[:0], gallery.vectors[:3], some[:, :1], some[:, :-1], some[0]):
        with pytest.raises(ValueError, match=r"vectors have shape .* for 2 clips"):
            gallery.edited(vectors, gallery.clips[:2])


def test_of_two_edits_the_second_is_told_to_load_again(gallery, tmp_path, rng):
    gallery.save(tmp_path / "g")
    one, two = (Gallery.load(tmp_path / "g") for _ in range(2))
    edited = one.edited(unit(rng, 0), [], without=["c1"])
    edited.save(tmp_path / "g")
    edited.edited(unit(rng, 0), [], without=["c2"]).save(tmp_path / "g")  # it goes on from its own
    with pytest.raises(InputError, match="changed since it was read; load it again"):
        two.edited(unit(rng, 0), [], without=["c3"]).save(tmp_path / "g")
    two.save(tmp_path / "elsewhere")
    again = Gallery.load(tmp_path / "g")
    assert gallery.rows.keys() - again.rows.keys() == {"c1", "c2"}


def test_a_save_that_fails_leaves_nothing_behind(gallery, tmp_path):
    gallery.save(tmp_path / "g")
    clips = [replace(gallery.clips[0], id="\udce9"), *gallery.clips[1:]]  # no text in UTF-8
    with pytest.raises(UnicodeEncodeError):
        Gallery.build(gallery.vectors, clips, "model-a").save(tmp_path / "g")
    assert {path.name for path in (tmp_path / "g").iterdir()} == {*FILES, "clips"}
    assert Gallery.load(tmp_path / "g").clips == gallery.clips


def test_a_gallery_that_is_read_lies_on_disk(gallery, tmp_path):
    gallery.save(tmp_path / "g")
    assert isinstance(Gallery.load(tmp_path / "g").vectors, np.memmap)
