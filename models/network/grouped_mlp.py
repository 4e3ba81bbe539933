"""All routed experts as one step of autograd, with the gradients written out.

Left to autograd, every expert cuts its rows out of one copy and puts them back into another, in both directions, and small
layers mostly wait for that: 6 to 11 % of the layer's time on a CPU (`make bench-moe`). Here what is the same for all experts is
done once for all rows, and only the products of matrices go expert by expert. `Experts.one_by_one` is the same computation
without this.

Shape suffixes: N tokens, K choices of a token, P = N * K rows sorted by expert, G rows of one expert, D model width, F hidden
width.
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from voxmill.models.network.activation import Activation, activate, activation_gradient


def grouped_mlp(
    x_ND: Tensor,
    order_P: Tensor,
    weight_NK: Tensor,
    sizes: list[int],
    experts: Sequence[Sequence[Tensor]],
    dropout: float,
    activation: Activation = "silu",
) -> Tensor:
    """The weighted sum of each token's experts, shape (N, D).

    `order_P`: indices into the flattened (N, K) choices, sorted by expert: the first `sizes[0]` are those of the first expert.
    `experts`: up (F, D), its bias (F), down (D, F) and its bias (D) of each. `dropout`: probability to drop a hidden unit.
    """
    given = [x_ND, weight_NK, *(one for expert in experts for one in expert)]
    if torch.is_autocast_enabled(x_ND.device.type):
        given = [one.to(torch.get_autocast_dtype(x_ND.device.type)) for one in given]
    kept_PF = None
    if dropout:
        kept_PF = given[0].new_empty(len(order_P), len(given[2])).bernoulli_(1 - dropout).div_(1 - dropout)
    out_ND: Tensor = _GroupedMLP.apply(order_P, sizes, kept_PF, activation, *given)
    return out_ND


class _GroupedMLP(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        order_P: Tensor,
        sizes: list[int],
        kept_PF: Tensor | None,
        activation: Activation,
        x_ND: Tensor,
        weight_NK: Tensor,
        *experts: Tensor,
    ) -> Tensor:
        row_P = torch.empty_like(order_P).scatter_(0, order_P, torch.arange(len(order_P), device=order_P.device))
        row_NK, token_P = row_P.view_as(weight_NK), order_P // weight_NK.shape[1]
        out_PD = x_ND.new_empty(len(order_P), x_ND.shape[1])
        saved: list[Tensor] = []
        for token_G, out_GD, kept_GF, (up_FD, up_F, down_DF, down_D) in zip(
            token_P.split(sizes), out_PD.split(sizes), _split(kept_PF, sizes), _by_expert(experts), strict=True
        ):
            x_GD = x_ND.index_select(0, token_G)
            up_GF = torch.addmm(up_F, x_GD, up_FD.t())
            hidden_GF = activate(activation, up_GF)
            hidden_GF = hidden_GF if kept_GF is None else hidden_GF.mul_(kept_GF)
            torch.addmm(down_D, hidden_GF, down_DF.t(), out=out_GD)
            saved += x_GD, up_GF, hidden_GF
        ctx.sizes, ctx.activation = sizes, activation
        ctx.save_for_backward(row_NK, token_P, weight_NK.flatten()[order_P], kept_PF, out_PD, *experts, *saved)
        return functional.embedding_bag(row_NK, out_PD, per_sample_weights=weight_NK, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_ND: Tensor) -> tuple[Tensor | None, ...]:
        row_NK, token_P, weight_P, kept_PF, out_PD, *others = ctx.saved_tensors
        experts, saved = others[: 4 * len(ctx.sizes)], others[4 * len(ctx.sizes) :]
        grad_PD = grad_ND.index_select(0, token_P)
        dweight_P = torch.linalg.vecdot(grad_PD, out_PD)
        grad_PD.mul_(weight_P[:, None])
        learn = any(ctx.needs_input_grad[6:])
        learnt: list[Tensor] = []
        for grad_GD, kept_GF, x_GD, up_GF, hidden_GF, (up_FD, _, down_DF, _) in zip(
            grad_PD.split(ctx.sizes), _split(kept_PF, ctx.sizes), saved[::3], saved[1::3], saved[2::3], _by_expert(experts),
            strict=True,
        ):  # fmt: skip
            dhidden_GF = torch.mm(grad_GD, down_DF)
            dup_GF = activation_gradient(ctx.activation, dhidden_GF if kept_GF is None else dhidden_GF.mul_(kept_GF), up_GF)
            if learn:
                learnt += dup_GF.t().mm(x_GD), dup_GF.sum(0), grad_GD.t().mm(hidden_GF), grad_GD.sum(0)
            torch.mm(dup_GF, up_FD, out=grad_GD)  # reuses the memory: from here on the gradient of the expert's input
        dx_ND = functional.embedding_bag(row_NK, grad_PD, mode="sum")
        return None, None, None, None, dx_ND, dweight_P[row_NK], *(learnt or [None] * len(experts))


def _split(one_PF: Tensor | None, sizes: list[int]) -> Sequence[Tensor | None]:
    return [None] * len(sizes) if one_PF is None else one_PF.split(sizes)


def _by_expert(experts: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(experts[kind::4] for kind in range(4)), strict=True)
