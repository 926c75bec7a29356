"""Encoders compiled for the processor by OpenVINO, from the torch model that was loaded.

torch calls a kernel for each of some hundred steps of a small encoder and keeps what lies between them in bfloat16;
OpenVINO joins steps, keeps sums in float32 and lays weights out once. MiniLM, two cores with AVX-512 BF16, 600 texts in
calls of 256: torch in bfloat16 248 texts/s with weights laid out once, OpenVINO 345; one text alone and in a batch of 32
agree to a cosine of 0.999992, with torch to 0.99997. In float32 it does 210 texts/s, torch 90.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.inference.engine.types import FloatArray

logger = logging.getLogger(__name__)

Features = Mapping[str, NDArray[np.int64]]
# How far float32 results of two ways to compute may lie apart, as a share of the largest: a graph that took a length of
# its example for a constant is wrong by far more.
_TOLERANCE = 1e-3
# Tracing sets the state of the whole process: two models that load side by side would spoil each other's graph.
_TRACING = threading.Lock()
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class EncoderGraph:
    """Maps features, int64 (n, length) each, to float32. Threads may share it; each computes on one processor.

    `short` is the same for a thread that must not wait for the others: OpenVINO has no more streams than processors.
    """

    def __init__(self, compiled: Any, names: Sequence[str], short: EncoderGraph | None = None) -> None:
        self._compiled, self._names = compiled, tuple(names)
        self.short = short or self
        self._local = threading.local()

    def __call__(self, features: Features) -> FloatArray:
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._compiled.create_infer_request()
        found: FloatArray = request.infer([features[name] for name in self._names])[0]
        return found


def graphs_compile(
    torch: Any,
    module: Any,
    compute: Callable[[dict[str, Any]], Any],
    examples: Sequence[Features],
    *,
    threads: int,
    dtypes: Sequence[str],
) -> list[EncoderGraph] | None:
    """Return a graph for each of `dtypes` ("float32", "bfloat16") that computes what `compute` does with a float32 `module`.

    `examples` are inputs of several shapes, the first with padding: the graph must give torch's results for all of them.
    None, with a line in the log: the model cannot be compiled, or comes out wrong. Takes 2 s for a small encoder.
    """
    names = list(examples[0])
    try:
        import openvino

        model = _convert(openvino, torch, module, compute, examples[0], names)
        exact = _compile(openvino, model, names, threads, "float32")
        error = max(_error(torch, compute, exact, one) for one in examples)
        if not error <= _TOLERANCE:
            raise ValueError(f"its results are off by {error:.2g}")
        return [exact if dtype == "float32" else _compile(openvino, model, names, threads, dtype) for dtype in dtypes]
    except Exception:
        # Whatever a model's code does that cannot be traced: torch computes it as it is, only slower.
        logger.warning("%s cannot be compiled, torch computes it", type(module).__name__, exc_info=True)
        return None


def _convert(
    openvino: Any,
    torch: Any,
    module: Any,
    compute: Callable[[dict[str, Any]], Any],
    example: Features,
    names: list[str],
) -> Any:
    class Traced(torch.nn.Module):  # type: ignore[misc]  # torch is imported late, and known as Any
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *tensors: Any) -> Any:
            return compute(dict(zip(names, tensors, strict=True)))

    with _TRACING, warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        # Of lengths that are taken for constants; the examples show whether they are.
        warnings.simplefilter("ignore")
        return openvino.convert_model(Traced().eval(), example_input=tuple(map(torch.from_numpy, example.values())))


def _compile(openvino: Any, model: Any, names: Sequence[str], threads: int, dtype: str) -> EncoderGraph:
    def compiled(count: int) -> Any:
        settings = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[dtype],
            # A stream is one thread: several inside a small product wait for each other.
            "NUM_STREAMS": count,
            "INFERENCE_NUM_THREADS": count,
            # Pinned threads would fight with the other processes for the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        return openvino.Core().compile_model(model, "CPU", settings)

    return EncoderGraph(compiled(threads), names, EncoderGraph(compiled(1), names))


def _error(torch: Any, compute: Callable[[dict[str, Any]], Any], graph: EncoderGraph, example: Features) -> float:
    with torch.inference_mode():
        expected = compute({name: torch.from_numpy(value) for name, value in example.items()}).numpy()
    found = graph(example)
    if found.shape != expected.shape:
        raise ValueError(f"it gives {found.shape} for {expected.shape}")
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))
