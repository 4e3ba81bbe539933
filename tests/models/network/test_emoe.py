from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from voxmill.models.network.activation import Activation
from voxmill.models.network.budget import Budget, BudgetError
from voxmill.models.network.emoe import ElasticMoE, Experts, MoEConfig
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.grouped_mlp import grouped_mlp
from voxmill.models.network.route import ExpertLoad, Route
from voxmill.models.network.smoe import GuidedExperts

DIM = 12
CONFIG = MoEConfig(experts=5, shared=1, top_k=2, width=8, dropout=0)


def layer(guides: int = 0, **changes: Any) -> ElasticMoE:
    torch.manual_seed(0)
    made = ElasticMoE(DIM, CONFIG.model_copy(update=changes), guides)
    torch.nn.init.normal_(made.router.gate.weight)  # decided enough to be told apart from an even gate
    made.eval()
    return made


def sound(batch: int = 2, length: int = 7) -> Tensor:
    return torch.randn(batch, length, DIM, generator=torch.Generator().manual_seed(1))


budgets = st.builds(Budget, st.integers(1, 5), st.integers(1, 2), st.integers(1, 8))


def balance(load: ExpertLoad) -> Tensor:
    assert load.balance is not None
    return load.balance


@settings(max_examples=40, deadline=None)
@given(budget=budgets, shared=st.sampled_from([0, 1, 2]), guides=st.sampled_from([0, 2]))
def test_an_extracted_layer_computes_what_the_budget_does(budget: Budget, shared: int, guides: int) -> None:
    big = layer(guides if shared else 0, shared=shared)
    route = Route(budget, guide_B=torch.tensor([1, 0]))
    small = big.extract(budget)
    torch.testing.assert_close(small(sound(), Route(guide_B=route.guide_B)), big(sound(), route), atol=1e-6, rtol=1e-5)
    assert small.config.full == budget.within(CONFIG.full)


@settings(max_examples=20, deadline=None)
@given(budget=budgets)
@pytest.mark.parametrize("way", ["in_turn", "side_by_side"])
def test_sorted_groups_equal_the_plain_loop(way: str, budget: Budget) -> None:
    big, x_ND = layer(), sound().flatten(0, 1).requires_grad_()
    budget = budget.within(CONFIG.full)
    choice = big.router(x_ND, budget)
    sizes = choice.expert_NK.flatten().bincount(minlength=budget.experts).tolist()
    outs = getattr(big.experts, way)(x_ND, choice, budget, sizes), big.experts.one_by_one(x_ND, choice, budget)
    torch.testing.assert_close(*outs)
    learnt = [x_ND, big.router.gate.weight, *(p for expert in big.experts[: budget.experts] for p in expert.parameters())]
    for grouped, plain in zip(
        *(torch.autograd.grad(out.square().sum(), learnt, retain_graph=True) for out in outs), strict=True
    ):
        torch.testing.assert_close(grouped, plain)


@pytest.mark.parametrize(("dropout", "activation"), [(0.0, "silu"), (0.5, "silu"), (0.0, "gelu"), (0.5, "relu")])
def test_written_out_gradients_are_the_numerical_ones(dropout: float, activation: Activation) -> None:
    big = layer(dropout=dropout).double()
    x_ND, budget = sound(1, 6).flatten(0, 1).double().requires_grad_(), Budget(4, 2, 5)
    choice = big.router(x_ND.detach(), budget)
    order_P = choice.expert_NK.flatten().argsort(stable=True)
    sizes = choice.expert_NK.flatten().bincount(minlength=budget.experts).tolist()
    parts = [part.detach().requires_grad_() for expert in big.experts[: budget.experts] for part in expert.part(budget.width)]

    def function(x_ND: Tensor, weight_NK: Tensor, *parts: Tensor) -> Tensor:
        torch.manual_seed(0)  # the same units every time
        return grouped_mlp(x_ND, order_P, weight_NK, sizes, list(batched(parts, 4)), dropout, activation)

    assert torch.autograd.gradcheck(function, (x_ND, choice.weight_NK.detach().double().requires_grad_(), *parts))


