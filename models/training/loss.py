"""The training loss: a function for each head, and their weighted sum.

Losses are sums over utterances, each with its own weight (labels of a weak tier count less). The trainer divides them by the
number of utterances of all ranks, so that several ranks have the loss that one would have. Shape suffixes: B utterances, T
frames, U tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from voxmill.manifests.config_base import Settings
from voxmill.models.common.tasks import IGNORE, STAR
from voxmill.models.common.tokenizer import BLANK
from voxmill.models.data.batch import Batch
from voxmill.models.network.attention import real_mask
from voxmill.models.network.model import ModelConfig, ModelOutputs
from voxmill.models.network.route import ExpertLoad
from voxmill.models.network.transducer import TransducerLattice, transducer_loss


class LossConfig(Settings):
    """Weights of the losses: those of WeNet's U2++, and ours for heads that it lacks."""

    ctc: float = Field(default=0.3, ge=0, le=1)
    """Weight of CTC; the decoders have the rest, or all where the model has no CTC."""
    backward: float = Field(default=0.3, ge=0, le=1)
    """Of the decoders' weight, the share of the one that predicts the text from its end."""
    smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Label smoothing of the decoders."""
    transducer: float = Field(default=0.5, ge=0)
    """Weight of the transducer's loss, which is added."""
    star: float = Field(default=2.0, ge=0)
    """With `data.example.targets.disputed: skip`: what each frame costs (nats) that CTC gives to words that are not known."""
    balance: float = Field(default=0.01, ge=0)
    """Weight of the experts' balance loss, averaged over layers, which is added once for each token that the decoder learns."""


@dataclass(frozen=True, slots=True)
class Losses:
    """The loss of a batch."""

    total: Tensor
    """Weighted sum of all parts over utterances, a scalar with a gradient."""
    utterances: int
    parts: Mapping[str, Tensor]
    """Loss of each head, summed over weighted utterances, without gradient, for the log."""


def heads_of(config: ModelConfig, balanced: bool) -> tuple[str, ...]:
    """Names of the parts of a model's loss; `balanced`: it has experts with a balance loss."""
    has = {
        "attention": True, "ctc": config.ctc, "backward": config.decoder.backward_layers > 0,
        "transducer": config.transducer is not None, "balance": balanced,
    }  # fmt: skip
    return tuple(name for name, there in has.items() if there)


def speech_loss(outputs: ModelOutputs, batch: Batch, loads: Sequence[ExpertLoad], config: LossConfig) -> Losses:
    """The weighted sum of all heads' losses. `loads`: loads of the experts in the same call, for the balance loss."""
    ctc = config.ctc if outputs.ctc_BTV.shape[-1] else 0.0
    decoders = 1.0 - ctc
    backward = config.backward if outputs.backward_BUV is not None else 0.0
    said = attention_loss(outputs.forward_BUV, batch.said_BU, config.smoothing)
    weighted = {"attention": (decoders * (1 - backward), said)}
    if outputs.ctc_BTV.shape[-1]:
        weighted["ctc"] = (ctc, ctc_loss(outputs.ctc_BTV, outputs.length_B, batch.spoken_BU, batch.num_spoken_B, config.star))
    if outputs.backward_BUV is not None:
        from_end = attention_loss(outputs.backward_BUV, batch.said_backward_BU, config.smoothing)
        weighted["backward"] = (decoders * backward, from_end)
    if outputs.lattice is not None:
        joint = joint_loss(outputs.lattice, outputs.length_B, batch.num_spoken_B)
        weighted["transducer"] = (config.transducer, joint)
    sums = {name: (batch.weight_B * loss_B).sum() for name, (_, loss_B) in weighted.items()}
    total = torch.stack([weight * sums[name] for name, (weight, _) in weighted.items()]).sum()
    if balance := [load.balance for load in loads if load.balance is not None]:
        tokens = (batch.said_BU != IGNORE).sum()  # as the decoder's loss is: a sum over tokens
        sums["balance"] = tokens * torch.stack(balance).mean()
        total = total + config.balance * sums["balance"]
    return Losses(total, len(batch), {name: one.detach() for name, one in sums.items()})


