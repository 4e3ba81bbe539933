# mypy: allow-untyped-decorators
from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch

from networks import DIM, SWITCHES, VOCABULARY, conditions, config, features, frames, model, tokens
from voxmill.models.common.video_frames import VideoFrames
from voxmill.models.network.budget import Budget, BudgetError
from voxmill.models.network.decoder_cache import DecoderCache
from voxmill.models.network.layers import ElasticConfig, GuidedConfig, upcycle
from voxmill.models.network.model import Conditions, ModelConfig, SpeechModel
from voxmill.models.network.vision import is_vision_parameter

ALL = tuple(SWITCHES)
SETS = [on for size in range(5) for on in combinations(ALL, size)]
"""All sixteen run here; `check_elastic.py` compares in all of them, these tests in each alone and all together."""
ALONE_AND_TOGETHER = [(), *((name,) for name in ALL), ALL]


@pytest.mark.parametrize("on", SETS, ids="+".join)
def test_every_set_of_switches_runs_and_learns_from_every_head(on: tuple[str, ...]) -> None:
    net = model(*on)
    feature_BTM, length_B = features(60, 41)
    outputs = net(feature_BTM, length_B, tokens(2), conditions(2, *on), tokens(2), tokens(2))
    assert outputs.ctc_BTV.shape == (2, 14, VOCABULARY)
    assert outputs.length_B.tolist() == [14, 9]
    assert outputs.backward_BUV is not None
    assert outputs.lattice is not None
    heads = [outputs.ctc_BTV, outputs.forward_BUV, outputs.backward_BUV, *outputs.lattice]
    sum(head.square().mean() for head in heads).backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None]
    assert not [name for name in idle if "experts" not in name]


