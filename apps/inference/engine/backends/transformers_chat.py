"""Chat models from a transformers folder, on CPU or GPU: every decoding control, one request at a time per slot.

`ModelSpec.options`: those of transformers_common (automatic dtype: bfloat16 on a GPU, float32 on a CPU, where it
follows the reference token by token and is no slower for one stream); `slots` (default 2; 1 with adapters, which are
switched for the whole model): generations side by side.

For models that the batching backends cannot read; those are several times as fast for many streams.
"""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.inference.engine.backends.transformers_common import (
    first_line,
    import_libraries,
    input_limit,
    load_model,
    load_tokenizer,
    pick_device,
    pick_dtype,
)
from apps.inference.engine.backends.transformers_decoding import Decoding, Stopped, beam_search
from apps.inference.engine.base import Sink
from apps.inference.engine.errors import (
    DeadlineExceeded,
    EngineError,
    ModelUnavailable,
    PromptTooLong,
    Unsupported,
)
from apps.inference.engine.types import (
    Capability,
    ChatCounters,
    EngineConfig,
    GenerateRequest,
    GenerateStats,
    ModelSpec,
)
from apps.inference.engine.weights import weights_prepare_adapters

logger = logging.getLogger(__name__)

# Prompt tokens in one forward pass: between two passes a generation can be cancelled.
_CPU_CHUNK, _GPU_CHUNK = 128, 2048


class _Active:
    """One generation: its sink, and why it should end early."""

    def __init__(self, request: GenerateRequest, sink: Sink, deadline: float) -> None:
        self.request, self.sink, self.deadline = request, sink, deadline
        self.cancelled = threading.Event()

    def check(self) -> None:
        """Raise when the generation should not go on."""
        if self.cancelled.is_set():
            raise Stopped
        if time.monotonic() > self.deadline:
            raise DeadlineExceeded("the generation did not end before its deadline")


