"""What is asked of every player alike: prompts by seed, texts to encode, sentences to translate."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

Messages = list[dict[str, str]]

ANSWER_TOKENS = 64
SHORT, PREFIXED = "short", "prefixed"
_HELPFUL = "You are a helpful assistant."
# With the turn markers of the default model about 650 tokens.
_SHOP = "You are a support agent of a web shop. " + (
    "Parcels leave the warehouse within two working days; a number to follow them is in the Shipments page. " * 27
)
_THINGS = ("lantern", "violin", "compass", "kettle", "ladder", "mirror", "bicycle", "umbrella")
_PLACES = ("harbour", "station", "market", "library", "village", "theatre", "orchard", "castle")
WORDS = re.findall(
    r"\w+",
    "the package maintainer should upload a new version to the archive when bugs are fixed and the changelog must "
    "mention each closed bug number so that the tracking system can mark it as resolved policy documents describe how "
    "to build binary packages from source",
)
QUESTIONS = (
    "What is a refund?",
    "How do I reset my password?",
    "Explain photosynthesis.",
    "Write a short poem about rain.",
    "What is the capital of France?",
    "List three fruits.",
    "How does a bicycle work?",
    "Why is the sky blue?",
    "Tell me about Python.",
    "How can I contact support?",
    "What is machine learning?",
    "Describe a cat.",
    "Give advice for a job interview.",
    "What are the benefits of sleep?",
    "Summarise: The parcel was sent on Monday and arrived on Friday, after a delay at customs.",
    "Translate to simple words: The reimbursement shall be effected within thirty days.",
    "What is 12 times 12?",
    "Name a famous painter and one work.",
    "How do I cook rice?",
    "What is an API?",
)


def prompt(kind: str, seed: int) -> Messages:
    """Return a prompt of about 66 tokens that shares nothing, or one of 28 after about 650 that all share."""
    words = random.Random(seed)
    thing, place = words.choice(_THINGS), words.choice(_PLACES)
    if kind == PREFIXED:
        asked = f"Customer {seed} asks: write a long and detailed story about a {thing} that was lost."
        return [{"role": "system", "content": _SHOP}, {"role": "user", "content": asked}]
    asked = (
        f"Letter {seed}: a traveller writes about a {thing} and a quiet {place}. Write a long and detailed story of how "
        f"the {thing} was lost at night, who found it, and why nobody in the {place} believed them."
    )
    return [{"role": "system", "content": _HELPFUL}, {"role": "user", "content": asked}]


def questions() -> list[Messages]:
    """Return 20 short questions, for which greedy text is compared."""
    return [[{"role": "system", "content": _HELPFUL}, {"role": "user", "content": text}] for text in QUESTIONS]


def texts(count: int) -> list[str]:
    """Return texts of 5 to 120 words."""
    words = random.Random(5)
    return [" ".join(words.choice(WORDS) for _ in range(words.randint(5, 120))) for _ in range(count)]


class PromptTokens:
    """How long prompts are, by the tokenizer of the reference folder."""

    def __init__(self, reference: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(reference / "tokenizer.json"))

    def count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def own_and_shared(self, kind: str) -> tuple[int, int]:
        """Return the tokens that a prompt of `kind` has for itself, and those that all of its kind begin with."""
        one, other = (self._rendered(prompt(kind, seed)) for seed in (1, 2))
        if kind == SHORT:
            return len(one), 0
        shared = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
        return len(one) - shared, shared

    def _rendered(self, messages: Messages) -> list[int]:
        turns = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
        ids: list[int] = self._tokenizer.encode(turns + "<|im_start|>assistant\n").ids
        return ids
