"""What ships works as it is: the checkpoint, the gallery and the app, without a network.

Run: .venv/bin/python -m pytest tests/test_shipped.py
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import TEST_ALL
from gradio_client import Client, handle_file

from raclap import audio, denial, essr, lexicon
from raclap.checkpoint import CHECKPOINT
from raclap.model import RACLAP
from raclap.reading import surely
from raclap.sayings import sayings
from raclap.search import BUNDLED, Engine
from raclap.style import SIZES, VALUES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
LIMIT_BYTES = 95 * 2**20


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.open()


def test_each_weight_file_is_small_enough_for_git():
    for file in Path(CHECKPOINT).rglob("*"):
        assert not file.is_file() or file.stat().st_size < LIMIT_BYTES, file
    clips = sum(file.stat().st_size for file in (Path(BUNDLED) / "clips").iterdir())
    assert clips <= 10 * 2**20


def test_the_checkpoint_carries_its_teacher_and_its_figures(engine):
    assert isinstance(engine.model.teacher, RACLAP)
    assert engine.model.teacher.fingerprint != engine.model.fingerprint
    figures = json.loads((Path(CHECKPOINT) / "metrics.json").read_text())
    assert figures["about"]["checkpoint"] == engine.model.fingerprint
    assert {"ravdess", "nemo", "ased", "baved", "emogator"} <= set(figures["zero_shot"])


def test_one_clip_has_one_vector_however_it_comes(engine, tmp_path):
    paths = [clip.path for clip in engine.gallery.clips[:5]]
    together = engine.model.encode_speech(paths).numpy()
    alone = np.stack([engine.model.encode_speech([path]).numpy()[0] for path in paths])
    samples = np.stack([engine.model.encode_speech([audio.load(p)]).numpy()[0] for p in paths])
    wav = tmp_path / "clip.wav"
    soundfile.write(wav, audio.load(paths[0]), audio.RATE_HZ, subtype="FLOAT")
    assert ((together * alone).sum(1) > 0.9999).all()
    assert ((together * samples).sum(1) > 0.9999).all()
    assert engine.model.encode_speech([wav]).numpy()[0] @ together[0] > 0.9999
    assert ((together * engine.gallery.vectors[:5]).sum(1) > 0.999).all()


def test_spelling_and_case_do_not_matter(engine):
    a, b = engine.model.encode_text(["an angry woman whispering", "an ANGRI  woamn wispering"])
    assert float(a @ b) > 0.9999


def test_a_query_is_encoded_once(engine):
    """What it denies, and what it says, is told from the same states."""
    rows = []
    watch = engine.model.text.encoder.register_forward_pre_hook(
        lambda _, args, given: rows.append(given["input_ids"].numel()), with_kwargs=True
    )
    engine.search_text("some doleful lady, hurrying")
    watch.remove()
    parts = ["some doleful lady, hurrying", "some doleful lady", "hurrying"]
    assert rows == [sum(map(len, engine.model.tokenize(parts)))]


# Somewhat below what was measured for the checkpoint, so that a worse one is noticed.
@pytest.mark.parametrize(("lookup", "least"), [(False, 0.75), (True, 0.87)])
def test_partial_queries_find_clips_that_satisfy_them(engine, lookup, least):
    clips = engine.gallery.clips
    bench = essr.Bench(
        clips,
        engine.gallery.vectors,
        lambda texts: engine.model.encode_text(texts, lookup=lookup).numpy(),
        essr.Protocol(queries=50, resamples=100),
    )
    found = essr.partial(bench, np.arange(len(clips)), k=5)
    assert found["partial", "precision5"].mean >= least


def test_what_the_lexicon_knows_is_heeded_however_short_the_text(engine):
    texts = ["she whispers sadly", "he sounds proud", "breathy", "an odd voice"]
    wanted = [engine.mentioned(text).known for text in texts]
    assert wanted[0] == {"gender": "female", "emotion": "sad", "phonation": "whispered"}
    assert [engine.understood(text).known for text in texts] == wanted
    found = [hit.clip.style.known for hit in engine.search_text(texts[0], 2)]
    assert all(wanted[0].items() <= style.items() for style in found)
    read = [surely(row).known for row in engine.model.understand(texts, lookup=False)[1].numpy()]
    assert read[0] != wanted[0]
    assert read[3] == wanted[3] == {}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("a woman whispering", {"gender": "female", "phonation": "whispered"}),
        ("a low-pitched, slow, sad man", {"gender": "male", "emotion": "sad", "pitch": "low"}),
        ("an angry man shouting", {"gender": "male", "emotion": "angry", "energy": "high"}),
        ("joyful and high-pitched", {"emotion": "happy", "pitch": "high"}),
    ],
)
def test_what_is_asked_for_is_found(engine, query, wanted):
    hits = engine.search_text(query, top=5)
    fitting = [h for h in hits if wanted.items() <= h.clip.style.known.items()]
    assert len(fitting) >= 3


@pytest.mark.parametrize(
    ("query", "style"),
    [
        ("a bloke who has had enough", {"gender": "male", "emotion": "angry"}),
        ("a widow at a funeral", {"gender": "female", "emotion": "sad"}),
        ("an auctioneer rattling off bids", {"speed": "high", "energy": "high"}),
        ("a voice", {}),
        ("asdf", {}),
    ],
)
def test_what_no_table_has_is_understood_nevertheless(engine, query, style):
    assert engine.mentioned(query).emotion == ""
    assert engine.understood(query).known == style


@pytest.mark.parametrize(
    ("change", "start", "wanted", "least"),
    [
        ("a woman", {"gender": "male"}, {"gender": "female"}, 0.9),
        ("slower", {"speed": "high"}, {"speed": "low"}, 0.5),
        ("louder", {"energy": "low"}, {"energy": "high"}, 0.5),
        ("angrier", {"emotion": "calm"}, {"emotion": "angry"}, 0.2),
    ],
)
def test_a_blend_moves_a_clip_toward_the_change(engine, change, start, wanted, least):
    clips = [clip for clip in engine.gallery.clips if start.items() <= clip.style.known.items()]

    def share(weight: float) -> float:
        found = [
            hit.clip
            for clip in clips[::8]
            for hit in engine.blend(clip.id, {change: weight}, 6)
            if hit.clip.id != clip.id
        ]
        return float(np.mean([wanted.items() <= clip.style.known.items() for clip in found]))

    before, after = share(0.0), share(2.0)
    print(f"{change}: {before:.0%} of the nearest before, {after:.0%} after")
    assert after >= least
    assert after > before


@pytest.fixture(scope="module")
def found(engine):
    """What is known of the five best for a query; each is asked once."""
    return cache(lambda query: [hit.clip.style.known for hit in engine.search_text(query, 5)])


def _denied(values: dict[str, str | list[str]]) -> set[tuple[str, str]]:
    """Attribute and value of each that a labelled query denies."""
    each = {name: [value] if isinstance(value, str) else value for name, value in values.items()}
    return {(name, value) for name in each for value in each[name]}


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("queries.json", 0.84, 0.03),
        ("queries2.json", 0.84, 0.03),
        ("queries3.json", 0.84, 0.03),
        ("queries4.json", 0.84, 0.15),
        ("queries5.json", 0.84, 0.1),
        ("queries6.json", 0.84, 0.12),
    ],
)
def test_what_people_type_is_found(engine, found, name, least, most):
    """240 queries each, labelled, by writers who had seen nothing of this project.

    Of the sets after the first every third is asked, or all with RACLAP_TEST_ALL=1.
    """
    every = 1 if name == "queries.json" or TEST_ALL else 3
    asked = json.loads(Path(__file__).with_name(name).read_text())[::every]
    styles = [clip.style.known for clip in engine.gallery.clips]
    right, wrong = [], []
    for each in asked:
        wanted, denied = each["wants"].items(), _denied(each["denied"])
        fitting = sum(wanted <= style.items() and not denied & style.items() for style in styles)
        five = [style.items() for style in found(each["query"])]
        if denied:
            wrong.append(np.mean([bool(denied & style) for style in five]))
        if wanted and fitting:
            fit = sum(wanted <= style and not denied & style for style in five)
            right.append(fit / min(5, fitting))
    print(f"{len(right)} queries: {np.mean(right):.1%} of what is found fits", end="; ")
    print(f"{len(wrong)} deny: {np.mean(wrong):.1%} of what is found is denied")
    assert len(right) > 170 / every
    assert np.mean(right) > least
    assert len(wrong) > 30 / every
    assert np.mean(wrong) < most


def test_what_people_write_is_read(engine):
    """400 lines of a writer that taught nothing, nothing looked up; every third, or all."""
    every: dict[str, set[str]] = {}
    for line in sayings(Path(__file__).with_name("sayings.txt")):
        every.setdefault(line.text, set()).add(line.style.emotion)
    said = dict([*every.items()][:: 1 if TEST_ALL else 3])
    told = engine.model.understand([*said], lookup=False)[1].numpy()
    emotion = slice(SIZES[0], SIZES[0] + SIZES[1])
    right = [
        VALUES["emotion"][shares[emotion].argmax()] in emotions and shares[emotion].sum() >= 0.5
        for shares, emotions in zip(told, said.values(), strict=True)
        if any(emotions)
    ]
    print(f"{np.mean(right):.1%} of the emotions of {len(right)} lines")
    assert len(right) > 80
    # Measured: 63 of all and 69 of every third; by an eye that nobody's lines taught, 56 and 61.
    assert np.mean(right) > (0.6 if TEST_ALL else 0.65)


def test_the_best_descriptions_are_among_the_few_that_are_encoded(engine):
    for clip in engine.gallery.clips[::60]:
        waveform = audio.load(clip.path)
        few, all_ = (engine.reader.read(waveform, top=top).descriptions for top in (5, 1000))
        assert (len(few), len(all_) > 15) == (5, True)
        assert few[0] == pytest.approx(all_[0])
        assert len({*few} & {*all_[:5]}) >= 4


def test_a_whisper_has_no_effort_that_is_measured(engine):
    """Its noise, by which others are told to be loud, would contradict that it is quiet."""
    kinds = {}
    for clip in engine.gallery.clips[::20]:
        read = engine.reader.read(audio.load(clip.path), top=1)
        kinds.setdefault(clip.phonation, set()).update(read.levels)
    assert kinds == {"whispered": {"speed"}, "voiced": {"pitch", "speed", "energy"}}


def test_scenes_find_voices_that_fit(engine):
    """Of the same lines, those that some clip of the gallery satisfies; every third, or all."""
    wanted: dict[str, list[dict[str, str]]] = {}
    for line in sayings(Path(__file__).with_name("sayings.txt")):
        wanted.setdefault(line.text, []).append(line.style.known)
    styles = [clip.style.known.items() for clip in engine.gallery.clips]

    def fits(style, kinds):
        return any(kind.items() <= style for kind in kinds)

    found = []
    for text, kinds in [*wanted.items()][:: 1 if TEST_ALL else 3]:
        many = sum(fits(style, kinds) for style in styles)
        if many and any(kinds):
            five = [hit.clip.style.known.items() for hit in engine.search_text(text, 5)]
            found.append(sum(fits(style, kinds) for style in five) / min(5, many))
    print(f"{len(found)} lines: {np.mean(found):.1%} of what is found fits")
    assert len(found) > 60
    assert np.mean(found) > 0.6  # 67.7; before it learned of others' lines 64.1


def test_what_is_not_wanted_is_not_found(engine):
    plain = engine.search_text("angry", 20)
    without = engine.search_text("angry", 20, without="a man")
    assert sum(hit.clip.gender == "male" for hit in plain) >= 3
    assert sum(hit.clip.gender == "male" for hit in without) == 0


@pytest.mark.parametrize("frame", ["a {}, not {}", "a {} who does not sound {}"])
def test_what_is_denied_is_not_found(engine, frame):
    """A model that was taught no negation finds what is denied first of all."""
    for who, gender in (("woman", "female"), ("man", "male")):
        for emotion in ("angry", "sad", "happy", "calm"):
            found = [hit.clip for hit in engine.search_text(frame.format(who, emotion))]
            assert {clip.gender for clip in found} == {gender}
            assert emotion not in {clip.emotion for clip in found}


def test_what_is_denied_is_not_found_in_words_that_no_table_has(engine, monkeypatch):
    """Emotions are told by the model alone, in words that training never had."""
    looked_up = denial.mentions
    monkeypatch.setattr(
        denial,
        "mentions",
        lambda text: [m for m in looked_up(text) if m.attribute not in ("emotion", "intensity")],
    )
    emotions = sorted({clip.emotion for clip in engine.gallery.clips} - {"neutral"})
    asked = [
        (emotion, wording.text)
        for emotion in emotions
        for wording in lexicon.wordings("emotion", emotion, "unseen")
        if {each.attribute for each in looked_up(wording.text)} <= {"emotion", "intensity"}
        and wording.text.isalpha()
    ][::4]
    found = [
        hit.clip.emotion == emotion
        for emotion, word in asked
        for hit in engine.search_text(f"a woman, not {word}")
    ]
    print(f"{len(asked)} words, denied: {np.mean(found):.1%} of what is found is so")
    assert len(asked) > 30
    assert np.mean(found) < 0.1


def test_what_is_not_heard_does_not_sway_what_is_found(engine):
    plain, *others = (
        [hit.clip.id for hit in engine.search_text(text)]
        for text in ("a man, sad", "a man with a heavy British accent, sad", "an old man, sad")
    )
    assert others == [plain, plain]
    assert engine.understood("an American accent").known == {}


def test_whispers_are_for_those_who_ask(found):
    """Some of 240 labelled queries; a fifth of the gallery whispers."""
    asked = json.loads(Path(__file__).with_name("queries.json").read_text())
    whispers = {"": [], "whispered": []}
    for each in asked:
        wanted = each["wants"].get("phonation", "")
        if wanted in whispers and "phonation" not in each["denied"]:
            five = found(each["query"])
            whispers[wanted] += [style.get("phonation") == "whispered" for style in five]
    unasked, when_asked = map(np.mean, whispers.values())
    print(f"whispers: {unasked:.1%} of what is found unasked, {when_asked:.1%} when asked for")
    assert len(whispers["whispered"]) >= 100
    assert unasked < 0.1
    assert when_asked > 0.9


@pytest.mark.parametrize("query", ["a man", "a woman", "a deep voice", "an old man speaking"])
def test_who_names_no_emotion_finds_few_that_are_moved(engine, query):
    found = [hit.clip.emotion for hit in engine.search_text(query)]
    assert sum(emotion in ("neutral", "calm") for emotion in found) >= 5


@pytest.mark.parametrize(
    ("query", "gender"),
    [
        ("she is shouting at him", "female"),
        ("a woman crying over her husband", "female"),
        ("he is mad at her", "male"),
        ("his wife is shouting", "female"),
        ("a feminine man", "male"),
        ("a manly woman", "female"),
    ],
)
def test_who_speaks_is_found_and_not_who_is_spoken_to(engine, query, gender):
    assert engine.understood(query).gender == gender
    assert {hit.clip.gender for hit in engine.search_text(query)} == {gender}


@pytest.mark.parametrize("query", ["a man or a woman", "an angry woman or man", "male/female, sad"])
def test_whoever_leaves_the_gender_open_finds_both(engine, query):
    genders = [hit.clip.gender for hit in engine.search_text(query)]
    assert min(genders.count("female"), genders.count("male")) >= 2


@pytest.mark.parametrize("emotion", ["calm", "sad"])
def test_who_wants_no_whisper_finds_quiet_voices_all_the_same(engine, emotion):
    """Less of a whisper alone would be less of what is as quiet."""
    for who, gender in (("woman", "female"), ("man", "male")):
        for given in (
            (f"a quiet {emotion} {who}, not whispering", ""),
            (f"a quiet {emotion} {who}", "whispers"),
        ):
            found = [hit.clip for hit in engine.search_text(given[0], 5, without=given[1])]
            assert {(clip.gender, clip.emotion, clip.energy) for clip in found} == {
                (gender, emotion, "low")
            }
            assert sum(clip.phonation == "whispered" for clip in found) <= 1


def test_less_of_an_emotion_leads_away_from_it(engine):
    angry = [clip for clip in engine.gallery.clips if clip.emotion == "angry"][::8]
    found = [
        hit.clip.emotion == "angry"
        for clip in angry
        for hit in engine.blend(clip.id, {"less angry": 1.0}, 6)
        if hit.clip.id != clip.id
    ]
    print(f"less angry: {np.mean(found):.0%} are")
    assert np.mean(found) < 0.1


def test_the_app_starts_and_answers(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.monotonic()
    # Neither a hub nor anybody's settings: what is in the repository has to be enough.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)}
    app = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "--port", str(port)],
        env=environment,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        client = _connect(f"http://127.0.0.1:{port}", app, 120)
        start = time.monotonic() - started

        def median(ask, count: int) -> float:
            ask(0)
            times = []
            for i in range(1, count):
                before = time.monotonic()
                ask(i)
                times.append(time.monotonic() - before)
            return statistics.median(times)

        text = median(
            lambda i: client.predict(f"an angry man {i}", 5, None, api_name="/search_by_text"), 11
        )
        clips = sorted((Path(BUNDLED) / "clips").iterdir())
        voice = median(lambda i: client.predict(handle_file(clips[i]), api_name="/describe"), 6)
        answer = client.predict("a calm woman", 3, None, api_name="/search_by_text")
        assert len(answer["hits"]) == 3
        # Goals on an idle machine are 30 s, 0.3 s and 1.5 s; a busy one is given some slack.
        print(f"start {start:.1f} s, text {text:.3f} s, clip {voice:.3f} s")
        assert start < 90
        assert text < 1.0
        assert voice < 5.0
    finally:
        app.terminate()
        app.wait(10)


def _connect(url: str, app: subprocess.Popen, seconds: float) -> Client:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert app.poll() is None, app.stderr.read().decode()
        try:
            return Client(url, verbose=False)
        except Exception:  # whatever the client says, the page is not up yet
            time.sleep(0.3)
    raise AssertionError(f"the page did not answer within {seconds} s")
