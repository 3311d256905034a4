"""The engine, the reader and the intake, with a stub model and generated voices.

python -m pytest tests/test_search.py
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from stub import StubModel, write_voice

from raclap import audio, intake, reading, timeline, wording
from raclap.checkpoint import open_reader
from raclap.config import InputError, RelationConfig
from raclap.corpus import Clip
from raclap.index import Gallery
from raclap.query import check_text
from raclap.reading import Reader
from raclap.search import Engine
from raclap.style import ATTRIBUTES, LEVELS, VALUES, Style, agreement
from raclap.words import word


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("voices")
    return [
        Clip(
            id=f"v{f0}",
            path=str(write_voice(folder / f"{f0}.wav", f0)),
            gender="female" if f0 > 170 else "male",
        )
        for f0 in (90, 110, 140, 180, 220, 280)
    ]


@pytest.fixture(scope="module")
def engine(clips) -> Engine:
    model = StubModel(teacher=StubModel("teacher", seed=1))
    vectors = model.encode_speech([clip.path for clip in clips]).numpy()
    return Engine(model, Gallery.build(vectors, clips, model.fingerprint))


def test_text_finds_by_cosine(engine, clips):
    hits = engine.search_text("  a low voice ", top=4)
    query = engine.model.encode_text(["a low voice"]).numpy()[0]
    scores = {clip.id: float(engine.gallery.vectors[n] @ query) for n, clip in enumerate(clips)}
    assert [hit.clip.id for hit in hits] == sorted(scores, key=scores.get, reverse=True)[:4]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert [hit.score for hit in hits] == pytest.approx([scores[hit.clip.id] for hit in hits])
    assert all(Path(hit.path).is_absolute() and Path(hit.path).is_file() for hit in hits)


def test_a_gallery_clip_finds_itself_first(engine, clips):
    for clip in clips:
        best = engine.search_clip(clip.path, top=2)[0]
        assert best.clip.id == clip.id
        assert best.score == pytest.approx(1, abs=1e-5)
        assert best.score <= 1


def test_samples_and_file_give_the_same_answer(engine, clips):
    waveform = audio.load(clips[2].path)
    assert engine.search_clip(waveform) == engine.search_clip(clips[2].path)
    assert engine.describe(waveform).attributes == engine.describe(clips[2].path).attributes


def test_filters_reach_the_gallery(engine):
    hits = engine.search_text("anything", top=10, where={"gender": "male"})
    assert {hit.clip.id for hit in hits} == {"v90", "v110", "v140"}
    with pytest.raises(InputError, match="female, male"):
        engine.search_text("anything", where={"gender": "robot"})


@pytest.mark.parametrize("text", ["😱😱", "صوت غاضب", "怒った女性の声", "x" * 1000, "'; --"])
def test_any_script_gets_an_answer(engine, text):
    assert len(engine.search_text(text, top=3)) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *((text, "empty") for text in ("", " \n\t", "\0", "\u200b\u200d")),
        *(("y" * 1001, "1,001.*1,000"), ("y" * 10_000, "10,000.*")),
        ("\ufdfa" * 1000, "18,000"),  # a ligature of as many letters
    ],
)
def test_a_text_that_cannot_be_searched_for_says_why(engine, text, words):
    with pytest.raises(InputError, match=words):
        engine.search_text(text)
    with pytest.raises(InputError, match=words):
        engine.compare(["v90"], ["a voice", text])
    with pytest.raises(InputError, match=words):
        check_text(text)


@pytest.mark.parametrize("top", [0, -3])
def test_nothing_cannot_be_asked_for(engine, clips, top):
    for ask in (engine.search_text, engine.search_clip, engine.describe):
        with pytest.raises(InputError, match=str(top)):
            ask(clips[0].path, top=top)


def test_another_models_gallery_is_refused(engine):
    with pytest.raises(InputError, match="another model"):
        Engine(StubModel("other"), engine.gallery)


def test_a_reading_tells_probabilities_levels_and_descriptions(engine, clips):
    read = engine.describe(clips[0].path, top=6)
    assert read.clip == clips[0].path
    assert read.seconds == pytest.approx(0.6, abs=0.01)
    assert tuple(read.attributes) == ATTRIBUTES
    for name, shares in read.attributes.items():
        assert tuple(shares) == VALUES[name]
        assert sum(shares.values()) == pytest.approx(1)
    assert read.levels["pitch"].number == pytest.approx(90, rel=0.05)
    assert {level.unit for level in read.levels.values()} <= {"Hz", "syllables/s", "dB"}
    scores = [score for _, score in read.descriptions]
    assert len(scores) == len({text for text, _ in read.descriptions}) == 6
    assert scores == sorted(scores, reverse=True)
    text, score = read.descriptions[0]
    vector = engine.model.encode_speech([clips[0].path]).numpy()[0]
    assert score == pytest.approx(float(engine.model.encode_text([text]).numpy()[0] @ vector))


@pytest.mark.parametrize(("attribute", "sureness"), [("energy", 1.0), ("intensity", 0.3)])
def test_probabilities_follow_the_mean_of_all_wordings(engine, clips, attribute, sureness):
    model = engine.model
    vector = model.encode_speech([clips[1].path]).numpy()[0]
    logits = []
    for value in VALUES[attribute]:
        texts = [
            text
            for pool in ("seen", "unseen")
            for text in wording.prompts(attribute, value, pool=pool)
        ]
        mean = model.encode_text(texts).numpy().mean(axis=0)
        logits.append(sureness * model.scale * mean @ vector / np.linalg.norm(mean))
    expected = np.exp(logits) / np.exp(logits).sum()
    told = engine.describe(clips[1].path).attributes[attribute]
    assert list(told.values()) == pytest.approx(expected.tolist(), rel=1e-4)


def test_what_a_query_denies_is_not_wanted(engine):
    found = engine.search_text("a low voice, not a LOUD one", 6)
    assert found == engine.search_text("a low voice", 6, without="loud")
    assert found != engine.search_text("a low voice", 6)
    assert engine.sought("a low voice, not loud", "a man") == ("a low voice", "loud, a man")
    assert engine.search_text("not loud", 6) == engine.search_text(
        "a person speaking", 6, without="loud"
    )
    assert engine.mentioned("a low voice, not an angry one").known == {"pitch": "low"}
    assert engine.sought("  an odd voice ") == ("an odd voice", "")
    assert engine.sought("a man, not xyzzy") == ("a man", "xyzzy")  # which the model reads
    assert engine.sought("a man, not qwrt") == ("a man, not qwrt", "")  # and this it does not


@pytest.mark.parametrize("without", ["loud", "whispering", "a whispering woman", ""])
def test_what_is_not_wanted_counts_as_much_as_is_said(engine, without):
    against = engine.reader.against(without) if without else np.zeros(engine.model.dim)
    for hit in engine.search_text("a low voice", 6, without=without):
        loss = max(0, engine.gallery.vectors[engine.gallery.rows[hit.clip.id]] @ against)
        assert hit.score == pytest.approx(engine.score(hit.clip.id, "a low voice") - loss, abs=1e-6)


def test_a_score_and_a_comparison_leave_out_what_is_denied_as_a_search_does(engine):
    text = "a low voice, not loud"
    hits = engine.search_text(text, 6)
    ids = [hit.clip.id for hit in hits]
    scores = [hit.score for hit in hits]
    assert [engine.score(id, text) for id in ids] == pytest.approx(scores, abs=1e-6)
    found = engine.compare(ids, [f" {text}", "a low voice"])
    assert found.similarity[:, 0].tolist() == pytest.approx(scores, abs=1e-6)
    assert found.texts == [text, "a low voice"]


def test_either_value_of_a_choice_agrees(engine, clips):
    found = engine.compare([clip.id for clip in clips], ["a woman or a man"])
    assert found.overlap[:, 0].tolist() == [1.0] * len(clips)


def test_what_is_denied_counts_in_every_table_of_a_comparison(engine, clips):
    texts = ["a woman", "not a man", "a woman, not a man", "not loud"]
    found = engine.compare([clip.id for clip in clips], texts)
    female = [float(clip.gender == "female") for clip in clips]
    for column in range(3):
        assert found.overlap[:, column].tolist() == female
    teacher = engine.model.teacher
    loud = teacher.encode_text(["loud"]).numpy()[0]
    heard = teacher.encode_speech([clip.path for clip in clips]).numpy()
    plain = engine.compare([clip.id for clip in clips], ["a person speaking"]).taught[:, 0]
    lost = np.maximum(heard @ loud, 0)
    np.testing.assert_allclose(found.taught[:, 3], plain - lost, atol=1e-6)


def test_a_change_that_is_not_heard_changes_nothing(engine, clips):
    voice = clips[0].path
    assert engine.blend(voice, {"older": 2.0}) == engine.blend(voice, {})
    both = engine.blend(voice, {"older": 2.0, "louder": 1.0, "in French": 1.0})
    assert both == engine.blend(voice, {"louder": 1.0})


def test_a_comparative_starts_from_what_is_heard_as_its_positive_does(engine, clips):
    voice = clips[0].path
    assert engine.blend(voice, {"louder": 1.5}) == engine.blend(voice, {"loud": 1.5})
    assert engine.mentioned("louder").known == {}


def test_less_of_something_leads_away_from_it(engine, clips):
    voice, loud = clips[0].path, engine.model.encode_text(["loud"]).numpy()[0]

    def near(change: str) -> float:
        hits = engine.blend(voice, {change: 3.0}, 5)
        rows = [engine.gallery.rows[hit.clip.id] for hit in hits]
        return float((engine.gallery.vectors[rows] @ loud).mean())

    assert near("less loud") < near("louder")
    both = engine.blend(voice, {"slower but not loud": 2.0})
    assert both == engine.blend(voice, {"slower": 2.0, "less loud": 2.0})
    with pytest.raises(InputError, match="empty"):
        engine.blend(voice, {" ": 1.0})


def test_a_reading_is_the_same_every_time(engine, clips):
    fresh = Engine(StubModel(), engine.gallery)
    assert fresh.describe(clips[3].path) == engine.describe(clips[3].path)


def test_one_clip_is_encoded_once_for_reading_and_neighbours(clips, engine):
    fresh = Engine(StubModel(), engine.gallery)
    fresh.describe(clips[0].path)
    fresh.search_clip(clips[0].path)
    assert fresh.model.clips_encoded == 1


def test_a_comparison_holds_clips_against_texts(engine, clips, tmp_path):
    outsider = write_voice(tmp_path / "outside.wav", 330)
    texts = ["a low voice", "a high voice", "someone tired"]
    found = engine.compare(["v90", str(outsider)], texts)
    speech = engine.model.encode_speech([clips[0].path, outsider]).numpy()
    described = engine.model.encode_text(texts).numpy()
    np.testing.assert_allclose(found.similarity, speech @ described.T, atol=1e-5)
    assert (found.clips, found.texts) == (["v90", "outside.wav"], texts)
    for clip, row in zip(("v90", str(outsider)), found.similarity, strict=True):
        assert [engine.score(clip, text) for text in texts] == pytest.approx(row, abs=1e-6)
    teacher = engine.model.teacher
    logits = (
        teacher.encode_speech([clips[0].path, outsider]) @ teacher.encode_text(texts).T
    ).numpy() / RelationConfig().temperature
    soft = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = soft / soft.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.relation, expected, atol=1e-4)


def test_a_recording_without_labels_is_compared_in_measured_levels(engine, tmp_path):
    outsider = write_voice(tmp_path / "outside.wav", 330)
    levels = engine.describe(outsider).levels
    texts = ["a woman", *(word("energy", energy) for energy in LEVELS), "high pitch"]
    (row,) = engine.compare([str(outsider)], texts).overlap
    agreed = [agreement("energy", energy, levels["energy"].value) for energy in LEVELS]
    assert row == pytest.approx([np.nan, *agreed, np.nan], nan_ok=True)  # pitch wants a gender


def test_what_is_not_wanted_is_subtracted(engine, clips):
    hits = engine.search_text("a low voice", top=6, without="someone loud")
    low, loud = engine.model.encode_text(["a low voice", "someone loud"]).numpy()
    loud -= engine.reader.classes["energy"].mean(axis=0) / 2  # "loud" has much that any voice has
    low, loud = np.stack([low, loud / np.linalg.norm(loud)]) @ engine.gallery.vectors.T
    expected = dict(zip((c.id for c in clips), (low - np.maximum(loud, 0)).tolist(), strict=True))
    assert [hit.clip.id for hit in hits] == sorted(expected, key=expected.get, reverse=True)
    assert [hit.score for hit in hits] == pytest.approx(sorted(expected.values(), reverse=True))
    men = engine.search_text("a low voice", 6, {"gender": "male"}, without="someone loud")
    assert [hit.clip.id for hit in men] == [h.clip.id for h in hits if h.clip.gender == "male"]
    assert engine.search_text("a low voice", without="  ") == engine.search_text("a low voice")
    alone = engine.search_text(" ", 6, without="someone loud")
    assert alone == engine.search_text("a person speaking", 6, without="someone loud")
    with pytest.raises(InputError, match="1,001"):
        engine.search_text("a low voice", without="y" * 1001)
    with pytest.raises(InputError, match="empty"):
        engine.search_text(" ", without=" ")


def test_a_blend_of_weight_zero_is_the_clip_and_of_great_weight_the_change(engine, clips):
    plain = engine.search_clip(clips[2].path, top=6)
    still = engine.blend(clips[2].id, {"a woman": 0.0}, top=6)
    assert [hit.clip.id for hit in still] == [hit.clip.id for hit in plain]
    moved = engine.blend(clips[2].id, {"a woman": 10.0}, top=6)
    text = engine.model.encode_text(["a woman"]).numpy()[0]
    heard = engine.describe(clips[2].path).attributes["gender"]
    start = np.array(list(heard.values())) @ engine.reader.classes["gender"]
    way = engine.gallery.vectors @ (text - start)
    assert moved[0].clip.id == clips[int(np.argmax(way))].id


@pytest.mark.parametrize("weight", [-0.1, 11, float("nan")])
def test_an_impossible_weight_is_refused(engine, weight):
    with pytest.raises(InputError, match="weight"):
        engine.blend("v90", {"angrier": weight})


def test_a_gallery_clip_may_be_named_by_its_id(engine, clips):
    assert engine.search_clip("v140") == engine.search_clip(clips[2].path)


def test_a_path_is_no_id(engine):
    asks = (engine.search_clip, lambda clip: engine.explain(clip, "sad"))
    for ask in (*asks, lambda clip: engine.compare([clip], ["sad"])):
        with pytest.raises(InputError, match="no file 'v140'"):
            ask(Path("v140"))


def test_a_short_clip_has_one_style_and_a_long_one_is_followed(engine, tmp_path):
    assert engine.follow(write_voice(tmp_path / "short.wav", 150, 5.9)) == []
    moments = engine.follow(write_voice(tmp_path / "long.wav", 150, 9.0))
    assert [moment.start for moment in moments] == pytest.approx([0, 1.5, 3, 4.5, 6])
    for moment in moments:
        assert moment.seconds == pytest.approx(3)
        assert sum(moment.emotion.values()) == pytest.approx(1)
        assert moment.levels["pitch"].number == pytest.approx(150, rel=0.05)


def test_a_long_recording_has_no_more_moments_than_can_be_drawn_and_none_in_silence(engine):
    tone = 0.2 * np.sin(2 * np.pi * 200 * np.arange(60 * audio.RATE_HZ) / audio.RATE_HZ)
    tone[20 * audio.RATE_HZ : 40 * audio.RATE_HZ] = 0
    moments = engine.follow(tone.astype(np.float32))
    assert 10 < len(moments) < 24
    assert not [m for m in moments if m.start >= 20 and m.start + m.seconds <= 40]
    assert moments[-1].start + moments[-1].seconds == pytest.approx(60, abs=0.01)
    assert timeline.LONG_SECONDS == 6


def test_a_comparison_knows_the_true_overlap_and_any_temperature(engine, tmp_path):
    outsider = write_voice(tmp_path / "outside.wav", 330)
    found = engine.compare(["v90", "v220", str(outsider)], ["a woman", "a man", "xyzzy"])
    np.testing.assert_array_equal(
        found.overlap, [[0, 1, np.nan], [1, 0, np.nan], [np.nan, np.nan, np.nan]]
    )
    np.testing.assert_allclose(found.relation_at(1e3), 1 / 3, atol=1e-3)
    np.testing.assert_allclose(found.relation_at(1e-4).max(axis=1), 1, atol=1e-3)


def test_a_comparison_of_nothing_is_refused(engine):
    with pytest.raises(InputError, match="at least one"):
        engine.compare([], ["a voice"])
    with pytest.raises(InputError, match="at least one"):
        engine.compare(["v90"], [])


@pytest.mark.parametrize("error", [OSError, ValueError, RuntimeError])
def test_a_checkpoint_that_is_nowhere_is_named(tmp_path, monkeypatch, error):
    def fail(_: str) -> None:
        raise error("no tensor\nlong story")

    room = types.ModuleType("raclap.model")
    room.RACLAP = types.SimpleNamespace(from_pretrained=fail)
    monkeypatch.setitem(sys.modules, "raclap.model", room)
    with pytest.raises(InputError, match=r"no checkpoint.*nowhere.*--checkpoint"):
        open_reader(tmp_path / "nowhere")


def test_an_engine_opens_from_disk(tmp_path, monkeypatch, engine):
    room = types.ModuleType("raclap.model")
    room.RACLAP = types.SimpleNamespace(from_pretrained=lambda _: StubModel())
    monkeypatch.setitem(sys.modules, "raclap.model", room)
    (tmp_path / "checkpoint").mkdir()
    engine.gallery.save(tmp_path / "gallery")
    opened = Engine.open(tmp_path / "checkpoint", tmp_path / "gallery")
    assert opened.search_text("a low voice") == engine.search_text("a low voice")
    opened.describe(engine.gallery.clips[0].path)
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == ["values.npz"]


def test_what_no_lookup_finds_is_understood_as_the_model_reads_it(engine):
    assert engine.mentioned("a low xyzzy voice").known == {"pitch": "low"}
    assert engine.understood("a low xyzzy voice").known == {"emotion": "sad", "pitch": "low"}
    assert engine.understood("an angry xyzzy voice").known == {"emotion": "angry"}  # as it is named
    assert engine.understood("a xyzzy voice, not a low one").known == {"emotion": "sad"}
    assert engine.understood("qwrt").known == {}
    assert engine.understood("").known == {}
    assert engine.understood("low, " * 300).known == {"pitch": "low"}


def test_a_query_is_encoded_once_whatever_the_filter(engine):
    asked = "a voice that nobody asked for before"
    engine.search_text(asked)
    before = engine.model.texts_encoded
    assert engine.search_text(asked, 3, {"gender": "male"})
    assert engine.understood(asked).known == {}
    assert engine.model.texts_encoded == before


def test_values_are_kept_for_the_same_model_wording_and_glossary(tmp_path, monkeypatch):
    cache = tmp_path / "values.npz"
    first, again = StubModel(), StubModel()
    told = Reader(first, cache).classes
    kept = Reader(again, cache).classes
    assert again.texts_encoded == 0 < first.texts_encoded
    for name in ATTRIBUTES:
        np.testing.assert_array_equal(told[name], kept[name])
    other = StubModel("other")
    _ = Reader(other, cache).classes
    assert other.texts_encoded
    monkeypatch.setattr(reading.wording, "prompts", lambda *_, **__: ["something new"])
    reworded = StubModel("other")
    _ = Reader(reworded, cache).classes
    assert reworded.texts_encoded
    monkeypatch.setattr(reading.glossary, "digest", lambda: "of a new one")
    glossed = StubModel("other")
    _ = Reader(glossed, cache).classes
    assert glossed.texts_encoded


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 broken"])
def test_a_damaged_cache_is_made_again(tmp_path, content):
    cache = tmp_path / "values.npz"
    cache.write_bytes(content)
    assert Reader(StubModel(), cache).classes.keys() == set(ATTRIBUTES)
    model = StubModel()
    _ = Reader(model, cache).classes
    assert model.texts_encoded == 0


def test_a_vector_is_told_though_another_thread_forgets_it_at_once(clips):
    class Forgetful(dict):
        def __setitem__(self, key, value):
            self.clear()

    reader = Reader(StubModel())
    reader._heard = Forgetful()
    waveform = audio.load(clips[0].path)
    assert np.allclose(reader.hear(waveform), StubModel().encode_speech([waveform])[0])


def test_a_folder_is_searched_for_audio_and_its_own_manifest(tmp_path):
    write_voice(tmp_path / "b.wav")
    write_voice(tmp_path / "deep" / "A.WAV")
    write_voice(tmp_path / ".hidden" / "c.wav")
    (tmp_path / "notes.txt").write_text("no audio")
    assert [clip.id for clip in intake.find_clips(tmp_path)] == ["b.wav", "deep/A.WAV"]
    (tmp_path / "manifest.csv").write_text("id,path,emotion\nbee,b.wav,angry\n")
    found = intake.find_clips(tmp_path)
    assert [(clip.id, clip.emotion) for clip in found] == [("bee", "angry"), ("deep/A.WAV", "")]


def test_a_folder_without_audio_is_refused(tmp_path):
    with pytest.raises(InputError, match="no audio"):
        intake.find_clips(tmp_path)
    with pytest.raises(InputError, match="no folder or manifest"):
        intake.find_clips(tmp_path / "nowhere")


def test_an_id_that_two_files_claim_is_refused(tmp_path):
    write_voice(tmp_path / "a.wav")
    write_voice(tmp_path / "b.wav")
    (tmp_path / "manifest.csv").write_text("id,path\nb.wav,a.wav\n")
    with pytest.raises(InputError, match=r"'b\.wav'"):
        intake.find_clips(tmp_path)


def test_intake_measures_skips_and_keeps_order(tmp_path, clips):
    broken = tmp_path / "broken.wav"
    broken.write_text("not audio")
    mixed = [clips[5], Clip(id="broken", path=str(broken)), clips[0]]
    said = []
    reader = Reader(StubModel())
    taken = intake.take_in(reader, mixed, tmp_path / "work", say=said.append)
    assert [clip.id for clip in taken.clips] == [clips[5].id, clips[0].id]
    assert list(taken.skipped) == ["broken"]
    assert len(said) == 1
    assert "broken.wav" in said[0]
    assert taken.clips[1].pitch == "low"
    assert taken.clips[1].seconds == pytest.approx(0.6, abs=0.01)
    expected = reader.model.encode_speech([clips[5].path, clips[0].path]).numpy()
    np.testing.assert_allclose(taken.vectors, expected, atol=1e-5)


def test_a_level_that_cannot_be_measured_stays_as_the_manifest_has_it(tmp_path):
    path = write_voice(tmp_path / "v.wav", 100)
    unsure = Reader(StubModel())
    unsure.probabilities = lambda _: {"gender": {"female": 0.6, "male": 0.4}, "emotion": {"sad": 1}}
    clip = Clip(id="v", path=str(path), pitch="high")
    assert intake.take_in(unsure, [clip], tmp_path / "a").clips[0].pitch == "high"
    sure = Reader(StubModel())
    sure.probabilities = lambda _: {"gender": {"female": 0.05, "male": 0.95}, "emotion": {"sad": 1}}
    taken = intake.take_in(sure, [clip], tmp_path / "b").clips[0]
    assert (taken.pitch, taken.gender) == ("low", "")


def test_what_no_label_tells_is_heard_if_it_is_sure(tmp_path):
    path = write_voice(tmp_path / "v.wav", 100)
    reader = Reader(StubModel())

    def taken(emotion: dict[str, float], **labels: str) -> Clip:
        told = {"gender": {"female": 0.9, "male": 0.1}, "emotion": emotion}
        reader.probabilities = lambda _: told
        clip = Clip(id="v", path=str(path), heard_gender="male", **labels)  # of another model
        return intake.take_in(reader, [clip], tmp_path / "work").clips[0]

    sure, unsure = {"angry": 0.8, "sad": 0.2}, {"angry": 0.6, "sad": 0.4}
    assert taken(sure).heard == {"gender": "female", "emotion": "angry"}
    assert taken(unsure).heard == {"gender": "female"}
    labelled = taken(sure, gender="male")
    assert (labelled.heard, labelled.heard_gender) == ({"emotion": "angry"}, "")
    assert (labelled.told("gender"), labelled.told("emotion")) == ("male", "angry")
    assert labelled.style == Style(
        gender="male", **{n: getattr(labelled, n) for n in intake._LEVELS}
    )


def test_an_interrupted_intake_goes_on_where_it_stopped(tmp_path, clips, monkeypatch):
    monkeypatch.setattr(intake, "_CHUNK_CLIPS", 2)

    def stop_at_fifth(some, **_):
        for number, clip in enumerate(some):
            if number == 4:
                raise KeyboardInterrupt
            yield clip

    work = tmp_path / "work"
    first, second, whole = StubModel(), StubModel(), StubModel()
    with pytest.raises(KeyboardInterrupt):
        intake.take_in(Reader(first), clips, work, watch=stop_at_fifth)
    assert first.clips_encoded == 6  # of which four were written down
    work.write_text(work.read_text() + '["cut short', encoding="utf-8")
    resumed = intake.take_in(Reader(second), clips, work)
    assert second.clips_encoded == 2
    at_once = intake.take_in(Reader(whole), clips, tmp_path / "other")
    np.testing.assert_allclose(resumed.vectors, at_once.vectors, atol=1e-6)
    assert resumed.clips == at_once.clips
    other = StubModel("other")
    intake.take_in(Reader(other), clips, work)
    assert other.clips_encoded == len(clips)  # another model's vectors are no use


def test_a_clip_that_changed_is_encoded_again(tmp_path):
    path = write_voice(tmp_path / "v.wav", 100)
    work, model = tmp_path / "work", StubModel()
    clip = Clip(id="v", path=str(path))
    intake.take_in(Reader(model), [clip], work)
    write_voice(path, 200, seconds=0.7)
    taken = intake.take_in(Reader(model), [clip], work)
    assert model.clips_encoded == 2
    assert taken.clips[0].seconds == pytest.approx(0.7, abs=0.01)
