"""Makes one of the models of `bench.materials`: `python -m bench.peers.make NAME SOURCE FOLDER`."""

from __future__ import annotations

import copy
import shutil
import sys
from pathlib import Path
from typing import Any

from bench.texts import texts

LABELS = ("negative", "neutral", "positive")


def reference(source: Path, folder: Path) -> None:
    """Write a GGUF file as a float32 folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    loaded = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    # The model that was read from GGUF remembers its quantiser, which refuses to save: its weights go into a fresh one.
    config = copy.deepcopy(loaded.config)
    config.__dict__.pop("quantization_config", None)
    fresh: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fresh.load_state_dict(loaded.state_dict())
    fresh.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**place).save_pretrained(folder)


def chat_q8(source: Path, folder: Path) -> None:
    """Rewrite a GGUF file as Q8_0."""
    from apps.inference.engine.requantise import requantise

    folder.mkdir()
    requantise(source, folder / "model.gguf", "Q8_0")


def ctranslate2(source: Path, folder: Path) -> None:
    """Write a float32 folder as CTranslate2 reads it; the tokenizer goes with it."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(source)).convert(str(folder))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json"):
        if (source / name).exists():
            shutil.copy(source / name, folder / name)


def classifier(source: Path, folder: Path) -> None:
    """Write the encoder under a head of random weights, with a bias that lets each label win about as often."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    config = AutoConfig.from_pretrained(source)
    config.num_labels = len(LABELS)
    config.id2label, config.label2id = dict(enumerate(LABELS)), {name: i for i, name in enumerate(LABELS)}
    torch.manual_seed(7)
    model: Any = AutoModelForSequenceClassification.from_pretrained(source, config=config, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(source)
    with torch.no_grad():
        model.classifier.weight.normal_()
        model.classifier.bias.zero_()
        sample = tokenizer(texts(128), padding=True, truncation=True, max_length=256, return_tensors="pt")
        model.classifier.bias.copy_(-model(**sample).logits.mean(dim=0))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


MAKERS = {
    "reference": reference,
    "chat-q8": chat_q8,
    "ctranslate2-generator": ctranslate2,
    "ctranslate2-encoder": ctranslate2,
    "classifier": classifier,
}


def main() -> None:
    """Make it beside its place and move it there when it is whole."""
    name, source, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    MAKERS[name](source, partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


if __name__ == "__main__":
    main()
