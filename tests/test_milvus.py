"""The gallery in Milvus (milvus-lite) against the same in FAISS. Run: pytest tests/test_milvus.py.

One database serves them all: opening one costs more than asking it.
"""

from __future__ import annotations

import builtins
import contextlib
import itertools
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import HOSTILE_NAME, make_engine

from raclap import answers, milvus, ranking
from raclap.__main__ import main
from raclap.atlas import atlas
from raclap.collection import Collection
from raclap.config import InputError, preset
from raclap.corpus import Clip
from raclap.finder import _unranked, _ways_out
from raclap.index import Gallery
from raclap.milvus import expression, is_address
from raclap.search import Engine

COUNT, DIM = 300, 16
HOSTILE = (
    'a"b\\c',
    "x' or 1==1 or '",
    'x" or speaker != "',
    "\\",
    '\\" or row >= 0 or speaker == "\\',
    "{speaker}",
    "100%_",
    "two\nlines\tand\rmore",
    "漢字 🎙️",
    "nul\x00bell\x07",
    HOSTILE_NAME,
)


def unit(rng, count):
    vectors = rng.normal(size=(count, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def clips():
    return [
        Clip(
            id=f"c{n}" if n % 7 else f"{n}{HOSTILE[n % len(HOSTILE)]}",
            path=f"/voices/{n}.wav",
            emotion=("angry", "sad", "")[n % 3],
            gender=("female", "male")[n % 2],
            heard_emotion=("", "sad")[n % 2],
            speaker=HOSTILE[n % len(HOSTILE)],
            corpus="hums",
            seconds=n / 7,
            text=HOSTILE[n % len(HOSTILE)],
            descriptions=("a", "b") if n % 2 else (),
        )
        for n in range(COUNT)
    ]


@pytest.fixture(scope="module")
def embedded(clips):
    vectors = unit(np.random.default_rng(7), COUNT)
    return Gallery.build(vectors, clips, "model-a", name="t", note='synthetic "voices"')


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return tmp_path_factory.mktemp("milvus") / "voices.db"


@pytest.fixture(scope="module")
def collection(address, embedded, clips) -> Collection:
    given = {"name": "t", "note": 'synthetic "voices"'}
    milvus.save(address, embedded.vectors[::-1], clips, "model-b", name="older")
    milvus.save(address, embedded.vectors, clips, "model-a", **given)
    return Collection.load(address)


@pytest.mark.parametrize("top", [1, 7, COUNT + 40])
@pytest.mark.parametrize(
    "where",
    [{}, {"emotion": "sad"}, {"emotion": "angry", "gender": "female"}]
    + [{"speaker": name} for name in HOSTILE],
)
def test_the_hits_are_those_of_faiss(collection, embedded, top, where):
    queries = unit(np.random.default_rng(top), 3)
    expected, expected_rows = embedded.search(queries, top, where)
    scores, rows = collection.search(queries, top, where)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    found = [collection.clips[row] for row in rows[0]]
    assert found == [embedded.clips[row] for row in rows[0]]
    assert all(clip.told(name) == where[name] for clip in found for name in where)


@pytest.mark.parametrize("most", [COUNT, 7])
def test_a_filter_matches_the_same_rows(collection, embedded, monkeypatch, most):
    monkeypatch.setattr("raclap.collection._MOST", most)  # rows of one request
    both = {"emotion": "sad", "speaker": HOSTILE[0]}
    for where in ({}, {"emotion": "angry", "gender": "female"}, both, {"speaker": HOSTILE[-1]}):
        rows = collection.matching(where)
        np.testing.assert_array_equal(rows, embedded.matching(where))
        assert collection.records(rows[:5]) == embedded.records(rows[:5])
        assert rows.dtype == np.int64
    for where in ({"colour": "red"}, {"emotion": "glum"}, {"speaker": ""}, {"speaker": "\ud800"}):
        for gallery in (collection, embedded):
            with pytest.raises(InputError, match="of this gallery"):
                gallery.matching(where)


def test_a_page_or_a_script_finds_the_same_gallery(collection, embedded):
    assert {name for name in vars(Gallery) if name[0] != "_"} - {
        *("build", "save", "index", "edited", "columns", "card")
    } <= {name for name in dir(collection) if name[0] != "_"}
    for name in ("name", "note", "fingerprint"):
        assert getattr(collection, name) == getattr(embedded, name)
    assert collection.facets() == embedded.facets()
    assert len(collection.clips) == len(collection.vectors) == len(collection.rows) == COUNT
    assert [*collection.clips] == embedded.clips
    assert collection.clips[-1] == embedded.clips[-1]
    assert collection.clips[2:9:3] == embedded.clips[2:9:3]
    assert collection.rows["c5"] == 5
    assert dict(zip(collection.rows, range(COUNT), strict=True)) == embedded.rows
    assert [collection.rows[clip.id] for clip in embedded.clips[:29]] == [*range(29)]
    assert collection.rows.get("nobody") is None
    assert "\ud800" not in collection.rows
    rows = [9, 3, 3, 280]
    np.testing.assert_array_equal(collection.vectors[rows], embedded.vectors[rows])
    np.testing.assert_array_equal(collection.vectors[5], embedded.vectors[5])
    np.testing.assert_array_equal(np.asarray(collection.vectors), embedded.vectors)
    with pytest.raises(IndexError, match="no row 300"):
        collection.clips[COUNT]


def test_a_record_may_be_forgotten_while_it_is_asked_for(collection, embedded, monkeypatch):
    class Crowded(dict):
        """Another thread's search takes the place of what is asked for."""

        def __contains__(self, row):
            return self.pop(row, None) is not None

    monkeypatch.setattr(collection, "_records", Crowded({3: embedded.clips[3]}))
    assert collection.records([3, 5]) == [embedded.clips[3], embedded.clips[5]]


def test_the_filter_works_inside_milvus(collection, monkeypatch):
    """A filtered search asks for no more rows than the caller wants."""
    asked = []
    original = collection._client.search

    def spy(*args, **kwargs):
        asked.append((kwargs["limit"], kwargs["filter"]))
        return original(*args, **kwargs)

    monkeypatch.setattr(collection._client, "search", spy)
    collection.search(unit(np.random.default_rng(0), 1), 3, {"emotion": "sad"})
    assert asked == [(3, 'emotion == "sad"')]


def test_a_value_never_leaves_its_quotes():
    assert expression({"speaker": 'a" or row >= 0'}) == 'speaker == "a\\" or row >= 0"'
    assert (
        expression({"gender": "male", "speaker": "\\"}) == 'gender == "male" and speaker == "\\\\"'
    )


@pytest.mark.parametrize(
    ("where", "found", "offered"),
    [
        ({"mood": "sad"}, "'mood'", "gender, emotion"),
        ({"pitch": "low"}, "'pitch'", "gender, emotion"),
        ({'path" != "" or gender': "/x"}, "cannot be filtered by", "gender, emotion"),
        ({"emotion": "bored"}, "'bored'", "angry, sad"),
        ({"emotion": ""}, "''", "angry, sad"),
        ({"emotion": "\ud800"}, "ud800", "angry, sad"),
        ({"emotion": 5}, "emotion 5", "angry, sad"),
        ({"emotion": ["sad"]}, "'sad'", "angry, sad"),
        ({"emotion": 'sad" or emotion != "'}, "No clip", "angry, sad"),
    ],
)
def test_a_filter_that_cannot_be_is_told_as_by_faiss(collection, embedded, where, found, offered):
    told = []
    for gallery in (collection, embedded):
        with pytest.raises(InputError, match=found) as error:
            gallery.search(unit(np.random.default_rng(0), 1), 3, where)
        assert offered in str(error.value)
        told.append(str(error.value))
    assert told[0] == told[1]


def test_no_results_can_be_an_honest_answer(collection, embedded):
    where = {"speaker": HOSTILE[0], "emotion": "sad", "gender": "male", "corpus": "hums"}
    alone = next(c for c in embedded.clips if c.speaker == HOSTILE[0] and c.emotion == "angry")
    never = where | {"gender": alone.gender, "emotion": "sad"}
    for each in (where, never):
        expected = embedded.search(unit(np.random.default_rng(0), 2), 5, each)
        for ours, theirs in zip(
            collection.search(unit(np.random.default_rng(0), 2), 5, each), expected, strict=True
        ):
            assert ours.shape == theirs.shape
    with pytest.raises(InputError, match="0"):
        collection.search(unit(np.random.default_rng(0), 1), 0)


@pytest.mark.parametrize("top", [1, 5, 60])
@pytest.mark.parametrize("where", [None, {"gender": "male"}])
def test_what_is_not_wanted_counts_as_over_all_clips(collection, embedded, top, where):
    wanted, unwanted = unit(np.random.default_rng(3), 2)
    unwanted = (wanted + 0.3 * unwanted) / np.linalg.norm(wanted + 0.3 * unwanted)  # the hard case
    expected, expected_rows = embedded.less(wanted, unwanted, top, where)
    scores, rows = collection.less(wanted, unwanted, top, where)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_past_its_limit_the_nearest_are_ranked(collection, embedded, monkeypatch):
    asked, search = [], collection._client.search

    def spy(*args, **given):
        asked.append((given["limit"], given["search_params"]["params"]["ef"]))
        return search(*args, **given)

    monkeypatch.setattr("raclap.collection._MOST", 50)
    monkeypatch.setattr(collection._client, "search", spy)
    wanted, unwanted = unit(np.random.default_rng(3), 2)
    unwanted = (wanted + 0.3 * unwanted) / np.linalg.norm(wanted + 0.3 * unwanted)
    (_,), (near,) = embedded.search(wanted[None], 50)
    less = ranking.less(embedded.vectors[near] @ wanted, embedded.vectors[near] @ unwanted)
    _, rows = collection.less(wanted, unwanted, 5)
    np.testing.assert_array_equal(rows, near[np.argsort(-less, kind="stable")[:5]])
    assert asked == [(20, 256), (50, 256)]
    collection.search(wanted[None], 40_000)
    assert asked[2:] == [(50, 256)]


# ---- the engine over it


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """The same engine over FAISS and over Milvus."""
    folder = tmp_path_factory.mktemp("vowels")
    engine = make_engine(folder)
    gallery = engine.gallery
    milvus.save(
        *(folder / "vowels.db", gallery.vectors, gallery.clips, gallery.fingerprint),
        **{"name": gallery.name, "note": gallery.note},
    )
    return engine, Engine(engine.model, Collection.load(folder / "vowels.db"))


def test_every_question_has_the_same_answer(engines):
    faiss, other = engines
    clip = faiss.gallery.clips[3].id
    questions = [
        lambda engine: engine.search_text("an angry man", 5, {"gender": "male"}),
        lambda engine: engine.search_text("an angry man", 5, without="shouting"),
        lambda engine: engine.search_text("an angry man", 5, varied=True),
        lambda engine: engine.search_clip(clip, 20),
        lambda engine: engine.search_clip(HOSTILE_NAME, 20),
        lambda engine: engine.blend(clip, {"angrier": 2.0}, 4),
    ]
    for question in questions:
        expected, found = question(faiss), question(other)
        assert [hit.clip for hit in found] == [hit.clip for hit in expected]
        assert [hit.score for hit in found] == pytest.approx(
            [hit.score for hit in expected], abs=1e-4
        )
    names = [clip, HOSTILE_NAME]
    ours, theirs = (engine.compare(names, ["a sad man"]) for engine in (other, faiss))
    np.testing.assert_allclose(ours.similarity, theirs.similarity, atol=1e-4)
    np.testing.assert_array_equal(other.sketch.peaks, faiss.sketch.peaks)


def test_a_map_and_its_hits_are_drawn_from_one_request_for_the_records(engines, monkeypatch):
    """Each point asked nine times for its clip and once for its row: 60 clips, 661 requests."""
    _, engine = engines
    clips, hits, asked = engine.gallery.clips, engine.search_text("an angry man", 3), []
    query = engine.gallery._client.query
    monkeypatch.setattr(
        engine.gallery._client, "query", lambda *a, **k: asked.append(k["filter"]) or query(*a, **k)
    )
    drawn = atlas(
        clips, np.zeros((len(clips), 2)), partial(answers.address, engine), "emotion", hits
    )
    assert drawn.count("<circle") == len(clips)
    assert 'data-sound="clips/3"' in drawn
    assert len(asked) == 1


def test_what_was_fetched_is_at_hand(address, embedded, monkeypatch):
    found = Collection.load(address)
    assert found.clips[3:6] == embedded.clips[3:6]
    monkeypatch.setattr(found, "_client", None)  # nobody is asked again
    assert found.clips[4:6] == embedded.clips[4:6]
    assert found.clips[3] == embedded.clips[3]


def test_filters_alone_do_not_read_all_clips(engines, monkeypatch):
    faiss, engine = engines
    where = {"gender": "male", "emotion": "sad"}
    expected = _unranked(faiss, where, 2), _ways_out(faiss, where)
    assert "3 clips" in expected[0][0]
    assert engine.sketch  # which does, once
    monkeypatch.setattr(engine.gallery, "read", None)
    assert (_unranked(engine, where, 2), _ways_out(engine, where)) == expected


def test_the_page_opens_over_it(engines, tmp_path):
    from raclap.interface import build
    from raclap.shelf import Shelf

    build(Shelf(engines[1], tmp_path))


# ---- the command line


def test_index_and_search_take_an_address(tmp_path, monkeypatch, engines, capsys):
    from raclap.model import RACLAP

    monkeypatch.chdir(tmp_path)
    model = RACLAP.create(preset("tiny").model)
    model.save_pretrained(tmp_path / "model")
    paths = {clip.path.rpartition("/")[0] for clip in engines[0].gallery.clips}
    given = ["--checkpoint", str(tmp_path / "model")]
    for output in ("folder", "voices.db"):
        assert main(["index", *paths, "--output", output, "--note", "mine", *given]) == 0
    found = []
    capsys.readouterr()
    for gallery in ("folder", "voices.db"):
        assert main(["search", "an angry man", "--gallery", gallery, "--explain", *given]) == 0
        found.append(json.loads(capsys.readouterr().out)["hits"])
    assert [hit["id"] for hit in found[0]] == [hit["id"] for hit in found[1]]
    for ours, theirs in zip(*found, strict=True):
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-4)
        assert ours["rest"] == pytest.approx(theirs["rest"], abs=1e-4)
    assert not list(tmp_path.glob(".*.jsonl"))


def test_index_asks_for_the_address_before_it_looks_at_a_clip(tmp_path, monkeypatch, engines):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(milvus, "_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr("raclap.command.opened", None)  # never reached
    clips = str(Path(engines[0].gallery.clips[0].path).parent)
    assert main(["index", clips, "--output", "milvus://127.0.0.1:9/voices"]) == 2
    assert not list(tmp_path.iterdir())


# ---- mistakes and damage


def test_addresses_are_told_from_folders():
    assert is_address("milvus://127.0.0.1:19530/voices")
    assert is_address("voices.db")
    assert not is_address("bundled")
    assert not is_address("my-gallery")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("nowhere.db", "There is no gallery nowhere.db"),
        ("milvus://", "not of the form"),
        ("milvus://host/a-b", "not of the form"),
        ("milvus://host/", "not of the form"),
        ("milvus://localhost:99999/name", "not of the form"),
        ("milvus://localhost:abc/name", "not of the form"),
        ("milvus://[::1/name", "not of the form"),
    ],
)
def test_a_wrong_address_is_told(address, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=told):
        Collection.load(address)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_server_that_does_not_answer_is_told(host, monkeypatch):
    monkeypatch.setattr(milvus, "_TIMEOUT_SECONDS", 1)
    with pytest.raises(InputError, match=r"cannot be asked.*perhaps.*MILVUS_TOKEN"):
        Collection.load(f"milvus://{host}:9/voices")


