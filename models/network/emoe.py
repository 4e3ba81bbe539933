"""Elastic mixture of experts (eMoE), which replaces a feed-forward layer.

    y = shared(x) + sum of weight_i * expert_i(x) over the top-k experts of the router

The budget of a call says how many experts are there, how many of them process a frame, and how wide they are. Training draws a
budget for every step, so each prefix of the experts learns to work without the rest, and a device gets the prefix that fits it.

Sources: TouchASP, arXiv 2412.15622 (elastic experts, shared experts; of its method only second-hand accounts were read, and
that budgets are prefixes is our reading of them), DeepSeekMoE, arXiv 2401.06066 (shared and fine-grained experts, balance
loss), WeNet's U2++ MoE, arXiv 2404.16407 (weights normalised after top-k). How experts are kept in equal use: `balance.py`.

Shape suffixes: B utterances, T positions, N = B * T tokens, D model width, F hidden width, E experts of the budget, K chosen
experts, P = N * K choices sorted by expert, G rows reserved for each expert.
"""

# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

from itertools import accumulate
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from voxmill.manifests.config_base import Settings
from voxmill.models.network.activation import Activation, activate
from voxmill.models.network.balance import Balancer, shares
from voxmill.models.network.budget import Budget, copy_leading
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.grouped_mlp import grouped_mlp
from voxmill.models.network.route import ExpertLoad, Route
from voxmill.models.network.smoe import GuidedExperts

_MOST_PADDING = 1.5
"""On a GPU all experts compute in one batched product while the largest group is at most this many times the mean."""


class MoEConfig(Settings):
    """A mixture of experts."""

    experts: int = Field(default=15, ge=1)
    """Routed experts."""
    shared: int = Field(default=1, ge=0)
    """Shared experts, which process every frame: one feed-forward layer of that many times the width."""
    top_k: int = Field(default=3, ge=1)
    """Routed experts that process a frame or token."""
    width: int = Field(default=512, ge=1)
    """Hidden units of an expert. With a quarter of a dense layer's, one shared and three routed experts compute as much as that
    layer."""
    renormalise: bool = True
    """Normalise the weights of the chosen experts to a sum of 1, so that the scale is the same for every budget."""
    scale: float = Field(default=1.0, gt=0)
    """Factor of the routed experts' sum. With `top_k`, a layer can start as the dense one that it replaces (`ElasticMoE.upcycle`)."""
    balance: Literal["bias", "loss", "none"] = "bias"
    """How experts are kept in equal use: by choosing them by their centred logits and a bias that training adjusts, by a balance loss, or
    not at all. The loss alone does not keep young experts from collapsing (`make check-balance`)."""
    dropout: float = 0.1
    """Dropout probability of hidden units."""

    @property
    def full(self) -> Budget:
        """The budget that uses all of the layer."""
        return Budget(self.experts, min(self.top_k, self.experts), self.width)


class RouterOutput(NamedTuple):
    """Which experts process each token."""

    weight_NK: Tensor
    """Weights of the chosen experts."""
    expert_NK: Tensor
    """Their indices."""
    logits_EN: Tensor
    """What the gate says of every expert of the budget, float32."""


class Router(nn.Module):
    """A linear gate with top-k choice, in float32. It knows the experts of the budget only, so a prefix of it is a router of its own."""

    def __init__(self, dim: int, config: MoEConfig) -> None:
        super().__init__()
        self.renormalise, self.scale = config.renormalise, config.scale
        self.gate = nn.Linear(dim, config.experts, bias=False)
        nn.init.normal_(self.gate.weight, std=0.006)  # DeepSeekMoE's: nearly even at the start
        self.balancer = Balancer(config.experts) if config.balance == "bias" else None

    def forward(self, x_ND: Tensor, budget: Budget, real_N: Tensor | None = None) -> RouterOutput:
        """Chooses `budget.top_k` of the first `budget.experts` experts for each token. `real`: 0 on padding; None: there is none."""
        with torch.autocast(x_ND.device.type, enabled=False):
            logits_EN = self.gate.weight[: budget.experts].float() @ x_ND.float().t()
        centred_EN = score_EN = logits_EN
        if self.balancer is not None:
            if self.balancer.settling:
                self.balancer.settle(logits_EN, budget.top_k, real_N)
            learns = self.training and self.gate.weight.requires_grad
            centred_EN, score_EN = self.balancer(logits_EN, real_N, learns=learns)
        expert_KN = score_EN.topk(budget.top_k, dim=0).indices
        if self.renormalise:
            weight_KN = centred_EN.gather(0, expert_KN).softmax(dim=0)
        else:
            weight_KN = centred_EN.softmax(dim=0).gather(0, expert_KN)
        return RouterOutput((self.scale * weight_KN).t().to(x_ND.dtype), expert_KN.t(), logits_EN)