def batched(parts: Sequence[Tensor], size: int) -> Iterator[Sequence[Tensor]]:
    yield from (parts[start : start + size] for start in range(0, len(parts), size))


def test_dropout_leaves_the_mean_as_it_is_and_acts_in_training_only() -> None:
    big = layer(dropout=0.5, balance="none")
    still, x = big(sound()), sound().expand(4000, 2, 7, DIM).flatten(0, 1)
    big.train()
    moved = big(x).unflatten(0, (4000, 2))
    assert not torch.allclose(moved[0], moved[1])
    torch.testing.assert_close(moved.mean(dim=0), still, atol=0.02, rtol=0)


def test_frozen_experts_pass_the_gradient_on() -> None:
    free, frozen = layer(), layer()
    frozen.experts.requires_grad_(False)
    grads = []
    for one in (free, frozen):
        x = sound().requires_grad_()
        one(x).square().sum().backward()
        grads.append(x.grad)
    torch.testing.assert_close(*grads)
    assert not any(p.grad is not None for p in frozen.experts.parameters())


def test_no_tokens_are_no_trouble() -> None:
    big, x = layer(), torch.zeros(0, 3, DIM, requires_grad=True)
    out = big(x)
    out.sum().backward()
    assert out.shape == (0, 3, DIM)


def test_autocast_computes_in_half_precision_and_learns_in_full() -> None:
    big, x = layer(), sound()
    with torch.autocast("cpu", torch.bfloat16):
        out = big(x)
    torch.testing.assert_close(out.float(), big(x), atol=0.05, rtol=0.05)
    out.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in big.experts.parameters())


@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("length", [1, 20])
def test_a_gradient_that_is_one_number_everywhere(top_k: int, length: int) -> None:
    """Of a sum: no row of it has memory of its own."""
    big, x_ND = layer(top_k=top_k), sound(1, length).flatten(0, 1)
    found = []
    for way in (big.experts, big.experts.one_by_one):
        x = x_ND.clone().requires_grad_()
        way(x, big.router(x, big.config.full), big.config.full).sum().backward()
        found.append(x.grad)
    torch.testing.assert_close(*found)


def test_one_expert_is_a_feed_forward_layer() -> None:
    alone = layer(experts=1, shared=0, top_k=1)
    torch.testing.assert_close(alone(sound()), alone.experts[0](sound()))


def test_shared_experts_are_added() -> None:
    big = layer(shared=2)
    assert isinstance(big.shared, FeedForward)
    assert big.shared.up.out_features == 16
    without = big(sound()) - big.shared(sound())
    big.shared = None
    torch.testing.assert_close(without, big(sound()))


def test_experts_outside_the_budget_get_no_gradient_and_all_inside_get_one() -> None:
    big = layer(balance="loss")
    loads: list[ExpertLoad] = []
    out = big(sound(4, 50), Route(Budget(3, 2, 4), loads=loads))
    (out.square().mean() + balance(loads[0])).backward()
    for index, expert in enumerate(big.experts):
        gradients = [p.grad for p in expert.parameters()]
        assert all(g is not None for g in gradients) if index < 3 else not any(g is not None for g in gradients)
    inside, gate = big.experts[0].up.weight.grad, big.router.gate.weight.grad
    assert inside[:4].any()
    assert not inside[4:].any()
    assert gate[:3].any()
    assert not gate[3:].any()


def test_a_frame_does_not_depend_on_its_neighbours() -> None:
    big, x = layer(), sound()
    longer = torch.cat([x, 100 * torch.ones(2, 3, DIM)], dim=1)
    torch.testing.assert_close(big(longer)[:, :7], big(x))


def test_weights_sum_to_one_or_are_the_probabilities() -> None:
    x_ND = sound().flatten(0, 1)
    normal, raw = (layer(renormalise=flag, balance="none").router(x_ND, CONFIG.full) for flag in (True, False))
    torch.testing.assert_close(normal.weight_NK.sum(-1), torch.ones(14))
    torch.testing.assert_close(raw.weight_NK, raw.logits_EN.softmax(dim=0).t().gather(-1, raw.expert_NK))


