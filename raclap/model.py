"""The two towers and a temperature: encode speech, encode text, load, save.

A checkpoint folder holds everything that inference needs:

* ``config.json``: :class:`ModelConfig` and both encoders' own settings
* ``frozen.safetensors``: what never trains of the speech encoder, the same for every checkpoint
* ``encoder.safetensors``: its layers that train; a run over a still encoder leaves them as they are
* ``model.safetensors``: what the towers have above their encoders, and the temperature
* ``frozen-text``, ``encoder-text``, ``model-text``: the same three of the text tower
* ``teacher.safetensors``: optional, where the stage-one model differs from this one
* ``finish.safetensors``: optional, what is done to vectors after both towers
* ``ear.safetensors``, ``eye.safetensors``: with it, what tells emotions, and reads descriptions
* ``negation.safetensors``: with it, what tells which words of a query are denied
* ``tokenizer/``
* ``checksums.json``: SHA-256 of all these, so that damage is noticed
* what training and evaluation left: figures, history, a model card
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin, snapshot_download
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from raclap import audio, glossary, query, weights
from raclap.config import ALL_LAYERS, InputError, ModelConfig, TextConfig, from_dict, to_dict
from raclap.files import digest_of, replacing
from raclap.finish import Finish, expected, overruled
from raclap.negation import DENIED, DENYING, Negation
from raclap.scope import within
from raclap.style import SIZES
from raclap.tiny import tiny_speech, tiny_text, tiny_tokenizer
from raclap.towers import Frames, SpeechTower, TextTower

ENCODERS = ("speech.backbone.", "text.encoder.")  # how the names of their weights begin
_SHARDS = [
    f"{part}{tower}.safetensors"
    for part in ("frozen", "encoder", "model")
    for tower in ("", "-text")
]
# A file each: an ear taught anew leaves the rest as it is.
_FINISHING = ("finish", "ear", "eye", "negation")
_FINISHED = [f"{part}.safetensors" for part in _FINISHING]
_TEACHER = "teacher.safetensors"
_CHECKSUMS = "checksums.json"
_MIN_TEMPERATURE = 0.01
_CLIPS_AT_ONCE = {"cpu": 1, "cuda": 16}  # in the upper layers; padding costs a CPU more
_CLIPS_HELD = 64  # between the lower layers and the upper ones: 0.1 MB a second of each
_TEXTS_AT_ONCE = {"cpu": 32, "cuda": 512}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What both towers make of a batch.

    Attributes:
        speech: (B, D) unit vectors of the clips.
        text: (B, D) unit vectors of the descriptions.
        logits: (B, B), scale * cosine, speech by text.
    """

    speech: Tensor
    text: Tensor
    logits: Tensor