class Experts(nn.ModuleList):
    """The routed experts. Separate modules, so that experts outside the budget get no gradient instead of zeros, and AdamW
    skips them."""

    def forward(self, x_ND: Tensor, choice: RouterOutput, budget: Budget) -> Tensor:
        """The weighted sum of each token's chosen experts, shape (N, D)."""
        if torch.jit.is_tracing():  # sizes that depend on the data would be frozen into the trace
            return self.one_by_one(x_ND, choice, budget)
        sizes = choice.expert_NK.flatten().bincount(minlength=budget.experts).tolist()
        even = 0 < max(sizes) * budget.experts <= _MOST_PADDING * sum(sizes)
        return (self.side_by_side if x_ND.is_cuda and even else self.in_turn)(x_ND, choice, budget, sizes)

    def in_turn(self, x_ND: Tensor, choice: RouterOutput, budget: Budget, sizes: list[int]) -> Tensor:
        """Each expert computes its own tokens, one expert after the other. Fastest on a CPU, and on a GPU where the load is
        uneven."""
        order_P = choice.expert_NK.flatten().argsort(stable=True)
        parts = [expert.part(budget.width) for expert in list(self)[: budget.experts]]
        dropout: nn.Dropout = self[0].dropout
        share = dropout.p if dropout.training else 0.0
        return grouped_mlp(x_ND, order_P, choice.weight_NK.contiguous(), sizes, parts, share, self[0].activation)

    def side_by_side(self, x_ND: Tensor, choice: RouterOutput, budget: Budget, sizes: list[int]) -> Tensor:
        """All experts in one batched product, each padded to the largest group: few kernel launches, for a GPU."""
        room, expert_P = max(sizes), choice.expert_NK.flatten()
        order_P = expert_P.argsort(stable=True)
        first_E = torch.tensor([0, *accumulate(sizes[:-1])], device=x_ND.device)
        rank_P = torch.arange(len(order_P), device=x_ND.device) - first_E.repeat_interleave(
            torch.tensor(sizes, device=x_ND.device), output_size=len(order_P)
        )
        place_P = torch.empty_like(order_P).scatter_(0, order_P, rank_P) + expert_P * room  # row in (E, G) of each choice
        if torch.is_autocast_enabled(x_ND.device.type):
            x_ND = x_ND.to(torch.get_autocast_dtype(x_ND.device.type))  # half as much to move
        x_EGD = _Spread.apply(x_ND, place_P, budget.experts * room).unflatten(0, (budget.experts, room))
        up_EFD, up_EF, down_EDF, down_ED = self._stacked(budget)
        hidden_EGF = activate(self[0].activation, torch.baddbmm(up_EF[:, None], x_EGD, up_EFD.mT))
        out_EGD = torch.baddbmm(down_ED[:, None], self[0].dropout(hidden_EGF), down_EDF.mT)
        out_NKD = out_EGD.flatten(0, 1).index_select(0, place_P).view(*choice.expert_NK.shape, -1)
        return (choice.weight_NK[..., None].to(out_NKD.dtype) * out_NKD).sum(dim=1)

    def _stacked(self, budget: Budget) -> tuple[Tensor, ...]:
        """Weights and biases of the budget's experts in one tensor each."""
        chosen, width = list(self)[: budget.experts], budget.width
        return (
            torch.stack([expert.up.weight for expert in chosen])[:, :width],
            torch.stack([expert.up.bias for expert in chosen])[:, :width],
            torch.stack([expert.down.weight for expert in chosen])[..., :width],
            torch.stack([expert.down.bias for expert in chosen]),
        )

    def one_by_one(self, x_ND: Tensor, choice: RouterOutput, budget: Budget) -> Tensor:
        """The same by a plain loop, in which each expert selects its tokens. ONNX export traces it, and tests compare with
        it."""
        out_ND = torch.zeros_like(x_ND)
        for e in range(budget.experts):
            token, slot = torch.where(choice.expert_NK == e)
            out_ND = out_ND.index_add(0, token, choice.weight_NK[token, slot, None] * self[e](x_ND[token], width=budget.width))
        return out_ND


class _Spread(torch.autograd.Function):
    """Copies each token to the rows `place`. Its gradient is summed in a fixed order, which that of `index_select` is not on a
    GPU."""

    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, place_P: Tensor, num_places: int) -> Tensor:
        ctx.save_for_backward(place_P)
        ctx.num_tokens = len(x_ND)
        top_k = len(place_P) // len(x_ND)
        return x_ND.new_zeros(num_places, x_ND.shape[1]).index_copy_(0, place_P, x_ND.repeat_interleave(top_k, dim=0))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (place_P,) = ctx.saved_tensors
        return grads[0].index_select(0, place_P).unflatten(0, (ctx.num_tokens, -1)).sum(dim=1), None, None


