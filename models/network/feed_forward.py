"""The dense position-wise feed-forward layer.

Shape suffixes: D model width, F hidden width.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from voxmill.models.network.activation import Activation, activate
from voxmill.models.network.route import Route


class FeedForward(nn.Module):
    """Linear, activation, dropout, linear."""

    def __init__(self, dim: int, hidden: int, dropout: float = 0.0, activation: Activation = "silu") -> None:
        super().__init__()
        self.activation: Activation = activation
        self.up = nn.Linear(dim, hidden)
        self.down = nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_D: Tensor, route: Route | None = None, width: int | None = None) -> Tensor:
        """Output of the same shape (…, D). `route` is ignored; `width`: use the first so many hidden units only."""
        if width is None or width == self.up.out_features:  # even a slice of all of it would be copied in the backward pass
            return self.down(self.dropout(activate(self.activation, self.up(x_D))))
        hidden_F = activate(self.activation, functional.linear(x_D, self.up.weight[:width], self.up.bias[:width]))
        return functional.linear(self.dropout(hidden_F), self.down.weight[:, :width], self.down.bias)

    def part(self, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights and biases of the first `width` hidden units: up (F, D), (F), down (D, F), (D)."""
        up, down = self.up, self.down
        if width == up.out_features:  # even a slice of all of it would be copied in the backward pass
            return up.weight, up.bias, down.weight, down.bias
        return up.weight[:width], up.bias[:width], down.weight[:, :width], down.bias