def test_the_softmax_is_over_the_budgets_experts_only() -> None:
    big, x_ND = layer(renormalise=False, top_k=3), sound().flatten(0, 1)
    choice = big.router(x_ND, Budget(3, 3, 8))
    assert choice.logits_EN.shape == (3, 14)
    torch.testing.assert_close(choice.weight_NK.sum(-1), torch.ones(14))


def test_balance_is_one_where_all_are_alike_and_as_many_as_experts_where_one_takes_all() -> None:
    even, one = layer(top_k=1, balance="loss"), layer(top_k=1, balance="loss")
    torch.nn.init.zeros_(one.router.gate.weight)
    one.router.gate.weight.data[0] = 100.0
    loads: list[ExpertLoad] = []
    one(torch.ones(1, 20, DIM), Route(loads=loads))
    assert float(balance(loads[0]).detach()) == pytest.approx(5, rel=1e-3)
    torch.nn.init.normal_(even.router.gate.weight, std=1e-4)
    even(torch.randn(8, 400, DIM, generator=torch.Generator().manual_seed(2)), Route(loads=loads))
    assert float(balance(loads[1]).detach()) == pytest.approx(1, abs=0.01)
    assert loads[1].layer is even


def test_padding_is_not_counted() -> None:
    big, x = layer(balance="loss"), sound()
    loads: list[ExpertLoad] = []
    big(x, Route(loads=loads))
    padded = torch.cat([x, torch.ones(2, 30, DIM)], dim=1)
    big(padded, Route(loads=loads, real_BT=torch.arange(37)[None].expand(2, -1) < 7))
    torch.testing.assert_close(loads[0].share_E, loads[1].share_E)
    torch.testing.assert_close(loads[0].balance, loads[1].balance)


@pytest.mark.parametrize("experts", [4, 5])
def test_experts_are_chosen_alike_where_all_frames_have_most_in_common(experts: int) -> None:
    """Ten times as much in common as apart, and parts of very different size: without balancing two experts take all frames."""
    x_ND = torch.cat([10 + sound(4, 50), 10 + 0.1 * sound(4, 50)]).flatten(0, 1)
    budget = Budget(experts, 2, 8)
    alone = layer(balance="none").router(x_ND, budget)
    assert float(shares(alone.expert_NK).max()) * experts > 0.95 * experts / 2
    big = layer().train()
    assert big.router.balancer is not None
    for _ in range(100):
        loads: list[ExpertLoad] = []
        big(x_ND[None], Route(budget, loads=loads))
        big.router.balancer.lean(loads[0].share_E, 0.02)
    assert float(loads[0].share_E.max()) * experts < 1.2
    assert not big.router.balancer.bias_MM[: experts - 1].any()  # other budgets have statistics of their own
    torch.testing.assert_close(big.router(x_ND, budget).logits_EN, alone.logits_EN)


def test_a_settled_router_spreads_frames_that_it_was_not_settled_on() -> None:
    frames_ND = torch.cat([10 + sound(4, 500), 10 + 0.1 * sound(4, 500)]).flatten(0, 1)[torch.arange(4000) * 37 % 4000]
    big, padded, budget = layer().eval(), layer().eval(), Budget(5, 2, 8)
    assert big.router.balancer is not None
    assert padded.router.balancer is not None
    big.router.balancer.settling = padded.router.balancer.settling = True
    big(frames_ND[None, :2000], Route(budget))
    real_BT = torch.arange(3000)[None] < 2000
    padded(frames_ND[None, :3000].masked_fill(~real_BT[..., None], 100.0), Route(budget, real_BT=real_BT))
    torch.testing.assert_close(
        big.router.balancer.state_dict(), padded.router.balancer.state_dict(), rtol=1e-3, atol=1e-3
    )  # other shapes, other order of sums: on some CPUs the small steps differ at the fifth decimal
    big.router.balancer.settling = False
    loads: list[ExpertLoad] = []
    big(frames_ND[None, 2000:], Route(budget, loads=loads))
    assert float(loads[0].share_E.max()) * 5 < 1.2
    assert not big.router.balancer.bias_MM[:4].any()  # other budgets have statistics of their own


