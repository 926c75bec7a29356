"""Rewrites a GGUF file in another weight type, with the `gguf` package alone.

The packaged chat model is Q4_1, which OpenVINO GenAI 2026.4 reads wrongly; Q8_0 and F16 it reads as written. Takes about
4 s for 135M parameters. Run as `python -m apps.inference.engine.requantise SOURCE TARGET TYPE`.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType, quants

_FILE_TYPES = {
    GGMLQuantizationType.Q8_0: LlamaFileType.MOSTLY_Q8_0,
    GGMLQuantizationType.F16: LlamaFileType.MOSTLY_F16,
}
logging.getLogger("gguf").setLevel(logging.WARNING)

_KEPT = frozenset({GGMLQuantizationType.F32})


def requantise(source: Path, target: Path, type_name: str) -> None:
    """Write `source` to `target` with all quantised tensors as `type_name` (Q8_0 or F16); metadata is kept.

    `target` appears complete or not at all. The result is a function of the source and the `gguf` version only.
    """
    wanted = GGMLQuantizationType[type_name]
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    reader = GGUFReader(source)
    writer = GGUFWriter(partial, str(reader.fields["general.architecture"].contents()))
    try:
        _copy_metadata(reader, writer, wanted)
        for tensor in reader.tensors:
            if tensor.tensor_type in _KEPT:
                writer.add_tensor(tensor.name, np.asarray(tensor.data))
                continue
            values = quants.dequantize(tensor.data, tensor.tensor_type)
            writer.add_tensor(tensor.name, quants.quantize(values, wanted), raw_dtype=wanted)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter, wanted: GGMLQuantizationType) -> None:
    for field in reader.fields.values():
        # "GGUF.*" are counts of the header, which the writer makes itself, as it does the architecture.
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value = field.contents()
        if field.name == "general.file_type":
            value = int(_FILE_TYPES[wanted])
        kind = field.types[0]
        writer.add_key_value(field.name, value, kind, sub_type=field.types[-1] if kind == GGUFValueType.ARRAY else None)


if __name__ == "__main__":
    requantise(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
