"""CTranslate2 with a static batch: the prompts that come together. Options: `model`, `compute_type`.

What the prompts share is given as its static prompt, whose state it caches.
"""

from __future__ import annotations

import os
from typing import Any

from bench.peers.chat import Answers
from bench.peers.protocol import Actions, serve


def load(options: dict[str, Any]) -> tuple[dict[str, Any], Actions]:
    import ctranslate2
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(options["model"])
    generator = ctranslate2.Generator(
        options["model"], compute_type=options["compute_type"], intra_threads=min(os.cpu_count() or 1, 8)
    )

    def tokens_of(messages: Any) -> list[str]:
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False).input_ids)

    def generate(prompts: list[Any], max_tokens: int, shared: int = 0) -> dict[str, Any]:
        answers = Answers(len(prompts))
        asked = [tokens_of(messages) for messages in prompts]
        found = generator.generate_batch(
            [tokens[shared:] for tokens in asked],
            static_prompt=asked[0][:shared] or None,
            max_length=max_tokens,
            sampling_topk=1,
            include_prompt_in_result=False,
            callback=lambda step: answers.started(step.batch_id) or False,
        )
        for index, result in enumerate(found):
            ids = result.sequences_ids[0]
            # The end of the turn is a token that was generated, though it is not given back.
            answers.ended(index, min(len(ids) + 1, max_tokens), tokenizer.decode(ids, skip_special_tokens=True))
        return answers.result()

    return {}, {"generate": generate}


if __name__ == "__main__":
    serve(load)