def test_the_bias_moves_the_choice_and_not_the_weights() -> None:
    big, x_ND = layer(top_k=5), sound(4, 50).flatten(0, 1)
    before = big.router(x_ND, Budget(5, 5, 8))
    assert big.router.balancer is not None
    big.router.balancer.bias_MM += torch.arange(5.0)
    after = big.router(x_ND, Budget(5, 5, 8))
    assert not torch.equal(after.expert_NK, before.expert_NK)
    for one, other in zip(before.weight_NK.sort().values, after.weight_NK.sort().values, strict=True):
        torch.testing.assert_close(one, other)


def shares(expert_NK: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(expert_NK).float().mean(dim=(0, 1))


def test_guided_experts_go_by_the_guide_alone() -> None:
    torch.manual_seed(0)
    guided = GuidedExperts(2, DIM, 8)
    x, guide = sound(3), torch.tensor([1, 0, 1])
    out = guided(x, Route(guide_B=guide))
    for row in range(3):
        torch.testing.assert_close(out[row], guided.experts[int(guide[row])](x[row]))
    with pytest.raises(ValueError, match="need a guide id"):
        guided(x, Route())
    with pytest.raises(ValueError, match="0 to 1, not"):
        guided(x, Route(guide_B=torch.tensor([1, 0, 2])))


def test_upcycled_guided_experts_are_the_dense_layer() -> None:
    torch.manual_seed(0)
    dense, guided = FeedForward(DIM, 8), GuidedExperts(2, DIM, 8)
    guided.upcycle(dense)
    torch.testing.assert_close(guided(sound(), Route(guide_B=torch.tensor([0, 1]))), dense(sound()))
    assert guided.experts[0].up.weight is not guided.experts[1].up.weight


def test_guides_inside_an_elastic_layer_stand_in_for_the_shared_expert() -> None:
    big = layer(guides=2)
    zero, one = (big(sound(), Route(guide_B=torch.full((2,), guide))) for guide in (0, 1))
    assert not torch.allclose(zero, one)
    with pytest.raises(ValueError, match="set `shared`"):
        layer(guides=2, shared=0)


def test_a_budget_larger_than_the_layer_is_refused() -> None:
    with pytest.raises(BudgetError, match="larger than the model"):
        layer()(sound(), Route(Budget(6, 2, 8)))


def test_half_precision_keeps_its_type() -> None:
    assert layer().bfloat16()(sound().bfloat16()).dtype == torch.bfloat16
    assert isinstance(layer().experts, Experts)


@pytest.mark.parametrize("activation", ["silu", "gelu", "relu"])
@pytest.mark.parametrize(("shared", "top_k", "guides"), [(1, 3, 0), (0, 2, 0), (2, 2, 0), (1, 3, 2)])
def test_an_upcycled_layer_computes_what_the_dense_one_did(
    shared: int, top_k: int, guides: int, activation: Activation
) -> None:
    torch.manual_seed(0)
    dense = FeedForward(DIM, 4 * (shared + top_k), activation=activation)
    config = MoEConfig(experts=3 * top_k, shared=shared, top_k=top_k, width=4, dropout=0, scale=top_k)
    elastic = ElasticMoE(DIM, config, guides, activation)
    elastic.upcycle(dense)
    x_BTD, guide_B = sound(2, 40), torch.tensor([1, 0])
    for training in (True, False):
        elastic.train(training)
        for experts in (top_k, 2 * top_k, 3 * top_k):
            loads: list[ExpertLoad] = []
            out_BTD = elastic(x_BTD, Route(Budget(experts, top_k, 4), guide_B, loads=loads))
            torch.testing.assert_close(out_BTD, dense(x_BTD), atol=1e-5, rtol=1e-5)
    assert len(loads[0].share_E[loads[0].share_E > 0]) > top_k  # not one group for all frames


@pytest.mark.parametrize("changes", [{"width": 5}, {"experts": 4}, {"scale": 1.0}, {"renormalise": False}])
def test_what_cannot_be_upcycled_says_what_to_set(changes: dict[str, Any]) -> None:
    fits = MoEConfig(experts=6, shared=1, top_k=3, width=4, scale=3)
    with pytest.raises(ValueError, match="set `width` to that"):
        ElasticMoE(DIM, fits.model_copy(update=changes)).upcycle(FeedForward(DIM, 16))
