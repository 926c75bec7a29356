"""Our engine in a process of its own, as the inference worker has it, without the product around it.

Options: `roles`, the roles whose default models are loaded; `chat`, another chat model than the default one;
`classifier`, a folder to serve as classifier.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.peers.chat import Answers
from bench.peers.protocol import Actions, serve

DEADLINE_S = 300.0
CLASSIFIER = "bench-classifier"


def load(options: dict[str, Any]) -> tuple[dict[str, Any], Actions]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")
    import django

    django.setup()
    from apps.inference.engine.host import EngineHost
    from apps.inference.engine.weights import weights_prepare
    from apps.inference.services.local import engine_config
    from apps.inference.services.models import catalogue

    known, config = catalogue(), engine_config()
    models, defaults = dict(known.models), dict(known.defaults)
    if "chat" in options:
        defaults["chat"] = options["chat"]
    if "classifier" in options:
        models[CLASSIFIER] = _classifier(Path(options["classifier"]))
        defaults["classifier"] = CLASSIFIER
    host = EngineHost(models, defaults, config)
    host.load(options["roles"])
    told: dict[str, Any] = {"models": {role: defaults[role] for role in options["roles"]}}
    if "chat" in options["roles"]:
        told["weight_bytes"] = _size_bytes(weights_prepare(models[defaults["chat"]], config.data_dir))
    engine = Engine(host)
    return told, {
        "generate": engine.generate,
        "embed": engine.embed,
        "classify": engine.classify,
        "translate": engine.translate,
    }


def _size_bytes(weights: Path) -> int:
    """Return the size of what is read for each token: a GGUF file, or the numbers in a folder."""
    return max(path.stat().st_size for path in ([weights] if weights.is_file() else weights.iterdir()))


def _classifier(folder: Path) -> Any:
    from apps.inference.engine.types import ModelSpec
    from apps.inference.engine.weights import weights_digests

    return ModelSpec(
        name=CLASSIFIER,
        role="classifier",
        backend="transformers",
        source=f"path:{folder}",
        revision="1",
        files=weights_digests(folder),
        licence="Apache-2.0",
        context_tokens=256,
    )


class Engine:
    """The actions."""

    def __init__(self, host: Any) -> None:
        self._host = host

    def generate(self, prompts: list[Any], max_tokens: int, stop: tuple[str, ...] = ()) -> dict[str, Any]:
        """Answer all prompts at once; a thread reads nothing: the engine calls back."""
        from apps.inference.engine.types import ChatMessage, GenerateRequest, GenerateStats, Piece

        answers, texts = Answers(len(prompts)), [""] * len(prompts)
        left, failures = threading.Semaphore(0), []

        def listener(index: int) -> Any:
            def heard(event: Any) -> None:
                if isinstance(event, Piece):
                    answers.started(index)
                    texts[index] += event.text
                    return
                if isinstance(event, GenerateStats):
                    answers.ended(index, event.completion_tokens, texts[index])
                else:
                    failures.append(event)
                left.release()

            return heard

        for index, messages in enumerate(prompts):
            turns = tuple(ChatMessage(turn["role"], turn["content"]) for turn in messages)
            request = GenerateRequest(turns, max_tokens=max_tokens, stop=tuple(stop))
            self._host.generate(request, deadline_s=DEADLINE_S).listen(listener(index))
        for _ in prompts:
            left.acquire()
        if failures:
            raise failures[0]
        return answers.result()

    def embed(self, texts: list[str], at_once: int) -> dict[str, Any]:
        """Encode all texts in calls of `at_once`, one after the other."""
        import numpy as np

        began = time.monotonic()
        parts = [
            self._host.embed(texts[start : start + at_once], deadline_s=DEADLINE_S, priority="batch").vectors
            for start in range(0, len(texts), at_once)
        ]
        seconds = time.monotonic() - began
        return {"seconds": seconds, "vectors": base64.b64encode(np.concatenate(parts).astype("<f4").tobytes()).decode()}

    def classify(self, texts: list[str], at_once: int) -> dict[str, Any]:
        """Classify all texts in calls of `at_once`, one after the other."""
        labels = self._host.labels(CLASSIFIER, deadline_s=DEADLINE_S)
        began, found = time.monotonic(), []
        for start in range(0, len(texts), at_once):
            part = texts[start : start + at_once]
            values = self._host.run("classifier", part, model=CLASSIFIER, deadline_s=DEADLINE_S).values
            found += [labels[int(row.argmax())] for row in values]
        return {"seconds": time.monotonic() - began, "labels": found}

    def translate(self, texts: list[str], source: str, target: str, callers: int, at_once: int) -> dict[str, Any]:
        """Translate all texts in calls of `at_once` by `callers` threads."""
        from apps.inference.engine.types import TranslateItem

        def part(start: int) -> list[str]:
            items = [TranslateItem(text, source, target) for text in texts[start : start + at_once]]
            return list(self._host.run("translator", items, deadline_s=DEADLINE_S).values)

        began = time.monotonic()
        with ThreadPoolExecutor(callers) as executor:
            parts = list(executor.map(part, range(0, len(texts), at_once)))
        return {"seconds": time.monotonic() - began, "texts": [text for found in parts for text in found]}


if __name__ == "__main__":
    serve(load)
