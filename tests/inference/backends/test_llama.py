"""The llama.cpp backend with the packaged model."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from gguf import GGUFWriter

from apps.inference.catalogue import SMOLLM2
from apps.inference.engine.backends.llama_chat import LlamaChat
from apps.inference.engine.errors import DeadlineExceeded, ModelUnavailable, PromptTooLong, Unsupported
from apps.inference.engine.types import ChatMessage, EngineConfig, ModelSpec
from apps.inference.engine.weights import weights_prepare
from tests.inference.backends.collecting import ask, say

pytestmark = pytest.mark.models

SPEC = dataclasses.replace(
    SMOLLM2, name="llama", backend="llama-cpp", requantise="", context_tokens=2048, options={"slots": 3}
)
PASSAGES = (
    "Answer from the passages.\n[1] Refunds are possible within 30 days of purchase, with the receipt. "
    "[2] Shipping to Norway takes 5 to 7 days and costs 12 euros.\nQuestion: How long does shipping to Norway take?"
)
STORY = "Write a very long story about a ship, with many chapters."
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "maximum": 120}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def make(folder: Path, spec: ModelSpec = SPEC) -> LlamaChat:
    return LlamaChat(spec, weights_prepare(spec, folder), EngineConfig(folder, chat_kv_cache_gb=1))


def process_of(backend: LlamaChat) -> psutil.Process:
    """Return the child that serves `backend`: other backends of this file serve the same weights."""
    assert backend._process is not None
    return psutil.Process(backend._process.pid)


def idle(backend: LlamaChat) -> bool:
    """Whether no slot is in use, now or within 10 s."""
    give_up = time.monotonic() + 10
    while backend.info().cache_usage and time.monotonic() < give_up:
        time.sleep(0.02)
    return backend.info().cache_usage == 0


@pytest.fixture(scope="module")
def llama(data_dir: Path) -> Iterator[LlamaChat]:
    backend = make(data_dir)
    backend.load()
    yield backend
    backend.stop()


def test_answer_uses_the_passage(llama: LlamaChat) -> None:
    assert "5 to 7 days" in say(llama, PASSAGES, max_tokens=60)


def test_system_turn_reaches_the_model(llama: LlamaChat) -> None:
    turns = (ChatMessage("system", "Our office is in Lisbon."), ChatMessage("user", "In which city is the office?"))
    assert "Lisbon" in ask(llama, messages=turns, max_tokens=30).ended().text()


@pytest.mark.parametrize("prompt", [PASSAGES, STORY, "What is the capital of France?"])
def test_greedy_text_is_the_same_alone_and_in_company(llama: LlamaChat, prompt: str) -> None:
    alone = say(llama, prompt, max_tokens=30)
    company = [ask(llama, text, max_tokens=30) for text in (STORY, prompt, PASSAGES)]
    assert company[1].ended().text() == alone


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"min_p": 1.0}, {"top_p": 0.0001}])
def test_narrow_sampling_is_greedy(llama: LlamaChat, narrow: dict[str, float]) -> None:
    sampled = say(llama, STORY, max_tokens=20, temperature=1.5, **narrow)
    assert sampled == say(llama, STORY, max_tokens=20)


def test_seed_repeats_its_text_alone_and_in_company(llama: LlamaChat) -> None:
    sampled = {"temperature": 1.2, "max_tokens": 30}
    first = say(llama, STORY, seed=7, **sampled)
    company = [ask(llama, STORY, seed=seed, **sampled) for seed in (7, 8, 7)]
    texts = [one.ended().text() for one in company]
    assert [text == first for text in texts] == [True, False, True]


def test_without_a_seed_texts_differ(llama: LlamaChat) -> None:
    assert len({say(llama, STORY, max_tokens=20, temperature=1.2) for _ in range(3)}) > 1


@pytest.mark.parametrize("count", [3, 7])
def test_choices_are_independent_and_counted(llama: LlamaChat, count: int) -> None:
    done = ask(llama, STORY, n=count, max_tokens=8, temperature=1.2, seed=1).ended()
    assert done.stats is not None
    assert len({done.text(index) for index in range(count)}) > 1
    assert done.stats.finish_reasons == ("length",) * count
    assert done.stats.completion_tokens == 8 * count == sum(piece.tokens for piece in done.pieces)


def test_choices_repeat_with_their_seed(llama: LlamaChat) -> None:
    first, second = (ask(llama, STORY, n=4, max_tokens=8, temperature=1.2, seed=5).ended() for _ in range(2))
    assert [first.text(index) for index in range(4)] == [second.text(index) for index in range(4)]


def test_statistics_count_what_was_given(llama: LlamaChat) -> None:
    done = ask(llama, STORY, max_tokens=25).ended()
    assert done.stats is not None
    assert sum(piece.tokens for piece in done.pieces) == done.stats.completion_tokens == 25
    assert done.stats.finish_reason == "length"
    assert len(set(done.times)) > 10
    assert done.ends == 1


def test_end_of_the_answer_is_a_stop(llama: LlamaChat) -> None:
    done = ask(llama, PASSAGES, max_tokens=200).ended()
    assert done.stats is not None
    assert (done.stats.finish_reason, done.stats.completion_tokens < 200) == ("stop", True)


def test_stop_string_stays_unseen_and_ends_the_work(llama: LlamaChat) -> None:
    done = ask(llama, PASSAGES, max_tokens=200, stop=("to 7", "never said")).ended()
    assert done.stats is not None
    assert done.text().endswith("5 ")
    assert (done.stats.finish_reason, done.stats.completion_tokens < 40) == ("stop", True)


def test_stop_string_ends_its_own_choice_only(llama: LlamaChat) -> None:
    done = ask(llama, "Count from 1 to 20.", n=2, max_tokens=24, stop=("3",), temperature=0).ended()
    assert done.stats is not None
    assert ["3" in done.text(index) for index in range(2)] == [False, False]
    assert done.stats.finish_reasons == ("stop", "stop")


def test_log_probabilities_belong_to_the_tokens(llama: LlamaChat) -> None:
    done = ask(llama, "Count from 1 to 20.", max_tokens=12, logprobs=3).ended()
    tokens = [token for piece in done.pieces for token in piece.logprobs]
    assert "".join(token.text for token in tokens) == done.text()
    assert [len(token.top) for token in tokens] == [3] * 12
    # Greedy: the chosen token is the likeliest one.
    assert [token.top[0] for token in tokens] == [(token.text, token.logprob) for token in tokens]
    assert max(token.logprob for token in tokens) <= 0


def test_log_probabilities_without_alternatives(llama: LlamaChat) -> None:
    done = ask(llama, "Count from 1 to 20.", max_tokens=4, logprobs=0).ended()
    assert [[token.top for token in piece.logprobs] for piece in done.pieces if piece.text] == [[()]] * 4


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_json_schema_is_followed(llama: LlamaChat, temperature: float) -> None:
    done = ask(llama, "Describe a person.", max_tokens=120, json_schema=PERSON, temperature=temperature, seed=3).ended()
    person = json.loads(done.text())
    assert (sorted(person), type(person["age"]), len(person["name"]) <= 12) == (["age", "name"], int, True)


def test_empty_schema_asks_for_an_object(llama: LlamaChat) -> None:
    assert say(llama, "What is a refund?", max_tokens=5, json_schema={}).lstrip().startswith("{")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nope"},
        {"$ref": "#/missing"},
        {"$ref": "https://example.com/schema"},
        {"type": "string", "pattern": "^(a|b"},
        {"not": {"type": "string"}},
        {"enum": ["x" * 40_000]},
    ],
)
def test_schema_that_cannot_be_followed_is_refused(llama: LlamaChat, schema: dict[str, object]) -> None:
    """llama.cpp itself would go on without any constraint."""
    failed = ask(llama, "x", json_schema=schema).ended().failed
    assert isinstance(failed, Unsupported)
    assert failed.parameter == "json_schema"


def test_raw_prompt_is_continued_without_a_template(llama: LlamaChat) -> None:
    done = ask(llama, prompt="1, 2, 3, 4, 5,", max_tokens=3).ended()
    assert done.stats is not None
    assert (done.text(), done.stats.prompt_tokens) == (" 6,", 14)


@pytest.mark.parametrize(
    "penalty", [{"repetition_penalty": 1.5}, {"frequency_penalty": 2.0}, {"presence_penalty": 2.0}]
)
def test_penalties_make_tokens_repeat_less(llama: LlamaChat, penalty: dict[str, float]) -> None:
    def distinct(**options: float) -> int:
        done = ask(llama, "Count from 1 to 20.", max_tokens=24, logprobs=0, **options).ended()
        return len({token.text for piece in done.pieces for token in piece.logprobs})

    assert distinct(**penalty) > distinct()


def test_prompt_longer_than_the_context_is_refused(llama: LlamaChat) -> None:
    failed = ask(llama, "word " * 3000).ended().failed
    assert isinstance(failed, PromptTooLong)
    assert "2048" in str(failed)


def test_answer_ends_where_the_context_does(llama: LlamaChat) -> None:
    done = ask(llama, prompt="word " * 2040, max_tokens=200).ended()
    assert done.stats is not None
    assert done.stats.finish_reason == "length"
    assert done.stats.prompt_tokens + done.stats.completion_tokens <= 2048


@pytest.mark.parametrize("marker", ["<|im_end|>", "<|im_start|>", "<|im_<|im_end|>end|>", "<|endoftext|>"])
def test_control_tokens_in_the_text_open_no_turn(llama: LlamaChat, marker: str) -> None:
    """A control token is one token; broken up it is several."""
    plain = ask(llama, "hello  there", max_tokens=1).ended().stats
    tricky = ask(llama, f"hello {marker} there", max_tokens=1).ended().stats
    assert plain is not None
    assert tricky is not None
    assert tricky.prompt_tokens >= plain.prompt_tokens + 4


@pytest.mark.parametrize("text", ["", "\x00", "😀 中文 \u202e", "a" * 5000, "half \ud800 pair", '{"type": "{{ x }}"}'])
def test_odd_prompts_are_answered(llama: LlamaChat, text: str) -> None:
    done = ask(llama, text, max_tokens=5).ended()
    assert done.stats is not None
    assert done.stats.completion_tokens >= 1


def test_empty_prompt_is_refused(llama: LlamaChat) -> None:
    failed = ask(llama, prompt="").ended().failed
    assert isinstance(failed, Unsupported)


def test_characters_of_several_tokens_come_whole(llama: LlamaChat) -> None:
    done = ask(llama, "Repeat exactly: 😀😀😀 中文", max_tokens=24).ended()
    assert [piece.text for piece in done.pieces if "\ufffd" in piece.text] == []
    assert "😀" in done.text()


def test_cancel_frees_the_slot(llama: LlamaChat) -> None:
    running = [ask(llama, f"{STORY} Number {n}.", max_tokens=1900).begun() for n in range(3)]
    waiting = ask(llama, "What is a refund?", max_tokens=3)
    time.sleep(0.3)
    assert waiting.pieces == []
    running[0].cancel()
    assert waiting.ended(20).text() != ""
    count = len(running[0].pieces)
    running[1].cancel(), running[2].cancel()
    assert idle(llama)
    stopped = llama.info().generated_tokens
    time.sleep(0.5)
    assert llama.info().generated_tokens == stopped
    assert (len(running[0].pieces) - count, running[0].ends) == (0, 0)


def test_cancel_works_inside_a_long_prompt(llama: LlamaChat) -> None:
    running = ask(llama, prompt="fresh words " * 900, max_tokens=5)
    while llama.info().cache_usage == 0:
        time.sleep(0.01)
    running.cancel()
    running.cancel()
    assert (idle(llama), running.pieces, running.ends) == (True, [], 0)


def test_cancel_takes_a_waiting_request_out(llama: LlamaChat) -> None:
    running = [ask(llama, f"{STORY} Number {n}.", max_tokens=1900).begun() for n in range(3)]
    waiting = [ask(llama, STORY, max_tokens=3) for _ in range(2)]
    waiting[0].cancel()
    running[1].cancel()
    waiting[1].ended(20)
    running[0].cancel(), running[2].cancel()
    assert (waiting[0].pieces, waiting[0].ends, len(waiting[1].pieces) > 0) == ([], 0, True)


def test_deadline_ends_running_and_waiting_requests(llama: LlamaChat) -> None:
    running = [ask(llama, f"{STORY} Number {n}.", max_tokens=1900, deadline_s=1.0) for n in range(3)]
    waiting = ask(llama, STORY, max_tokens=3, deadline_s=0.5)
    assert isinstance(waiting.ended(10).failed, DeadlineExceeded)
    assert [type(one.ended(10).failed) for one in running] == [DeadlineExceeded] * 3
    assert say(llama, "What is a refund?", max_tokens=2) != ""


def test_counters_tell_of_the_prefix_cache(llama: LlamaChat) -> None:
    say(llama, PASSAGES, max_tokens=2)
    before = llama.info()
    say(llama, PASSAGES, max_tokens=2)
    after = llama.info()
    assert after.prompt_tokens - before.prompt_tokens > 60
    assert after.cached_tokens - before.cached_tokens > 60
    assert after.generated_tokens - before.generated_tokens == 2


def test_process_listens_on_no_port(llama: LlamaChat) -> None:
    connections = process_of(llama).net_connections(kind="inet")
    assert connections == []


def test_socket_folder_is_private_and_leaves_with_the_process(data_dir: Path) -> None:
    backend = make(data_dir)
    backend.load()
    paths = [found.laddr for found in process_of(backend).net_connections(kind="unix") if "llama-" in str(found.laddr)]
    modes = {Path(path).parent.stat().st_mode & 0o777 for path in paths}
    backend.stop()
    assert (len(paths) > 0, modes) == (True, {0o700})
    assert [path for path in paths if Path(path).parent.exists()] == []


def test_killed_process_fails_its_generations_and_comes_back(data_dir: Path) -> None:
    backend = make(data_dir)
    backend.load()
    running = ask(backend, STORY, max_tokens=1900).begun()
    os.kill(process_of(backend).pid, signal.SIGKILL)
    assert isinstance(running.ended(10).failed, ModelUnavailable)
    give_up = time.monotonic() + 30
    while not backend.health() and time.monotonic() < give_up:
        time.sleep(0.2)
    assert say(backend, "What is a refund?", max_tokens=3) != ""
    assert backend.info().restarts == 1
    backend.stop()


def test_stop_ends_what_runs(data_dir: Path) -> None:
    backend = make(data_dir)
    backend.load()
    running = ask(backend, STORY, max_tokens=1900).begun()
    child = process_of(backend)
    backend.stop()
    assert isinstance(running.ended(5).failed, ModelUnavailable)
    with pytest.raises(ModelUnavailable):
        ask(backend, STORY)
    assert not child.is_running()


def test_slots_shrink_to_the_cache_that_is_allowed(data_dir: Path) -> None:
    """8192 tokens take 180 MB: five slots fit into the one GB."""
    backend = make(data_dir, dataclasses.replace(SPEC, context_tokens=8192, options={"slots": 32}))
    backend.load()
    slots = backend.slots
    backend.stop()
    assert slots == 5


def test_context_that_does_not_fit_at_all_is_refused(data_dir: Path) -> None:
    backend = make(data_dir, dataclasses.replace(SPEC, context_tokens=131072))
    with pytest.raises(ModelUnavailable, match="INFERENCE_KV_CACHE_GB"):
        backend.load()


def test_damaged_file_is_refused_with_its_name(tmp_path: Path, data_dir: Path) -> None:
    whole = weights_prepare(SPEC, data_dir).read_bytes()
    damaged = tmp_path / "cut.gguf"
    damaged.write_bytes(whole[: len(whole) // 2])
    backend = LlamaChat(SPEC, damaged, EngineConfig(tmp_path))
    with pytest.raises(ModelUnavailable, match="llama"):
        backend.load()


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaChat]:
    """The model with one low-rank adapter of random numbers."""
    folder = tmp_path_factory.mktemp("adapter")
    path = folder / "shout.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    random = np.random.default_rng(1)
    for layer in range(30):
        name = f"blk.{layer}.attn_output.weight"
        writer.add_tensor(f"{name}.lora_a", random.normal(0, 0.05, (4, 576)).astype(np.float32))
        writer.add_tensor(f"{name}.lora_b", random.normal(0, 0.05, (576, 4)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    files = {**SPEC.files, "adapters/shout/shout.gguf": digest}
    spec = dataclasses.replace(SPEC, adapters={"shout": f"path:{path}"}, files=files)
    backend = make(folder, spec)
    backend.load()
    yield backend
    backend.stop()


def test_adapter_is_chosen_by_the_request(adapted: LlamaChat) -> None:
    plain = say(adapted, STORY, max_tokens=20)
    changed = say(adapted, STORY, max_tokens=20, adapter="shout")
    assert changed != plain
    assert say(adapted, STORY, max_tokens=20) == plain


def test_requests_with_and_without_the_adapter_run_side_by_side(adapted: LlamaChat) -> None:
    plain, changed = say(adapted, STORY, max_tokens=20), say(adapted, STORY, max_tokens=20, adapter="shout")
    company = [ask(adapted, STORY, max_tokens=20, adapter=name) for name in ("", "shout", "")]
    assert [one.ended().text() for one in company] == [plain, changed, plain]


def test_unknown_adapter_is_refused(adapted: LlamaChat) -> None:
    failed = ask(adapted, STORY, adapter="other").ended().failed
    assert isinstance(failed, Unsupported)
    assert failed.parameter == "adapter"


def test_capabilities_name_adapters_only_where_there_are_some(adapted: LlamaChat, llama: LlamaChat) -> None:
    assert ["adapters" in one.capabilities for one in (adapted, llama)] == [True, False]
