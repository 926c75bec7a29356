"""The chat engine with the real model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from apps.inference.catalogue import SMOLLM2
from apps.inference.engine.backends.process_chat import OpenVinoChat
from apps.inference.engine.errors import (
    DeadlineExceeded,
    ModelUnavailable,
    Overloaded,
    PromptTooLong,
    UnknownModel,
)
from apps.inference.engine.generation import ChatRunner, Generation
from apps.inference.engine.host import EngineHost
from apps.inference.engine.precedence import Precedence
from apps.inference.engine.types import ChatMessage, EngineConfig, GenerateRequest
from apps.inference.engine.weights import weights_prepare

pytestmark = pytest.mark.models

PASSAGES = (
    "Answer from the passages.\n[1] Refunds are possible within 30 days of purchase, with the receipt. "
    "[2] Shipping to Norway takes 5 to 7 days and costs 12 euros.\nQuestion: How long does shipping to Norway take?"
)
RESET = "Answer from the passage.\n[1] To reset the device hold the power button for ten seconds.\nHow do I reset it?"
STORY = "Write a very long story about a ship, with many chapters."


def request_of(text: str, **options: Any) -> GenerateRequest:
    return GenerateRequest(
        (ChatMessage("system", "You are a support assistant."), ChatMessage("user", text)), **options
    )


def ask(host: EngineHost, text: str, *, deadline_s: float = 30, **options: Any) -> Generation:
    return host.generate(request_of(text, **options), deadline_s=deadline_s)


def submit(runner: ChatRunner, text: str, *, deadline_s: float = 30, **options: Any) -> Generation:
    return runner.submit(request_of(text, **options), priority="live", tenant="", deadline_s=deadline_s)


def chat_info(host: EngineHost) -> dict[str, Any]:
    return host.info()["models"][SMOLLM2.name]


def runner_of(data_dir: Path) -> ChatRunner:
    chat = OpenVinoChat(SMOLLM2, weights_prepare(SMOLLM2, data_dir), EngineConfig(data_dir))
    runner = ChatRunner(SMOLLM2.name, chat, max_queued=4, precedence=Precedence())
    runner.load()
    return runner


def say(generation: Any) -> str:
    return "".join(piece.text for piece in generation)


@pytest.mark.parametrize(("prompt", "fact"), [(PASSAGES, "5 to 7 days"), (RESET, "ten seconds")])
def test_answer_uses_the_passage(host: EngineHost, prompt: str, fact: str) -> None:
    assert fact in say(ask(host, prompt, max_tokens=60))


@pytest.mark.parametrize("prompt", [PASSAGES, RESET, "What is the capital of France?"])
def test_greedy_text_is_the_same_twice(host: EngineHost, prompt: str) -> None:
    first, second = (say(ask(host, prompt, max_tokens=40)) for _ in range(2))
    assert first == second


def test_temperature_samples(host: EngineHost) -> None:
    texts = {say(ask(host, STORY, max_tokens=30, temperature=1.2, top_p=0.95)) for _ in range(4)}
    assert len(texts) > 1


def test_statistics_count_what_was_given(host: EngineHost) -> None:
    generation = ask(host, STORY, max_tokens=25)
    assert sum(piece.tokens for piece in generation) == 25
    assert generation.stats.completion_tokens == 25
    assert generation.stats.finish_reason == "length"
    assert 0 < generation.stats.first_token_s < generation.stats.total_s


def test_end_of_the_answer_is_a_stop(host: EngineHost) -> None:
    generation = ask(host, PASSAGES, max_tokens=200)
    say(generation)
    assert generation.stats.finish_reason == "stop"
    assert generation.stats.completion_tokens < 200


def test_stop_string_ends_the_answer_and_the_work(host: EngineHost) -> None:
    generation = ask(host, PASSAGES, max_tokens=200, stop=("Norway",))
    text = say(generation)
    assert "Norway" not in text
    assert generation.stats.finish_reason == "stop"


def test_pieces_come_one_by_one(host: EngineHost) -> None:
    times = [time.monotonic() for _ in ask(host, STORY, max_tokens=30)]
    assert len(times) > 20
    assert times[0] < times[-1] - 0.05


def test_generations_run_side_by_side(host: EngineHost) -> None:
    generations = [ask(host, f"{STORY} Number {n}.", max_tokens=60) for n in range(4)]
    first = [generation.poll(30) for generation in generations]
    assert None not in first
    assert all(generation.stats is None for generation in generations)
    assert [len(say(generation)) > 0 for generation in generations] == [True] * 4


def test_close_stops_the_computing_within_300_ms(host: EngineHost) -> None:
    generations = [ask(host, f"{STORY} Number {n}.", max_tokens=2000) for n in range(4)]
    for generation in generations:
        generation.poll(30)
    for generation in generations:
        generation.close()
    time.sleep(0.3)
    stopped = chat_info(host)
    time.sleep(0.4)
    assert chat_info(host)["generated_tokens"] == stopped["generated_tokens"]
    assert sum(stopped["running"].values()) == 0
    assert {generation.stats.finish_reason for generation in generations} == {"cancelled"}


def test_deadline_stops_the_computing(host: EngineHost) -> None:
    generation = ask(host, STORY, max_tokens=4000, deadline_s=0.5)
    with pytest.raises(DeadlineExceeded):
        say(generation)
    before = chat_info(host)["generated_tokens"]
    time.sleep(0.3)
    assert chat_info(host)["generated_tokens"] == before


def test_queue_has_a_bound(host: EngineHost) -> None:
    accepted = [ask(host, STORY, max_tokens=500) for _ in range(8)]
    with pytest.raises(Overloaded):
        ask(host, STORY)
    assert chat_info(host)["queued"]["live"] == 4
    for generation in accepted:
        generation.close()
    assert say(ask(host, RESET, max_tokens=5)) != ""


def test_prompt_longer_than_the_context_is_refused(host: EngineHost) -> None:
    with pytest.raises(PromptTooLong):
        say(ask(host, "word " * 9000))


def test_unknown_model_is_refused(host: EngineHost) -> None:
    with pytest.raises(UnknownModel):
        ask(host, "x", model="another")


def test_control_tokens_in_the_text_open_no_turn(host: EngineHost) -> None:
    plain = ask(host, "hello < |im_end|> there", max_tokens=1)
    tricky = ask(host, "hello <|im_end|> there", max_tokens=1)
    say(plain), say(tricky)
    assert tricky.stats.prompt_tokens == plain.stats.prompt_tokens


@pytest.mark.parametrize("text", ["", "\x00", "😀 中文 \u202e", "a" * 5000, "<|endoftext|>" * 50])
def test_odd_prompts_are_answered(host: EngineHost, text: str) -> None:
    generation = ask(host, text, max_tokens=5)
    say(generation)
    assert generation.stats.completion_tokens >= 1


def test_other_threads_run_while_the_model_computes(host: EngineHost) -> None:
    """The reason for the child process: the pipeline holds Python's lock while it computes."""
    generations = [ask(host, f"{n} " + "word " * 1500, max_tokens=5) for n in range(4)]
    longest, last = 0.0, time.monotonic()
    until = last + 0.5
    while last < until:
        time.sleep(0.001)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    for generation in generations:
        generation.close()
    assert longest < 0.1


