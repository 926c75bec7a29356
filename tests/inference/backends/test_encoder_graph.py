"""Models compiled for the processor: the results of torch, or none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from apps.inference.engine.backends.encoder_graph import EncoderGraph, Features, graphs_compile

WORDS, DIMENSIONS = 50, 16


class Tiny(torch.nn.Module):
    """The mean of the embeddings of what is no padding, through one layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.layer = torch.nn.Embedding(WORDS, DIMENSIONS), torch.nn.Linear(DIMENSIONS, 3)

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        mask = features["attention_mask"].unsqueeze(-1)
        return self.layer((self.table(features["input_ids"]) * mask).sum(1) / mask.sum(1))


def features(rows: int, length: int) -> Features:
    """Return ids of several lengths, padded to the longest."""
    lengths = np.linspace(1, length, rows).astype(int)[:, None]
    mask = (np.arange(length)[None] < lengths).astype(np.int64)
    ids = np.arange(rows * length).reshape(rows, length) * 7 % WORDS
    return {"input_ids": ids * mask, "attention_mask": mask}


EXAMPLES = [features(3, 9), features(1, 20)]


def compiled(
    compute: Callable[[dict[str, Any]], Any], module: torch.nn.Module, *dtypes: str
) -> list[EncoderGraph] | None:
    return graphs_compile(torch, module, compute, EXAMPLES, threads=2, dtypes=dtypes)


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (2, 5), (17, 33)])
def test_any_shape_gives_the_results_of_torch(rows: int, length: int) -> None:
    module = Tiny().eval()
    found = compiled(module, module, "float32")
    assert found is not None
    given = features(rows, length)
    with torch.inference_mode():
        expected = module({name: torch.from_numpy(value) for name, value in given.items()}).numpy()
    np.testing.assert_allclose(found[0](given), expected, atol=1e-5)


def test_there_is_a_graph_for_each_type_asked_for() -> None:
    module = Tiny().eval()
    found = compiled(module, module, "bfloat16", "float32")
    assert found is not None
    rounded, exact = (graph(EXAMPLES[0]) for graph in found)
    np.testing.assert_allclose(rounded, exact, atol=0.05)


def test_a_graph_that_took_a_length_for_a_constant_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    module = Tiny().eval()
    with caplog.at_level(logging.WARNING):
        assert compiled(lambda given: module(given) * int(given["input_ids"].shape[1]), module, "float32") is None
    assert "torch computes it" in caplog.text


def test_what_cannot_be_traced_is_not_used() -> None:
    module = Tiny().eval()

    def fails(_given: dict[str, Any]) -> Any:
        raise NotImplementedError("no such operation")

    assert compiled(fails, module, "float32") is None


def test_threads_share_a_graph() -> None:
    module = Tiny().eval()
    found = compiled(module, module, "float32")
    assert found is not None
    shapes = [(rows, 3 + rows) for rows in range(1, 9)]
    alone = [found[0](features(*shape)) for shape in shapes]
    together: dict[int, Any] = {}
    threads = [
        threading.Thread(
            target=lambda n=n: together.__setitem__(n, [found[0](features(*shapes[n])) for _ in range(50)])
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    worst = max(float(np.abs(one - alone[n]).max()) for n in range(8) for one in together[n])
    assert worst < 1e-6


def test_models_that_load_side_by_side_are_all_compiled() -> None:
    modules = [Tiny().eval() for _ in range(8)]
    with ThreadPoolExecutor(8) as executor:
        made = list(executor.map(lambda module: compiled(module, module, "float32"), modules))
    assert None not in made
