"""What the backends on transformers share: where and how precisely to compute, and loading that runs nobody's code.

`ModelSpec.options` of all of them: `device` ("cuda", "cuda:1", "cpu"; automatic: a GPU when there is one) and `dtype`
("float32", "bfloat16", "float16"; automatic: bfloat16 where the processor multiplies it, else float32).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from apps.inference.engine.errors import ModelUnavailable
from apps.inference.engine.types import EngineConfig, ModelSpec

_DTYPES = ("float32", "bfloat16", "float16")
_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model", "*.spm")
# Rotary and relative positions have no limit of their own; this stands for "as long as the catalogue says".
_NO_LIMIT = 1 << 20


def import_torch(config: EngineConfig) -> Any:
    """Return the module torch, set up for this machine. Raises ModelUnavailable."""
    # Spinning at the barriers of each layer turned a 10 ms query into 700 ms when another process used one core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch
    except ImportError as error:
        raise ModelUnavailable(f"the package {error.name} is not installed; run `make install`") from error
    torch.set_num_threads(config.threads)
    return torch


def import_libraries(config: EngineConfig) -> tuple[Any, Any]:
    """Return the modules torch and transformers, set up for this machine. Raises ModelUnavailable."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch = import_torch(config)
    try:
        import transformers
    except ImportError as error:
        raise ModelUnavailable(f"the package {error.name} is not installed; run `make install`") from error
    transformers.utils.logging.disable_progress_bar()
    return torch, transformers


def pick_device(torch: Any, spec: ModelSpec) -> Any:
    """Return the torch device. Raises ModelUnavailable for one that this machine has not."""
    wanted = str(spec.options.get("device") or "auto")
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ModelUnavailable(f"{spec.name}: unknown device {wanted!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelUnavailable(f"{spec.name}: torch finds no GPU for the device {wanted!r}")
    return device


def pick_dtype(torch: Any, spec: ModelSpec, device: Any, *, automatic: bool | None = None) -> Any:
    """Return the torch dtype; `automatic` False keeps float32 unless the catalogue names another.

    Measured with 22-token texts on two cores: bfloat16 is 3.4 times as fast where the processor multiplies it, and much
    slower where it has to be emulated.
    """
    wanted = str(spec.options.get("dtype") or "auto")
    if wanted in _DTYPES:
        return getattr(torch, wanted)
    if wanted != "auto":
        raise ModelUnavailable(f"{spec.name}: unknown dtype {wanted!r}; known are {', '.join(_DTYPES)}")
    if automatic is False:
        return torch.float32
    fast = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def load_tokenizer(transformers: Any, spec: ModelSpec, path: Path) -> Any:
    """Return the model's tokenizer. Raises ModelUnavailable."""
    if not any(found for pattern in _VOCABULARIES for found in path.glob(pattern)):
        # transformers would make one that knows no word.
        raise ModelUnavailable(f"{spec.name}: {path.name} holds no tokenizer (tokenizer.json or a vocabulary)")
    try:
        return transformers.AutoTokenizer.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise ModelUnavailable(f"{spec.name}: its tokenizer cannot be loaded: {first_line(error)}") from error


def load_model(auto_class: Any, spec: ModelSpec, path: Path, *, device: Any, dtype: Any) -> Any:
    """Return the model in inference mode on `device`. Raises ModelUnavailable, also when its weights are not all there.

    Only safetensors, no code of the repository, no network. The attention is torch's own wherever the model has it.
    """
    wanted = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True, "dtype": dtype}
    try:
        try:
            model, info = auto_class.from_pretrained(
                str(path), attn_implementation="sdpa", output_loading_info=True, **wanted
            )
        except (ValueError, ImportError):
            model, info = auto_class.from_pretrained(
                str(path), attn_implementation="eager", output_loading_info=True, **wanted
            )
    except Exception as error:
        raise ModelUnavailable(f"{spec.name}: its weights cannot be loaded: {first_line(error)}") from error
    if info["missing_keys"]:
        # transformers would fill them with random numbers and go on.
        names = ", ".join(sorted(info["missing_keys"])[:3])
        raise ModelUnavailable(f"{spec.name}: the weights lack {names}; is it a {spec.role} model?")
    return model.to(device).eval()


def input_limit(spec: ModelSpec, config: Any, tokenizer: Any) -> int:
    """Return how many tokens the model reads: the least of what its parts and the catalogue say."""
    positions = int(getattr(config, "max_position_embeddings", 0) or _NO_LIMIT)
    if "roberta" in config.model_type or config.model_type in ("camembert", "xmod"):
        # Their positions start behind the padding's.
        positions -= int(config.pad_token_id or 0) + 1
    known = [positions, int(min(tokenizer.model_max_length, _NO_LIMIT)), spec.context_tokens or _NO_LIMIT]
    limit = min(known)
    return limit if limit < _NO_LIMIT else 512


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
