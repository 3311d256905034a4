"""The last stage: what the training clips tell of a trained model's vectors becomes its `Finish`.

No weight of the towers moves. From as many training clips of each corpus, and descriptions of
them in the words of training, come the means, the values' vectors, the reader of texts, and the
voices that stand for any voice.

    python -m raclap train --stage finish --manifest M.csv --init DIR --output DIR2
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import Adam

from raclap import metrics
from raclap.config import InputError
from raclap.corpus import Clip, read_manifest
from raclap.data import value_vectors
from raclap.evaluate import encode_texts, listen
from raclap.finish import VOICES, Finish
from raclap.model import RACLAP
from raclap.style import SIZES
from raclap.train import check_start
from raclap.wording import WIDE, Description, describe, partial

PER_CORPUS = 600  # clips
_STEPS, _BATCH, _RATE = 600, 512, 2e-2  # of the reader
_RECORDS = ("training.json", "history.jsonl")


def finish(
    *,
    manifest: Sequence[str | Path],
    init: str | Path,
    output: str | Path,
    leave_out: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, int]:
    """Finish a checkpoint.

    Args:
        manifest: one or more manifests with ``train`` clips.
        init: the trained checkpoint.
        output: checkpoint folder to write; it keeps the record of ``init``'s training.
        leave_out: corpora that ``init`` left out, too; what it left out is never heard here.
        seed: decides which clips, and in which words they are described.

    Returns:
        How many clips were heard.

    Raises:
        InputError: fewer than two training clips of known style.
    """
    rng, output, left_out = random.Random(seed), Path(output), check_start(Path(init), leave_out)
    corpora: dict[str, list[Clip]] = {}
    for clip in [clip for path in manifest for clip in read_manifest(path)]:
        if clip.split == "train" and clip.style.known and clip.corpus not in left_out:
            corpora.setdefault(clip.corpus, []).append(clip)
    chosen = [
        clip
        for corpus in corpora.values()
        for clip in rng.sample(corpus, min(PER_CORPUS, len(corpus)))
    ]
    if len(chosen) < 2:
        raise InputError(
            f"{', '.join(map(str, manifest))} has {len(chosen)} clips of known style whose split "
            "is train; finishing needs two or more."
        )
    model = RACLAP.from_pretrained(str(init)).unfinished()
    heard, speech = listen(model, chosen)
    finished = model.finished(learned(model, torch.from_numpy(speech), heard, rng))
    finished.save_pretrained(output)
    for name in _RECORDS:
        if (Path(init) / name).is_file() and Path(init).resolve() != output.resolve():
            shutil.copyfile(Path(init) / name, output / name)
    return {"clips": len(heard)}


def learned(model: RACLAP, speech: Tensor, clips: Sequence[Clip], rng: random.Random) -> Finish:
    """Learn how to finish the vectors of ``model``, which is not finished yet.

    Args:
        model: encodes texts.
        speech: (N, D) unit vectors of training clips.
        clips: N, with their levels.
        rng: words the descriptions and picks the voices.
    """
    whole = [describe(clip.style, rng, pool=WIDE) for clip in clips for _ in range(2)]
    parts = [
        partial(clip.style, rng, pool=WIDE, count=rng.randint(1, min(3, len(clip.style.known))))
        for clip in clips
    ]
    vectors = torch.from_numpy(encode_texts(model, [said.text for said in (*whole, *parts)]))
    made = Finish(model.dim)
    with torch.no_grad():
        made.scale.fill_(model.scale)
        made.speech_mean.copy_(speech.mean(0))
        made.text_mean.copy_(vectors[: len(whole)].mean(0))
        made.values.copy_(value_vectors(model.encode_text))
    _teach(made, vectors, [*whole, *parts])
    with torch.no_grad():
        heard, told = made.heard(speech), made.told(vectors[: len(whole)])
        both = torch.cat([heard, told]).double()
        made.spare.copy_(torch.linalg.eigh(both.T @ both).eigenvectors[:, 0])  # least used
        picked = rng.sample(range(len(heard)), min(VOICES, len(heard)))
        made.voices.copy_(heard[[picked[place % len(picked)] for place in range(VOICES)]])
        made.usual.copy_(made.common(told).mean())
    return made.eval()


def _teach(made: Finish, vectors: Tensor, said: Sequence[Description]) -> None:
    """Teach the reader what descriptions say of each attribute, "nothing" included."""
    inputs = made.scale * vectors
    codes = torch.from_numpy(metrics.codes([each.style for each in said])).long()
    truth = torch.where(codes < 0, torch.tensor(SIZES), codes)  # (N, A)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        made.reader.weight.zero_()
        made.reader.bias.zero_()
    optimizer = Adam(made.reader.parameters(), _RATE)
    for _ in range(_STEPS):
        rows = torch.randint(len(inputs), (_BATCH,), generator=generator)
        parts = made.reader(inputs[rows]).split([size + 1 for size in SIZES], dim=1)
        loss = sum(cross_entropy(part, truth[rows, at]) for at, part in enumerate(parts))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
