"""Manifests, published layouts and tables of descriptions, each as a miniature.

Run: pytest tests/test_corpus.py
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from raclap.config import InputError
from raclap.corpus import SPLITS, Clip, build, read_manifest, select, write_manifest
from raclap.layouts import LAYOUTS
from raclap.style import Style
from raclap.tables import parse_columns


def put(root: Path, *names: str) -> Path:
    """Make empty files, which no layout may try to decode."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def only(clips: list[Clip], id_: str) -> Clip:
    (found,) = [clip for clip in clips if clip.id == id_]
    return found


def sides(clips: list[Clip]) -> dict[str, set[str]]:
    """The speakers on each side of the split, checked to be disjoint."""
    speakers = defaultdict(set)
    for clip in clips:
        speakers[clip.split].add(clip.speaker)
    assert set(speakers) <= set(SPLITS)
    assert sum(map(len, speakers.values())) == len({clip.speaker for clip in clips})
    return speakers


# ---- manifest


def manifest(tmp_path: Path, text: str, *files: str) -> Path:
    put(tmp_path, *(files or ("a.wav",)))
    path = tmp_path / "m.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_manifest_reads_in_our_words(tmp_path):
    path = manifest(
        tmp_path,
        "id,path,corpus,split,speaker,gender,emotion,intensity,pitch,text,seconds,extra,"
        "description,description_2\n"
        'x/1,a.wav,x,dev,x/s,F,anger,neutral,High,"One, two.",1.5,?,An angry woman.,Loud!\n',
    )
    (clip,) = read_manifest(path)
    assert clip == Clip(
        id="x/1",
        path=str(tmp_path / "a.wav"),
        corpus="x",
        split="valid",
        speaker="x/s",
        gender="female",
        emotion="angry",
        intensity="normal",
        pitch="high",
        text="One, two.",
        seconds=1.5,
        descriptions=("An angry woman.", "Loud!"),
    )
    assert clip.style == Style(gender="female", emotion="angry", intensity="normal", pitch="high")


def test_manifest_needs_only_id_and_path(tmp_path):
    path = manifest(tmp_path, "\ufeffid,path\n1,a.wav\n")
    assert read_manifest(path) == [Clip(id="1", path=str(tmp_path / "a.wav"))]


@pytest.mark.parametrize(
    ("label", "word"), [("neutral", "normal"), ("high", "strong"), ("low", "low"), ("", "")]
)
def test_manifest_takes_levels_of_emotion_as_intensity(tmp_path, label, word):
    path = manifest(tmp_path, f"id,path,intensity\n1,a.wav,{label}\n")
    assert read_manifest(path)[0].intensity == word


def test_manifest_survives_writing_and_moving(tmp_path):
    put(tmp_path, "here/a.wav", "elsewhere/b.wav")
    clips = [
        Clip(id="1", path=str(tmp_path / "here/a.wav"), emotion="sad", descriptions=("A\nb", "c")),
        Clip(
            id="2", path=str(tmp_path / "elsewhere/b.wav"), text='says "hi", softly', seconds=2.25
        ),
    ]
    write_manifest(clips, tmp_path / "here/m.csv")
    assert read_manifest(tmp_path / "here/m.csv") == clips
    assert "heard" not in (tmp_path / "here/m.csv").read_text()
    clips[0] = replace(clips[0], emotion="", heard_emotion="sad")
    write_manifest(clips, tmp_path / "here/m.csv")
    assert read_manifest(tmp_path / "here/m.csv") == clips

    (tmp_path / "here").rename(tmp_path / "there")
    moved = read_manifest(tmp_path / "there/m.csv")
    assert [clip.path for clip in moved] == [str(tmp_path / "there/a.wav"), clips[1].path]


_WRITABLE = st.text(st.characters(blacklist_categories=["Cs"]))
_BLANK = st.sampled_from(["", " ", "\r", "\n", "\t", '"', ","])


@given(
    texts=st.lists(st.builds("".join, st.tuples(_BLANK, _WRITABLE, _BLANK)), min_size=1),
    label=_WRITABLE.map(str.strip),
    descriptions=st.lists(_WRITABLE.filter(str.strip), max_size=2),
)
def test_whatever_is_written_is_read_again(tmp_path_factory, texts, label, descriptions):
    home = tmp_path_factory.mktemp("m")
    path = str(put(home, " take 1.wav") / " take 1.wav")
    clips = [
        Clip(id=f"{n}{text}", path=path, speaker=label, text=text, descriptions=(*descriptions,))
        for n, text in enumerate(texts)
    ]
    write_manifest(clips, home / "m.csv")
    assert read_manifest(home / "m.csv") == clips


