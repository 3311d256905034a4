"""What a batch costs: the student's answers, what they are held against, the terms of the loss.

In: a :class:`Batch`. Out: a :class:`Loss`. Stage ``ess`` holds the student against the pairs;
stage ``ra`` also against the relations that a frozen teacher sees in the batch. Deliberately not
here: the loop around it (``train``) and the formulas of the terms (``loss``, ``relation``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from raclap import loss, metrics, precision
from raclap.config import RelationConfig, TrainConfig
from raclap.corpus import Clip
from raclap.data import Batch, value_vectors
from raclap.loss import Loss
from raclap.model import RACLAP, Output
from raclap.parallel import ALONE, Ranks
from raclap.relation import Wordings, likelihood, posterior, relation, within
from raclap.style import ATTRIBUTES, EVERY_VALUE, SIZES, VALUES
from raclap.towers import Frames
from raclap.wording import Description


class Objective:
    """Runs batches forward.

    Args:
        model: the student.
        teacher: frozen stage-one model whose relations are learned, or None.
        config: of the stage.
        relations: of stage two.
        clips: the training clips; they tell which values each corpus has.
        ranks: who shares the work; the loss is of the whole batch on each.

    Attributes:
        parameters: what the objective itself learns, beside the model.
    """

    def __init__(
        self,
        model: RACLAP,
        teacher: RACLAP | None,
        config: TrainConfig,
        relations: RelationConfig,
        clips: Iterable[Clip],
        ranks: Ranks = ALONE,
    ) -> None:
        self.model, self.teacher, self.config, self.relations = model, teacher, config, relations
        self.ranks = ranks
        self.pool = _Remembered(model) if config.text_rate == 0 else model.pool_texts
        self.wordings = self.values = None
        if teacher is not None and relations.kind == "likelihood":
            self.values = value_vectors(teacher.encode_text).to(model.device)
        elif teacher is not None:
            self.wordings = Wordings(teacher.encode_text, relations.wordings, config.seed)
        self._scopes = scopes(clips) if config.attributes else {}
        # Zhai et al. (2023) start where nearly all pairs are told apart.
        self.bias = nn.Parameter(torch.tensor(-10.0, device=model.device))
        self.parameters = [self.bias] if config.loss == "sigmoid" else []

    def __call__(self, batch: Batch) -> Loss:
        """Return the loss of a batch of B clips, with gradients."""
        count = len(batch.styles)
        texts = [description.text for description in batch.descriptions]
        probes = [probe.text for each in batch.probes.values() for probe in each]
        drills = [drill.text for drill in batch.drills]
        frames = batch.frames.on(self.model.device)
        with precision.mixed(self.model.device):
            student = self._student(frames, texts + probes + drills, count)
        sizes = [count, len(probes), len(drills)]
        logits, heard, _ = student.logits.split(sizes, dim=1)  # (B, B), of clips and probes (B, V)
        told, probe, drill = student.text.split(sizes)
        clips = metrics.codes(batch.styles)
        said = metrics.codes([description.style for description in batch.descriptions])
        paired = self._paired(logits, clips, said)
        related = asked = read = logits.new_zeros(())
        if self.teacher is not None and self.relations.weight:
            fixed = self.relations.student_temperature
            tempered = student.speech @ told.T / fixed if fixed else logits
            related = loss.relational(tempered, *self._relations(batch, frames, clips, said))
        if probes and self.config.attributes:
            asked = self._attributes(heard, clips, self._allowed(batch.corpora))
        if probes and self.config.reading:
            read = self._attributes(self.model.logits(told, probe), said)
        if drills:
            read = read + self._drilled(self.model.logits(drill, probe), batch.drills)
        weight = self.relations.weight if self.teacher is not None else 0.0
        return loss.combine(
            paired, related, asked, read, weight, self.config.attributes, self.config.reading
        )

    def _student(self, frames: Frames, texts: Sequence[str], count: int) -> Output:
        """The student's answer to the whole batch of ``count`` clips, whoever reckons its rows."""
        part: Output = self.model(frames, self.pool(self.ranks.share(texts)))
        speech = self.ranks.gather(part.speech, count)
        text = self.ranks.gather(part.text, len(texts))
        return Output(speech=speech, text=text, logits=self.model.logits(speech, text))

    def _paired(self, logits: Tensor, clips: np.ndarray, said: np.ndarray) -> Tensor:
        """The term that knows only which description belongs to which clip, or which fit it."""
        fits = None
        if self.config.positives == "style":
            fits = metrics.satisfied(said, clips).T  # (clips, texts)
            fits = torch.from_numpy(fits).to(logits.device, logits.dtype)
        if self.config.loss == "sigmoid":
            return loss.sigmoid(logits + self.bias, fits)
        if fits is None:
            return loss.contrastive(logits)
        return loss.relational(logits, *posterior(fits.log()))

    @torch.no_grad()
    def _relations(
        self, batch: Batch, frames: Frames, clips: np.ndarray, said: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Targets over texts and over clips, (B, B) each."""
        settings, device, count = self.relations, self.model.device, len(batch.styles)
        if settings.kind == "overlap":
            similarity = torch.from_numpy(metrics.overlaps(clips, said))
            similarity = similarity.to(device, torch.float32)
        else:
            speech = normalize(self.teacher.speech(frames).float(), dim=-1)
            speech = self.ranks.gather(speech, count)
            if settings.kind == "likelihood":
                return posterior(likelihood(self.teacher.logits(speech, self.values), said, clips))
            with precision.full():  # a resumed run asks for other texts at once
                text = self.wordings(self.ranks.share(batch.descriptions)).to(device)
            text = self.ranks.gather(text, count)
            cross = settings.kind == "cross"
            similarity = speech @ text.T if cross else within(speech, text)
        temperature = settings.temperature
        return relation(similarity, temperature), relation(similarity.T, temperature)

    def _allowed(self, corpora: Sequence[str]) -> list[Tensor]:
        """By attribute, the values to choose from for a clip of each corpus: (B, V) bool."""
        return [
            torch.stack([self._scopes[corpus][name] for corpus in corpora]) for name in ATTRIBUTES
        ]

    def _attributes(
        self, logits: Tensor, codes: np.ndarray, allowed: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Each attribute by itself: which of its values does a clip have, or a description say?

        Args:
            logits: (B, V) with the descriptions of all values of all attributes.
            codes: (B, A) index of the value, -1 where there is none.
            allowed: by attribute, the values to choose from; by default all.
        """
        terms = []
        for column, part in enumerate(logits.split(SIZES, dim=1)):
            truth = torch.from_numpy(codes[:, column]).long().to(part.device)
            choice = torch.ones_like(part, dtype=torch.bool) if allowed is None else allowed[column]
            terms.append(loss.attribute(part, truth, choice.to(part.device)))
        return torch.stack(terms).mean()

    @staticmethod
    def _drilled(logits: Tensor, drills: Sequence[Description]) -> Tensor:
        """Which of all values does each drill say, whatever the attribute?

        Args:
            logits: (R, V) of R drills with the descriptions of all values of all attributes.
            drills: each says one value.
        """
        truth = [EVERY_VALUE.index(item) for drill in drills for item in drill.style.known.items()]
        return cross_entropy(logits, torch.tensor(truth, device=logits.device))


class _Remembered:
    """A frozen text encoder's answers, each computed once."""

    def __init__(self, model: RACLAP) -> None:
        self.model = model
        self._known: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, texts: list[str]) -> Tensor:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self.model.text.encoder.eval()
            self._known |= dict(zip(new, self.model.pool_texts(new), strict=True))
        return torch.stack([self._known[text] for text in texts])


def scopes(clips: Iterable[Clip]) -> Mapping[str, Mapping[str, Tensor]]:
    """Tell which values occur in each corpus: (V,) bool by corpus and attribute."""
    found: dict[str, dict[str, Tensor]] = {}
    for clip in clips:
        scope = found.setdefault(
            clip.corpus,
            {name: torch.zeros(len(VALUES[name]), dtype=torch.bool) for name in ATTRIBUTES},
        )
        for name, value in clip.style.known.items():
            scope[name][VALUES[name].index(value)] = True
    return found
