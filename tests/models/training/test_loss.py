from __future__ import annotations

from dataclasses import replace
from itertools import groupby, product
from typing import Any

import pytest
import torch

from networks import MELS, SWITCHES, model
from voxmill.manifests.records import Annotation, Labels, Mark
from voxmill.models.common.seeds import seeded
from voxmill.models.common.tasks import IGNORE, STAR
from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.data.batch import Batch, Example, collate
from voxmill.models.data.targets import LabelledUtterance, TargetsConfig, make_target
from voxmill.models.network.model import SpeechModel
from voxmill.models.network.route import ExpertLoad
from voxmill.models.network.transducer import TransducerConfig, TransducerLattice
from voxmill.models.training.forward import conditions_of, forward
from voxmill.models.training.loss import LossConfig, Losses, attention_loss, ctc_loss, joint_loss, speech_loss
from voxmill.models.training.recipe import Recipe

TOKENS = Tokenizer.train(["hello there hi"], TokenizerConfig(num_subwords=270))
STYLE = TargetsConfig(tasks=("asr", "language"), translate=1)


def example(key: str, text: str | None, *, frames: int = 60, weight: float = 1.0, **labels: Any) -> Example:
    target = make_target(LabelledUtterance(text, Labels(key, **labels)), TOKENS, STYLE, seeded(key))
    return Example(key, torch.randn(frames, MELS, generator=seeded(key)), "wide", target, weight)


def net(*on: str, **changes: Any) -> SpeechModel:
    return model(*on, vocabulary=len(TOKENS), **changes)


def loss_of(model: SpeechModel, batch: Batch, **changes: Any) -> Losses:
    loads: list[ExpertLoad] = []
    outputs = forward(model, batch, conditions_of(batch, model.config, loads=loads))
    return speech_loss(outputs, batch, loads, LossConfig(**changes))


def test_the_total_is_the_weighted_sum_of_its_parts() -> None:
    config = LossConfig(ctc=0.4, backward=0.25, transducer=0.5, balance=0.1)
    by_loss = SWITCHES["emoe"].model_copy(update={"balance": "loss"})
    batch = collate([example("a", "hello hi")], TOKENS)
    losses = loss_of(net(emoe=by_loss, transducer=TransducerConfig(dim=8, joiner=8)), batch, **config.model_dump())
    parts = losses.parts
    expected = 0.6 * (0.75 * parts["attention"] + 0.25 * parts["backward"]) + 0.4 * parts["ctc"]
    expected = expected + 0.5 * parts["transducer"] + 0.1 * parts["balance"]
    torch.testing.assert_close(losses.total.detach(), expected)
    assert all(part > 0 for part in parts.values())
    assert float(parts["balance"]) >= 0.99 * int((batch.said_BU != IGNORE).sum())  # at least 1 for each token


def test_a_batch_is_the_sum_of_its_utterances() -> None:
    speech = net()
    examples = [example("a", "hello hi", frames=90), example("b", "hi", weight=0.3), example("c", None, language=said("en"))]
    together = loss_of(speech, collate(examples, TOKENS))
    alone = [loss_of(speech, collate([one], TOKENS)) for one in examples]
    torch.testing.assert_close(together.total, torch.stack([one.total for one in alone]).sum(), rtol=1e-5, atol=1e-4)
    assert together.utterances == 3


def test_a_weak_label_counts_less_and_no_label_not_at_all() -> None:
    speech = net()
    full, weak, none = (loss_of(speech, collate([example("a", "hi", weight=w)], TOKENS)).total for w in (1.0, 0.25, 0.0))
    torch.testing.assert_close(weak, 0.25 * full)
    assert float(none.detach()) == 0


def said(*values: str) -> Annotation:
    return Annotation(tuple(map(Mark, values)), "somebody")


def test_missing_labels_teach_nothing_and_labelled_empty_does() -> None:
    speech = net()
    for text, heads in ((None, {"attention": False, "ctc": False}), ("", {"attention": True, "ctc": True})):
        parts = loss_of(speech, collate([example("a", text)], TOKENS)).parts
        assert {name: bool(parts[name] > 0) for name in heads} == heads
    labelled = loss_of(speech, collate([example("a", None, language=said("en"))], TOKENS)).parts
    assert labelled["attention"] > 0
    assert labelled["ctc"] == 0