def attention_loss(logits_BUV: Tensor, said_BU: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of each utterance, summed over tokens that are not IGNORE. Shape (B,)."""
    logits_BVU = logits_BUV.float().transpose(1, 2)
    loss_BU = functional.cross_entropy(logits_BVU, said_BU, ignore_index=IGNORE, label_smoothing=smoothing, reduction="none")
    return loss_BU.sum(dim=1)


def ctc_loss(log_BTV: Tensor, length_B: Tensor, spoken_BU: Tensor, num_spoken_B: Tensor, star: float = 0.0) -> Tensor:
    """-log P(spoken | sound) of each utterance, shape (B,); 0 if it has no target or the target does not fit the frames.

    `spoken` may hold stars (`tasks.STAR`), each of which is any sound of one frame or more, at a cost of `star` a frame.
    """
    if (spoken_BU == STAR).any():
        return starred_ctc_loss(log_BTV, length_B, spoken_BU, num_spoken_B, star)
    loss_B = functional.ctc_loss(
        log_BTV.transpose(0, 1), spoken_BU, length_B, num_spoken_B.clamp_min(0),
        blank=BLANK, reduction="none", zero_infinity=True,
    )  # fmt: skip
    return loss_B * (num_spoken_B >= 0)


def starred_ctc_loss(log_BTV: Tensor, length_B: Tensor, spoken_BU: Tensor, num_spoken_B: Tensor, star: float) -> Tensor:
    """`ctc_loss` with stars (after OTC, arXiv 2306.01031, whose stars are single tokens): one more column, of the same number in all frames.

    With it the columns of a frame do not sum to 1, which the gradient of `torch.ctc_loss` takes for granted: the true one is the
    probability of each column in the alignments of the target.
    """
    cost_BT1 = log_BTV.new_full((*log_BTV.shape[:2], 1), -star)
    with torch.enable_grad():
        wide_BTV = torch.cat([log_BTV.detach(), cost_BT1], dim=-1).requires_grad_()
        target_BU = torch.where(spoken_BU == STAR, log_BTV.shape[-1], spoken_BU)
        loss_B = ctc_loss(wide_BTV, length_B, target_BU, num_spoken_B)
        (slope_BTV,) = torch.autograd.grad(loss_B.sum(), wide_BTV)
    fits_B11 = ((num_spoken_B >= 0) & (loss_B.detach() != 0))[:, None, None]
    real_BT1 = real_mask(length_B, log_BTV.shape[1])[..., None]
    posterior_BTV = (wide_BTV.detach().exp() - slope_BTV).masked_fill(~(fits_B11 & real_BT1), 0.0)[..., :-1]
    sloped_B = -(posterior_BTV * log_BTV).sum(dim=(1, 2))
    return loss_B.detach() + sloped_B - sloped_B.detach()


def joint_loss(lattice: TransducerLattice, length_B: Tensor, num_spoken_B: Tensor) -> Tensor:
    """The transducer's loss of each utterance, shape (B,); 0 if it has no target or no frame."""
    (row_R,) = torch.where((num_spoken_B >= 0) & (length_B > 0))
    loss_B = lattice.blank_BTW.new_zeros(len(length_B))
    if not len(row_R):
        return loss_B
    frames_R, tokens_R = length_B[row_R], num_spoken_B[row_R]
    frames, tokens = int(frames_R.max()), int(tokens_R.max())
    part = TransducerLattice(lattice.blank_BTW[row_R, :frames, : tokens + 1], lattice.said_BTU[row_R, :frames, :tokens])
    return loss_B.index_add(0, row_R, transducer_loss(part, frames_R, tokens_R))