def test_an_address_keeps_the_brackets_of_its_host(monkeypatch):
    asked = []
    monkeypatch.setattr("pymilvus.MilvusClient", lambda uri, **_: asked.append(uri) or 1 / 0)
    for host in ("[::1]", "localhost"):
        with pytest.raises(ZeroDivisionError):
            Collection.load(f"milvus://{host}:9/voices")
    assert asked == ["http://[::1]:9", "http://localhost:9"]


def test_a_missing_package_is_one_sentence(monkeypatch):
    original = builtins.__import__

    def without(name, *rest):
        if name.startswith("pymilvus"):
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="pip install pymilvus milvus-lite"):
        Collection.load("milvus://127.0.0.1:1/voices")


def test_a_kill_while_saving_leaves_the_old_gallery(tmp_path, clips, embedded, monkeypatch):
    """Stop before each request in turn: what loads is the old one or the new one, whole."""
    from pymilvus import MilvusClient

    address = tmp_path / "g.db"
    few = clips[:5]
    milvus.save(address, embedded.vectors[:5], few, "model-a", name="old")
    seen = set()
    for steps in range(12):
        moments = itertools.count()

        def dying(function, moments=moments, steps=steps):
            def step(*args, **kwargs):
                if next(moments) == steps:
                    raise KeyboardInterrupt
                return function(*args, **kwargs)

            return step

        new = [replace(clip, path="/new") for clip in few]
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            for name in ("create_collection", "insert", "flush", "upsert", "drop_collection"):
                patch.setattr(MilvusClient, name, dying(getattr(MilvusClient, name)))
            milvus.save(address, -embedded.vectors[:5], new, "model-b", name="new")
        found = Collection.load(address)
        seen.add(found.name)
        sign = {"old": 1, "new": -1}[found.name]
        np.testing.assert_array_equal(np.asarray(found.vectors), sign * embedded.vectors[:5])
        assert len(found.clips) == 5
        # Whoever is stopped before the card is written takes away what it had put there.
        assert found.name == "new" or len(found._client.list_collections()) <= 3
    assert seen == {"old", "new"}
    milvus.save(address, embedded.vectors[:5], few, "model-a", name="last")
    assert Collection.load(address).name == "last"


