"""transformers' `generate`, called once per request: what a plain task of a worker does. Options: `model`, `dtype`."""

from __future__ import annotations

from typing import Any

from bench.peers.chat import Answers
from bench.peers.protocol import Actions, serve


def load(options: dict[str, Any]) -> tuple[dict[str, Any], Actions]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.generation import StoppingCriteria

    tokenizer = AutoTokenizer.from_pretrained(options["model"])
    model: Any = AutoModelForCausalLM.from_pretrained(options["model"], dtype=getattr(torch, options["dtype"])).eval()

    class First(StoppingCriteria):
        """Stops nothing: it is called after each token."""

        def __init__(self, answers: Answers, index: int) -> None:
            self._answers, self._index = answers, index

        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            self._answers.started(self._index)
            return torch.zeros(input_ids.shape[0], dtype=torch.bool)

    def generate(prompts: list[Any], max_tokens: int) -> dict[str, Any]:
        answers = Answers(len(prompts))
        for index, messages in enumerate(prompts):
            inputs = tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            with torch.inference_mode():
                ids = model.generate(
                    **inputs, max_new_tokens=max_tokens, do_sample=False, stopping_criteria=[First(answers, index)]
                )
            new = ids[0, inputs["input_ids"].shape[1] :]
            answers.ended(index, len(new), tokenizer.decode(new, skip_special_tokens=True))
        return answers.result()

    return {}, {"generate": generate}


if __name__ == "__main__":
    serve(load)
