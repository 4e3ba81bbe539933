"""The nonlinearity of a feed-forward layer, and its gradient written out for `grouped_mlp`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Activation = Literal["silu", "gelu", "relu"]
"""`silu`: Conformer's. `gelu`: Whisper's, the exact one. `relu`: of ESPnet's decoders."""
_FUNCTIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "gelu": functional.gelu,
    "relu": functional.relu,
}


def activate(kind: Activation, x: Tensor) -> Tensor:
    """The activation of every number."""
    return _FUNCTIONS[kind](x)


def activation_gradient(kind: Activation, grad: Tensor, x: Tensor) -> Tensor:
    """The gradient of `x` from that of its activation, by torch's own kernels."""
    aten = torch.ops.aten
    result: Tensor = aten.threshold_backward(grad, x, 0) if kind == "relu" else getattr(aten, f"{kind}_backward")(grad, x)
    return result
