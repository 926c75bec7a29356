"""Rewrites a GGUF file as an OpenVINO model that holds the file's own 4- and 8-bit blocks, value for value.

OpenVINO GenAI 2026.4 reads Q4_1 files wrongly, and a Q8_0 file made from them is a second rounding: greedy text then
differs from the float32 model's in more than half of the prompts. Here GenAI builds the graph from an F16 copy, and each
weight is put back as what the source stores: integers, one scale a block and, for Q4_1, one offset, which OpenVINO's
matrix kernels expand as they read. A weight whose expanded values are not those of the graph stays as it is.

Run as `python -m apps.inference.engine.exact SOURCE TARGET`: it needs the memory of two copies for about 10 s, and
OpenVINO in the process.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as opset
import openvino_genai as genai
from gguf import GGMLQuantizationType, GGUFReader

from apps.inference.engine.requantise import requantise

_BLOCK = 32
_LAYER = re.compile(r"model\.layers\[(\d+)\]\.(.+)\.weight")
_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
# How far an expanded block may be from the graph's F16 value, as a share of the weight's largest: F16's own rounding.
_TOLERANCE = 2**-10


def exact_model(source: Path, target: Path) -> int:
    """Write the folder `target` (openvino_model.xml and .bin) from the GGUF file `source`; return how many weights
    were put back. `target` appears complete or not at all."""
    reader = GGUFReader(source)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.partial.") as folder:
        work = Path(folder)
        model = ov.Core().read_model(_graph(source, work))
        count = sum(_put_back(constant, tensors, reader) for constant in _weights(model))
        model.validate_nodes_and_infer_types()
        (work / "done").mkdir()
        ov.save_model(model, work / "done" / "openvino_model.xml", compress_to_fp16=False)
        shutil.rmtree(target, ignore_errors=True)
        (work / "done").rename(target)
    return count


def _graph(source: Path, work: Path) -> Path:
    """Have GenAI build and save the graph, from an F16 copy."""
    (work / "graph").mkdir()
    copy = work / "graph" / "copy.gguf"
    requantise(source, copy, "F16")
    scheduler = genai.SchedulerConfig()
    scheduler.num_kv_blocks = 1
    genai.ContinuousBatchingPipeline(str(copy), scheduler, "CPU", {"enable_save_ov_model": True})
    return copy.with_name("openvino_model.xml")


def _weights(model: Any) -> list[Any]:
    return [
        node
        for node in model.get_ops()
        if node.get_type_name() == "Constant" and len(node.shape) == 2 and node.shape[1] % _BLOCK == 0
    ]


def _source_name(name: str) -> str:
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    found = _LAYER.fullmatch(name)
    return f"blk.{found[1]}.{_NAMES.get(found[2], '')}.weight" if found else ""


def _put_back(constant: Any, tensors: dict[str, Any], reader: GGUFReader) -> bool:
    """Replace one F16 weight by its blocks; False where the source holds it in another form."""
    tensor = tensors.get(_source_name(constant.get_friendly_name()))
    consumers = [place.get_node() for place in constant.output(0).get_target_inputs()]
    if tensor is None or [node.get_type_name() for node in consumers] != ["Convert"]:
        return False
    rows, columns = constant.shape
    blocks = _blocks(tensor, rows, columns)
    if blocks is None:
        return False
    wanted = np.array(constant.data, dtype=np.float32)
    limit = float(np.abs(wanted).max()) * _TOLERANCE
    for order in _row_orders(tensor.name, rows, reader):
        integers, scale, offset = (part[order] for part in blocks)
        if float(np.abs(_expanded(integers, scale, offset) - wanted).max()) <= limit:
            new = _subgraph(integers, scale, offset, rows, columns)
            for place in list(consumers[0].output(0).get_target_inputs()):
                place.replace_source_output(new.output(0))
            return True
    return False


def _blocks(tensor: Any, rows: int, columns: int) -> tuple[Any, Any, Any] | None:
    """Return integers (rows, blocks, 32), scale and offset (rows, blocks, 1) in float32, or None for other types."""
    count = columns // _BLOCK
    kind = tensor.tensor_type
    if kind == GGMLQuantizationType.Q8_0:
        raw = np.asarray(tensor.data).reshape(rows, count, 34)
        return raw[..., 2:].copy().view(np.int8), _halves(raw, 0), np.zeros((rows, count, 1), np.float32)
    if kind not in (GGMLQuantizationType.Q4_0, GGMLQuantizationType.Q4_1):
        return None
    with_offset = kind == GGMLQuantizationType.Q4_1
    raw = np.asarray(tensor.data).reshape(rows, count, 20 if with_offset else 18)
    packed = raw[..., 4 if with_offset else 2 :]
    # The low halves are the block's first 16 values, the high halves its last 16.
    integers = np.concatenate([packed & 15, packed >> 4], axis=-1)
    scale = _halves(raw, 0)
    return integers, scale, _halves(raw, 2) if with_offset else scale * np.float32(-8)


def _halves(raw: Any, start: int) -> Any:
    return raw[..., start : start + 2].copy().view(np.float16).astype(np.float32)


def _row_orders(name: str, rows: int, reader: GGUFReader) -> list[Any]:
    """Return the row orders a weight may have: as stored, and with the halves of each rotary head brought together."""
    orders = [np.arange(rows)]
    if name.endswith(("attn_q.weight", "attn_k.weight")):
        architecture = str(reader.fields["general.architecture"].contents())
        field = "attention.head_count" + ("_kv" if name.endswith("attn_k.weight") else "")
        heads = int(reader.fields[f"{architecture}.{field}"].contents())
        orders.append(np.arange(rows).reshape(heads, rows // heads // 2, 2).swapaxes(1, 2).reshape(-1))
    return orders


def _expanded(integers: Any, scale: Any, offset: Any) -> Any:
    return (integers.astype(np.float32) * scale + offset).reshape(len(integers), -1)


def _subgraph(integers: Any, scale: Any, offset: Any, rows: int, columns: int) -> Any:
    """(integers - zero point) * scale, the form that OpenVINO's compressed matrix kernels take."""
    if integers.dtype == np.int8:
        value = opset.convert(opset.constant(integers), np.float32)
    else:
        flat = integers.reshape(-1).astype(np.uint8)
        packed = ov.Tensor(flat[0::2] | (flat[1::2] << 4), list(integers.shape), ov.Type.u4)
        zero_point = np.divide(-offset, scale, out=np.zeros_like(offset), where=scale != 0)
        value = opset.convert(opset.constant(packed, shared_memory=False), np.float32)
        value = opset.subtract(value, opset.constant(zero_point))
    value = opset.multiply(value, opset.constant(scale))
    return opset.reshape(value, opset.constant(np.array([rows, columns], dtype=np.int64)), False)


def main() -> None:
    """Entry point; prints how many weights were put back."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    print(exact_model(source, target), flush=True)  # noqa: T201  (the parent reads it)


if __name__ == "__main__":
    main()