class ElasticMoE(nn.Module):
    """Shared and routed experts under a budget. `guides`: number of guide ids; the shared expert is then one for each (S-MoE in
    eMoE)."""

    def __init__(self, dim: int, config: MoEConfig, guides: int = 0, activation: Activation = "silu") -> None:
        super().__init__()
        if guides and not config.shared:
            raise ValueError("guided experts inside an elastic layer stand in for its shared expert: set `shared` to 1 or more")
        self.dim, self.config, self.guides = dim, config, guides
        self.activation: Activation = activation
        hidden = config.shared * config.width
        self.shared: nn.Module | None = None
        if config.shared:
            self.shared = (
                GuidedExperts(guides, dim, hidden, config.dropout, activation)
                if guides
                else FeedForward(dim, hidden, config.dropout, activation)
            )
        self.router = Router(dim, config)
        self.experts = Experts(FeedForward(dim, config.width, config.dropout, activation) for _ in range(config.experts))

    def forward(self, x_BTD: Tensor, route: Route | None = None) -> Tensor:
        """Output of the same shape; the load is appended to `route.loads`. Raises BudgetError if the budget is larger than the
        layer."""
        route = route or Route()
        budget = (route.budget or self.config.full).within(self.config.full)
        x_ND = x_BTD.flatten(0, 1)
        real_N = None if route.real_BT is None else route.real_BT.flatten().float()
        choice = self.router(x_ND, budget, real_N)
        out_BTD = self.experts(x_ND, choice, budget).view_as(x_BTD)
        if self.shared is not None:
            out_BTD = out_BTD + self.shared(x_BTD, route, self.config.shared * budget.width)
        if route.loads is not None:
            route.loads.append(self._load(choice, real_N))
        return out_BTD

    def extract(self, budget: Budget) -> ElasticMoE:
        """A smaller layer of its own that computes what this one does under the budget. Raises BudgetError."""
        small = ElasticMoE(self.dim, cut(self.config, budget), self.guides, self.activation)
        copy_leading(small, self)
        small.to(self.router.gate.weight.device).train(self.training)
        return small

    def can_upcycle(self, dense: FeedForward) -> bool:
        """Whether the layer's sizes allow it to start as this dense one."""
        config = self.config
        even = (config.shared + config.top_k) * config.width == dense.up.out_features and not config.experts % config.top_k
        alike = dense.up.in_features == self.dim and dense.activation == self.activation
        return even and config.scale == config.top_k and config.renormalise and alike

    def upcycle_rule(self, dense: FeedForward) -> str:
        """Which sizes allow the layer to start as this dense one."""
        config, hidden = self.config, dense.up.out_features
        return (
            f"a dense layer of {hidden} hidden units becomes {config.shared} shared and groups of {config.top_k} routed experts of width "
            f"{hidden / (config.shared + config.top_k):g}: set `width` to that, `experts` to a multiple of {config.top_k}, `scale` to "
            f"{config.top_k}, and `renormalise`"
        )

    @torch.no_grad()
    def upcycle(self, dense: FeedForward) -> None:
        """Makes the layer compute what a trained dense one does, before it learns more.

        The dense layer's hidden units are dealt out: the first to the shared expert, the others to `top_k` routed experts, and the same ones
        again to every further group of `top_k`. The gates of a group are alike, so that a frame is always given a whole group, with equal
        weights, which `scale` undoes. Raises ValueError where the sizes do not come out even.
        """
        config, width = self.config, self.config.width
        if not self.can_upcycle(dense):
            raise ValueError(self.upcycle_rule(dense))
        up_PFD, up_PF = dense.up.weight.split(width), dense.up.bias.split(width)
        down_PDF = dense.down.weight.split(width, dim=1)
        if self.shared is not None:
            given = {
                "up.weight": torch.cat(up_PFD[: config.shared]), "up.bias": torch.cat(up_PF[: config.shared]),
                "down.weight": torch.cat(down_PDF[: config.shared], dim=1), "down.bias": dense.down.bias,
            }  # fmt: skip
            for expert in self.shared.experts if isinstance(self.shared, GuidedExperts) else [self.shared]:
                expert.load_state_dict(given)
        for index, expert in enumerate(self.experts):
            part = config.shared + index % config.top_k
            down_D = torch.zeros_like(dense.down.bias) if self.shared is not None else dense.down.bias / config.top_k
            expert.load_state_dict(
                {"up.weight": up_PFD[part], "up.bias": up_PF[part], "down.weight": down_PDF[part], "down.bias": down_D}
            )
        self.router.gate.weight.copy_(self.router.gate.weight[:: config.top_k].repeat_interleave(config.top_k, dim=0))

    def _load(self, choice: RouterOutput, real_N: Tensor | None) -> ExpertLoad:
        """Load over real tokens; the balance loss is f_i * P_i of DeepSeekMoE, equation 12."""
        logits_EN, num_experts = choice.logits_EN, len(choice.logits_EN)
        share_E, balance = shares(choice.expert_NK.t(), num_experts, real_N), None
        if self.config.balance == "loss":
            real_N = torch.ones_like(logits_EN[0]) if real_N is None else real_N
            balance = num_experts * (share_E * (logits_EN.softmax(dim=0) @ real_N / real_N.sum().clamp_min(1))).sum()
        return ExpertLoad(self, share_E, balance)


_Config = TypeVar("_Config", bound=MoEConfig)


def cut(config: _Config, budget: Budget) -> _Config:
    """The config of a layer of that budget. Raises BudgetError."""
    budget = budget.within(config.full)
    return config.model_copy(update={"experts": budget.experts, "top_k": budget.top_k, "width": budget.width})
