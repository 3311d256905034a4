"""Descriptions, prompts and the lexicon behind them. Run: pytest tests/test_wording.py."""

import itertools
import random
import re
import time

import pytest

from raclap import lexicon, query, wording
from raclap.style import ATTRIBUTES, EVERY_VALUE, VALUES, Style

# The fewest wordings of a value: seen, unseen, both.
LEAST = {
    "core": (64, 29, 90),
    "emotion": (36, 14, 55),
    "level": (60, 26, 90),
    "intensity": (50, 24, 75),
    "phonation": (50, 24, 75),
    "medium": (44, 22, 60),
    "gender": (24, 8, 36),
}
CORE = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
ALL = ("seen", "unseen", "wide")
FULL = Style(
    gender="female",
    emotion="angry",
    intensity="strong",
    pitch="high",
    speed="low",
    energy="high",
    phonation="voiced",
)
# Words that say nothing about the attribute by themselves, which both pools may use.
CARRIERS = {
    attribute: set(lexicon.words(text))
    for attribute, text in {
        "gender": "s speaker",
        "emotion": (
            "a about air all an and as at away baby back being blowing breath broke broken"
            " bug by came car cheek cheeks child clean clouds come coming control corner"
            " curled dancing down ear ears edge every everyone eye eyed eyes face faced feel"
            " feeling finding first fist fists fit fits floor followed following for friend"
            " from full gaze gazing getting given giving going good hard having head headed"
            " headedness hearing heart hearted hit holding hope if in into it jumping knocked"
            " last let letting lift lifted light lights like line lip lips list listener"
            " listening long look looking losing loss lost low made making missing mood more"
            " near new news nose of off on others out over own piece pieces point pumping put"
            " putting question reading ready red ridden roll roller rolling saying seeing self"
            " shaken shouting show showing sing singing sink sinking someone something song"
            " sounding staring stars step stepping struck take taking telling the their this"
            " through throwing to tone too touching turning under unwrapping up voice walking"
            " wanting watching way we wearing were wide with word words world wrapped wrong"
        ),
        "intensity": (
            "a amount down emotion emotional emotive expressive feeling feelings in intensity"
            " level lot of sentiment strength the their way with"
        ),
        "pitch": (
            "a an as at end from if in like of pitch pitched range register the their timbre"
            " up vocal voice voiced"
        ),
        "speed": (
            "a along an as at by delivery if in like of off out over pace paced rate rhythm"
            " sentence speaking speech speed tempo the through time up way word words"
        ),
        "energy": (
            "a an as at away down effort energy from great if in it keeping level like lot"
            " loudness noise of off plenty room sound speak speaking table the their through"
            " to turned vocal voice voiced volume with"
        ),
        "phonation": (
            "a an cord cords in into microphone phonation reading sound sounding speaking"
            " talking the their tone toned tones using voice with word words"
        ),
    }.items()
}
GRAMMAR = set(
    lexicon.words("at be by each for go had has have is it of their to two was what")
)  # nor do these say anything about any of them
PREFIXES = ("over", "dis", "un", "en", "re")
SUFFIXES = (
    *("fulness", "ingly", "ately", "ation", "ition", "ement", "iness", "ness", "ment", "ical"),
    *("ious", "eous", "ency", "ancy", "ance", "ence", "able", "ible", "less", "ful", "ous", "ive"),
    *("ity", "ety", "ion", "ing", "ish", "ant", "ent", "ate", "ize", "ies", "ied", "ed", "er"),
    *("ily", "al", "ic", "ly", "es", "en", "or", "y", "s", "e"),
)


# Beginnings of families that the suffixes do not reveal, such as grief and grieving.
KIN = re.compile(
    "anxi|apath|beati|blam|court|desp|dign|eas|empath|fact|gentl|grat|grie|horr|idol|lone|lov"
    "|lull|medita|nause|nobl|pomp|radia|rapt|reson|sati|snug|stead|stifl|stoic|tedi|terr|vain"
)


def stem(word):
    """Strip suffixes for as long as three letters are left."""
    if kin := KIN.match(word):
        return kin[0][:4]
    shorter = next(
        (word.removesuffix(s) for s in SUFFIXES if word.endswith(s) and len(word) - len(s) >= 3),
        None,
    )
    return stem(shorter) if shorter else re.sub(r"(.)\1$", r"\1", word)


def roots(word):
    """The stem, with and without each prefix."""
    bare = [word.removeprefix(p) for p in PREFIXES if word.startswith(p) and len(word) > len(p) + 3]
    return {stem(form) for form in (word, *bare)}


def key_words(attribute, value, pool):
    return {
        word
        for item in lexicon.wordings(attribute, value, pool)
        for word in lexicon.words(item.text)
        if word not in CARRIERS[attribute] | GRAMMAR
    }