def test_a_manifest_that_cannot_be_written_leaves_the_one_before(tmp_path):
    path = tmp_path / "manifest.csv"
    write_manifest([Clip(id="a", path="a.wav")], path)
    before = path.read_bytes()
    with pytest.raises(UnicodeEncodeError):
        write_manifest([Clip(id="b", path="b\ud800.wav")], path)
    assert path.read_bytes() == before


def test_manifest_ignores_unnamed_columns_and_a_blank_before_a_path(tmp_path):
    path = manifest(tmp_path, ",id,path,gender,\n0,1, a.wav, male ,\n")
    assert read_manifest(path) == [Clip(id="1", path=str(tmp_path / "a.wav"), gender="male")]


def test_what_is_known_of_a_clip_may_outlive_its_file(tmp_path):
    path = manifest(tmp_path, "id,path\n1,gone.wav\n")
    assert read_manifest(path, present=False) == [Clip(id="1", path=str(tmp_path / "gone.wav"))]


def test_manifest_is_written_relative_to_the_folder_it_will_be_in(tmp_path):
    put(tmp_path, "gallery/audio/a.wav")
    clip = Clip(id="1", path=str(tmp_path / "gallery/audio/a.wav"))
    write_manifest([clip], tmp_path / "draft.csv", relative_to=tmp_path / "gallery")
    assert "\n1,audio/a.wav," in (tmp_path / "draft.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,emotion\na.wav,sad\n", r"line 1: no column 'id'; found path, emotion"),
        ("id,gender\n1,male\n", r"line 1: no column 'path'"),
        ("", r"line 1: no column 'id'; found nothing"),
        ("id,path\n", r"header but no clips"),
        ("id,path\n1,\n", r"line 2, column path: empty"),
        ("id,path\n,a.wav\n", r"line 2, column id: empty"),
        ("id,path\n1,a.wav\n2,gone.wav\n", r"line 3, column path: there is no file .*gone\.wav"),
        ("id,path\n1,a.wav\n1,a.wav\n", r"line 3, column id: '1' is already on line 2"),
        ("id,path,seconds\n1,a.wav,long\n", r"line 2, column seconds: 'long'"),
        ("id,path,seconds\n1,a.wav,-1\n", r"line 2, column seconds: '-1'"),
        ("id,path,seconds\n1,a.wav,nan\n", r"line 2, column seconds: 'nan'"),
        ("id,path,emotion\n1,a.wav,peckish\n", r"line 2, column emotion: 'peckish' is not one of"),
        ("id,path,gender\n1,a.wav,robot\n", r"column gender: 'robot' is not one of female, male"),
        ("id,path,split\n1,a.wav,later\n", r"column split: 'later' is not one of train, valid"),
        ("id,path\n1,a.wav,x\n", r"line 2: not as many fields as the header's 2"),
        ("id,path,text\n1,a.wav\n", r"line 2: not as many fields as the header's 3"),
    ],
)
def test_manifest_names_line_and_column_of_a_mistake(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_manifest(manifest(tmp_path, text))


def test_manifest_that_is_no_text_or_not_there(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"RIFF\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "m.csv")
    with pytest.raises(InputError, match=r"gone\.csv cannot be read"):
        read_manifest(tmp_path / "gone.csv")


# ---- published layouts


def test_ravdess(tmp_path):
    put(
        tmp_path,
        "Actor_12/03-01-06-02-02-01-12.wav",
        "copy/Actor_12/03-01-06-02-02-01-12.wav",  # the Kaggle download holds every clip twice
        "Actor_19/03-01-01-01-01-01-19.wav",
        "Actor_17/03-01-08-01-01-01-17.wav",
        "Actor_12/03-02-06-02-02-01-12.wav",  # sung
        "Actor_12/03-01-09-02-02-01-12.wav",  # no such emotion
    )
    clips = build("ravdess", tmp_path)
    assert len(clips) == 3
    assert only(clips, "ravdess/03-01-06-02-02-01-12") == Clip(
        id="ravdess/03-01-06-02-02-01-12",
        path=str(tmp_path / "Actor_12/03-01-06-02-02-01-12.wav"),
        corpus="ravdess",
        split="train",
        speaker="ravdess/12",
        gender="female",
        language="en",
        emotion="fearful",
        intensity="strong",
        text="Dogs are sitting by the door",
    )
    assert only(clips, "ravdess/03-01-01-01-01-01-19").gender == "male"
    assert sides(clips)["test"] == {"ravdess/19"}
    assert sides(clips)["valid"] == {"ravdess/17"}


def test_crema_d(tmp_path):
    put(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_IEO_HAP_MD.wav")
    (tmp_path / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n'
        '1001,51,"Male","Caucasian","Not Hispanic"\n1002,21,"Female","Caucasian","Not Hispanic"\n',
        encoding="utf-8",
    )
    clips = build("crema-d", tmp_path)
    angry, happy = clips
    assert (angry.id, angry.speaker) == ("crema-d/1001_DFA_ANG_XX", "crema-d/1001")
    assert (angry.gender, angry.age, angry.language) == ("male", "51", "en")
    assert (angry.emotion, angry.intensity) == ("angry", "")
    assert angry.text == "Don't forget a jacket"
    assert (happy.gender, happy.age, happy.intensity) == ("female", "21", "normal")


def test_crema_d_without_its_table_leaves_the_speaker_unknown(tmp_path):
    (clip,) = build("crema-d", put(tmp_path, "1001_TSI_SAD_HI.wav"))
    assert (clip.gender, clip.age, clip.intensity) == ("", "", "strong")


def test_a_damaged_table_of_crema_d_is_named(tmp_path):
    put(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    table = tmp_path / "VideoDemographics.csv"
    table.write_text('"ActorID","Age"\n1001,"' + "5" * 200_000, encoding="utf-8")
    with pytest.raises(InputError, match=r"VideoDemographics\.csv is damaged: field larger"):
        build("crema-d", tmp_path)


def test_tess(tmp_path):
    put(
        tmp_path,
        "OAF_angry/OAF_back_angry.wav",
        "YAF_pleasant_surprised/YAF_merge_ps.wav",
        "OAF_neutral/OA_bite_neutral.wav",
    )
    clips = build("tess", tmp_path)
    older, younger = only(clips, "tess/OAF_back_angry"), only(clips, "tess/YAF_merge_ps")
    assert (older.speaker, older.gender, older.age) == ("tess/OAF", "female", "64")
    assert (older.emotion, older.text) == ("angry", "Say the word back")
    assert (younger.age, younger.emotion) == ("26", "surprised")
    slip = only(clips, "tess/OA_bite_neutral")
    assert (slip.speaker, slip.split) == ("tess/OAF", older.split)
    assert {older.split, younger.split} == {"train", "test"}


@pytest.mark.parametrize("name", ["AudioData/DC/su12.wav", "ALL/DC_su12.wav"])
def test_savee(tmp_path, name):
    (clip,) = build("savee", put(tmp_path, name))
    assert (clip.id, clip.speaker, clip.gender) == ("savee/DC_su12", "savee/DC", "male")
    assert (clip.emotion, clip.language) == ("surprised", "en")


def test_savee_tells_sad_from_surprised_and_angry(tmp_path):
    clips = build("savee", put(tmp_path, *(f"KL/{name}01.wav" for name in ("sa", "a", "su"))))
    assert [clip.emotion for clip in clips] == ["angry", "sad", "surprised"]


def test_emodb(tmp_path):
    (clip,) = build("emodb", put(tmp_path, "wav/03a01Fa.wav"))
    assert (clip.id, clip.speaker) == ("emodb/03a01Fa", "emodb/03")
    assert (clip.gender, clip.age, clip.language) == ("male", "31", "de")
    assert (clip.emotion, clip.text) == ("happy", "Der Lappen liegt auf dem Eisschrank.")
    last = build("emodb", put(tmp_path, "wav/16b10Lb.wav"))[-1]
    assert (last.gender, last.age, last.emotion) == ("female", "31", "bored")


def test_esd_flat_with_transcripts(tmp_path):
    put(tmp_path, "0001/Angry/0001_000351.wav", "0011/Surprise/0011_001401.wav")
    (tmp_path / "0001/0001.txt").write_text("0001_000351\t打远一看。\t生气\n", encoding="gb18030")
    (tmp_path / "0011/0011.txt").write_text('0011_001401\t"Say it.\tSurprise\n', encoding="utf-8")
    chinese, english = build("esd", tmp_path)
    assert (chinese.id, chinese.speaker) == ("esd/0001_000351", "esd/0001")
    assert (chinese.gender, chinese.language) == ("female", "zh")
    assert (chinese.emotion, chinese.text) == ("angry", "打远一看。")
    assert (english.gender, english.language) == ("male", "en")
    assert (english.emotion, english.text) == ("surprised", '"Say it.')


def test_esd_split_is_made_anew_because_its_own_shares_speakers(tmp_path):
    for speaker in ("0011", "0012", "0015", "0016"):
        for number, part in enumerate(("train", "evaluation", "test")):
            put(tmp_path, f"{speaker}/Sad/{part}/{speaker}_00105{number}.wav")
    clips = build("esd", tmp_path)
    assert len(clips) == 12
    tested = sides(clips)["test"]
    assert {clip.gender for clip in clips if clip.speaker in tested} == {"female", "male"}


def test_nemo(tmp_path):
    put(tmp_path, "samples/WR0_surprised_64.wav", "samples/EB0_fear_35.wav")
    (tmp_path / "data.tsv").write_text(
        "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
        "WR0_surprised_64.wav\tsurprised\tUcho wykrywa dźwięki.\tucho\t        WR0\tmale\t23\n"
        "EB0_fear_35.wav\tfear\tAby upiec ciasto.\taby\t        EB0\tfemale\t27\n",
        encoding="utf-8",
    )
    clips = build("nemo", tmp_path)
    assert only(clips, "nemo/WR0_surprised_64") == Clip(
        id="nemo/WR0_surprised_64",
        path=str(tmp_path / "samples/WR0_surprised_64.wav"),
        corpus="nemo",
        split="train",
        speaker="nemo/WR0",
        gender="male",
        age="23",
        language="pl",
        emotion="surprised",
        text="Ucho wykrywa dźwięki.",
    )
    assert only(clips, "nemo/EB0_fear_35").split == "test"


def test_ased(tmp_path):
    put(tmp_path, "01Neutral/n1-01-01-01-01.wav", "04Sad/S4-04-02-02-64.wav")
    neutral, sad = build("ased", tmp_path)
    assert (neutral.id, neutral.speaker) == ("ased/n1-01-01-01-01", "ased/01")
    assert (neutral.gender, neutral.emotion, neutral.language) == ("female", "neutral", "am")
    assert (sad.gender, sad.emotion) == ("male", "sad")


def test_baved(tmp_path):
    put(tmp_path, "0/12-f-19-0-2-1.wav", "6/8-m-18-6-0-1850.wav")
    loud, faint = build("baved", tmp_path)
    assert (loud.id, loud.speaker) == ("baved/12-f-19-0-2-1", "baved/12")
    assert (loud.gender, loud.age, loud.language) == ("female", "19", "ar")
    assert (loud.emotion, loud.intensity, loud.text) == ("", "strong", "اعجبني")
    assert (faint.intensity, faint.text, faint.split) == ("low", "سيئ", "test")


def test_emogator(tmp_path):
    put(tmp_path, *(f"data/mp3/000001-{n:02}-1.mp3" for n in range(1, 31)))
    clips = build("emogator", tmp_path)
    assert len({clip.emotion for clip in clips}) == 30
    emotions = {clip.id[-4:-2]: clip.emotion for clip in clips}
    assert (emotions["03"], emotions["15"], emotions["28"]) == (
        "angry",
        "fearful",
        "surprise_positive",
    )
    assert {(clip.gender, clip.language) for clip in clips} == {("", "")}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_reads_its_own_example(tmp_path, name):
    (clip,) = build(name, put(tmp_path, LAYOUTS[name].example))
    assert clip.corpus == name
    assert clip.speaker.startswith(f"{name}/")
    assert clip.split == "train"
    assert clip.style.known


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_of_something_else_says_what_was_looked_for_and_found(tmp_path, name):
    put(tmp_path, *(f"song{n}.wav" for n in range(5)))
    with pytest.raises(InputError, match=r"found song0\.wav, song1\.wav, song2\.wav\. ") as told:
        build(name, tmp_path)
    assert LAYOUTS[name].example in str(told.value)


def test_lengths_come_from_the_header(tmp_path):
    soundfile.write(tmp_path / "03a01Fa.wav", np.zeros(4000, np.float32), 16000)
    put(tmp_path, "03a02Fa.wav")
    assert [clip.seconds for clip in build("emodb", tmp_path)] == [0.25, 0.0]


# ---- splits


@pytest.mark.parametrize(("women", "men"), [(12, 12), (48, 43), (2, 2), (1, 9), (0, 4), (3, 0)])
def test_split_is_by_speaker_with_both_genders_in_test(tmp_path, women, men):
    speakers = ["female"] * women + ["male"] * men
    put(tmp_path, *(f"{1000 + n}_DFA_ANG_XX.wav" for n in range(len(speakers))))
    rows = "".join(f"{1000 + n},40,{gender}\n" for n, gender in enumerate(speakers))
    (tmp_path / "VideoDemographics.csv").write_text("ActorID,Age,Sex\n" + rows, encoding="utf-8")
    clips = build("crema-d", tmp_path)
    parts = sides(clips)
    assert len(parts["train"]) >= max(2, 0.6 * len(speakers) - 1)
    tested = [clip.gender for clip in clips if clip.split == "test"]
    assert len(tested) >= max(1, round(0.2 * len(speakers)) - 1)
    for gender, count in (("female", women), ("male", men)):
        assert gender in tested or count < 2


def test_split_depends_on_nothing_but_the_speakers(tmp_path):
    put(tmp_path, *(f"{n}.wav" for n in range(10)))
    rows = [f"{n},Calm.,speaker{n}\n" for n in range(10)]
    found = []
    for order in (rows, rows[::-1]):
        table = tmp_path / "t.csv"
        table.write_text("item_name,style_prompt,speaker\n" + "".join(order), encoding="utf-8")
        found.append({c.speaker: c.split for c in build("promptspeech", tmp_path, table=table)})
    assert found[0] == found[1]
    assert set(found[0].values()) == set(SPLITS)


def test_clips_of_unknown_speakers_are_split_one_by_one(tmp_path):
    put(tmp_path, *(f"{n}.wav" for n in range(10)))
    table = tmp_path / "t.csv"
    table.write_text(
        "item_name,style_prompt\n" + "".join(f"{n},Calm.\n" for n in range(10)), encoding="utf-8"
    )
    clips = build("textrolspeech", tmp_path, table=table)
    assert sorted(clip.split for clip in clips) == ["test"] * 2 + ["train"] * 7 + ["valid"]


# ---- tables of descriptions


def textrol(tmp_path: Path) -> Path:
    put(tmp_path, "libritts/84_1.wav", "esd/0011_1.wav")
    table = tmp_path / "random_train.csv"
    table.write_text(
        "num,item_name,gender,pitch,tempo,energy,emotion,style_prompt,content_prompt\n"
        '1,84_1,F,high,normal,low,neutral,"She speaks softly, and high.",Hello there.\n'
        "2,0011_1,M,low,high,high,angry,He shouts.,Go away.\n"
        "3,84_1,F,high,normal,low,neutral,A quiet woman.,Hello there.\n"
        "4,not_here,M,low,low,low,sad,He sighs.,Oh.\n",
        encoding="utf-8",
    )
    return table


def test_textrolspeech(tmp_path):
    clips = build("textrolspeech", tmp_path, table=textrol(tmp_path))
    assert [clip.id for clip in clips] == [
        "textrolspeech/libritts/84_1",
        "textrolspeech/esd/0011_1",
    ]
    woman, man = clips
    assert woman.descriptions == ("She speaks softly, and high.", "A quiet woman.")
    assert woman.style == Style(
        gender="female", emotion="neutral", pitch="high", speed="medium", energy="low"
    )
    assert (woman.text, woman.path) == ("Hello there.", str(tmp_path / "libritts/84_1.wav"))
    assert man.style == Style(
        gender="male", emotion="angry", pitch="low", speed="high", energy="high"
    )


def test_promptspeech_with_other_column_names(tmp_path):
    put(tmp_path, "7.wav")
    table = tmp_path / "prompts.tsv"
    table.write_text("File\tCaption\tvolume\n7.wav\tA booming voice\thigh\n", encoding="utf-8")
    columns = parse_columns("path=FILE, description=caption")
    (clip,) = build("promptspeech", tmp_path, table=table, columns=columns)
    assert (clip.id, clip.descriptions, clip.energy) == (
        "promptspeech/7",
        ("A booming voice",),
        "high",
    )


def test_speechcraft_as_json(tmp_path):
    put(tmp_path, "wavs/a.wav")
    record = {"path": "wavs/a.wav", "Gender": "Male", "Age": "Elderly", "Speed": "fast"}
    record |= {"Volume": "normal", "Emotion": "Fearful", "Description": "An old man in fear."}
    (tmp_path / "labels.json").write_text(json.dumps([record]), encoding="utf-8")
    (clip,) = build("speechcraft", tmp_path, table=tmp_path / "labels.json")
    assert clip.style == Style(gender="male", emotion="fearful", speed="high", energy="medium")
    assert (clip.age, clip.descriptions) == ("Elderly", ("An old man in fear.",))


def test_paraspeechcaps_as_json_lines(tmp_path):
    put(tmp_path, "p001/emo_1.wav", "p002/emo_1.wav", "p003/emo_1.wav")
    lines = [
        {
            "relative_audio_path": f"p00{n}/emo_1.wav",
            "text_description": ["A husky whisper.", "He whispers."],
            "situational_tags": ["whispered", "scared"] if n == 1 else None,
            "speakerid": f"ears_p00{n}",
            "gender": "male",
            "pitch": "low-pitched",
            "speaking_rate": "slow speed",
            "duration": 2.5,
        }
        for n in (1, 2, 3)
    ]
    table = tmp_path / "ears.jsonl"
    table.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    clips = build("paraspeechcaps", tmp_path, table=table)
    assert len(sides(clips)["test"]) == 1
    assert clips[0].style == Style(
        gender="male", emotion="fearful", pitch="low", speed="low", phonation="whispered"
    )
    assert (clips[0].speaker, clips[0].seconds) == ("paraspeechcaps/ears_p001", 2.5)
    assert clips[0].descriptions == ("A husky whisper.", "He whispers.")
    assert clips[1].style.phonation == ""


def test_a_line_of_json_may_hold_what_else_breaks_lines(tmp_path):
    put(tmp_path, "a.wav", "b.wav")
    told = "calm\u2028soft\u2029low\x85slow\x1eend"
    rows = [{"path": name, "description": told} for name in ("a.wav", "b.wav")]
    # JSON may hold all of these raw but the last, a control character.
    lines = [json.dumps(row, ensure_ascii=False).replace("\x1e", "\\u001e") for row in rows]
    (tmp_path / "t.jsonl").write_bytes("\r\n".join(lines).encode())
    clips = build("speechcraft", tmp_path, table=tmp_path / "t.jsonl")
    assert [clip.descriptions for clip in clips] == [(told,), (told,)]


def test_a_published_split_is_kept_where_speakers_stay_apart(tmp_path):
    put(tmp_path, "a.wav", "b.wav", "c.wav")
    table = tmp_path / "t.csv"
    head = "item_name,style_prompt,who,part\n"
    columns = {"speaker": "who", "split": "part"}

    table.write_text(head + "a,x,1,test\nb,y,1,test\nc,z,2,dev\n", encoding="utf-8")
    kept = build("textrolspeech", tmp_path, table=table, columns=columns)
    assert [clip.split for clip in kept] == ["test", "test", "valid"]
    unnamed = build("textrolspeech", tmp_path, table=table, columns={"split": "part"})
    assert [clip.split for clip in unnamed] == ["test", "test", "valid"]

    table.write_text(head + "a,x,1,test\nb,y,1,train\nc,z,2,train\n", encoding="utf-8")
    anew = build("textrolspeech", tmp_path, table=table, columns=columns)
    assert anew[0].split == anew[1].split != anew[2].split


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": "wav"}, r"no column 'wav' for path; found num, item_name, .*path=NAME"),
        ({"colour": "num"}, r"no column 'colour' to fill; choose of path, description"),
        ({"emotion": "item_name"}, r"column item_name: none of its values is a known emotion"),
        ({"path": "content_prompt"}, r"None of the 4 files .* it names Hello there\., Go away\."),
    ],
)
def test_a_mapping_that_does_not_fit(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        build("textrolspeech", tmp_path, table=textrol(tmp_path), columns=columns)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.json", "{", "is damaged"),
        ("t.json", '{"a": 1}', "must hold a list of objects"),
        ("t.csv", "item_name,style_prompt\n", "holds no rows"),
        ("t.csv", "item_name\nx\n", "no column 'style_prompt' for description"),
    ],
)
def test_a_table_that_is_none(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        build("textrolspeech", tmp_path, table=tmp_path / name)


def test_a_name_borne_by_two_files_is_not_guessed(tmp_path):
    put(tmp_path, "a/x.wav", "b/x.wav")
    (tmp_path / "t.csv").write_text("item_name,style_prompt\nx,Calm.\n", encoding="utf-8")
    with pytest.raises(InputError, match="None of the 1 files"):
        build("textrolspeech", tmp_path, table=tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("named", "there", "found"),
    [
        ("dev/id1/abc/1.wav", "dev/id2/xyz/1.wav", False),  # another speaker's
        ("id1/wavs/1.wav", "id2/wavs/1.wav", False),
        ("id1/1", "id2/1.wav", False),
        ("dev/id2/xyz/1.wav", "id2/xyz/1.wav", True),  # the folder that was given lies deeper
        ("/home/them/id2/1.wav", "id2/1.wav", True),
        ("id2/1.wav", "audio/id2/1.wav", True),  # or higher
        ("id2/1", "audio/id2/1.wav", True),
        ("1", "audio/id2/1.wav", True),
        ("id2/1.wav", "1.wav", True),
    ],
)
def test_a_name_is_found_under_another_folder_but_never_another_clip(tmp_path, named, there, found):
    put(tmp_path, there, "other/2.wav")
    lines = f"item_name,style_prompt\nother/2.wav,Calm.\n{named},Angry.\n"
    (tmp_path / "t.csv").write_text(lines, encoding="utf-8")
    clips = build("textrolspeech", tmp_path, table=tmp_path / "t.csv")
    told = [(clip.path, clip.descriptions) for clip in clips]
    expected = [(str(tmp_path / "other/2.wav"), ("Calm.",))]
    assert told == expected + [(str(tmp_path / there), ("Angry.",))] * found


def test_a_file_that_two_names_may_mean_is_left_out(tmp_path):
    put(tmp_path, "1.wav", "2.wav", "3.wav")
    lines = "item_name,style_prompt\nid1/1,Calm.\nid2/1,Angry.\nid1/2,Sad.\n3,Old.\n3.wav,Gruff.\n"
    (tmp_path / "t.csv").write_text(lines, encoding="utf-8")
    clips = build("textrolspeech", tmp_path, table=tmp_path / "t.csv")
    assert [clip.descriptions for clip in clips] == [("Sad.",), ("Old.", "Gruff.")]


def test_what_build_refuses(tmp_path):
    with pytest.raises(InputError, match=r"no corpus 'timit'; choose of ravdess, crema-d"):
        build("timit", tmp_path)
    with pytest.raises(InputError, match="There is no folder"):
        build("ravdess", tmp_path / "gone")
    with pytest.raises(InputError, match=r"name its file with --table"):
        build("textrolspeech", tmp_path)
    with pytest.raises(InputError, match="leave out the table"):
        build("ravdess", tmp_path, columns={"path": "x"})
    with pytest.raises(InputError, match=r"gone\.csv cannot be read"):
        build("textrolspeech", tmp_path, table=tmp_path / "gone.csv")
    with pytest.raises(InputError, match="does not name a column"):
        parse_columns("path")


def test_corpora_are_kept_or_left_out_by_name():
    clips = [Clip(id=f"{n}", path="", corpus=name) for n, name in enumerate("aabc")]
    assert [clip.id for clip in select(clips, ["a", "c"])] == ["0", "1", "3"]
    assert [clip.id for clip in select(clips, ["a"], keep=False)] == ["2", "3"]
    assert select(clips, [], keep=False) == clips
    with pytest.raises(InputError, match="'d'; found 'a', 'b', 'c'"):
        select(clips, ["a", "d"])