def test_a_translation_has_no_ctc_on_the_target_language() -> None:
    spanish = Annotation((Mark("hola", language="es"),), "somebody")
    speech = net()
    without = loss_of(speech, collate([example("a", None, translation=spanish)], TOKENS)).parts
    assert (without["ctc"] == 0, bool(without["attention"] > 0)) == (True, True)
    with_source = collate([example("a", "hello", translation=spanish)], TOKENS)
    assert TOKENS.decode(with_source.spoken_BU[0].tolist()) == "hello"
    assert TOKENS.decode([t for t in with_source.said_BU[0].tolist() if t != IGNORE]) == "hola"
    assert with_source.translates_B.tolist() == [1]


def test_the_heads_are_torchs_own_where_all_is_there() -> None:
    log = torch.randn(2, 9, 7, generator=seeded(1)).log_softmax(-1)
    spoken, frames, lengths = torch.tensor([[1, 2, 3], [4, 4, 0]]), torch.tensor([9, 6]), torch.tensor([3, 2])
    expected = torch.nn.functional.ctc_loss(log.transpose(0, 1), spoken, frames, lengths, reduction="none")
    torch.testing.assert_close(ctc_loss(log, frames, spoken, lengths), expected)
    assert ctc_loss(log, frames, spoken, torch.tensor([-1, 2]))[0] == 0
    blank, said = (-torch.rand(2, 9, width, generator=seeded(width)) for width in (4, 3))
    silent = joint_loss(TransducerLattice(blank, said), torch.tensor([9, 0]), torch.tensor([-1, 2]))
    assert silent.tolist() == [0, 0]
    one = joint_loss(TransducerLattice(blank, said), frames, torch.tensor([-1, 2]))
    alone = TransducerLattice(blank[1:, :6, :3], said[1:, :6, :2])
    torch.testing.assert_close(one[1], joint_loss(alone, frames[1:], lengths[1:])[0])


def test_a_text_that_does_not_fit_its_frames_is_not_infinite() -> None:
    log = torch.zeros(1, 2, 5).log_softmax(-1)
    assert ctc_loss(log, torch.tensor([2]), torch.tensor([[1, 2, 3]]), torch.tensor([3])).tolist() == [0]


def test_smoothing_spreads_a_share_over_all() -> None:
    logits, said_BU = torch.randn(1, 3, 5, generator=seeded(1)), torch.tensor([[2, IGNORE, 4]])
    log = logits.log_softmax(-1)[0]
    by_hand = torch.stack([-(0.9 * log[u, t] + 0.1 * log[u].mean()) for u, t in ((0, 2), (2, 4))]).sum()
    torch.testing.assert_close(attention_loss(logits, said_BU, 0.1), by_hand[None])


def test_a_batch_of_none_is_a_loss_of_none() -> None:
    empty = collate([], TOKENS, {"audio": 2})
    assert (len(empty), empty.skipped, empty.read_BU.shape) == (0, {"audio": 2}, (0, 0))


def test_balance_counts_only_where_a_layer_wants_it() -> None:
    by_bias = SWITCHES["emoe"].model_copy(update={"balance": "bias"})
    assert "balance" not in loss_of(net(emoe=by_bias), collate([example("a", "hi")], TOKENS)).parts


def test_frames_are_padded_and_absent_where_nobody_has_any() -> None:
    blind, seeing = example("a", "hi"), replace(example("b", "hi"), frame_FC=torch.ones(2, 6))
    assert collate([blind], TOKENS).frames is None
    both = collate([blind, seeing], TOKENS).frames
    assert both is not None
    assert (tuple(both.embedding_BFC.shape), both.number_B.tolist()) == ((2, 2, 6), [0, 2])


def test_moving_a_batch_moves_all_of_it() -> None:
    batch = collate([replace(example("b", "hi"), frame_FC=torch.ones(2, 6))], TOKENS).to("meta")
    assert {t.device.type for t in (batch.feature_BTM, batch.said_BU, batch.weight_B)} == {"meta"}
    assert batch.frames is not None
    assert batch.frames.number_B.device.type == "meta"
    assert batch.keys == ("b",)


