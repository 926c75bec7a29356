"""J1 and J2: a model's folder never runs code, never opens a socket, and holds only files that are known."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import transformers
from django.core.management import call_command

from apps.inference.catalogue import BERGAMOT, MINILM, SMOLLM2, SPACY_EN
from apps.inference.engine.backends.transformers_encoder import TransformersClassifier
from apps.inference.engine.errors import ChecksumMismatch, ModelUnavailable, UnsafeWeights
from apps.inference.engine.formats import weights_check_formats
from apps.inference.engine.types import EngineConfig, ModelSpec
from apps.inference.engine.weights import weights_locate, weights_prepare, weights_prepare_adapters
from tests.inference.backends import tiny
from tests.inference.hostile_folders import (
    AUTO_MAP,
    EMPTY_SAFETENSORS,
    HOSTILE,
    Canary,
    Spoil,
    change,
    put,
    put_json,
    write,
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.classifier(tmp_path_factory.mktemp("models") / "good")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A good model that a test may spoil."""
    return Path(shutil.copytree(good, tmp_path / "model"))


@pytest.fixture
def canaries(tmp_path: Path) -> Path:
    """Where code that runs would leave a file."""
    place = tmp_path / "canaries"
    place.mkdir()
    return place


@pytest.fixture(autouse=True)
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every connection and every name that was looked up."""
    seen: list[str] = []

    def refuse(*args: Any, **_: Any) -> Any:
        seen.append(str(args[-1]))
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield seen
    assert seen == []


@pytest.fixture
def payload(canaries: Path) -> bytes:
    return pickle.dumps(Canary(canaries / "ran"))


def code_of(canary: Path) -> str:
    return f"from pathlib import Path\nPath({str(canary)!r}).touch()\nclass Evil: pass\n"


# -- the folders -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_folder_is_refused(folder: Path, tmp_path: Path, canaries: Path, payload: bytes, name: str) -> None:
    HOSTILE[name](folder, payload)
    spec = tiny.spec_of(folder, "classifier") if name != "named pipe" else ModelSpec("x", "chat", "", "", "", {}, "", 0)
    with pytest.raises(UnsafeWeights, match=r"\w"):
        weights_prepare(dataclasses.replace(spec, source=f"path:{folder}"), tmp_path / "data")
    assert list(canaries.iterdir()) == []


def test_there_are_enough_hostile_folders() -> None:
    assert len(HOSTILE) >= 25


def test_good_folder_is_accepted(folder: Path, tmp_path: Path) -> None:
    assert weights_prepare(tiny.spec_of(folder, "classifier"), tmp_path / "data") == folder


def test_smallest_weights_are_accepted(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(EMPTY_SAFETENSORS)
    weights_check_formats(folder)


@pytest.mark.parametrize(
    "spoil",
    [
        change("config.json", auto_map=None),
        change("config.json", _attn_implementation="sdpa"),
        put_json("2_Dense/config.json", {"activation_function": "torch.nn.modules.activation.Tanh"}),
        put_json("modules.json", [{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]),
    ],
)
def test_harmless_settings_are_accepted(folder: Path, spoil: Spoil) -> None:
    spoil(folder, b"")
    weights_check_formats(folder)


# -- the second wall: what the loader does when the first is passed by -----------------------------------------------
def load(folder: Path) -> None:
    TransformersClassifier(tiny.spec_of(folder, "classifier"), folder, EngineConfig(folder.parent)).load()


def test_loader_does_not_run_the_code_of_a_folder(folder: Path, canaries: Path) -> None:
    (folder / "modeling.py").write_text(code_of(canaries / "ran"))
    change("config.json", auto_map=AUTO_MAP)(folder, b"")
    change("tokenizer_config.json", auto_map={"AutoTokenizer": ["modeling.Evil", None]})(folder, b"")
    load(folder)
    assert list(canaries.iterdir()) == []


def test_loader_does_not_know_a_model_that_is_only_code(folder: Path, canaries: Path) -> None:
    (folder / "modeling.py").write_text(code_of(canaries / "ran"))
    change("config.json", model_type="evil", auto_map={**AUTO_MAP, "AutoConfig": "modeling.Evil"})(folder, b"")
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        load(folder)
    assert list(canaries.iterdir()) == []


def test_loader_reads_no_pickle(folder: Path, canaries: Path, payload: bytes) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(payload)
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        load(folder)
    assert list(canaries.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.startswith(("oversized", "header", "tensor"))])
def test_loader_refuses_broken_safetensors(folder: Path, name: str) -> None:
    HOSTILE[name](folder, b"")
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        load(folder)


ESCAPES = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}",
    "{{ messages.__class__.__base__.__subclasses__() }}",
    "{{ self.__init__.__globals__.__builtins__.open('CANARY', 'w') }}",
    "{{ lipsum.__globals__['os'].popen('touch CANARY').read() }}",
    "{% set x = messages.append(1) %}",
    "{{ raise_exception.__globals__['importlib'].import_module('os').system('touch CANARY') }}",
    "{% include '/etc/passwd' %}",
)


@pytest.mark.parametrize("template", ESCAPES)
def test_chat_template_does_not_leave_its_box(folder: Path, canaries: Path, template: str) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.chat_template = template.replace("CANARY", str(canaries / "ran"))
    with pytest.raises((jinja2.TemplateError, TypeError)):
        tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False)
    assert list(canaries.iterdir()) == []


# -- adapters --------------------------------------------------------------------------------------------------------
@pytest.fixture
def adapter(folder: Path) -> Path:
    place = folder.parent / "adapter"
    place.mkdir()
    (place / "adapter_model.safetensors").write_bytes(EMPTY_SAFETENSORS)
    (place / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "auto_mapping": None}))
    return place


def with_adapter(folder: Path, adapter: Path) -> ModelSpec:
    own = tiny.spec_of(adapter, "chat").files
    spec = tiny.spec_of(folder, "chat", adapters={"polite": f"path:{adapter}"})
    return dataclasses.replace(spec, files={**spec.files, **{f"adapters/polite/{name}": own[name] for name in own}})


def test_adapter_with_its_checksums_is_accepted(folder: Path, adapter: Path, tmp_path: Path) -> None:
    spec = with_adapter(folder, adapter)
    weights_prepare(spec, tmp_path / "data")
    assert weights_prepare_adapters(spec, tmp_path / "data") == {"polite": adapter}


@pytest.mark.parametrize(
    "spoil",
    [
        write("adapter_model.bin"),
        put("modeling.py", b"import os"),
        change("adapter_config.json", auto_mapping={"base_model_class": "Evil", "parent_library": "evil.library"}),
        change("adapter_config.json", megatron_core="evil.library"),
    ],
)
def test_hostile_adapter_is_refused(
    folder: Path, adapter: Path, tmp_path: Path, canaries: Path, payload: bytes, spoil: Spoil
) -> None:
    spoil(adapter, payload)
    spec = with_adapter(folder, adapter)
    weights_prepare(spec, tmp_path / "data")
    with pytest.raises(UnsafeWeights):
        weights_prepare_adapters(spec, tmp_path / "data")
    assert list(canaries.iterdir()) == []


def test_changed_adapter_is_refused(folder: Path, adapter: Path, tmp_path: Path) -> None:
    spec = with_adapter(folder, adapter)
    weights_prepare(spec, tmp_path / "data")
    change("adapter_config.json", r=4)(adapter, b"")
    with pytest.raises(ChecksumMismatch):
        weights_prepare_adapters(spec, tmp_path / "data")


# -- only known files (J2) -------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the packaged models, as packages of other names that tests may spoil."""
    place = tmp_path_factory.mktemp("packages")
    for spec in (MINILM, SMOLLM2, SPACY_EN, BERGAMOT):
        source, target = weights_locate(spec), place / f"copy_of_{spec.name.replace('-', '_')}" / "model"
        target.parent.mkdir()
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target.with_suffix(source.suffix))
    return place


