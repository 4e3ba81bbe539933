"""Elastic mixture of experts (eMoE) in the place of a feed-forward layer, all of it in this file.

    y = shared(x) + sum of weight_i * expert_i(x) over the top-k experts of the router

The budget of a call says how many experts exist, how many a frame may ask, and how wide they are. Training draws a budget for
every step, so each prefix of experts learns to work without the rest, and a device takes the prefix that fits it.

Shape suffixes: B utterances, T positions, N = B * T tokens, D model width, E experts of the budget, K chosen experts,
P = N * K places, in the order of the experts they go to.

After TouchASP (elastic prefixes, shared experts), DeepSeekMoE (shared experts, fine-grained experts, balance loss), WeNet's
U2++ MoE (weights renormalised after top-k), DeepSeek-V3 (balancing by a bias on the choice instead of a loss).
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from voxmill.manifests.settings import Settings
from voxmill.models.budget import Budget, copy_leading
from voxmill.models.feed_forward import FeedForward, Load, Route
from voxmill.models.guided import GuidedExperts


class MoEConfig(Settings):
    experts: int = Field(default=15, ge=1)
    """Routed experts."""
    shared: int = Field(default=1, ge=0)
    """Experts that every frame passes, as one feed-forward layer of that many times the width."""
    top_k: int = Field(default=3, ge=1)
    width: int = Field(default=512, ge=1)
    """Hidden units of an expert. A quarter of a dense layer's: one shared and three routed ones then compute as much."""
    renormalise: bool = True
    """The weights of the chosen experts sum to 1, whatever the budget."""
    balance: Literal["loss", "bias", "none"] = "loss"
    """How experts are kept in use: a loss, a bias on the choice that training moves (`Router.adjust`), or not at all."""
    dropout: float = 0.1

    @property
    def full(self) -> Budget:
        return Budget(self.experts, min(self.top_k, self.experts), self.width)


class Choice(NamedTuple):
    """Where each token goes."""

    weight_NK: Tensor
    expert_NK: Tensor
    probability_NE: Tensor


class Router(nn.Module):
    """A linear gate. Only the experts of the budget take part in its softmax, so a prefix is a router of its own."""

    def __init__(self, dim: int, config: MoEConfig) -> None:
        super().__init__()
        self.renormalise = config.renormalise
        self.gate = nn.Linear(dim, config.experts, bias=False)
        nn.init.normal_(self.gate.weight, std=0.006)  # DeepSeekMoE's: nearly even at the start
        self.register_buffer("bias_E", torch.zeros(config.experts))

    def forward(self, x_ND: Tensor, budget: Budget) -> Choice:
        logits_NE = functional.linear(x_ND, self.gate.weight[: budget.experts]).float()
        probability_NE = logits_NE.softmax(dim=-1)
        expert_NK = (probability_NE + self.bias_E[: budget.experts]).topk(budget.top_k, dim=-1).indices
        weight_NK = probability_NE.gather(-1, expert_NK)  # the bias decides who, never how much
        if self.renormalise:
            weight_NK = weight_NK / weight_NK.sum(dim=-1, keepdim=True)
        return Choice(weight_NK.to(x_ND.dtype), expert_NK, probability_NE)

    @torch.no_grad()
    def adjust(self, share_E: Tensor, rate: float = 1e-3) -> None:
        """Makes experts that were chosen less than the mean a little easier to choose, and the others harder."""
        self.bias_E[: len(share_E)] += rate * (share_E.mean() - share_E).sign()


class Experts(nn.ModuleList):
    """The routed experts. Separate modules, so that one outside the budget has no gradient at all, not one of zeros."""

    def forward(self, x_ND: Tensor, choice: Choice, budget: Budget) -> Tensor:
        if torch.jit.is_tracing():  # sizes that depend on the data would be frozen into the trace
            return self.one_by_one(x_ND, choice, budget)
        num_tokens, top_k = choice.expert_NK.shape
        order_P = choice.expert_NK.flatten().argsort(stable=True)
        sizes = choice.expert_NK.flatten().bincount(minlength=budget.experts).tolist()
        groups = x_ND.index_select(0, order_P // top_k).split(sizes)
        outputs = [self[e](group_ND, width=budget.width) for e, group_ND in enumerate(groups)]
        back_P = torch.empty_like(order_P).scatter_(0, order_P, torch.arange(len(order_P), device=order_P.device))
        out_NKD = torch.cat(outputs).index_select(0, back_P).view(num_tokens, top_k, -1)
        return (choice.weight_NK[..., None] * out_NKD).sum(dim=1)

    def one_by_one(self, x_ND: Tensor, choice: Choice, budget: Budget) -> Tensor:
        """The same, as one would say it: each expert finds its tokens. What ONNX export traces, and what tests compare with."""
        out_ND = torch.zeros_like(x_ND)
        for e in range(budget.experts):
            token, slot = torch.where(choice.expert_NK == e)
            out_ND = out_ND.index_add(0, token, choice.weight_NK[token, slot, None] * self[e](x_ND[token], width=budget.width))
        return out_ND


class ElasticMoE(nn.Module):
    """Shared and routed experts under a budget. `guides`: the shared expert is one for each guide id (S-MoE inside eMoE)."""

    def __init__(self, dim: int, config: MoEConfig, guides: int = 0) -> None:
        super().__init__()
        if guides and not config.shared:
            raise ValueError("guided experts inside an elastic layer stand in for its shared expert: set `shared` to 1 or more")
        self.dim, self.config, self.guides = dim, config, guides
        hidden = config.shared * config.width
        self.shared: nn.Module | None = None
        if config.shared:
            self.shared = (
                GuidedExperts(guides, dim, hidden, config.dropout) if guides else FeedForward(dim, hidden, config.dropout)
            )
        self.router = Router(dim, config)
        self.experts = Experts(FeedForward(dim, config.width, config.dropout) for _ in range(config.experts))

    def forward(self, x_BTD: Tensor, route: Route | None = None) -> Tensor:
        """Raises BudgetError where the budget is larger than the layer."""
        route = route or Route()
        budget = (route.budget or self.config.full).within(self.config.full)
        x_ND = x_BTD.flatten(0, 1)
        choice = self.router(x_ND, budget)
        out_BTD = self.experts(x_ND, choice, budget).view_as(x_BTD)
        if self.shared is not None:
            out_BTD = out_BTD + self.shared(x_BTD, route, self.config.shared * budget.width)
        if route.loads is not None:
            route.loads.append(self._load(choice, route.real_BT))
        return out_BTD

    def extract(self, budget: Budget) -> ElasticMoE:
        """A standalone smaller layer that computes exactly `self(x, budget)`. Raises BudgetError."""
        small = ElasticMoE(self.dim, cut(self.config, budget), self.guides)
        copy_leading(small, self)
        small.to(self.router.gate.weight.device).train(self.training)
        return small

    def _load(self, choice: Choice, real_BT: Tensor | None) -> Load:
        """Over real tokens; f_i * P_i as in DeepSeekMoE, equation 12."""
        real_N = slice(None) if real_BT is None else real_BT.flatten()
        num_experts = choice.probability_NE.shape[-1]
        share_E = functional.one_hot(choice.expert_NK[real_N], num_experts).float().mean(dim=(0, 1))
        return Load(self, share_E, num_experts * (share_E * choice.probability_NE[real_N].mean(dim=0)).sum())


def cut(config: MoEConfig, budget: Budget) -> MoEConfig:
    """The config of the smaller layer."""
    budget = budget.within(config.full)
    return config.model_copy(update={"experts": budget.experts, "top_k": budget.top_k, "width": budget.width})