def random_style(rng, share=1.0):
    while True:
        style = Style(
            **{name: rng.choice(VALUES[name]) for name in ATTRIBUTES if rng.random() < share}
        )
        if style.known:
            return style


def test_stemmer_sees_through_word_families():
    assert len({stem(word) for word in ("disgust", "disgusted", "disgustedly")}) == 1
    assert roots("enraged") & roots("raging")
    assert roots("overjoyed") & roots("joyful")
    assert roots("grief") & roots("grieving")
    assert roots("hungry") & roots("hungrily")
    assert not roots("fury") & roots("rage")


@pytest.mark.parametrize(("attribute", "value"), EVERY_VALUE)
def test_enough_wordings(attribute, value):
    seen, unseen = (len(lexicon.wordings(attribute, value, pool)) for pool in wording.POOLS)
    kind = "core" if value in CORE else attribute
    if attribute in ("pitch", "speed", "energy"):
        kind = "medium" if value == "medium" else "level"
    least_seen, least_unseen, least_total = LEAST[kind]
    assert seen >= least_seen
    assert unseen >= least_unseen
    assert seen + unseen >= least_total
    assert seen > unseen
    if attribute == "emotion":
        assert len({stem(word) for word in key_words(attribute, value, "seen")}) >= 18
        assert len({stem(word) for word in key_words(attribute, value, "unseen")}) >= 7


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_unseen_key_words_are_of_other_families(attribute):
    seen, unseen = (
        {word for value in VALUES[attribute] for word in key_words(attribute, value, pool)}
        for pool in ("wide", "unseen")
    )
    families = {root for word in seen for root in roots(word)}
    assert not {word for word in unseen if roots(word) & families}
    beginnings = {word[:6] for word in seen}
    assert not {word for word in unseen if word[:6] in beginnings}


class _Counting(random.Random):
    """Counts what is drawn: how long that takes is up to the machine."""

    draws = 0

    def random(self) -> float:
        self.draws += 1
        return super().random()

    def getrandbits(self, bits: int) -> int:
        self.draws += 1
        return super().getrandbits(bits)


@pytest.mark.parametrize("pool", ALL)
@pytest.mark.parametrize(("attribute", "value"), EVERY_VALUE)
def test_every_value_fills_a_frame_at_once(attribute, value, pool):
    rng = _Counting(9)
    styles = [Style(**{attribute: value})]
    if attribute == "emotion":
        styles += [Style(emotion=value, intensity=level) for level in VALUES["intensity"]]
    for style in styles:
        for _ in range(10):
            assert wording.describe(style, rng, pool=pool).style == style
    assert rng.draws < 20 * 10 * len(styles)


def test_the_plainest_names_are_seen():
    plain = (
        "neutral calm happy sad angry fearful disgusted surprised woman man slow fast quiet loud"
        " shouting low-pitched high-pitched whispering very slightly"
    )
    seen = {
        item.text
        for attribute, value in EVERY_VALUE
        for item in lexicon.wordings(attribute, value, "seen")
    }
    assert set(plain.split()) <= seen


def test_a_wording_belongs_to_one_value_and_pool():
    owners = {}
    for (attribute, value), pool in itertools.product(EVERY_VALUE, ("wide", "unseen")):
        for item in lexicon.wordings(attribute, value, pool):
            plain = re.sub(r"^an? ", "", item.text)
            owners.setdefault((item.form in ("degree", "utter", "modifier"), plain), set()).add(
                (attribute, value, pool)
            )
    assert not {plain: who for plain, who in owners.items() if len(who) > 1}


def test_nothing_is_said_by_negation():
    for (attribute, value), pool in itertools.product(EVERY_VALUE, ALL):
        for item in lexicon.wordings(attribute, value, pool):
            assert not {"not", "no", "never", "without", "hardly", "barely"} & set(
                lexicon.words(item.text)
            )


@pytest.mark.parametrize(("attribute", "value"), EVERY_VALUE)
def test_the_wide_pool_is_the_seen_one_and_more(attribute, value):
    seen, wide = (lexicon.wordings(attribute, value, pool) for pool in ("seen", "wide"))
    assert set(seen) <= set(wide)
    assert len(set(wide)) == len(wide)
    if attribute != "gender" and value != "voiced":
        assert len(wide) >= 1.5 * len(seen)


def test_more_frames_for_training():
    seen, wide, unseen = (set(lexicon.frames(pool)) for pool in ("seen", "wide", "unseen"))
    assert seen < wide
    assert not wide & unseen


def test_enough_frames_and_pools_differ():
    seen, unseen = ({frame.template for frame in lexicon.frames(pool)} for pool in wording.POOLS)
    assert len(seen) >= 80
    assert len(unseen) >= 25
    assert not seen & unseen