def copied(spec: ModelSpec, suffix: str = "") -> ModelSpec:
    return dataclasses.replace(spec, source=f"package:copy_of_{spec.name.replace('-', '_')}/model{suffix}")


COPIES = [copied(MINILM), copied(SMOLLM2, ".gguf"), copied(SPACY_EN), copied(BERGAMOT)]
FILES = [(spec, name) for spec in COPIES for name in sorted(spec.files)]


@pytest.mark.parametrize(("spec", "name"), FILES, ids=[f"{spec.name}/{name}" for spec, name in FILES])
def test_one_changed_byte_in_a_packaged_model_is_refused(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: ModelSpec, name: str
) -> None:
    monkeypatch.syspath_prepend(packages)
    root = weights_locate(spec)
    path = root / name if root.is_dir() else root
    content = path.read_bytes()
    place = len(content) // 2
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    try:
        with pytest.raises((ChecksumMismatch, UnsafeWeights)):
            weights_prepare(spec, tmp_path)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("spec", [COPIES[0], *COPIES[2:]], ids=lambda spec: spec.name)
def test_file_that_the_catalogue_does_not_list_is_refused(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: ModelSpec
) -> None:
    monkeypatch.syspath_prepend(packages)
    extra = weights_locate(spec) / "more.json"
    extra.write_text("{}")
    try:
        with pytest.raises((ChecksumMismatch, UnsafeWeights), match=r"more\.json"):
            weights_prepare(spec, tmp_path)
    finally:
        extra.unlink()


@pytest.mark.parametrize("spec", [COPIES[0], *COPIES[2:]], ids=lambda spec: spec.name)
def test_untouched_copy_is_accepted(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: ModelSpec
) -> None:
    monkeypatch.syspath_prepend(packages)
    assert weights_prepare(spec, tmp_path) == weights_locate(spec)


@pytest.mark.parametrize("spec", [SPACY_EN, BERGAMOT], ids=lambda spec: spec.name)
def test_formats_of_a_library_come_out_of_a_package_only(spec: ModelSpec, tmp_path: Path) -> None:
    local = dataclasses.replace(spec, source=f"path:{weights_locate(spec)}")
    with pytest.raises(UnsafeWeights, match="from an installed package only"):
        weights_prepare(local, tmp_path)


def test_code_inside_a_package_of_weights_is_refused_though_it_is_listed(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(packages)
    spec = COPIES[2]
    extra = weights_locate(spec) / "evil.py"
    extra.write_text("import os")
    try:
        with pytest.raises(UnsafeWeights, match=r"evil\.py is code"):
            weights_prepare(dataclasses.replace(spec, files={**spec.files, "evil.py": "0" * 64}), tmp_path)
    finally:
        extra.unlink()


def test_the_canary_sings_where_a_pickle_is_loaded(canaries: Path, payload: bytes) -> None:
    pickle.loads(payload)
    assert [path.name for path in canaries.iterdir()] == ["ran"]


@pytest.mark.parametrize("spec", [SPACY_EN, BERGAMOT], ids=lambda spec: spec.name)
def test_checksums_of_a_packaged_library_model_can_be_printed(
    spec: ModelSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("models", "checksum", spec.source, "--backend", spec.backend, "--json")
    assert {row["file"]: row["sha256"] for row in json.loads(capsys.readouterr().out)} == dict(spec.files)
