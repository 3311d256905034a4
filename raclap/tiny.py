"""Encoders small enough for a test, built rather than downloaded: the preset ``tiny`` uses them."""

from __future__ import annotations

import string

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from transformers import BertConfig, PreTrainedTokenizerFast, WhisperConfig

from raclap import lexicon

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def _pieces() -> list[str]:
    letters = string.ascii_lowercase + string.digits + string.punctuation
    return list(
        dict.fromkeys([*_SPECIAL, *letters, *(f"##{c}" for c in letters), *lexicon.vocabulary()])
    )


def tiny_speech() -> WhisperConfig:
    """A Whisper encoder of two narrow layers."""
    return WhisperConfig(
        d_model=32,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        max_source_positions=1500,
        num_mel_bins=80,
        vocab_size=100,
        decoder_layers=1,
        decoder_attention_heads=1,
        decoder_ffn_dim=8,
    )


def tiny_text() -> BertConfig:
    """A BERT of one narrow layer that knows the lexicon's words."""
    return BertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        vocab_size=len(_pieces()),
        max_position_embeddings=128,
    )


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A word-piece tokenizer over letters and the lexicon's words."""
    pieces = {piece: i for i, piece in enumerate(_pieces())}
    core = Tokenizer(WordPiece(pieces, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