@pytest.mark.parametrize("switch", sorted(SWITCHES))
def test_every_switch_gets_its_condition_from_the_batch(switch: str) -> None:
    losses = loss_of(net(switch), collate([example("a", "hi"), example("b", "hello")], TOKENS))
    assert torch.isfinite(losses.total)


def by_enumeration(log_TV: torch.Tensor, target: tuple[int, ...], star: float) -> torch.Tensor:
    """CTC's loss as its definition says: the sum over all paths that collapse to the target. The last token is the star."""
    most = log_TV.shape[1]
    wide_TV = torch.cat([log_TV, log_TV.new_full((len(log_TV), 1), -star)], dim=1)
    total = []
    for path in product(range(most + 1), repeat=len(log_TV)):
        if tuple(token for token, _ in groupby(path) if token) == target:
            total.append(torch.stack([wide_TV[frame, token] for frame, token in enumerate(path)]).sum())
    return -torch.logsumexp(torch.stack(total), dim=0)


def test_a_star_is_any_sound_of_a_frame_or_more() -> None:
    logits_BTV = torch.randn(3, 5, 4, generator=seeded("star"), dtype=torch.float64).requires_grad_()
    spoken_BU = torch.tensor([[STAR, 2, 0], [1, STAR, 3], [1, 2, 0]])
    length_B, num_spoken_B = torch.tensor([5, 4, 5]), torch.tensor([2, 3, 2])
    ours_B = ctc_loss(logits_BTV.log_softmax(dim=-1), length_B, spoken_BU, num_spoken_B, star=0.7)
    (ours,) = torch.autograd.grad((ours_B * torch.tensor([1.0, 2.0, 3.0])).sum(), logits_BTV)
    targets = [(4, 2), (1, 4, 3), (1, 2)]
    log_BTV = logits_BTV.log_softmax(dim=-1)
    theirs_B = torch.stack([by_enumeration(log_BTV[row, : length_B[row]], target, 0.7) for row, target in enumerate(targets)])
    (theirs,) = torch.autograd.grad((theirs_B * torch.tensor([1.0, 2.0, 3.0])).sum(), logits_BTV)
    torch.testing.assert_close(ours_B, theirs_B)
    torch.testing.assert_close(ours, theirs)


def test_a_star_that_does_not_fit_and_no_target_teach_nothing() -> None:
    logits_BTV = torch.randn(2, 3, 4, generator=seeded("short")).requires_grad_()
    spoken_BU = torch.tensor([[1, STAR, 2, 3], [STAR, 0, 0, 0]])
    loss_B = ctc_loss(logits_BTV.log_softmax(dim=-1), torch.tensor([3, 3]), spoken_BU, torch.tensor([4, -1]), star=1.0)
    loss_B.sum().backward()
    assert loss_B.tolist() == [0, 0]
    assert logits_BTV.grad is not None
    assert not logits_BTV.grad.any()


def test_what_stands_at_a_star_is_not_learnt() -> None:
    log_BTV = torch.tensor([[[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.9, 0.05, 0.05]]]).log().requires_grad_()
    loss_B = ctc_loss(log_BTV, torch.tensor([3]), torch.tensor([[STAR, 2]]), torch.tensor([2]), star=0.0)
    (slope,) = torch.autograd.grad(loss_B.sum(), log_BTV)
    learnt, unknown = -slope[0, :, 2], -slope[0, 0, 1]
    assert float(unknown) == pytest.approx(0, abs=1e-6)  # the first frame says something, and nobody is told what
    assert float(learnt.sum()) > 0.99


def test_a_transducer_knows_no_star() -> None:
    asked: dict[str, Any] = {"model": {"transducer": {}}, "data": {"example": {"targets": {"disputed": "skip"}}}}
    with pytest.raises(ValueError, match="a transducer cannot skip words"):
        Recipe.model_validate(asked)
    assert Recipe.model_validate({**asked, "model": {}}).data.example.targets.disputed == "skip"
