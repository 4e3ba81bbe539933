"""What a call tells the feed-forward layers besides their input, and what layers with experts report back.

Shape suffixes: B utterances, T positions, E experts of the budget.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from voxmill.models.network.budget import Budget


@dataclass(frozen=True, slots=True, eq=False)
class ExpertLoad:
    """How one layer spread the frames of one call over its experts."""

    layer: nn.Module
    """The layer that reports."""
    share_E: Tensor
    """Share of all choices that went to each expert; sums to 1, has no gradient."""
    balance: Tensor | None
    """DeepSeekMoE's balance loss without its weight, a scalar with a gradient: 1 where all experts are chosen alike, up to the
    number of experts where one takes everything. None where the layer is not balanced by a loss."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """Per-call inputs of a feed-forward layer: budget, guide ids, which utterances have video, padding mask. `FeedForward`
    ignores them."""

    budget: Budget | None = None
    """Part of the elastic experts to use; None: all of them."""
    guide_B: Tensor | None = None
    """Guided expert of each utterance (S-MoE): an index into `BANDWIDTHS` or `PROMPT_TASKS`."""
    seen_B: Tensor | None = None
    """True for utterances with video frames; None: none has any."""
    real_BT: Tensor | None = None
    """False on padding. Used for counting loads only: padding is computed like everything else. None: nothing is padding."""
    loads: list[ExpertLoad] | None = None
    """Layers with experts append their loads here; None: do not count."""
    left: int | None = None
    """With chunks: frames before its chunk that a frame may see; None: all."""