class TransformersChat:
    """One decoder model; generations run on threads of their own."""

    capabilities: frozenset[Capability] = frozenset(
        {"seed", "logprobs", "top_logprobs", "beams", "min_p", "adapters", "prompt"}
    )

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._path, self._config = spec, path, config
        self.slots = 1 if spec.adapters else int(spec.options.get("slots", 2))
        self._lock = threading.Lock()
        # The tokenizer's settings are its own state: one thread at a time.
        self._tokenizing = threading.Lock()
        self._active: set[_Active] = set()
        self._counters = ChatCounters()
        self._threads: ThreadPoolExecutor | None = None
        self._torch: Any = None
        self._transformers: Any = None
        self._model: Any = None
        self._tokenizer: Any = None
        self._device: Any = None
        self._limit = 0
        self._last_only = False

    def load(self) -> None:
        """Load the model and its adapters, and produce one token. Raises ModelUnavailable."""
        self._torch, self._transformers = import_libraries(self._config)
        self._device = pick_device(self._torch, self._spec)
        dtype = pick_dtype(self._torch, self._spec, self._device, automatic=self._device.type == "cuda")
        auto_class = self._transformers.AutoModelForCausalLM
        self._model = load_model(auto_class, self._spec, self._path, device=self._device, dtype=dtype)
        self._tokenizer = load_tokenizer(self._transformers, self._spec, self._path)
        self._limit = input_limit(self._spec, self._model.config.get_text_config(), self._tokenizer)
        self._last_only = "logits_to_keep" in inspect.signature(self._model.forward).parameters
        self._load_adapters()
        decoding = self._decoding(GenerateRequest(max_tokens=1), [0], lambda: None)
        with self._torch.inference_mode():
            for _ in decoding.pieces(1):
                pass
        self._threads = ThreadPoolExecutor(self.slots, thread_name_prefix=f"chat-{self._spec.name}")

    def start(self, request: GenerateRequest, sink: Sink, *, deadline_s: float) -> Callable[[], None]:
        """Begin a generation; the result cancels it. Raises ModelUnavailable."""
        active = _Active(request, sink, time.monotonic() + deadline_s)
        with self._lock:
            if self._threads is None:
                raise ModelUnavailable(f"{self._spec.name} is not running")
            self._active.add(active)
            self._threads.submit(self._run, active)
        return active.cancelled.set

    def health(self) -> bool:
        """Return whether generations can be started."""
        return self._threads is not None

    def info(self) -> ChatCounters:
        """Return a copy of the counters."""
        with self._lock:
            return replace(self._counters)

    def stop(self) -> None:
        """End active generations with ModelUnavailable and let the weights go."""
        with self._lock:
            threads, self._threads = self._threads, None
            active = list(self._active)
            self._active.clear()
        for one in active:
            one.cancelled.set()
            one.sink.error(ModelUnavailable(f"{self._spec.name} is stopping"))
        if threads is not None:
            threads.shutdown(wait=True)
        self._model = None

    # -- one generation ----------------------------------------------------------------------------------------------
    def _run(self, active: _Active) -> None:
        try:
            active.check()
            stats = self._generate(active)
        except Stopped:
            self._leave(active)
        except EngineError as error:
            if self._leave(active):
                active.sink.error(error)
        except Exception as error:
            logger.exception("%s failed", self._spec.name)
            if self._leave(active):
                active.sink.error(ModelUnavailable(f"{self._spec.name} failed: {first_line(error)}"))
        else:
            if self._leave(active):
                active.sink.end(stats)

    def _leave(self, active: _Active) -> bool:
        """Return whether the sink still waits for an end."""
        with self._lock:
            known = active in self._active
            self._active.discard(active)
        return known and not active.cancelled.is_set()

    def _generate(self, active: _Active) -> GenerateStats:
        request = active.request
        prompt = self._prompt(request)
        room = self._limit - len(prompt)
        if room < 1:
            raise PromptTooLong(f"the prompt has {len(prompt)} tokens, the context holds {self._limit}")
        if request.beams > 1 and request.n > request.beams:
            raise Unsupported("n", "n cannot be larger than beams")
        self._switch_adapter(request.adapter)
        budget = min(request.max_tokens, room)
        decoding = self._decoding(request, prompt, active.check)
        self._count(prompt_tokens=len(prompt))
        with self._torch.inference_mode():
            pieces = beam_search(decoding, self._transformers, budget) if request.beams > 1 else decoding.pieces(budget)
            for piece in pieces:
                active.check()
                self._count(generated_tokens=piece.tokens)
                active.sink.piece(piece)
        total = sum(decoding.counts)
        return GenerateStats(len(prompt), total, 0.0, 0.0, decoding.reasons[0], tuple(decoding.reasons))

    def _count(self, *, prompt_tokens: int = 0, generated_tokens: int = 0) -> None:
        with self._lock:
            self._counters.prompt_tokens += prompt_tokens
            self._counters.generated_tokens += generated_tokens

    def _decoding(self, request: GenerateRequest, prompt: Sequence[int], check: Callable[[], None]) -> Decoding:
        return Decoding(
            self._torch,
            self._model,
            self._tokenizer,
            request,
            prompt,
            check=check,
            chunk=min(self._config.chat_batched_tokens, _CPU_CHUNK if self._device.type == "cpu" else _GPU_CHUNK),
            last_only=self._last_only,
        )

    def _prompt(self, request: GenerateRequest) -> list[int]:
        """Return the prompt's tokens. Control tokens inside contents are read as text: they must not open a turn."""
        with self._tokenizing:
            if request.prompt is not None:
                ids = self._tokenizer(request.prompt, split_special_tokens=True)["input_ids"]
            elif not self._tokenizer.chat_template:
                raise Unsupported("messages", f"{self._spec.name} has no chat template; send a prompt")
            else:
                ids = self._rendered(request)
        if not ids:
            raise Unsupported("prompt", "the prompt is empty")
        return list(ids)

    def _rendered(self, request: GenerateRequest) -> Any:
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        try:
            return self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, sanitize_control_tokens=True, return_dict=False
            )
        except Exception as error:
            # Templates refuse roles and orders that their model does not know.
            raise Unsupported(
                "messages", f"the chat template of {self._spec.name} refuses: {first_line(error)}"
            ) from error

    # -- adapters ----------------------------------------------------------------------------------------------------
    def _load_adapters(self) -> None:
        folders = weights_prepare_adapters(self._spec, self._config.data_dir)
        for name, folder in folders.items():
            try:
                self._model.load_adapter(str(folder), adapter_name=name)
            except Exception as error:
                raise ModelUnavailable(
                    f"{self._spec.name}: its adapter {name} cannot be loaded: {first_line(error)}"
                ) from error
        if folders:
            self._model.eval()
            self._switch_adapter("")

    def _switch_adapter(self, name: str) -> None:
        if not self._spec.adapters:
            if name:
                raise Unsupported("adapter", f"{self._spec.name} has no adapters")
            return
        if name and name not in self._spec.adapters:
            known = ", ".join(self._spec.adapters)
            raise Unsupported("adapter", f"{self._spec.name} has no adapter {name!r}; it has {known}")
        if name:
            self._model.enable_adapters()
            self._model.set_adapter(name)
        else:
            self._model.disable_adapters()
