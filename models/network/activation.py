"""The nonlinearity of a feed-forward layer, and its gradient written out for `grouped_mlp`."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Activation = Literal["silu", "gelu"]
"""`silu`: Conformer's. `gelu`: Whisper's, the exact one."""


def activate(kind: Activation, x: Tensor) -> Tensor:
    """The activation of every number."""
    result: Tensor = functional.silu(x) if kind == "silu" else functional.gelu(x)
    return result


def activation_gradient(kind: Activation, grad: Tensor, x: Tensor) -> Tensor:
    """The gradient of `x` from that of its activation, by torch's own kernels."""
    gradient = torch.ops.aten.silu_backward if kind == "silu" else torch.ops.aten.gelu_backward
    result: Tensor = gradient(grad, x)
    return result
