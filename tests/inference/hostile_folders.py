"""Folders of models that would run code, lead elsewhere or are not what they say."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Spoil = Callable[[Path, bytes], None]
# The smallest file that the safetensors library accepts.
EMPTY_SAFETENSORS = struct.pack("<Q", 2) + b"{}"


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def write(name: str) -> Spoil:
    """The pickle under this name."""

    def spoil(folder: Path, payload: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(payload)

    return spoil


def put(name: str, content: bytes) -> Spoil:
    def spoil(folder: Path, _: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return spoil


def change(name: str, **entries: Any) -> Spoil:
    """Entries added to a JSON file, and a module that they may name."""

    def spoil(folder: Path, _: bytes) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        content = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**content, **entries}))

    return spoil


def put_json(name: str, content: Any) -> Spoil:
    return put(name, json.dumps(content).encode())


def torch_archive(folder: Path, payload: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
    (folder / "weights.dat").write_bytes(buffer.getvalue())


def tar_archive(folder: Path, payload: bytes) -> None:
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("data.pkl")
        entry.size = len(payload)
        archive.addfile(entry, io.BytesIO(payload))


def numpy_objects(folder: Path, _: bytes) -> None:
    np.save(folder / "embeddings.npy", np.array([Canary(folder.parent / "canaries" / "ran")], dtype=object))


def numpy_under_another_name(folder: Path, _: bytes) -> None:
    numpy_objects(folder, _)
    (folder / "embeddings.npy").rename(folder / "embeddings.dat")


def safetensors_of(header: bytes, length: int | None = None, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def tensor(begin: int, end: int) -> bytes:
    return json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [begin, end]}}).encode()


def link(name: str, target: str) -> Spoil:
    def spoil(folder: Path, _: bytes) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return spoil


def linked_folder(folder: Path, payload: bytes) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "vocab.pkl").write_bytes(payload)
    (folder / "sub").symlink_to(outside, target_is_directory=True)


def pipe(folder: Path, _: bytes) -> None:
    os.mkfifo(folder / "special_tokens_map.json")


def many_files(folder: Path, _: bytes) -> None:
    for number in range(2001):
        (folder / f"{number}.txt").touch()


AUTO_MAP = {"AutoModelForSequenceClassification": "modeling.Evil", "AutoTokenizer": "modeling.Evil"}
HOSTILE: dict[str, Spoil] = {
    # Pickle by its names.
    "pytorch_model.bin": write("pytorch_model.bin"),
    "model.pt": write("model.pt"),
    "weights.pth in a subfolder": write("sub/weights.PTH"),
    "tokenizer pickle": write("vocab.pkl"),
    "weights.pickle": write("weights.pickle"),
    "weights.joblib": write("weights.joblib"),
    "weights.dill": write("weights.dill"),
    "last.ckpt": write("last.ckpt"),
    "tf_model.h5": write("tf_model.h5"),
    "flax_model.msgpack": write("flax_model.msgpack"),
    "saved_model.pb": write("saved_model.pb"),
    "model.mar": write("model.mar"),
    "numpy objects": numpy_objects,
    "numpy archive": write("embeddings.npz"),
    "tar archive": tar_archive,
    # Pickle by its content.
    "pickle named tokenizer.model": write("tokenizer.model"),
    "pickle named vocab.txt": write("vocab.txt"),
    "pickle without suffix": write("state"),
    "torch archive named weights.dat": torch_archive,
    "numpy objects named embeddings.dat": numpy_under_another_name,
    "pickle named model.safetensors": write("model.safetensors"),
    "pickle named model.gguf": write("model.gguf"),
    # Code, and requests for code.
    "module beside the weights": put("modeling.py", b"import os"),
    "compiled module": put("modeling.pyc", b"\xa7\r\r\n"),
    "shared library": put("kernel.so", b"\x7fELF"),
    "program without suffix": put("kernel", b"\x7fELF"),
    "auto_map of the model": change("config.json", auto_map=AUTO_MAP),
    "auto_map of the tokenizer": change("tokenizer_config.json", auto_map=AUTO_MAP),
    "auto_map inside a part": change("config.json", text_config={"auto_map": AUTO_MAP}),
    "auto_map of a processor": put_json("preprocessor_config.json", {"auto_map": AUTO_MAP}),
    "custom pipeline": change("config.json", custom_pipelines={"x": {"impl": "modeling.Evil"}}),
    "attention kernel of the hub": change("config.json", _attn_implementation="evil/kernel"),
    "attention kernel of a part": change("config.json", attn_implementation={"text_config": "evil/kernel"}),
    "module class of modules.json": put_json("modules.json", [{"path": "", "type": "os.system"}]),
    "folder of modules.json": put_json(
        "modules.json", [{"path": "../x", "type": "sentence_transformers.models.Dense"}]
    ),
    "modules.json that is no list": put_json("modules.json", "os.system"),
    "activation of a dense layer": put_json("2_Dense/config.json", {"activation_function": "os.system"}),
    "activation of a cross-encoder": change("config.json", sentence_transformers={"activation_fn": "os.system"}),
    "class of a router": put_json("router_config.json", {"types": {"query_0": "os.system"}}),
    "tokenizer class of word embeddings": put_json("0_Words/config.json", {"tokenizer_class": "os.path"}),
    # Adapters that would lead elsewhere.
    "adapter of another model": put_json("adapter_config.json", {"base_model_name_or_path": "/tmp/elsewhere"}),
    # Files that are not what they say.
    "oversized header": put("model.safetensors", safetensors_of(b"{}", length=1 << 62)),
    "header longer than the file": put("model.safetensors", safetensors_of(b"{}", length=100)),
    "header that is not JSON": put("model.safetensors", safetensors_of(b"not JSON")),
    "header that is no object": put("model.safetensors", safetensors_of(b"[1, 2]")),
    "header without end": put("model.safetensors", safetensors_of(b"[" * 100_000)),
    "tensor beyond the file": put("model.safetensors", safetensors_of(tensor(0, 4))),
    "tensor of negative length": put("model.safetensors", safetensors_of(tensor(4, 0), data=b"1234")),
    "tensor without a place": put("model.safetensors", safetensors_of(b'{"w": {"dtype": "F32"}}')),
    "empty weights": put("model.safetensors", b""),
    "configuration without end": put("config.json", b"[" * 100_000),
    # Ways out of the folder.
    "link to a file outside": link("vocab.txt", "/etc/hostname"),
    "link to a folder outside": linked_folder,
    "link to itself": link("vocab.txt", "vocab.txt"),
    "link to nothing": link("vocab.txt", "missing"),
    "named pipe": pipe,
    "thousands of files": many_files,
}