@pytest.mark.parametrize("moment", ["insert", "upsert", "flush"])
def test_of_two_writers_one_is_kept_whole_and_the_other_is_told(
    tmp_path, clips, embedded, monkeypatch, moment
):
    """One writes from start to end just before, or after, the other's card."""
    from pymilvus import MilvusClient

    address, original = tmp_path / "g.db", getattr(MilvusClient, moment)
    milvus.save(address, embedded.vectors[:2], clips[:2], "m", name="old")

    def crowded(self, collection, *rest):
        if moment == "flush" and collection != "gallery":
            return original(self, collection, *rest)
        monkeypatch.setattr(MilvusClient, moment, original)
        milvus.save(address, embedded.vectors[:3], clips[:3], "m", name="first")
        return original(self, collection, *rest)

    monkeypatch.setattr(MilvusClient, moment, crowded)
    second = (address, embedded.vectors[:4], clips[:4], "m")
    if moment == "flush":
        with pytest.raises(InputError, match="at the same time"):
            milvus.save(*second, name="second")
    else:
        milvus.save(*second, name="second")
    found = Collection.load(address)
    assert (found.name, len(found)) == (("first", 3) if moment == "flush" else ("second", 4))


def test_a_gallery_that_lost_clips_is_refused(tmp_path, clips, embedded):
    address = tmp_path / "g.db"
    milvus.save(address, embedded.vectors[:9], clips[:9], "model-a")
    found = Collection.load(address)
    with pytest.raises(InputError, match="another model"):
        found.check("model-b")
    found._client.delete(found._card.clips, filter="row == 3")
    with pytest.raises(InputError, match="should hold 9 clips; found 8"):
        Collection.load(address)