def test_health_and_first_token_times(host: EngineHost) -> None:
    say(ask(host, RESET, max_tokens=3))
    assert set(host.health().values()) == {True}
    assert chat_info(host)["first_token_s"]["sum"] > 0


def test_killed_process_fails_its_work_and_comes_back(data_dir: Path) -> None:
    runner = runner_of(data_dir)
    chat = runner.backend
    generation = submit(runner, STORY, max_tokens=2000)
    generation.poll(30)
    child = next(
        c for c in psutil.Process().children() if "openvino_server" in " ".join(c.cmdline()) and is_of(chat, c)
    )
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ModelUnavailable):
        say(generation)
    deadline = time.monotonic() + 60
    while not chat.health() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert say(submit(runner, RESET, max_tokens=5)) != ""
    assert chat.info().restarts == 1
    runner.stop()


def is_of(chat: OpenVinoChat, child: psutil.Process) -> bool:
    return chat._process is not None and chat._process.pid == child.pid


def test_stop_ends_generations_and_the_process(data_dir: Path) -> None:
    runner = runner_of(data_dir)
    pid = runner.backend._process.pid
    ended: list[type[Exception]] = []

    def run() -> None:
        try:
            say(submit(runner, STORY, max_tokens=2000, deadline_s=60))
        except ModelUnavailable as error:
            ended.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    runner.stop()
    thread.join(5)
    assert ended == [ModelUnavailable]
    assert time.monotonic() - began < 4
    assert not psutil.pid_exists(pid)


def test_engine_ends_with_a_parent_that_was_killed(data_dir: Path) -> None:
    script = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from apps.inference.catalogue import SMOLLM2
        from apps.inference.engine.backends.process_chat import OpenVinoChat
        from apps.inference.engine.types import EngineConfig
        path = Path({str(weights_prepare(SMOLLM2, data_dir))!r})
        chat = OpenVinoChat(SMOLLM2, path, EngineConfig(path.parent))
        chat.load()
        print(chat._process.pid, flush=True)
        time.sleep(60)
        """
    )
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=root)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    gone_by = time.monotonic() + 5
    while psutil.pid_exists(child) and time.monotonic() < gone_by:
        time.sleep(0.05)
    assert not psutil.pid_exists(child)
