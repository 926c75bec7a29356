"""What may lie in a model's folder: data that no loader can be talked into running."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from apps.inference.engine.errors import UnsafeWeights

_CODE_SUFFIXES = frozenset({".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".mar", ".exe", ".sh"})
# Pickle in its usual clothes, archives that hide it, compiled code, and Python: none of these may lie in a folder that
# a loader is pointed at.
UNSAFE_SUFFIXES = _CODE_SUFFIXES | frozenset(
    (
        *(".bin", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt", ".npy", ".npz", ".h5", ".keras", ".msgpack"),
        *(".dill", ".cloudpickle", ".ot", ".pb", ".zip", ".tar", ".tgz", ".gz", ".whl"),
    )
)
WEIGHT_SUFFIXES = frozenset({".safetensors", ".gguf"})
# How pickles of protocol 2 to 5, zip archives (torch.save), numpy arrays and programs begin, whatever the file's name.
_UNSAFE_MAGIC = (
    b"\x80\x02",
    b"\x80\x03",
    b"\x80\x04",
    b"\x80\x05",
    b"PK\x03\x04",
    b"\x93NUMPY",
    b"\x7fELF",
    b"\x1f\x8b",
)
# Read by native code as plain tables, and large: not worth a second parse.
_TABLES = frozenset({"tokenizer.json", "vocab.json"})
# Keys whose values make transformers run files of the repository.
_CODE_KEYS = frozenset({"auto_map", "custom_pipelines"})
# Keys whose dotted values sentence-transformers and peft import, and the packages in which they are harmless.
_IMPORT_KEYS = {
    "activation_function": "torch.nn.",
    "activation_fn": "torch.nn.",
    "sbert_ce_default_activation_function": "torch.nn.",
    "tokenizer_class": "sentence_transformers.",
    "parent_library": "transformers.",
    "megatron_core": "megatron.core",
}
_ATTENTION_KEYS = frozenset({"attn_implementation", "_attn_implementation", "_attn_implementation_internal"})
_MAX_CONFIG_BYTES = 64 << 20
_MAX_HEADER_BYTES = 100 << 20
_MAX_FILES = 2000


def weights_check_formats(root: Path, *, adapter: bool = False) -> None:
    """Raise UnsafeWeights unless everything under `root` is data: safetensors or GGUF, and JSON that names no code."""
    files = [root] if not root.is_dir() else list(_files(root))
    for path in files:
        if path.name == "adapter_config.json" and not adapter:
            # transformers would load the model that this file names, from wherever it says.
            raise UnsafeWeights(f"{root.name} holds an adapter; list it under a model's adapters")
        if path.suffix.lower() in UNSAFE_SUFFIXES:
            raise UnsafeWeights(f"{path.name} may run code when loaded; only safetensors and GGUF weights are accepted")
        _check_content(path)
    if not any(path.suffix.lower() in WEIGHT_SUFFIXES for path in files):
        raise UnsafeWeights(f"{root.name} holds no safetensors or GGUF file")


def weights_check_listed(root: Path, listed: Mapping[str, str]) -> None:
    """Raise UnsafeWeights unless every file under `root` is one of the catalogue's, and none is code.

    For formats of a library of its own, which cannot be checked from outside: the operator installed the package, and
    the digests say that it is the one the catalogue means.
    """
    for path in _files(root):
        name = str(path.relative_to(root))
        if path.suffix.lower() in _CODE_SUFFIXES:
            raise UnsafeWeights(f"{name} is code")
        if name not in listed:
            raise UnsafeWeights(f"{name} is not among the files that the catalogue lists for this model")


def _files(root: Path) -> Iterator[Path]:
    """Yield the regular files under `root`. Raises UnsafeWeights at links that lead out, pipes and devices."""
    for count, path in enumerate(root.rglob("*")):
        if count >= _MAX_FILES:
            raise UnsafeWeights(f"{root.name} holds more than {_MAX_FILES} files")
        if not _inside(path, root):
            raise UnsafeWeights(f"{path.name} is a link to a file outside the model's folder")
        if path.is_dir():
            if path.is_symlink():
                raise UnsafeWeights(f"{path.name} is a link to a folder")
            continue
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise UnsafeWeights(f"{path.name} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(mode):
            raise UnsafeWeights(f"{path.name} is no regular file")
        yield path


def _inside(path: Path, root: Path) -> bool:
    # A hub snapshot is links into <repository>/blobs, two levels above the snapshot folder.
    allowed = [root.resolve()]
    if root.parent.name == "snapshots":
        allowed.append(root.parent.parent.resolve() / "blobs")
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # a link to itself
        return False
    return any(target.is_relative_to(folder) for folder in allowed)


def _check_content(path: Path) -> None:
    suffix = path.suffix.lower()
    with path.open("rb") as stream:
        start = stream.read(8)
    if suffix == ".safetensors":
        _check_safetensors(path, start)
    elif suffix == ".gguf":
        if not start.startswith(b"GGUF"):
            raise UnsafeWeights(f"{path.name} is no GGUF file")
    elif start.startswith(_UNSAFE_MAGIC):
        raise UnsafeWeights(f"{path.name} may run code when loaded: it holds a pickle, an archive or a program")
    elif suffix == ".json" and path.name not in _TABLES:
        _check_json(path)


def _check_safetensors(path: Path, start: bytes) -> None:
    """Raise unless the header has the size it claims, is JSON, and keeps every tensor inside the file."""
    size = path.stat().st_size
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= min(size - 8, _MAX_HEADER_BYTES):
        raise UnsafeWeights(f"{path.name} is no safetensors file: its header claims {length} of {size} bytes")
    with path.open("rb") as stream:
        stream.seek(8)
        header = _parse(path.name, stream.read(length))
    if not isinstance(header, dict):
        raise UnsafeWeights(f"{path.name} is no safetensors file: its header is no object")
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not (isinstance(offsets, list) and len(offsets) == 2 and all(type(one) is int for one in offsets)):
            raise UnsafeWeights(f"{path.name}: a tensor has no place")
        if not 0 <= offsets[0] <= offsets[1] <= size - 8 - length:
            raise UnsafeWeights(f"{path.name}: a tensor lies outside the file")


def _check_json(path: Path) -> None:
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise UnsafeWeights(f"{path.name} is larger than {_MAX_CONFIG_BYTES} bytes")
    content = _parse(path.name, path.read_bytes())
    for entry in _objects(content):
        _check_object(path.name, entry)
    if path.name == "modules.json":
        for module in content if isinstance(content, list) else [content]:
            _check_module(path.name, module)
    if path.name == "router_config.json" and isinstance(content, dict):
        for kind in _values(content.get("types")):
            _check_class(path.name, kind)


def _parse(name: str, raw: bytes) -> Any:
    try:
        return json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnsafeWeights(f"{name} is not JSON") from error


def _objects(content: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in parsed JSON, however deep."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _check_object(name: str, entry: Mapping[str, Any]) -> None:
    for key in _CODE_KEYS & entry.keys():
        if entry[key]:
            raise UnsafeWeights(f"{name} asks for the repository's own code ({key})")
    for key in _ATTENTION_KEYS & entry.keys():
        # "owner/name" is a kernel that transformers fetches from the hub and runs.
        if any("/" in str(value) for value in _values(entry[key])):
            raise UnsafeWeights(f"{name} names a kernel of the hub ({key})")
    for key in _IMPORT_KEYS.keys() & entry.keys():
        value = entry[key]
        # Without a dot it is a name that the library looks up among its own.
        if isinstance(value, str) and "." in value and not value.startswith(_IMPORT_KEYS[key]):
            raise UnsafeWeights(f"{name} names code outside {_IMPORT_KEYS[key].rstrip('.')} ({key})")


def _values(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else [value]


def _check_module(name: str, module: Any) -> None:
    """Refuse an entry of modules.json whose class is not the library's, or whose folder is not the model's."""
    if not isinstance(module, dict):
        raise UnsafeWeights(f"{name} is no list of modules")
    _check_class(name, module.get("type", ""))
    folder = Path(str(module.get("path", "")))
    if folder.is_absolute() or ".." in folder.parts:
        raise UnsafeWeights(f"{name} names a folder outside the model")


def _check_class(name: str, kind: Any) -> None:
    # sentence-transformers imports the class that is named here.
    if not str(kind).startswith("sentence_transformers."):
        raise UnsafeWeights(f"{name} names a class outside sentence_transformers")
