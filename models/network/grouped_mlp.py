"""All routed experts as one step of autograd: what each does with its own tokens, and the gradients of that, written out.

What is the same for all of them is done once for all places; products of matrices go expert by expert. Left to autograd, each
expert would cut its rows out of one copy and put them back into another, in both directions: small layers mostly wait for that.

Shape suffixes: N tokens, K choices of a token, P = N * K places in the order of the experts, G places of one expert, D model
width, F hidden width.
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_silu_backward = torch.ops.aten.silu_backward.default
_scalar_products = torch.ops.aten._embedding_bag_per_sample_weights_backward.default


def in_turn(
    x_ND: Tensor, order_P: Tensor, weight_NK: Tensor, sizes: list[int], experts: Sequence[Sequence[Tensor]], dropout: float
) -> Tensor:
    """(N, D): of each token the weighted sum of its experts.

    `order_P`: the choices (flat N, K) sorted by expert, of which the first `sizes[0]` are the first expert's, and so on.
    `experts`: up (F, D) and (F), down (D, F) and (D) of each. `dropout`: the probability that a hidden unit is left out.
    """
    given = [x_ND, weight_NK, *(one for expert in experts for one in expert)]
    if torch.is_autocast_enabled(x_ND.device.type):
        given = [one.to(torch.get_autocast_dtype(x_ND.device.type)) for one in given]
    kept_PF = None
    if dropout:
        kept_PF = given[0].new_empty(len(order_P), len(given[2])).bernoulli_(1 - dropout).div_(1 - dropout)
    out_ND: Tensor = _InTurn.apply(order_P, sizes, kept_PF, *given)
    return out_ND


class _InTurn(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, order_P: Tensor, sizes: list[int], kept_PF: Tensor | None, x_ND: Tensor, weight_NK: Tensor, *experts: Tensor
    ) -> Tensor:
        place_P = torch.empty_like(order_P).scatter_(0, order_P, torch.arange(len(order_P), device=order_P.device))
        place_NK, token_P = place_P.view_as(weight_NK), order_P // weight_NK.shape[1]
        out_PD = x_ND.new_empty(len(order_P), x_ND.shape[1])
        seen: list[Tensor] = []
        for token_G, out_GD, kept_GF, (up_FD, up_F, down_DF, down_D) in zip(
            token_P.split(sizes), out_PD.split(sizes), _split(kept_PF, sizes), _by_expert(experts), strict=True
        ):
            x_GD = x_ND.index_select(0, token_G)
            up_GF = torch.addmm(up_F, x_GD, up_FD.t())
            hidden_GF = functional.silu(up_GF) if kept_GF is None else functional.silu(up_GF).mul_(kept_GF)
            torch.addmm(down_D, hidden_GF, down_DF.t(), out=out_GD)
            seen += x_GD, up_GF, hidden_GF
        ctx.sizes = sizes
        ctx.save_for_backward(place_NK, token_P, weight_NK.flatten()[order_P], kept_PF, out_PD, *experts, *seen)
        return functional.embedding_bag(place_NK, out_PD, per_sample_weights=weight_NK, mode="sum")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_ND: Tensor) -> tuple[Tensor | None, ...]:
        place_NK, token_P, weight_P, kept_PF, out_PD, *others = ctx.saved_tensors
        experts, seen = others[: 4 * len(ctx.sizes)], others[4 * len(ctx.sizes) :]
        each_P = torch.arange(len(token_P), device=token_P.device)
        dweight_P = _scalar_products(grad_ND, out_PD, each_P, each_P, token_P, 0)  # of each output and its token's gradient
        grad_PD = functional.embedding_bag(token_P[:, None], grad_ND, per_sample_weights=weight_P[:, None], mode="sum")
        learn = any(ctx.needs_input_grad[5:])
        learnt: list[Tensor] = []
        for grad_GD, kept_GF, x_GD, up_GF, hidden_GF, (up_FD, _, down_DF, _) in zip(
            grad_PD.split(ctx.sizes), _split(kept_PF, ctx.sizes), seen[::3], seen[1::3], seen[2::3], _by_expert(experts),
            strict=True,
        ):  # fmt: skip
            dhidden_GF = torch.mm(grad_GD, down_DF)
            dup_GF = _silu_backward(dhidden_GF if kept_GF is None else dhidden_GF.mul_(kept_GF), up_GF)
            if learn:
                learnt += dup_GF.t().mm(x_GD), dup_GF.sum(0), grad_GD.t().mm(hidden_GF), grad_GD.sum(0)
            torch.mm(dup_GF, up_FD, out=grad_GD)  # from here on the gradient of the expert's input: its output's is used up
        dx_ND = functional.embedding_bag(place_NK, grad_PD, mode="sum")
        return None, None, None, dx_ND, dweight_P[place_NK], *(learnt or [None] * len(experts))


def _split(one_PF: Tensor | None, sizes: list[int]) -> Sequence[Tensor | None]:
    return [None] * len(sizes) if one_PF is None else one_PF.split(sizes)


def _by_expert(experts: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(experts[kind::4] for kind in range(4)), strict=True)