class RACLAP(nn.Module, PyTorchModelHubMixin):
    """Speech and descriptions of how it is spoken, in one space.

    Args:
        model: plain form of a :class:`ModelConfig`.
        speech_encoder: plain form of the speech encoder's transformers configuration.
        text_encoder: likewise of the text encoder.

    Example:
        >>> model = RACLAP.from_pretrained("checkpoints/raclap-base")
        >>> text = model.encode_text(["a frightened woman, whispering fast"])
        >>> speech = model.encode_speech(["clip.wav"])
        >>> cosine = speech @ text.T
    """

    def __init__(self, model: dict, speech_encoder: dict, text_encoder: dict) -> None:
        super().__init__()
        self.config = from_dict(ModelConfig, model)
        speech, text = _build(speech_encoder), _build(text_encoder)
        self.speech = SpeechTower(speech, self.config.speech, self.config.dim)
        self.text = TextTower(text, self.config.text, self.config.dim)
        self.log_scale = nn.Parameter(torch.tensor(-np.log(self.config.temperature)).float())
        widths = (self.config.dim, self.speech.summary_width, self.text.summary_width)
        finished = self.config.finished
        self.finish = Finish(*widths) if finished else None
        self.negation = Negation(text.config.hidden_size) if finished else None
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self._teacher: tuple[RACLAP, ...] = ()  # in a tuple, so that it is no submodule
        self.eval()

    @classmethod
    def create(cls, config: ModelConfig) -> RACLAP:
        """Start a new model from pretrained encoders, heads untrained.

        Encoders are looked for in the folder ``$RACLAP_MODELS`` first, then on the hub.
        """
        speech, speech_config = _pretrained(config.speech.encoder)
        text, text_config = _pretrained(config.text.encoder, config.text.layers)
        model = cls(to_dict(config), speech_config.to_diff_dict(), text_config.to_diff_dict())
        if speech is not None:
            model.speech.backbone.encoder.load_state_dict(speech.state_dict())
        if text is not None:
            model.text.encoder.load_state_dict(text.state_dict())
            for matrix in model._packed().values():  # start from what a checkpoint would hold
                matrix.copy_(weights.eighths(matrix))
            name = _locate(config.text.encoder)
            model.tokenizer = AutoTokenizer.from_pretrained(name)
        else:
            model.tokenizer = tiny_tokenizer()
        return model

    def with_fresh_text(self, text: TextConfig) -> RACLAP:
        """Return a model that hears as this one does and whose text tower is yet to be trained."""
        new = RACLAP.create(replace(self.config, text=text))
        new.speech.load_state_dict(self.speech.state_dict())
        new.log_scale = nn.Parameter(self.log_scale.detach().clone())
        return new

    def with_fresh_heads(self, layers: int = ALL_LAYERS) -> RACLAP:
        """Return an unfinished model over the same encoders that has all above them to learn.

        Args:
            layers: which hidden states the speech tower heeds, as in :class:`SpeechConfig`.
        """
        speech = replace(self.config.speech, layers=layers)
        new = self._empty(replace(self.config, speech=speech, finished=False))
        calibrated = ("center", "spread")
        state = {
            name: tensor
            for name, tensor in self.unfinished().state_dict().items()
            if name.startswith(ENCODERS) or name.endswith(calibrated)
        }
        new.load_state_dict(new.state_dict() | state)
        return new

    @torch.no_grad()
    def with_levels(self) -> RACLAP:
        """Return an unfinished model that hears as this one does and can learn to heed levels."""
        plain = self.unfinished()
        if plain.config.speech.levels:
            return plain
        speech = replace(plain.config.speech, levels=True)
        new, state = plain._empty(replace(plain.config, speech=speech)), plain.state_dict()
        first = "speech.prosody.0.weight"  # what joins is not heeded yet
        wider = torch.zeros_like(new.state_dict()[first])
        wider[:, : state[first].shape[1]] = state[first]
        new.load_state_dict(new.state_dict() | state | {first: wider})
        return new

    def finished(self, finish: Finish, negation: Negation) -> RACLAP:
        """Return a model whose vectors are those of this unfinished one after ``finish``.

        Args:
            finish: what is done to vectors.
            negation: tells which words of a query are denied.
        """
        new = self._empty(replace(self.config, finished=True))
        new.load_state_dict(
            self.state_dict()
            | finish.state_dict(prefix="finish.")
            | negation.state_dict(prefix="negation.")
        )
        new.keep_teacher(self.teacher)
        return new

    def unfinished(self) -> RACLAP:
        """Return the model as its towers are, which is what trains."""
        if self.finish is None:
            return self
        new, state = self._empty(replace(self.config, finished=False)), self.state_dict()
        learned_last = ("finish.", "negation.")
        new.load_state_dict({n: t for n, t in state.items() if not n.startswith(learned_last)})
        new.keep_teacher(self.teacher)
        return new

    def _unfinish(self) -> None:
        """Become what :meth:`unfinished` returns, in the memory it has."""
        self.finish = self.negation = None
        self.config = replace(self.config, finished=False)
        self._hub_mixin_config["model"] = to_dict(self.config)  # what is saved beside the weights

    def _empty(self, config: ModelConfig) -> RACLAP:
        """Build a model like this one, but for ``config``, with weights of no meaning yet."""
        encoders = (self.speech.backbone.encoder, self.text.encoder)
        new = RACLAP(to_dict(config), *(encoder.config.to_diff_dict() for encoder in encoders))
        new.tokenizer = self.tokenizer
        return new

    @torch.no_grad()
    def average_speech(self, other: RACLAP) -> None:
        """Set what the speech tower has above its encoder to the mean of its own and ``other``'s.

        Weights along one path of training generalise better averaged (Wortsman et al. 2022, Model
        soups); ``other`` must be an earlier point of the path, over the same speech encoder.
        """
        theirs = other.speech.state_dict()
        for name, own in self.speech.state_dict().items():
            if not name.startswith("backbone."):
                own.copy_((own + theirs[name]) / 2)
        self.__dict__.pop("fingerprint", None)

    # ------------------------------------------------------------------ encoding

    @property
    def teacher(self) -> RACLAP | None:
        """The frozen stage-one model, if this one was distilled from it."""
        return self._teacher[0] if self._teacher else None

    def keep_teacher(self, teacher: RACLAP | None) -> None:
        """Carry ``teacher`` along, in checkpoints too, without training it."""
        self._teacher = () if teacher is None else (teacher,)

    @property
    def dim(self) -> int:
        """D, width of the shared space."""
        return self.config.dim

    @property
    def device(self) -> torch.device:
        """Where the model computes; what it returns is on the CPU."""
        return self.log_scale.device

    @property
    def scale(self) -> float:
        """What cosines are multiplied by before a softmax: 1 / temperature."""
        return float(self.log_scale.detach().exp())

    def clamp_scale(self) -> None:
        """Keep the temperature from collapsing; call after each optimizer step."""
        with torch.no_grad():
            self.log_scale.clamp_(0.0, -np.log(_MIN_TEMPERATURE))

    def forward(self, frames: Frames, texts: Tensor) -> Output:
        """Encode a batch for training: clips, and descriptions as :meth:`pool_texts` gives them."""
        speech = normalize(self.speech(frames).float(), dim=-1)
        text = normalize(self.text.projection(texts).float(), dim=-1)
        return Output(speech=speech, text=text, logits=self.logits(speech, text))

    def logits(self, speech: Tensor, text: Tensor) -> Tensor:
        """Scale the cosines of (B, D) clips and (M, D) descriptions: (B, M), for a softmax."""
        with torch.autocast(self.device.type, enabled=False):  # half precision ties close cosines
            return self.log_scale.exp() * speech @ text.T

    def pool_texts(self, texts: Sequence[str]) -> Tensor:
        """Run the text encoder on N >= 1 texts: (N, H), before the projection."""
        tokens, size = self.tokenize(texts), _TEXTS_AT_ONCE[self.device.type]
        starts = range(0, len(tokens), size)
        return torch.cat([self.text.pooled(tokens[start : start + size]) for start in starts])

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Whole words and pieces that the tokenizer knows."""
        return frozenset(self.tokenizer.get_vocab())

    def clean(self, text: str) -> str:
        """Bring a text into the form that is encoded; see :func:`raclap.query.normalize`."""
        return query.normalize(text, self.vocabulary)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Clean texts and return the token ids of each."""
        return self.tokenizer(
            [self.clean(text) for text in texts],
            truncation=True,
            max_length=self.config.text.max_tokens,
        )["input_ids"]

    @torch.inference_mode()
    def encode_text(
        self, texts: Sequence[str], *, lookup: bool = True, expecting: bool = True
    ) -> Tensor:
        """Encode descriptions, each as a whole and in its clauses; see :meth:`read`.

        Args:
            texts: N descriptions in English; case, spacing and small typos do not matter.
            lookup: as in `understand`.
            expecting: as in `understand`.

        Returns:
            (N, D) float32 unit vectors.

        Raises:
            TypeError: a bare string; pass a list.
        """
        if isinstance(texts, str):
            raise TypeError("encode_text takes a list of texts: encode_text([text])")
        if not len(texts):
            return torch.zeros(0, self.dim)
        return self.understand(texts, lookup=lookup, expecting=expecting)[0]

    @torch.inference_mode()
    def understand(
        self, texts: Sequence[str], *, lookup: bool = True, expecting: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Encode N >= 1 descriptions, and tell what they say.

        Args:
            texts: N descriptions in English.
            lookup: as in use: what the lexicon knows counts as said, whatever is read, and what is
                not heard or left open is left out (`scope.within`, `query.unchosen`). The lexicon
                knows the words that were kept from training, too: whoever measures how those are
                read does without.
            expecting: as in a search, if things are looked up: a whisper or an emotion that nobody
                asked for is not expected (`finish.expected`). A difference between texts does
                without.

        Returns:
            (N, D) what `encode_text` gives, and (N, V) float32 probabilities of all values of all
            attributes, in order; by attribute they sum to 1 or less. An unfinished model cannot
            read: 0 throughout.
        """
        texts = [self.clean(text) for text in texts]
        texts = [query.unchosen(within(text)[0]) for text in texts] if lookup else texts
        vectors, summaries = self.read(texts)
        if self.finish is None:
            return vectors.cpu(), torch.zeros(len(texts), sum(SIZES))
        evidence = torch.from_numpy(glossary.evidence(texts)).to(self.device)
        told = self.finish.told(vectors, summaries, evidence)
        if not lookup:
            return self.finish.text(vectors, told).cpu(), told.cpu()
        told = overruled(told, torch.from_numpy(query.looked_up(texts)).to(self.device))
        said = expected(told) if expecting else told
        return self.finish.text(vectors, said).cpu(), told.cpu()

    def token_states(self, texts: Sequence[str]) -> list[tuple[Tensor, list[tuple[int, int]]]]:
        """Return each text's last hidden states (T, H), and where in it each token stands.

        Args:
            texts: as `clean` leaves them; a token that stands for no word of theirs is at (0, 0).
        """
        found = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=self.config.text.max_tokens,
            return_offsets_mapping=True,
        )
        return list(zip(self.text.states(found["input_ids"]), found["offset_mapping"], strict=True))

    @torch.inference_mode()
    def denied(self, text: str, words: Sequence[tuple[int, int]]) -> np.ndarray:
        """Tell which words of a query are denied, and which deny.

        Args:
            text: as `clean` leaves it.
            words: from where to where each goes.

        Returns:
            (W, 2) float32 probabilities that a word is denied, and that it is part of what denies;
            0 beyond what the encoder reads. An unfinished model, whose `negation` is None, cannot
            tell.
        """
        shares = np.zeros((len(words), 2), np.float32)
        if not words:
            return shares
        # Most queries deny nothing and are read next, whole and by clauses: one pass for all.
        states, places = self.token_states([text, *query.clauses(text)])[0]
        told = self.negation(states[None].float(), [len(states)])[0].cpu().numpy()
        for row, (start, stop) in enumerate(words):
            its = [at for at, (first, last) in enumerate(places) if first < stop and last > start]
            if its:
                shares[row] = told[its][:, [DENIED, DENYING]].mean(0)
        return shares

    @torch.inference_mode()
    def read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode N >= 1 descriptions as far as the towers do.

        v = e(whole) + c * mean_k e(clause k), scaled to unit length, where e gives unit vectors and
        c is ``TextConfig.clauses``. A clause says one thing, in which the encoder errs less than in
        a sentence that says six; a description of one clause is encoded as it is.

        Returns:
            (N, D) unit vectors before the `Finish`, and (N, J) summaries for its eye: what the
            encoder pools of the whole, and the mean of what it pools of the clauses.
        """
        weight = self.config.text.clauses
        parts = [query.clauses(text) if weight else [] for text in texts]
        unique = list(dict.fromkeys([*texts, *(clause for each in parts for clause in each)]))
        pooled = self.pool_texts(unique).float()
        each = normalize(self.text.projection(pooled).float(), dim=-1)
        place = {text: row for row, text in enumerate(unique)}
        wholes = [place[text] for text in texts]
        vectors, by_clause = each[wholes], pooled[wholes]
        for row, clauses in enumerate(parts):
            if clauses:
                rows = [place[clause] for clause in clauses]
                vectors[row] += weight * each[rows].mean(0)
                by_clause[row] = pooled[rows].mean(0)
        return normalize(vectors, dim=-1), torch.cat([pooled[wholes], by_clause], dim=1)

    def speech_vectors(self, pooled: Tensor, measured: Tensor) -> Tensor:
        """Turn what is pooled of windows (B, L, 2, H) and their prosody (B, P) into (B, D)."""
        summary = self.speech.summary(pooled, measured)
        vectors = normalize(self.speech.head(*summary).float(), dim=-1)
        if self.finish is None:
            return vectors
        return self.finish.speech(vectors, torch.cat(summary, dim=1))

    @torch.inference_mode()
    def encode_speech(self, clips: Sequence[str | Path | np.ndarray]) -> Tensor:
        """Encode clips; alone or among others, a clip gets the same vector.

        Args:
            clips: paths of audio files, or waveforms (S,) at 16 kHz. Silence at the ends is
                trimmed; beyond 15 s the vectors of equal windows are averaged, each trimmed too
                and weighed by its length.

        Returns:
            (N, D) float32 unit vectors.

        Raises:
            InputError: a clip cannot be read; see :func:`raclap.audio.load`.
            TypeError: a bare path or array; pass a list.
        """
        if isinstance(clips, str | Path | np.ndarray):
            raise TypeError("encode_speech takes a list of clips: encode_speech([clip])")
        starts = range(0, len(clips), _CLIPS_HELD)
        held = [self._encode_speech(clips[start : start + _CLIPS_HELD]) for start in starts]
        return torch.cat([torch.zeros(0, self.dim), *held])

    def _encode_speech(self, clips: Sequence[str | Path | np.ndarray]) -> Tensor:
        frames, owners, lengths = [], [], []
        for owner, clip in enumerate(clips):
            given = isinstance(clip, np.ndarray)
            waveform = audio.from_samples(clip, audio.RATE_HZ) if given else audio.load(clip)
            for first, last in audio.stretches(waveform):
                frames.append(self.speech.lower(waveform[first:last]))
                owners.append(owner)
                lengths.append(last - first)
        vectors = torch.zeros(len(clips), self.dim)
        # Clips of one length together, so that little is padded.
        order = sorted(range(len(frames)), key=lambda i: int(frames[i].attended))
        size = _CLIPS_AT_ONCE[self.device.type]
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            batch = Frames.collate([frames[i] for i in chosen])
            batch = self.speech_vectors(self.speech.pooled(batch), batch.prosody)
            weighed = batch.cpu() * torch.tensor([[lengths[i]] for i in chosen])
            vectors.index_add_(0, torch.tensor([owners[i] for i in chosen]), weighed)
        return normalize(vectors, dim=-1)

    # ------------------------------------------------------------------ saving and loading

    @cached_property
    def fingerprint(self) -> str:
        """Names the weights that make vectors: galleries made by other weights are refused."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._stored().items()):
            if name.startswith("negation."):  # it parts queries, and makes no vector
                continue
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]

    def frozen_names(self) -> set[str]:
        """Names of the weights that come with the encoders and never train, in any stage."""
        modules = [*self.speech.backbone.frozen, *self.text.frozen(self.config.text.frozen_layers)]
        held = {id(t) for m in modules for t in m.state_dict(keep_vars=True).values()}
        return {n for n, t in self.state_dict(keep_vars=True).items() if id(t) in held}

    def _packed(self) -> dict[str, Tensor]:
        """The matrices that are kept in eight bits an entry, by name."""
        state: dict[str, Tensor] = {}
        if self.config.text.bits == 8:
            state |= self.text.encoder.state_dict(prefix="text.encoder.")
        if self.finish is not None:
            state |= self.finish.ear.state_dict(prefix="finish.ear.")
            state |= self.finish.eye.state_dict(prefix="finish.eye.")
            state |= self.negation.state_dict(prefix="negation.")
        return {name: value for name, value in state.items() if value.ndim == 2}

    def _stored(self) -> dict[str, Tensor]:
        """The weights as rounded as a checkpoint holds them, in half precision."""
        state = self.state_dict()
        state |= {name: weights.eighths(matrix) for name, matrix in self._packed().items()}
        return weights.halved(state)

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> str | None:
        """Write a checkpoint folder, and last of all the sums by which damage to it is noticed.

        A kill in between leaves a folder that cannot be loaded, never a mixture of two models.

        Args:
            save_directory: made if need be.
            kwargs: as `PyTorchModelHubMixin.save_pretrained`.
        """
        folder = Path(save_directory)
        result = super().save_pretrained(folder, **kwargs)
        sums = {
            path.relative_to(folder).as_posix(): digest_of(path)
            for path in sorted([*folder.glob("*.safetensors"), *folder.glob("tokenizer/**/*")])
            if path.is_file()
        }
        sums["config.json"] = digest_of(folder / "config.json")
        with replacing(folder / _CHECKSUMS) as part:
            part.write_text(json.dumps(sums, indent=2) + "\n", encoding="utf-8")
        return result

    @classmethod
    def from_pretrained(cls, checkpoint: str | Path, **kwargs: Any) -> RACLAP:
        """Load a checkpoint.

        Args:
            checkpoint: folder, or name on the hub.
            kwargs: as `PyTorchModelHubMixin.from_pretrained`.

        Raises:
            InputError: a folder that is no whole checkpoint.
        """
        try:
            return super().from_pretrained(str(checkpoint), **kwargs)
        except InputError:
            raise
        except Exception as error:  # of any kind: tokenizers raises bare Exceptions
            if not Path(checkpoint).is_dir():
                raise
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"The checkpoint {checkpoint} is damaged ({reason}); copy it again or retrain."
            ) from error

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the weights rounded, the tokenizer, and the teacher's differences."""
        folder, state, packed = Path(save_directory), self._stored(), self._packed()
        frozen = self.frozen_names()
        shards: dict[str, dict[str, Tensor]] = {shard: {} for shard in _SHARDS}
        for name in sorted(state):
            shards.setdefault(_shard_of(name, frozen), {})[name] = state[name]
        if self.teacher is not None:
            other = self.teacher._stored()
            differs = [name for name in other if not weights.same(state[name], other[name])]
            shards[_TEACHER] = {name: other[name] for name in differs}
        for shard in (*_FINISHED, _TEACHER):  # none of an older save stays
            (folder / shard).unlink(missing_ok=True)
        for shard, tensors in shards.items():
            weights.write(folder / shard, tensors, packed)
        self.tokenizer.save_pretrained(folder / "tokenizer")

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **kwargs: object) -> RACLAP:
        """Load a folder or a hub repository, strictly: every weight is there and has its shape."""
        hub = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        options = {name: kwargs.pop(name) for name in hub if name in kwargs}
        kwargs.pop("map_location", None), kwargs.pop("strict", None)
        is_folder = Path(model_id).is_dir()
        folder = Path(model_id if is_folder else snapshot_download(model_id, **options))
        for name in ("config.json", "frozen.safetensors", "model.safetensors", "tokenizer"):
            if not (folder / name).exists():
                raise InputError(
                    f"The checkpoint {folder} has no {name}; copy it whole or retrain."
                )
        try:
            model = cls(**kwargs)
            _check_sums(folder)
            state = {}
            for shard in (*_SHARDS, *_FINISHED):
                if (folder / shard).is_file():  # older checkpoints have fewer
                    state |= weights.read(folder / shard)
            model.load_state_dict(state)
            model.tokenizer = AutoTokenizer.from_pretrained(
                folder / "tokenizer", trust_remote_code=False
            )
            if (folder / _TEACHER).is_file():
                teacher = model.copied(weights.read(folder / _TEACHER))
                teacher._unfinish()  # it taught as its towers are
                model.keep_teacher(teacher)
        except (SafetensorError, RuntimeError, TypeError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"The checkpoint {folder} is damaged ({reason}); copy it again or retrain."
            ) from error
        return model.eval()

    def copied(self, other: Mapping[str, Tensor] | None = None) -> RACLAP:
        """Return a frozen copy, as a teacher is.

        Args:
            other: weights in which it differs. If given, all others share this model's memory: a
                checkpoint's teacher costs no more than its heads, and follows if they are trained.
        """
        held = self.state_dict(keep_vars=True)
        if other is None:
            shared = {}
        else:
            shared = {id(t): _seen(t) for name, t in held.items() if name not in other}
        twin = copy.deepcopy(self, shared)
        twin.keep_teacher(None)
        unknown = twin.load_state_dict(other or {}, strict=False).unexpected_keys
        if unknown:
            raise RuntimeError(f"the teacher has weights of no use: {', '.join(unknown[:3])}")
        twin.__dict__.pop("fingerprint", None)
        return twin.requires_grad_(False).eval()


