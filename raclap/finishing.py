"""The last stage: what the training clips tell of a trained model's vectors becomes its `Finish`.

No weight of the towers moves. From as many training clips of each corpus, and descriptions of
them in the words of training, come the means, the reader of texts, the directions that are used
least, and the voices that stand for any voice. From all of them come the ear, and the styles whose
descriptions teach the eye, beside sentences that people wrote.

    python -m raclap train --stage finish --manifest M.csv --init DIR --output DIR2
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize
from torch.optim import Adam, AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import trange

from raclap import metrics
from raclap.config import InputError
from raclap.corpus import Clip, read_manifest
from raclap.data import Features, drill, value_vectors
from raclap.ear import Ear
from raclap.evaluate import encode_texts
from raclap.eye import ANSWERS, Eye
from raclap.finish import VOICES, Finish
from raclap.model import RACLAP
from raclap.negating import taught
from raclap.objective import scopes
from raclap.sayings import sayings
from raclap.style import SIZES, VALUES, Style
from raclap.towers import Frames
from raclap.train import CACHE, check_start, refuse_another, training_of
from raclap.wording import WIDE, Description, describe, partial

PER_CORPUS = 600  # clips
_DRILLS = 3000  # descriptions of one value, so that the reader knows the rare ones by themselves
MADE = "synthetic"  # the corpus of voices that a program made
_STEPS, _BATCH, _RATE = 600, 512, 2e-2  # of the reader
_EAR_PASSES, _EAR_BATCH, _EAR_RATE, _EAR_DECAY = 20, 128, 1e-3, 0.3
_EYE_PASSES, _EYE_BATCH, _EYE_RATE, _EYE_DECAY = 6, 128, 1e-3, 0.05
_EYE_DRILLS, _EYE_WHOLES, _EYE_PARTS = 4000, 10000, 6000  # descriptions that it learns from
_EYE_SAYINGS = 3  # times that each saying is among these
_KIND_WEIGHT = 0.1  # of telling recorded voices from synthetic ones
_KINSHIP = 0.5  # how much of the agreement of two different values their places keep
_AT_ONCE = 256  # clips
_TEXTS_AT_ONCE = 1000
_RECORDS = ("training.json", "history.jsonl")


def finish(
    *,
    manifest: Sequence[str | Path],
    init: str | Path,
    output: str | Path,
    leave_out: Sequence[str] = (),
    valid: bool = False,
    seed: int = 0,
    cache: str | Path = CACHE,
) -> dict[str, int]:
    """Finish a checkpoint.

    Args:
        manifest: one or more manifests with ``train`` clips.
        init: the trained checkpoint.
        output: checkpoint folder to write; it keeps the record of ``init``'s training.
        leave_out: corpora that ``init`` left out, too; what it left out is never heard here.
        valid: let the ear hear the clips whose split is ``valid``, too, once they have chosen all
            there was to choose; nothing can be validated with them afterwards.
        seed: decides which clips, in which words they are described, and how the ear is trained.
        cache: folder for the frames of the frozen layers.

    Returns:
        How many clips were heard.

    Raises:
        InputError: fewer than two training clips of known style, or ``output`` holds ``init`` or
            the checkpoint of another training.
    """
    left_out, output = check_start(Path(init), leave_out, Path(output)), Path(output)
    refuse_another(output, training_of(init))
    splits = ("train", "valid") if valid else ("train",)
    known = [
        clip
        for clip in (clip for path in manifest for clip in read_manifest(path))
        if clip.split in splits and clip.style.known and clip.corpus not in left_out
    ]
    trained = sum(clip.split == "train" for clip in known)
    if trained < 2:
        raise InputError(
            f"{', '.join(map(str, manifest))} has {trained} clips of known style whose split "
            "is train; finishing needs two or more."
        )
    model = RACLAP.from_pretrained(str(init)).unfinished()
    features = Features(model.speech, known, Path(cache))
    features.settle(model.speech)
    clips = [features.clips[0, row] for row in features.rows]
    speech, summaries = _encoded(model, features)
    finished = model.finished(learned(model, speech, summaries, clips, seed), taught(model, seed))
    finished.save_pretrained(output)
    for name in _RECORDS:
        if (Path(init) / name).is_file():
            shutil.copyfile(Path(init) / name, output / name)
    return {"clips": len(clips)}


@torch.no_grad()
def _encoded(model: RACLAP, features: Features) -> tuple[Tensor, Tensor]:
    """Return unit vectors (N, D) and summaries (N, I) of the clips as recorded."""
    vectors, summaries = [], []
    for start in range(0, len(features.rows), _AT_ONCE):
        rows = features.rows[start : start + _AT_ONCE]
        frames = Frames.collate([features.frames(row) for row in rows])
        summary = model.speech.summary(model.speech.pooled(frames).float(), frames.prosody)
        vectors.append(normalize(model.speech.head(*summary), dim=-1))
        summaries.append(torch.cat(summary, dim=1))
    return torch.cat(vectors), torch.cat(summaries)


def learned(
    model: RACLAP, speech: Tensor, summaries: Tensor, clips: Sequence[Clip], seed: int = 0
) -> Finish:
    """Learn how to finish the vectors of ``model``, which is not finished yet.

    Args:
        model: encodes texts.
        speech: (N, D) unit vectors of training clips.
        summaries: (N, I) what the ear hears of them.
        clips: N, with their levels; those of the split ``valid`` teach the ear alone.
        seed: words the descriptions, picks clips and voices, and starts the ear.
    """
    rng = random.Random(seed)
    corpora: dict[str, list[int]] = {}
    trained = [row for row, clip in enumerate(clips) if clip.split != "valid"]
    for row in trained:
        corpora.setdefault(clips[row].corpus, []).append(row)
    rows = [r for each in corpora.values() for r in rng.sample(each, min(PER_CORPUS, len(each)))]
    styles = [clips[row].style for row in rows]
    whole = [describe(style, rng, pool=WIDE) for style in styles for _ in range(2)]
    parts = [_part(style, rng) for style in styles]
    said = [*whole, *parts, *(drill(rng) for _ in range(_DRILLS))]
    vectors = torch.from_numpy(encode_texts(model, [each.text for each in said]))
    made = Finish(model.dim, summaries.shape[1], model.text.summary_width)
    with torch.no_grad():
        made.scale.fill_(model.scale)
        made.speech_mean.copy_(speech[rows].mean(0))
        made.text_mean.copy_(vectors[: len(whole)].mean(0))
        made.values.copy_(value_vectors(model.encode_text))
    _teach_reader(made, vectors, said)
    made.eye = taught_eye(model, [clips[row] for row in trained], seed)
    made.ear = taught_ear(summaries, clips, seed)
    with torch.no_grad():
        heard = made.centred_speech(speech[rows])
        told = made.centred_text(vectors[: len(whole)])
        both = torch.cat([heard, told]).double()
        unused = torch.linalg.eigh(both.T @ both).eigenvectors.T.float()  # least used first
        made.spare.copy_(unused[0])
        made.places.copy_(places(unused[1 : 1 + model.dim // 4]))
        picked = rng.sample(range(len(heard)), min(VOICES, len(heard)))
        made.voices.copy_(heard[[picked[place % len(picked)] for place in range(VOICES)]])
        made.usual.copy_(made.common(told).mean())
    return made.eval()


def places(directions: Tensor) -> Tensor:
    """Place all values (V, D) so that their products are how far they agree.

    Args:
        directions: (R, D) orthonormal; of fewer than V, the agreement is as near as R can tell.
    """
    kept = np.where(np.eye(sum(SIZES)), 1, _KINSHIP) * metrics.AGREEMENTS
    shares, axes = torch.linalg.eigh(torch.from_numpy(kept))
    roots = (axes * shares.clamp(min=0).sqrt())[:, -len(directions) :]
    return roots.float() @ directions[-roots.shape[1] :]


def taught_ear(summaries: Tensor, clips: Sequence[Clip], seed: int) -> Ear:
    """Teach an ear what emotion each clip shows, among those that its corpus has.

    A corpus counts by the root of its size, lest bursts of voice outweigh all speech.

    Args:
        summaries: (N, I).
        clips: N; those without an emotion teach nothing.
        seed: where the members start, and the order of clips.
    """
    torch.manual_seed(seed)
    ear = Ear(summaries.shape[1])
    shown = [row for row, clip in enumerate(clips) if clip.style.emotion]
    if not shown:
        return ear.eval()
    clips, summaries, scope = [clips[row] for row in shown], summaries[shown], scopes(clips)
    truth = torch.tensor([VALUES["emotion"].index(clip.style.emotion) for clip in clips])
    synthetic = torch.tensor([clip.corpus == MADE for clip in clips])
    allowed = torch.stack([scope[clip.corpus]["emotion"] for clip in clips])  # (N, E)
    sizes = Counter(clip.corpus for clip in clips)
    weights = torch.tensor([sizes[clip.corpus] for clip in clips]).float().rsqrt()
    weights /= weights.mean()

    def loss(member: nn.Module, rows: Tensor) -> Tensor:
        recorded, acted, kind = ear.split(member(summaries[rows]))
        logits = torch.where(synthetic[rows, None], acted, recorded)
        told = binary_cross_entropy_with_logits(kind, synthetic[rows].float(), reduction="none")
        logits = logits.masked_fill(~allowed[rows], -1e4)
        right = cross_entropy(logits, truth[rows], reduction="none")
        return (weights[rows] * (right + _KIND_WEIGHT * told)).mean()

    _teach(ear, loss, len(clips), _EAR_PASSES, _EAR_BATCH, _EAR_RATE, _EAR_DECAY)
    return ear


def taught_eye(model: RACLAP, clips: Sequence[Clip], seed: int) -> Eye:
    """Teach an eye what descriptions say, in the words of training.

    Args:
        model: pools texts.
        clips: one or more, whose styles are described; no voice of theirs is heard.
        seed: what is described, in which words, where the members start, and the order.
    """
    rng = random.Random(seed)
    styles = _recorded(clips)
    said = [drill(rng) for _ in range(_EYE_DRILLS)]
    for turn in range(_EYE_WHOLES):  # as many of each corpus
        said.append(describe(rng.choice(styles[turn % len(styles)]), rng, pool=WIDE))
    for turn in range(_EYE_PARTS):
        said.append(_part(rng.choice(styles[turn % len(styles)]), rng))
    written = sayings()
    texts = [*(each.text for each in said), *(model.clean(each.text) for each in written)]
    starts = trange(0, len(texts), _TEXTS_AT_ONCE, desc="texts", leave=False)
    read = [model.read(texts[start : start + _TEXTS_AT_ONCE])[1].cpu() for start in starts]
    rows = [*range(len(said)), *[*range(len(said), len(texts))] * _EYE_SAYINGS]
    torch.manual_seed(seed)
    eye = Eye(model.text.summary_width)
    with torch.no_grad():
        summaries = torch.cat(read)[rows].clone()  # autograd takes nothing of inference mode
        eye.center.copy_(summaries.mean(0))
        eye.spread.copy_(summaries.std(0).clamp(min=1e-3))
        summaries = eye.standard(summaries)
    truth = _said([*said, *written])[rows]

    def loss(member: nn.Module, rows: Tensor) -> Tensor:
        return _misread(member(summaries[rows]), truth[rows])

    _teach(eye, loss, len(rows), _EYE_PASSES, _EYE_BATCH, _EYE_RATE, _EYE_DECAY)
    return eye


def _recorded(clips: Sequence[Clip]) -> list[list[Style]]:
    """The styles of each corpus, but for voices that a program made if there are others.

    Those follow a plan, which does not tell which values go together in people.
    """
    corpora: dict[str, list[Style]] = {}
    for clip in sorted(clips, key=lambda clip: (clip.corpus, clip.id)):
        corpora.setdefault(clip.corpus, []).append(clip.style)
    return [styles for name, styles in corpora.items() if name != MADE] or [*corpora.values()]


def _part(style: Style, rng: random.Random) -> Description:
    """Describe one to three attributes of a style."""
    return partial(style, rng, pool=WIDE, count=rng.randint(1, min(3, len(style.known))))


def _teach(
    network: Ear | Eye,
    loss: Callable[[nn.Module, Tensor], Tensor],
    count: int,
    passes: int,
    batch: int,
    rate: float,
    decay: float,
) -> None:
    """Teach the members one after another; ``loss`` is of a member over some of ``count`` rows."""
    network.train()
    for member in network.members:
        optimizer = AdamW(member.parameters(), rate, weight_decay=decay)
        rates = OneCycleLR(optimizer, rate, total_steps=passes * -(-count // batch))
        for _ in trange(passes, desc=type(network).__name__.lower(), leave=False):
            for rows in torch.randperm(count).split(batch):
                optimizer.zero_grad()
                loss(member, rows).backward()
                optimizer.step()
                rates.step()
    network.eval()


def _said(said: Sequence[Description]) -> Tensor:
    """What descriptions say of each attribute: (N, A) places among its `ANSWERS`."""
    codes = torch.from_numpy(metrics.codes([each.style for each in said])).long()
    return torch.where(codes < 0, torch.tensor(SIZES), codes)


def _misread(logits: Tensor, truth: Tensor) -> Tensor:
    """What answers (N, V + A) lack of the truth (N, A)."""
    parts = logits.split(ANSWERS, dim=1)
    return sum(cross_entropy(part, truth[:, at]) for at, part in enumerate(parts))


def _teach_reader(made: Finish, vectors: Tensor, said: Sequence[Description]) -> None:
    """Teach the reader what descriptions say of each attribute, "nothing" included."""
    inputs, truth = made.scale * vectors, _said(said)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        made.reader.weight.zero_()
        made.reader.bias.zero_()
    optimizer = Adam(made.reader.parameters(), _RATE)
    for _ in range(_STEPS):
        rows = torch.randint(len(inputs), (_BATCH,), generator=generator)
        optimizer.zero_grad()
        _misread(made.reader(inputs[rows]), truth[rows]).backward()
        optimizer.step()