def test_a_record_that_milvus_cannot_hold_is_told(tmp_path, clips, embedded):
    for text in ("\ud800", "x" * 70_000):
        with pytest.raises(InputError, match="'c1' cannot be kept"):
            milvus.save(
                tmp_path / "g.db", embedded.vectors[:1], [replace(clips[1], text=text)], "m"
            )


def test_a_server_that_names_the_key_only_when_asked_gives_the_same_hits(collection, monkeypatch):
    class Hit(dict):
        """As pymilvus has it: what is not beside the entity is looked for in it."""

        def __missing__(self, key):
            return self["entity"][key]

    def search(*args, output_fields, **kwargs):
        answer = held(*args, output_fields=output_fields, **kwargs)
        return [
            [
                Hit(distance=hit["distance"], entity={name: hit[name] for name in output_fields})
                for hit in hits
            ]
            for hits in answer
        ]

    vectors = unit(np.random.default_rng(8), 3)
    scores, rows = collection.search(vectors, 5)
    held = collection._client.search
    monkeypatch.setattr(collection._client, "search", search)
    found = collection.search(vectors, 5)
    np.testing.assert_array_equal(found[0], scores)
    np.testing.assert_array_equal(found[1], rows)


def test_only_opening_waits_for_the_latest(collection, address, monkeypatch):
    """A server lets whoever wants the latest wait for a fifth of a second; settled clips do not."""
    levels = []

    def spied(ask):
        def asked(*args, **kwargs):
            levels.append(kwargs.get("consistency_level", "as made"))
            return ask(*args, **kwargs)

        return asked

    client = collection._client
    for name in ("search", "query"):
        monkeypatch.setattr(client, name, spied(getattr(client, name)))
    collection.search(unit(np.random.default_rng(0), 1), 3, {"emotion": "sad"})
    collection.clips[5]
    with pytest.raises(InputError):
        collection.search(unit(np.random.default_rng(0), 1), 3, {"emotion": "glum"})
    assert len(levels) > 3
    assert set(levels) == {"Bounded"}
    monkeypatch.setattr(milvus, "_connect", lambda _: (client, "gallery"))
    levels.clear()
    milvus.reach(address)
    assert levels == ["as made"] * 2
    for made in (collection._card.clips, "gallery"):
        assert client.describe_collection(made).get("consistency_level", 0) == 0