def _build(config: dict) -> PreTrainedModel:
    """Build an encoder with random weights from the plain form of its configuration."""
    settings = AutoConfig.for_model(**config)
    if settings.model_type == "whisper":
        return WhisperEncoder(settings)
    return AutoModel.from_config(settings, **_headless(settings))


def _headless(config: AutoConfig) -> dict[str, bool]:
    """Leave out the pooling head of BERT and its kin: the text tower pools by itself."""
    pools = config.model_type in ("bert", "roberta", "mpnet")
    return {"add_pooling_layer": False} if pools else {}


def _locate(name: str) -> str:
    """Return the local folder of a hub name if there is one, else the name."""
    local = Path(os.environ.get("RACLAP_MODELS", ""), name)
    return str(local) if local.is_dir() else name


def _pretrained(name: str, layers: int = 0) -> tuple[PreTrainedModel | None, AutoConfig]:
    """Load an encoder, or its lower ``layers``, in full precision.

    The tiny ones of the tests are only configurations.
    """
    tiny = {"tiny-whisper": tiny_speech, "tiny-bert": tiny_text}
    if name in tiny:
        return None, tiny[name]()
    try:
        config = AutoConfig.from_pretrained(_locate(name))
        kind = WhisperEncoder if config.model_type == "whisper" else AutoModel
        config.num_hidden_layers = min(layers or config.num_hidden_layers, config.num_hidden_layers)
        encoder = kind.from_pretrained(
            _locate(name), config=config, dtype=torch.float32, **_headless(config)
        )
    except OSError as error:
        raise InputError(
            f"The encoder {name!r} is neither in $RACLAP_MODELS nor on the hub as seen from here; "
            "fetch it and set RACLAP_MODELS to the folder that holds it."
        ) from error
    return encoder, config


def _shard_of(name: str, frozen: Collection[str]) -> str:
    """The file of a checkpoint that holds the weight called ``name``."""
    first, *inner = name.split(".")
    if first in _FINISHING:
        return f"{inner[0] if inner[0] in _FINISHING else first}.safetensors"
    part = "frozen" if name in frozen else "encoder" if name.startswith(ENCODERS) else "model"
    return f"{part}{'-text' if name.startswith('text.') else ''}.safetensors"


def _seen(weight: Tensor) -> Tensor:
    """The same memory, never to be trained from here."""
    view = weight.detach()
    return nn.Parameter(view, requires_grad=False) if isinstance(weight, nn.Parameter) else view


def _check_sums(folder: Path) -> None:
    """Compare a checkpoint's files with what was saved; one without sums is taken as it is."""
    with contextlib.suppress(FileNotFoundError):
        sums = json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8"))
        for name, sum_ in sums.items():
            path = folder / name
            inside = not {"..", "/", ""} & {*Path(name).parts}
            if not inside or not path.is_file() or digest_of(path) != sum_:
                raise RuntimeError(f"{name} is not what was saved")