@pytest.mark.parametrize("on", ALONE_AND_TOGETHER, ids="+".join)
def test_padding_changes_nothing(on: tuple[str, ...]) -> None:
    net, given = model(*on), conditions(2, *on)
    feature_BTM, length_B = features(60, 41)
    together = net(feature_BTM, length_B, tokens(2), given)
    longer = torch.cat([feature_BTM, 9 * torch.ones(2, 30, feature_BTM.shape[2])], dim=1)
    padded = net(longer, length_B, torch.cat([tokens(2), tokens(2)], dim=1), given)
    for row, length in enumerate(together.length_B.tolist()):
        torch.testing.assert_close(padded.ctc_BTV[row, :length], together.ctc_BTV[row, :length], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(padded.forward_BUV[row, :6], together.forward_BUV[row], atol=1e-5, rtol=1e-4)


def test_an_utterance_alone_is_the_utterance_in_a_batch() -> None:
    net, given = model(*ALL), conditions(2, *ALL)
    feature_BTM, length_B = features(60, 41)
    together = net(feature_BTM, length_B, tokens(2), given)
    for row in range(2):
        one = slice(row, row + 1)
        alone = Conditions(
            bandwidth_B=torch.tensor([row % 2]), translates_B=torch.tensor([(row + 1) % 2]),
            active_BK=torch.full((1, 3), bool(row)),
            frames=VideoFrames(frames(0, 3).embedding_BFC[one], torch.tensor([3])) if row else None,
        )  # fmt: skip
        length = int(length_B[row])
        single = net(feature_BTM[one, :length], length_B[one], tokens(2)[one], alone)
        torch.testing.assert_close(single.ctc_BTV[0], together.ctc_BTV[row, : single.ctc_BTV.shape[1]], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(single.forward_BUV[0], together.forward_BUV[row], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("switch", ALL)
def test_a_switch_that_is_off_leaves_the_dense_model(switch: str) -> None:
    """The three others are on and started from the dense model; with nothing to do, they do nothing."""
    others = [name for name in ALL if name not in (switch, "emoe")]
    dense, net = model(seed=1), model(*others)
    upcycle(net, dense)
    feature_BTM, length_B = features(60, 41)
    expected = dense(feature_BTM, length_B, tokens(2), Conditions(), tokens(2))
    actual = net(feature_BTM, length_B, tokens(2), conditions(2, *others, neutral=True), tokens(2))
    for got, wanted in zip(actual[:4], expected[:4], strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


def test_an_elastic_model_begins_as_the_dense_one() -> None:
    elastic = ElasticConfig(experts=6, shared=1, top_k=3, width=8, scale=3, dropout=0, macaron=True)
    dense, net = model(seed=1), model(emoe=elastic)
    assert all("router" in name for name in upcycle(net, dense))
    feature_BTM, length_B = features(60, 41)
    expected = dense(feature_BTM, length_B, tokens(2), Conditions(), tokens(2))
    for experts in (3, 6):
        actual = net(feature_BTM, length_B, tokens(2), Conditions(Budget(experts, 3, 8)), tokens(2))
        for got, wanted in zip(actual[:4], expected[:4], strict=True):
            torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("switch", ["vision", "tasks"])
def test_eyes_and_tasks_with_nothing_to_do_change_no_bit(switch: str) -> None:
    dense, net = model(seed=1), model(switch)
    left = upcycle(net, dense)
    assert left
    feature_BTM, length_B = features(60, 41)
    expected = dense(feature_BTM, length_B, tokens(2), Conditions())
    actual = net(feature_BTM, length_B, tokens(2), conditions(2, switch, neutral=True))
    assert torch.equal(actual.ctc_BTV, expected.ctc_BTV)
    assert torch.equal(actual.forward_BUV, expected.forward_BUV)


def test_training_the_eyes_alone_leaves_sound_alone_as_it_was_to_the_bit() -> None:
    net = model("vision")
    upcycle(net, model(seed=1))
    feature_BTM, length_B = features(60, 41)
    before = net(feature_BTM, length_B, tokens(2), Conditions())
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(is_vision_parameter(name))
    assert 0 < sum(p.requires_grad for p in net.parameters()) < len(list(net.parameters()))
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.1)
    seen_before = net(feature_BTM, length_B, tokens(2), conditions(2, "vision")).ctc_BTV
    seen_before.square().mean().backward()
    optimizer.step()
    after = net(feature_BTM, length_B, tokens(2), Conditions())
    assert torch.equal(after.ctc_BTV, before.ctc_BTV)
    assert not torch.allclose(net(feature_BTM, length_B, tokens(2), conditions(2, "vision")).ctc_BTV, seen_before)


@pytest.mark.parametrize("on", [("emoe",), ALL], ids="+".join)
@pytest.mark.parametrize("budget", [Budget(1, 1, 4), Budget(3, 2, 8), Budget(5, 2, 8)], ids=str)
def test_an_extracted_model_computes_what_the_budget_does(on: tuple[str, ...], budget: Budget) -> None:
    net = model(*on)
    feature_BTM, length_B = features(60, 41)
    big = net(feature_BTM, length_B, tokens(2), conditions(2, *on, budget=budget), tokens(2))
    small = net.extract(budget)(feature_BTM, length_B, tokens(2), conditions(2, *on), tokens(2))
    for got, wanted in zip(small[:4], big[:4], strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_a_smaller_model_is_smaller_and_knows_its_budgets() -> None:
    net = model("emoe")
    small = net.extract(Budget(3, 1, 4))
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in net.parameters())
    assert small.config.emoe is not None
    assert max(small.config.emoe.schedule.budgets()) == Budget(3, 1, 4)
    with pytest.raises(BudgetError, match="larger than the model"):
        small.extract(Budget(5, 1, 4))


def test_streaming_never_looks_past_its_chunk() -> None:
    net = model("vision", "tasks")
    feature_BTM, length_B = features(100)
    changed = feature_BTM.clone()
    changed[:, 60:] = 5.0
    given = conditions(1, "tasks", chunk=4, frames=frames(2))
    before, after = (net.encode(f, length_B, given).frame_BTD for f in (feature_BTM, changed))
    # frame t sees features 4t .. 4t+6; chunk 3 (frames 12 to 15) is the first that sees feature 60
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12:16], after[:, 12:16])
    full = net.encode(feature_BTM, length_B, conditions(1, "tasks", frames=frames(2))).frame_BTD
    assert not torch.allclose(before[:, :12], full[:, :12])


@pytest.mark.parametrize("length", [1, 6, 7])
def test_too_short_an_utterance_has_no_frames_and_breaks_nothing(length: int) -> None:
    net = model(*ALL)
    feature_BTM, length_B = features(length, 2)
    outputs = net(feature_BTM, length_B, tokens(2), conditions(2, *ALL))
    assert outputs.length_B.tolist() == [int(length == 7), 0]
    assert torch.isfinite(outputs.forward_BUV).all()


def test_task_vectors_sum_or_stand_for_combinations() -> None:
    summed, combined = model("tasks"), model(tasks=SWITCHES["tasks"].model_copy(update={"mode": "combination"}))
    assert summed.tasks_early is not None
    assert combined.tasks_early is not None
    table, x = summed.tasks_early.vectors.weight, torch.zeros(1, 1, DIM)
    active = torch.tensor([[True, False, True]])
    torch.testing.assert_close(summed.tasks_early(x, active)[0, 0], table[0] + table[2])
    assert combined.tasks_early.vectors.num_embeddings == 8
    torch.testing.assert_close(combined.tasks_early(x, active)[0, 0], combined.tasks_early.vectors.weight[5])
    every = torch.tensor([[bool(n & 1), bool(n & 2), bool(n & 4)] for n in range(8)])
    assert len(combined.tasks_early(torch.zeros(8, 1, DIM), every)[:, 0].unique(dim=0)) == 8


@pytest.mark.parametrize(("where", "moved"), [("frontend", (True, True)), ("encoder", (False, True)), ("both", (True, True))])
def test_task_vectors_stand_before_the_encoder_after_it_or_at_both(where: Any, moved: tuple[bool, bool]) -> None:
    net = model(tasks=SWITCHES["tasks"].model_copy(update={"where": where}))
    seen: list[torch.Tensor] = []
    net.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    feature_BTM, length_B = features(40)
    out = [
        net.encode(feature_BTM, length_B, conditions(1, active_BK=torch.tensor([[True, on, False]]))) for on in (False, True)
    ]
    difference_BTD = out[1].frame_BTD - out[0].frame_BTD
    assert (bool((seen[0] != seen[1]).any()), bool((difference_BTD != 0).any())) == moved
    if where == "encoder":  # the same vector on every frame
        assert net.tasks_late is not None
        torch.testing.assert_close(difference_BTD[0], net.tasks_late.vectors.weight[1].expand_as(difference_BTD[0]))


def test_a_deeper_model_starts_from_the_layers_that_a_dense_one_has() -> None:
    deeper = model("smoe", encoder=config().encoder.model_copy(update={"layers": 3}))
    left = upcycle(deeper, model(seed=1))
    assert left
    assert all(name.startswith("encoder.layers.2.") for name in left)


def test_a_switch_that_misses_its_condition_says_so() -> None:
    feature_BTM, length_B = features(20)
    for on, message in (("smoe", "guide id"), ("tasks", "which tasks are active")):
        with pytest.raises(ValueError, match=message):
            model(on).encode(feature_BTM, length_B)
    with pytest.raises(ValueError, match="guide token"):
        model(smoe=GuidedConfig(encoder=False, decoder=False)).encode(feature_BTM, length_B)
    with pytest.raises(ValueError, match="without vision"):
        model().encode(feature_BTM, length_B, Conditions(frames=frames(1)))
    with pytest.raises(BudgetError, match="one size"):
        model().encode(feature_BTM, length_B, Conditions(budget=Budget(1, 1, 1)))


def test_a_config_is_read_back_from_its_json_and_refuses_what_it_does_not_know() -> None:
    full = config(*ALL)
    assert ModelConfig.model_validate_json(full.model_dump_json()) == full
    with pytest.raises(ValueError, match="colour"):
        ModelConfig.model_validate({"vocabulary": 10, "colour": "red"})
    with pytest.raises(ValueError, match="shared expert"):
        config("smoe", emoe=SWITCHES["emoe"].model_copy(update={"shared": 0}))


def test_the_default_sizes_are_the_papers() -> None:
    """Section 1.3: an expert a quarter of the dense layer, so that one shared and three routed ones compute as much."""
    base = ModelConfig(vocabulary=100, emoe=SWITCHES["emoe"].__class__())
    assert base.emoe is not None
    assert (base.emoe.shared + base.emoe.top_k) * base.emoe.width == base.encoder.hidden
    with torch.device("meta"):
        layer = SpeechModel(base).encoder.layers[0].feed_forward
    assert sum(p.numel() for p in layer.parameters()) == pytest.approx(4.21e6, rel=0.01)


@torch.no_grad()
def test_a_decoder_that_keeps_what_it_computed_says_the_same() -> None:
    net = model("emoe")
    encoded, cache = net.encode(*features(61, 40)), DecoderCache()
    token_BU = tokens(2)
    parts = [net.decode(part, encoded, cache=cache) for part in token_BU.split([3, 1, 2], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), net.decode(token_BU, encoded), atol=1e-5, rtol=1e-4)
