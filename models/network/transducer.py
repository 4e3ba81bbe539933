"""A transducer head (Graves, arXiv 1211.3711) with a stateless predictor, and its loss.

Shape suffixes: B utterances, T frames, U target tokens, W = U + 1, D model width, J joiner width, V vocabulary.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from voxmill.manifests.config_base import Settings
from voxmill.models.common.tokenizer import BLANK

MOST_LOGITS = 1 << 24
"""Most logits of a lattice that are computed at a time (64 MiB in float32), unless those of a single frame are more."""


class TransducerConfig(Settings):
    """A transducer head beside CTC and the decoders, for streaming."""

    dim: int = 512
    """Width of the predictor."""
    joiner: int = 512
    """Width of the joiner."""
    context: int = 2
    """Past tokens that the predictor sees."""


class TransducerLattice(NamedTuple):
    """Log probabilities of the two ways on from each place of a transducer: to the next frame, or to the next token of the target."""

    blank_BTW: Tensor
    """Of a blank in a frame after each prefix."""
    said_BTU: Tensor
    """Of the target's next token in a frame after each prefix but the whole."""


class Predictor(nn.Module):
    """A stateless predictor as in icefall: an embedding and a convolution over the last `context` tokens."""

    def __init__(self, vocabulary: int, config: TransducerConfig) -> None:
        super().__init__()
        self.context = config.context
        self.embed = nn.Embedding(vocabulary, config.dim)
        self.mix = nn.Conv1d(config.dim, config.dim, config.context, groups=max(1, config.dim // 4), bias=False)

    def forward(self, token_BU: Tensor) -> Tensor:
        """States before the first token and after each, shape (B, W, D). Blanks stand for tokens before the first."""
        padded = functional.pad(token_BU, (self.context, 0), value=BLANK)
        mixed: Tensor = self.mix(self.embed(padded).transpose(1, 2)).transpose(1, 2)
        return functional.relu(mixed)


class Transducer(nn.Module):
    """Predictor and joiner."""

    def __init__(self, vocabulary: int, dim: int, config: TransducerConfig) -> None:
        super().__init__()
        self.predictor = Predictor(vocabulary, config)
        self.sound = nn.Linear(dim, config.joiner)
        self.past = nn.Linear(config.dim, config.joiner)
        self.out = nn.Linear(config.joiner, vocabulary)

    def forward(self, frame_BTD: Tensor, token_BU: Tensor) -> Tensor:
        """Logits at every frame after every prefix of the target, shape (B, T, W, V)."""
        return self.join(frame_BTD, self.predictor(token_BU))

    def join(self, frame_BTD: Tensor, expected_BWD: Tensor) -> Tensor:
        """Logits of every frame (B, T) with every predictor state (B, W), shape (B, T, W, V)."""
        both_BTWJ = self.sound(frame_BTD)[:, :, None] + self.past(expected_BWD)[:, None]
        logits_BTWV: Tensor = self.out(torch.tanh(both_BTWJ))
        return logits_BTWV

    def lattice(self, frame_BTD: Tensor, token_BU: Tensor) -> TransducerLattice:
        """What a loss reads of `forward`, in a fraction of its memory: a few frames are computed at a time, and once more for the gradient."""
        expected_BWD = self.predictor(token_BU)
        next_BW = functional.pad(token_BU, (0, 1), value=BLANK)
        frames = max(1, MOST_LOGITS // (next_BW.numel() * self.out.out_features))
        parts = [
            checkpoint(self._ways_on, part_BTD, expected_BWD, next_BW, use_reentrant=False)
            for part_BTD in frame_BTD.split(frames, dim=1)
        ]
        blank_BTW, said_BTW = torch.cat(parts, dim=2)
        return TransducerLattice(blank_BTW, said_BTW[..., :-1])

    def _ways_on(self, frame_BTD: Tensor, expected_BWD: Tensor, next_BW: Tensor) -> Tensor:
        """Log probabilities of a blank and of the next token, shape (2, B, T, W)."""
        logits_BTWV = self.join(frame_BTD, expected_BWD).float()
        next_BTW1 = next_BW[:, None, :, None].expand(-1, frame_BTD.shape[1], -1, 1)
        both_2BTW = torch.stack([logits_BTWV[..., BLANK], logits_BTWV.gather(-1, next_BTW1)[..., 0]])
        return both_2BTW - logits_BTWV.logsumexp(dim=-1)


def transducer_loss(lattice: TransducerLattice, frames_B: Tensor, tokens_B: Tensor) -> Tensor:
    """-log P(tokens | sound) of each utterance, shape (B), by torchaudio if it is installed, else by `reference_loss`.

    Every utterance needs at least one frame.
    """
    rnnt_loss = _torchaudio_loss()
    if rnnt_loss is None:
        return reference_loss(lattice, frames_B, tokens_B)
    log_BTW2 = torch.stack([lattice.blank_BTW, functional.pad(lattice.said_BTU, (0, 1))], dim=-1)
    said_BU = torch.ones_like(lattice.said_BTU[:, 0], dtype=torch.int32)  # of the two ways on, always the second
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rnnt_loss has been deprecated")  # known: hence the reference below
        loss_B: Tensor = rnnt_loss(
            log_BTW2, said_BU, frames_B.int(), tokens_B.int(), blank=0, reduction="none", fused_log_softmax=False
        )
    return loss_B


def reference_loss(lattice: TransducerLattice, frames_B: Tensor, tokens_B: Tensor) -> Tensor:
    """The transducer loss by its definition: alpha(t, u) is the log probability to have said u tokens on reaching frame t.

    alpha(t, u) = logaddexp(alpha(t - 1, u) + blank(t - 1, u), alpha(t, u - 1) + token(t, u - 1)). Along u that recursion is a
    cumulative sum of token(t, .) with a cumulative logaddexp inside, so that only frames are looped over.
    """
    blank_BTW = lattice.blank_BTW.double()
    along_BTW = functional.pad(lattice.said_BTU.double().cumsum(dim=2), (1, 0))
    alpha_BW = along_BTW[:, 0]
    rows = [alpha_BW]
    for t in range(1, blank_BTW.shape[1]):
        from_left_BW = alpha_BW + blank_BTW[:, t - 1]
        alpha_BW = along_BTW[:, t] + (from_left_BW - along_BTW[:, t]).logcumsumexp(dim=1)
        rows.append(alpha_BW)
    utterance_B = torch.arange(len(frames_B), device=frames_B.device)
    last = (utterance_B, frames_B.long() - 1, tokens_B.long())
    return -(torch.stack(rows, dim=1)[last] + blank_BTW[last]).to(lattice.blank_BTW.dtype)


def _torchaudio_loss() -> Any:
    try:
        from torchaudio.functional import rnnt_loss
    except ImportError:  # not installed, or a version without it
        return None
    return rnnt_loss
