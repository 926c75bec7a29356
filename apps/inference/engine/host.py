"""The models of one process: found in the catalogue, loaded when needed, shared by all threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from apps.inference.engine.backends import backend_make
from apps.inference.engine.batching import BatchRunner
from apps.inference.engine.errors import EngineError, UnknownModel
from apps.inference.engine.generation import ChatRunner, Generation
from apps.inference.engine.memory import memory_budget_mb, memory_check, memory_needed_mb
from apps.inference.engine.pool import Lease, ModelPool
from apps.inference.engine.precedence import Precedence
from apps.inference.engine.types import (
    BATCH_ROLES,
    BatchItem,
    BatchResult,
    EmbedResult,
    EngineConfig,
    GenerateRequest,
    ModelSpec,
    Priority,
    Role,
)
from apps.inference.engine.weights import weights_prepare

logger = logging.getLogger(__name__)


class EngineHost:
    """Models by name. Defaults are loaded by `load` and stay; the others come and go with use."""

    def __init__(self, models: Mapping[str, ModelSpec], defaults: Mapping[Role, str], config: EngineConfig) -> None:
        self._models, self._defaults, self._config = dict(models), dict(defaults), config
        self._pool = ModelPool(memory_budget_mb(config), self._make, memory_needed_mb)
        self._precedence = Precedence()
        self._lock = threading.Lock()
        self._load_s = 0.0

    def load(self, roles: Sequence[Role] = ("chat", "embedding")) -> None:
        """Check, load and warm the default models of `roles`, side by side (5 to 12 s), and keep them loaded.

        Raises ModelUnavailable and its kinds: weights missing, wrong or unsafe, not enough memory.
        """
        started = time.monotonic()
        specs = [self._spec("", role) for role in roles]
        self._check(specs)
        with ThreadPoolExecutor(len(specs), thread_name_prefix="engine-load") as executor:
            for lease in list(executor.map(self._load_pinned, specs)):
                lease.release()
        self._load_s = time.monotonic() - started
        logger.info("models loaded in %.1f s: %s", self._load_s, ", ".join(spec.name for spec in specs))

    def generate(
        self, request: GenerateRequest, *, deadline_s: float, priority: Priority = "live", tenant: str = ""
    ) -> Generation:
        """Submit a generation. Raises UnknownModel, Overloaded, Unsupported, ModelUnavailable."""
        began = time.monotonic()
        lease = self._pool.acquire(self._spec(request.model, "chat"), deadline_s=deadline_s)
        try:
            left_s = max(0.01, deadline_s - (time.monotonic() - began))
            generation: Generation = lease.runner.submit(request, priority=priority, tenant=tenant, deadline_s=left_s)
        except BaseException:
            lease.release()
            raise
        generation.hold(lease.release)
        return generation

    def run(
        self,
        role: Role,
        items: Sequence[BatchItem],
        *,
        model: str = "",
        deadline_s: float,
        priority: Priority = "live",
        tenant: str = "",
    ) -> BatchResult:
        """Return one value per item from the model of `role` (see BatchItem). Raises UnknownModel, Overloaded, ..."""
        began = time.monotonic()
        with self._pool.acquire(self._spec(model, role), deadline_s=deadline_s) as lease:
            left_s = max(0.01, deadline_s - (time.monotonic() - began))
            result: BatchResult = lease.runner.run(items, priority=priority, tenant=tenant, deadline_s=left_s)
        return result

    def embed(
        self,
        texts: Sequence[str],
        *,
        deadline_s: float,
        priority: Priority = "live",
        tenant: str = "",
        model: str = "",
    ) -> EmbedResult:
        """Return one unit-length vector per text: float32 (n, dim)."""
        spec = self._spec(model, "embedding")
        if not texts:
            return EmbedResult(np.empty((0, spec.dim), dtype=np.float32))
        result = self.run("embedding", texts, model=model, deadline_s=deadline_s, priority=priority, tenant=tenant)
        return EmbedResult(np.stack(result.values), result.truncated, result.tokens)

    def labels(self, model: str, *, deadline_s: float) -> tuple[str, ...]:
        """Return a classifier's labels in the order of its logits, loading it where needed."""
        with self._pool.acquire(self._spec(model, "classifier"), deadline_s=deadline_s) as lease:
            labels: tuple[str, ...] = lease.runner.backend.labels
        return labels

    def catalogue_changed(self, models: Mapping[str, ModelSpec], defaults: Mapping[Role, str]) -> None:
        """Take a new catalogue: loaded models whose entry differs are replaced, without refusing a request.

        An entry that does not load is logged and its old version stays.
        """
        with self._lock:
            before, self._models, self._defaults = self._models, dict(models), dict(defaults)
        for name, spec in models.items():
            if name in before and before[name] != spec:
                try:
                    self._pool.replace(spec)
                except EngineError:
                    logger.exception("the new version of %s does not load; the old one stays", name)

    def health(self, roles: Sequence[Role] = ("chat", "embedding")) -> dict[str, bool]:
        """Return {model name: answers} of the defaults of `roles`."""
        result = {}
        for role in roles:
            name = self._spec("", role).name
            runner = self._pool.runner(name)
            result[name] = runner is not None and runner.health()
        return result

    def info(self) -> dict[str, Any]:
        """Return what is loaded with all counters, as plain values."""
        models = self._pool.loaded()
        return {
            "load_s": round(self._load_s, 3),
            "budget_mb": self._pool.budget_mb,
            "used_mb": sum(model["memory_mb"] for model in models.values()),
            "loads": self._pool.loads,
            "unloads": self._pool.unloads,
            "hits": self._pool.hits,
            "models": models,
        }

    def stop(self) -> None:
        """End active generations, fail waiting items, end the chat processes. Takes at most 4 s a model."""
        self._pool.stop()

    # -- inside ------------------------------------------------------------------------------------------------------
    def _check(self, specs: Sequence[ModelSpec]) -> None:
        """Find what is wrong in a second where one can, and not after minutes of making or loading another model."""
        memory_check(specs, self._pool.budget_mb)
        for spec in specs:
            if not spec.requantise and not spec.source.startswith("remote:"):
                weights_prepare(spec, self._config.data_dir)

    def _load_pinned(self, spec: ModelSpec) -> Lease:
        return self._pool.acquire(spec, deadline_s=300, pinned=True)

    def _spec(self, name: str, role: Role) -> ModelSpec:
        wanted = name or self._defaults.get(role, "")
        spec = self._models.get(wanted)
        if spec is None:
            raise UnknownModel(f"there is no {role} model {name!r}" if name else f"there is no default {role} model")
        if spec.role != role:
            raise UnknownModel(f"{wanted} is a {spec.role} model, not a {role} model")
        return spec

    def _make(self, spec: ModelSpec) -> ChatRunner | BatchRunner:
        config = self._config
        remote = spec.source.startswith("remote:")
        backend = backend_make(spec, config.data_dir if remote else weights_prepare(spec, config.data_dir), config)
        # What computes elsewhere makes nobody here wait.
        precedence = Precedence() if remote else self._precedence
        if spec.role in BATCH_ROLES:
            return BatchRunner(
                spec.name,
                backend,
                budget_tokens=config.batch_tokens,
                max_queued=config.batch_max_queued,
                precedence=precedence,
            )
        return ChatRunner(spec.name, backend, max_queued=config.chat_max_queued, precedence=precedence)
