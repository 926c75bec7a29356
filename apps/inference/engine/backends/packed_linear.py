"""Linear layers whose weights lie in memory as the processor multiplies them.

torch lays the weights of a bfloat16 layer out anew for each product: for a small encoder 20 MB are rewritten for every
batch, as much time as the arithmetic of a short text takes. oneDNN can do it once, and compute the activation that follows
in the same pass. MiniLM, 2 cores, 600 texts in batches of 16 / 64: bfloat16 189 / 208 texts/s, packed 234 / 227; float32
80 / 73, packed 126 / 90 (and 141 / 145 with the batch in two parts, torch_threads.py). The vectors are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def packs(torch: Any, dtype: Any) -> bool:
    """Return whether this build of torch can lay out weights of that type."""
    return dtype in (torch.float32, torch.bfloat16) and torch.backends.mkldnn.is_available()


def product_packed(torch: Any, weight: Any, bias: Any = None, activation: str = "none") -> Callable[[Any], Any]:
    """Return x -> activation(x @ weight.T + bias), for a weight (out, in) of a type that `packs`.

    `activation` is "none" or "gelu", the exact one.
    """
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
    multiply = torch.ops.mkldnn._linear_pointwise
    algorithm = "none" if activation == "gelu" else ""
    return lambda rows: multiply(rows, packed, bias, activation, [], algorithm)


def linears_pack(torch: Any, module: Any) -> None:
    """Replace the linear layers of `module` in place, for inference alone: weights can neither be trained nor saved after.

    Does nothing where this build of torch lacks oneDNN, or for types that it does not multiply.
    """
    packed = _packed_class(torch)
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear and packs(torch, child.weight.dtype):
                setattr(parent, name, packed(child, _fused_activation(torch, parent)))


def _fused_activation(torch: Any, parent: Any) -> str:
    """Return "gelu" for the layer that BERT's feed-forward part follows with the exact GELU, and take that over."""
    activation: Any = getattr(parent, "intermediate_act_fn", None)
    exact = type(activation).__name__ == "GELUActivation" and activation.act is torch.nn.functional.gelu
    if not (exact or (type(activation) is torch.nn.GELU and activation.approximate == "none")):
        return "none"
    parent.intermediate_act_fn = torch.nn.Identity()
    return "gelu"


def _packed_class(torch: Any) -> Any:
    class PackedLinear(torch.nn.Module):  # type: ignore[misc]  # torch is imported late, and known as Any
        def __init__(self, linear: Any, activation: str) -> None:
            super().__init__()
            bias = None if linear.bias is None else linear.bias.detach()
            self.product = product_packed(torch, linear.weight, bias, activation)

        def forward(self, rows: Any) -> Any:
            return self.product(rows)

    return PackedLinear
