"""Embedding backend: a sentence-transformers model, compiled (encoder_graph.py), in bfloat16 where the processor has it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.inference.engine.backends.encoder_graph import Features, graphs_compile
from apps.inference.engine.backends.torch_threads import TorchThreads
from apps.inference.engine.base import GiveWay, Prepared, stay
from apps.inference.engine.types import BatchItem, EngineConfig, FloatArray, ModelSpec
from apps.inference.engine.windows import head_of, is_longer

# Texts of several lengths, on which the compiled graph is compared with torch; the first two make padding.
_PROBES = (("warm up", "warm up " * 5), ("a longer text, " * 9,), ("one", "", "three", "warm up " * 60))
# From features to a row for each text.
RowsOf = Callable[[Features], FloatArray]


class SentenceEmbedder:
    """Maps texts to float32 vectors of L2 norm 1 within 1e-5. An empty text is a text like any other."""

    labels: tuple[str, ...] = ()

    def __init__(self, spec: ModelSpec, path: Path, config: EngineConfig) -> None:
        self._spec, self._path, self._config = spec, path, config
        self._torch: Any = None
        self._model: Any = None
        self._tokenizer: Any = None
        self._threads: TorchThreads | None = None
        self._rows_of: RowsOf | None = None
        self._pad_id = self._limit = 0
        self._type_ids = False

    def load(self) -> None:
        """Load the weights (safetensors only, no remote code, no network) and run one batch. Takes 3 to 7 s."""
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        # Spinning at the barriers of each layer turned a 10 ms query into 700 ms when another process used one core.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        import torch
        from sentence_transformers import SentenceTransformer

        self._torch = torch
        self._threads = TorchThreads(torch, self._config.threads, f"embed-{self._spec.name}")
        self._model = SentenceTransformer(
            str(self._path),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        ).eval()
        wrapped = self._model.tokenizer
        self._pad_id = int(wrapped.pad_token_id or 0)
        self._type_ids = "token_type_ids" in wrapped.model_input_names
        self._tokenizer = wrapped.backend_tokenizer
        self._tokenizer.no_padding()
        self._limit = int(self._model.max_seq_length)
        self._tokenizer.enable_truncation(max_length=self._limit)
        self._rows_of = self._ready()
        self.run(self.prepare(["warm up", "warm up " * 60]))

    def prepare(self, items: Sequence[BatchItem]) -> list[Prepared]:
        """Tokenise; texts longer than the model's input are cut on the right and flagged."""
        texts = [str(item) for item in items]
        encodings = self._tokenizer.encode_batch([head_of(text, self._limit) for text in texts])
        return [
            Prepared(len(encoding.ids), encoding.ids, bool(encoding.overflowing) or is_longer(text, self._limit))
            for encoding, text in zip(encodings, texts, strict=True)
        ]

    def run(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return one float32 (dim,) row per text."""
        assert self._threads is not None  # noqa: S101  (set by load)
        rows_of = self._rows_of
        return self._threads.split(lambda part: self._vectors(part, rows_of), batch, lambda one: one.size, give_way)

    def run_short(self, batch: Sequence[Prepared], give_way: GiveWay = stay, /) -> list[Any]:
        """Return what `run` returns, computed on one thread beside it."""
        assert self._threads is not None  # noqa: S101  (set by load)
        give_way()
        rows_of = getattr(self._rows_of, "short", self._rows_of)
        return self._threads.alone(lambda part: self._vectors(part, rows_of), batch)

    def _ready(self) -> RowsOf:
        """Return what computes rows: the compiled graph, which lets torch's weights go, or torch."""
        dtype = self._pick_dtype()
        graphs = graphs_compile(
            self._torch,
            self._model,
            self._forward,
            [self._inputs(self.prepare(texts)) for texts in _PROBES],
            threads=self._config.threads,
            dtypes=[dtype],
        )
        if graphs is not None:
            self._model = None
            return graphs[0]
        self._model.to(getattr(self._torch, dtype))
        return self._rows_of_torch

    def _forward(self, features: dict[str, Any]) -> Any:
        """Return float32 (n, dim) of tensors, with torch: compiled, or as it is."""
        output = self._model(features)["sentence_embedding"].float()
        return self._torch.nn.functional.normalize(output, dim=1)

    def _rows_of_torch(self, features: Features) -> FloatArray:
        with self._torch.inference_mode():
            rows: FloatArray = self._forward(
                {name: self._torch.from_numpy(value) for name, value in features.items()}
            ).numpy()
        return rows

    def _vectors(self, batch: Sequence[Prepared], rows_of: RowsOf | None) -> list[Any]:
        return list(self._rows(batch, rows_of))

    def _rows(self, batch: Sequence[Prepared], rows_of: RowsOf | None) -> FloatArray:
        assert rows_of is not None  # noqa: S101  (set by load)
        return rows_of(self._inputs(batch))

    def _inputs(self, batch: Sequence[Prepared]) -> Features:
        """Return what the encoder reads: int64 (n, longest) each."""
        width = max(one.size for one in batch)
        ids = np.full((len(batch), width), self._pad_id, dtype=np.int64)
        mask = np.zeros((len(batch), width), dtype=np.int64)
        for index, one in enumerate(batch):
            ids[index, : one.size] = one.payload
            mask[index, : one.size] = 1
        features = {"input_ids": ids, "attention_mask": mask}
        return features | {"token_type_ids": np.zeros_like(ids)} if self._type_ids else features

    def stop(self) -> None:
        """Let the weights go."""
        self._model = self._rows_of = None
        if self._threads is not None:
            self._threads.stop()

    def _pick_dtype(self) -> str:
        torch = self._torch
        wanted = self._spec.options.get("dtype") or self._config.embed_dtype
        if wanted == "auto":
            # Much slower where the processor has to emulate it.
            wanted = "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"
        return str(wanted)
