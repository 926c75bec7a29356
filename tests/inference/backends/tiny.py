"""Tiny random models as transformers folders, built in a fraction of a second and seeded."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from apps.inference.engine.base import BatchBackend
from apps.inference.engine.types import BatchItem, EngineConfig, ModelSpec, Role
from apps.inference.engine.weights import weights_digests

TEXTS = (
    "Barack Obama visited Berlin in July.",
    "I love this phone, the battery is great!",
    "The delivery was late and nobody answered the phone.",
    "Angela Merkel met him at the office of Siemens in Munich on Monday morning.",
    "ok",
    "It does what it says. Nothing special, but the price is fair.",
    "My order number is 12345 and I would like to return the shoes.",
    "How are you today?",
)
# Inputs that break sloppy code. The callers replace lone surrogates before the engine.
ODD_TEXTS = (
    "",
    " ",
    "\n\t \r\n",
    "\0",
    "a\0b",
    "😀👩‍👩‍👧‍👦",
    "مرحبا بالعالم",
    "‮gnirts desrever‬",
    "图书馆在哪里",
    "e\u0301\u0327" * 20,
    "[CLS] [SEP] <s> </s> <pad> <|im_end|>",
    "x" * 5000,
    "\ufeff\u200b\ufffd",
)
LINE_OF_A_MEGABYTE = "Barack Obama visited Berlin. " * 36_158


def name_of(text: str) -> str:
    """Return a short name of a text for the list of tests."""
    return ascii(text)[:24]


def spec_of(folder: Path, role: Role, backend: str = "transformers", **changes: Any) -> ModelSpec:
    """Return a catalogue entry for a folder, with the digests that it has now."""
    base = ModelSpec("tiny", role, backend, f"path:{folder}", "1", weights_digests(folder), "none", 0)
    return dataclasses.replace(base, **changes)


def config_of(data_dir: Path) -> EngineConfig:
    # Tiny products gain nothing from a second thread, and lose much when it has to wait for a busy core.
    return EngineConfig(data_dir, threads=1)


def word_tokenizer(folder: Path) -> Any:
    """A WordPiece tokenizer of about 400 pieces, as BERT has it."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    wrapped = transformers.BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=64)
    wrapped.save_pretrained(folder)
    return wrapped


def _bert_config(tokenizer: Any, labels: tuple[str, ...]) -> Any:
    return transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )


def _saved(model: Any, folder: Path) -> Any:
    # save_pretrained writes safetensors only.
    model.eval().save_pretrained(folder)
    return folder


def classifier(folder: Path, labels: tuple[str, ...] = ("negative", "neutral", "positive"), **config: Any) -> Path:
    torch.manual_seed(1)
    settings = _bert_config(word_tokenizer(folder), labels)
    settings.update(config)
    return _saved(transformers.BertForSequenceClassification(settings), folder)


def tagger(folder: Path) -> Path:
    torch.manual_seed(2)
    labels = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    return _saved(transformers.BertForTokenClassification(_bert_config(word_tokenizer(folder), labels)), folder)


CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer(folder: Path, **settings: Any) -> Any:
    """A byte-level BPE tokenizer of 320 tokens, as GPT-2 and its successors have it: any text can be written."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXTS, trainer)
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=256, **settings
    )
    wrapped.save_pretrained(folder)
    return wrapped


def chat(folder: Path, template: str = CHAT_TEMPLATE) -> Path:
    torch.manual_seed(3)
    tokenizer = byte_tokenizer(folder, **({"chat_template": template} if template else {}))
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
        initializer_range=0.4,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _saved(transformers.LlamaForCausalLM(config), folder)


def t5(folder: Path) -> Path:
    torch.manual_seed(5)
    tokenizer = byte_tokenizer(folder)
    config = transformers.T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        initializer_factor=3.0,
        decoder_start_token_id=tokenizer.pad_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return _saved(transformers.T5ForConditionalGeneration(config), folder)


def _seq2seq_sizes(vocabulary: int) -> dict[str, Any]:
    sizes = {"d_model": 32, "max_position_embeddings": 64, "vocab_size": vocabulary, "init_std": 0.4}
    for part in ("encoder", "decoder"):
        sizes |= {f"{part}_layers": 2, f"{part}_attention_heads": 4, f"{part}_ffn_dim": 64}
    return sizes


def marian(folder: Path) -> Path:
    """A model of one pair, with two sentencepiece vocabularies, as OPUS-MT comes."""
    import sentencepiece

    folder.mkdir(parents=True)
    for name in ("source", "target"):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXTS * 20),
            model_prefix=str(folder / name),
            vocab_size=90,
            bos_id=-1,
            eos_id=0,
            unk_id=1,
            minloglevel=2,
        )
        (folder / f"{name}.model").rename(folder / f"{name}.spm")
        (folder / f"{name}.vocab").unlink()
    pieces = sentencepiece.SentencePieceProcessor(str(folder / "source.spm"))
    words = {pieces.id_to_piece(index): index for index in range(pieces.get_piece_size())}
    (folder / "vocab.json").write_text(json.dumps({**words, "<pad>": len(words)}))
    settings = {"source_lang": "en", "target_lang": "pt", "model_max_length": 64, "tokenizer_class": "MarianTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    torch.manual_seed(6)
    config = transformers.MarianConfig(
        **_seq2seq_sizes(len(words) + 1),
        pad_token_id=len(words),
        eos_token_id=0,
        decoder_start_token_id=len(words),
        forced_eos_token_id=None,
        scale_embedding=True,
    )
    return _saved(transformers.MarianMTModel(config), folder)


def nllb(folder: Path) -> Path:
    """A model of many languages, whose tokenizer has a token for each."""
    letters = sorted(set("".join(TEXTS)) - {" "})
    words = {token: index for index, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", "▁", *letters])}
    tokenizer = transformers.NllbTokenizer(
        vocab=words, merges=[], additional_special_tokens=["eng_Latn", "por_Latn", "deu_Latn"], model_max_length=64
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    config = transformers.M2M100Config(
        **_seq2seq_sizes(len(tokenizer)), pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2
    )
    return _saved(transformers.M2M100ForConditionalGeneration(config), folder)


def values_of(backend: BatchBackend, items: Sequence[BatchItem]) -> list[Any]:
    """Return one value per item, as the runner puts it together of the parts of long ones."""
    found = []
    for one in backend.prepare(items):
        found.append(one.join(backend.run(one.parts)) if one.join is not None else backend.run([one])[0])
    return found


def times_given_way(backend: BatchBackend, items: Sequence[BatchItem]) -> int:
    """Return how often a batch of `items` gives way; the values must be those of a batch that does not."""
    prepared = backend.prepare(items)
    calls: list[None] = []
    values = backend.run(prepared, lambda: calls.append(None))
    for value, other in zip(values, backend.run(prepared), strict=True):
        np.testing.assert_array_equal(value, other)
    return len(calls)
