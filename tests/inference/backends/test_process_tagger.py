"""A tagger in a process that can be killed: the same answers, an end to what takes too long, and the next caller works."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.inference.catalogue import SPACY_EN
from apps.inference.engine.backends import backend_make, process_tagger
from apps.inference.engine.backends.process_tagger import ProcessTagger
from apps.inference.engine.backends.spacy_tagger import SpacyTagger
from apps.inference.engine.base import Prepared
from apps.inference.engine.batching import BatchRunner
from apps.inference.engine.errors import BatchLost, DeadlineExceeded, ModelUnavailable
from apps.inference.engine.precedence import Precedence
from apps.inference.engine.types import EngineConfig
from apps.inference.engine.weights import weights_prepare
from tests.inference.backends import tiny

pytestmark = pytest.mark.models
TEXTS = ["Ada Lovelace was born in London in 1815.", "", "Obama visited Berlin. " * 300]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessTagger]:
    data_dir = tmp_path_factory.mktemp("data")
    backend = backend_make(SPACY_EN, weights_prepare(SPACY_EN, data_dir), EngineConfig(data_dir))
    backend.load()
    yield backend
    backend.stop()


@pytest.fixture
def endless(tagger: ProcessTagger, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """A text whose batch never ends: the reader is stopped before it is sent."""
    real = tagger._ready_reader

    def ready(which: int) -> Any:
        reader = real(which)
        if running[0] and which == process_tagger._LONG:
            os.kill(_reader_of(tagger), signal.SIGSTOP)
            running[0] = False
        return reader

    running = [True]
    monkeypatch.setattr(tagger, "_ready_reader", ready)
    return Prepared(1, "x")


def _children(tagger: ProcessTagger) -> list[int]:
    assert tagger._process is not None
    pid = tagger._process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# By the process of the model: its reader of short texts, which no test kills.
_SHORT: dict[int, int] = {}


def _reader_of(tagger: ProcessTagger, but: int = 0) -> int:
    """Return the pid of the process that reads long texts; waits for another one than `but`."""
    assert tagger._process is not None
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        children = _children(tagger)
        if tagger._process.pid not in _SHORT and len(children) == 2:
            # In the order in which they were forked.
            _SHORT[tagger._process.pid] = children[1]
        long = [pid for pid in children if pid not in (_SHORT.get(tagger._process.pid, pid), but)]
        if long:
            return long[0]
        time.sleep(0.01)
    raise AssertionError("there is no reader")


def works(tagger: ProcessTagger) -> bool:
    [spans] = tiny.values_of(tagger, ["Ada Lovelace was born in London."])
    return [span.text for span in spans] == ["Ada Lovelace", "London"]


def test_the_process_gives_what_the_tagger_gives(tagger: ProcessTagger, tmp_path: Path) -> None:
    plain = SpacyTagger(SPACY_EN, weights_prepare(SPACY_EN, tmp_path), EngineConfig(tmp_path))
    plain.load()
    assert tagger.labels == plain.labels
    assert tiny.values_of(tagger, TEXTS) == tiny.values_of(plain, TEXTS)


def test_what_nobody_waits_for_any_more_is_killed(tagger: ProcessTagger, endless: Prepared) -> None:
    def over() -> None:
        raise DeadlineExceeded

    reader = _reader_of(tagger)
    with pytest.raises(DeadlineExceeded):
        tagger.run([endless], over)
    assert _reader_of(tagger, but=reader)
    assert not Path(f"/proc/{reader}").exists()
    assert works(tagger)


def test_a_batch_that_takes_longer_than_any_is_killed(
    tagger: ProcessTagger, endless: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_tagger, "_BATCH_LIMIT_S", 0.2)
    with pytest.raises(BatchLost) as caught:
        tagger.run([endless])
    assert caught.value.late
    monkeypatch.undo()
    assert works(tagger)


def test_a_reader_that_dies_is_replaced(tagger: ProcessTagger) -> None:
    os.kill(_reader_of(tagger), signal.SIGKILL)
    with pytest.raises(BatchLost):
        tagger.run([Prepared(1, "x")])
    assert works(tagger)


def test_a_model_process_that_dies_is_started_again(tagger: ProcessTagger) -> None:
    assert tagger._process is not None
    before = tagger._process
    os.kill(before.pid, signal.SIGKILL)
    before.wait()
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        try:
            if works(tagger) and tagger._process is not before:
                break
        except ModelUnavailable:
            time.sleep(0.05)
    assert tagger._process is not before
    assert works(tagger)


def test_one_item_that_kills_a_batch_takes_no_other_with_it(
    tagger: ProcessTagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_tagger, "_BATCH_LIMIT_S", 1.0)
    bad, stopped = "stop here", [0]

    # The new reader is there a moment after the old one was killed.
    def send(batch: list[Prepared], give_way: Any = lambda: None) -> list[Any]:
        if any(one.payload == bad for one in batch):
            stopped.append(_reader_of(tagger, but=stopped[-1]))
            os.kill(stopped[-1], signal.SIGSTOP)
        return tagger.run(batch, give_way)

    # Without `run_short`: all texts go to one reader.
    backend = SimpleNamespace(
        labels=(),
        load=lambda: None,
        stop=lambda: None,
        run=send,
        prepare=lambda items: [tagger.prepare([one])[0] for one in items],
    )
    runner = BatchRunner("tagger", backend, budget_tokens=4096, max_queued=100, precedence=Precedence())
    runner.load()
    with pytest.raises(DeadlineExceeded):
        runner.run([bad], priority="api", tenant="a", deadline_s=60)
    with pytest.raises(DeadlineExceeded):
        runner.run(["Ada Lovelace", bad], priority="api", tenant="a", deadline_s=60)
    assert len(runner.run(["Ada Lovelace"], priority="api", tenant="b", deadline_s=60).values) == 1
    runner.stop()


def test_a_short_text_is_read_while_a_long_one_holds_its_reader(tagger: ProcessTagger, endless: Prepared) -> None:
    given_up = threading.Event()

    def wait() -> None:
        if given_up.is_set():
            raise DeadlineExceeded

    def hold() -> None:
        with pytest.raises(DeadlineExceeded):
            tagger.run([endless], wait)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        [spans] = tagger.run_short(tagger.prepare(["Ada Lovelace was born in London."]))
        assert [span.text for span in spans] == ["Ada Lovelace", "London"]
    finally:
        given_up.set()
        thread.join()
    assert works(tagger)


def test_a_reader_of_short_texts_that_dies_is_replaced(tagger: ProcessTagger) -> None:
    _reader_of(tagger)
    assert tagger._process is not None
    os.kill(_SHORT.pop(tagger._process.pid), signal.SIGKILL)
    with pytest.raises(BatchLost):
        tagger.run_short([Prepared(1, "x")])
    [spans] = tagger.run_short(tagger.prepare(["Ada Lovelace was born in London."]))
    assert [span.text for span in spans] == ["Ada Lovelace", "London"]
