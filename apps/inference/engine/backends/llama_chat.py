"""Chat backend over llama.cpp: any GGUF file, quickest for one stream, repeats a seed, ranks alternatives."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from apps.inference.engine.backends.llama_gguf import gguf_facts
from apps.inference.engine.backends.process_chat import ProcessChat
from apps.inference.engine.errors import ModelUnavailable
from apps.inference.engine.types import Capability, EngineConfig, ModelSpec
from apps.inference.engine.weights import weights_prepare_adapters

logger = logging.getLogger(__name__)

_SLOTS = 4
_BATCHED_TOKENS = 64


class LlamaChat(ProcessChat):
    """llama.cpp's server in a child process.

    Options: `slots` (4) generations side by side, each with a cache of `context_tokens` of its own, allocated at the
    start; fewer when `chat_kv_cache_gb` does not hold so many. `batched_tokens` (64) bounds one step: larger starts long
    prompts sooner, smaller lets go of a cancelled one sooner. `device` "cpu" keeps the model off a GPU.
    Presence and frequency penalties look at the last 64 tokens, the prompt's included.
    """

    module = "llama_server"
    capabilities: frozenset[Capability] = frozenset(
        ("seed", "logprobs", "top_logprobs", "json_schema", "min_p", "prompt", "adapters")
    )

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        super().__init__(spec, path, config)
        self.slots = int(spec.options.get("slots", _SLOTS))
        if not spec.adapters:
            self.capabilities = self.capabilities - {"adapters"}

    def load(self) -> None:
        """Fit the slots into the cache's bound, then start the process (1 to 3 s). Raises ModelUnavailable."""
        slot_bytes = gguf_facts(self._path).cache_bytes * self._spec.context_tokens
        fitting = (self._config.chat_kv_cache_gb << 30) // max(1, slot_bytes)
        if fitting < 1:
            raise ModelUnavailable(
                f"{self._spec.name}: {self._spec.context_tokens} tokens of context take {slot_bytes >> 20} MB of cache, "
                f"the limit is {self._config.chat_kv_cache_gb} GB; lower context_tokens in the catalogue or raise "
                "INFERENCE_KV_CACHE_GB"
            )
        if fitting < self.slots:
            logger.warning("%s: the cache's limit holds %d of %d slots", self._spec.name, fitting, self.slots)
            self.slots = fitting
        super().load()

    def settings(self) -> dict[str, Any]:
        """Add the step's bound, the device and the adapters' files."""
        adapters = weights_prepare_adapters(self._spec, self._config.data_dir) if self._spec.adapters else {}
        return super().settings() | {
            "batched_tokens": int(self._spec.options.get("batched_tokens", _BATCHED_TOKENS)),
            "device": str(self._spec.options.get("device", "")),
            "adapters": {name: str(_adapter_file(name, root)) for name, root in adapters.items()},
        }


def _adapter_file(name: str, root: Path) -> Path:
    """Return the GGUF file of an adapter: the source itself, or the only one in its folder."""
    found = [root] if root.is_file() else sorted(root.glob("*.gguf"))
    if len(found) != 1 or found[0].suffix.lower() != ".gguf":
        raise ModelUnavailable(f"the adapter {name} is not one GGUF file; llama.cpp reads no other kind")
    return found[0]