def test_every_subset_of_attributes_gives_clean_english():
    rng = random.Random(0)
    for pool in ALL:
        for size in range(1, len(ATTRIBUTES) + 1):
            for names in itertools.combinations(ATTRIBUTES, size):
                style = random_style(rng).only(names)
                description = wording.describe(style, rng, pool=pool, attributes=names)
                text = description.text
                assert description.style == style
                assert not re.search(r"[{}\[\]_]|  | [,.?]|,,|^[ ,]|[ ,]$", text), text
                assert not re.search(r"\b(\w+) \1\b", text), text
                assert not re.search(
                    r"\ba (?!eu)[aeio]|\ban (?!hour)[^aeiou]|\b(a|an|the) (a|an|the)\b", text
                ), text
                assert text[-1] not in ".?" or text[0].isupper(), text
                assert 1 <= len(lexicon.words(text)) <= 50, text


def _named(text: str) -> dict[str, str]:
    """What a text names; that "furious" is strong goes without saying, or comes besides."""
    found = query.mentions(text)
    felt = {(each.start, each.stop) for each in found if each.attribute == "emotion"}
    return {
        each.attribute: each.value
        for each in reversed(found)
        if each.attribute != "intensity" or (each.start, each.stop) not in felt
    }


def test_a_description_names_its_style_and_nothing_else():
    rng = random.Random(1)
    for pool in ALL:
        for _ in range(500):
            style = random_style(rng, 0.5)
            text = wording.describe(style, rng, pool=pool, attributes=ATTRIBUTES).text
            assert _named(text) == style.known, text


def test_that_a_voice_is_voiced_goes_without_saying():
    rng = random.Random(2)
    style = Style(emotion="sad", phonation="voiced")
    assert wording.describe(style, rng).style == Style(emotion="sad")
    assert wording.describe(style.only(["phonation"]), rng).style == Style(phonation="voiced")
    whispered = Style(emotion="sad", phonation="whispered")
    assert wording.describe(whispered, rng).style == whispered


def test_describe_mentions_only_what_is_asked_and_known():
    rng = random.Random(2)
    description = wording.describe(FULL, rng, attributes=("emotion", "gender"))
    assert description.style == Style(gender="female", emotion="angry")
    sad = Style(emotion="sad")
    assert wording.describe(sad, rng, attributes=("emotion", "pitch")).style == sad
    with pytest.raises(ValueError, match="at least one known attribute"):
        wording.describe(sad, rng, attributes=("pitch",))
    with pytest.raises(ValueError, match="at least one known attribute"):
        wording.describe(Style(), rng)


def test_partial_mentions_count_attributes():
    rng = random.Random(3)
    for count in range(1, 8):
        assert len(wording.partial(FULL, rng, count=count).style.known) == count
    assert wording.partial(Style(speed="low"), rng, count=3).style == Style(speed="low")
    styles = {wording.partial(FULL, rng, count=1).style for _ in range(200)}
    assert len(styles) == len(ATTRIBUTES)


def test_descriptions_follow_the_seed_and_vary():
    first, again, other = (
        [wording.describe(FULL, rng).text for _ in range(100)]
        for rng in (random.Random(4), random.Random(4), random.Random(5))
    )
    assert first == again
    assert first != other
    assert len(set(first)) > 95


def test_mild_styles_are_never_put_in_extreme_words():
    rng = random.Random(6)
    style = Style(emotion="angry", intensity="low")
    extreme = [
        item.text
        for pool in wording.POOLS
        for item in lexicon.wordings("emotion", "angry", pool)
        if item.form == "absolute"
    ]
    for pool in ALL:
        for _ in range(300):
            text = wording.describe(style, rng, pool=pool, attributes=("emotion",)).text
            assert not set(extreme) & set(lexicon.words(text)), text


@pytest.mark.parametrize("pool", wording.POOLS)
@pytest.mark.parametrize(("attribute", "value"), EVERY_VALUE)
def test_prompts_hold_the_wordings_and_nothing_else(attribute, value, pool):
    texts = wording.prompts(attribute, value, pool=pool)
    assert texts == wording.prompts(attribute, value, pool=pool)
    assert 10 <= len(texts) <= 40
    assert len(set(texts)) == len(texts)
    listed = lexicon.wordings(attribute, value, pool)
    held = [
        item for item in listed if any(item.text.replace("{their}", "their") in t for t in texts)
    ]
    assert len(held) >= min(len(listed), 40)
    assert {item.form for item in held} == {item.form for item in listed}
    for text in texts:
        assert set(_named(text).items()) <= {(attribute, value)}, text


def test_describing_is_fast():
    rng = random.Random(7)
    start = time.process_time()
    for _ in range(2000):
        wording.describe(FULL, rng)
    assert time.process_time() - start < 3.0  # a twentieth of that on an idle machine
