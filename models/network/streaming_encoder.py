"""The Conformer on a stream: chunk after chunk, with what its layers keep of the past in bounded memory.

What it computes of a chunk is what the whole encoder computes of it with `Conditions(chunk=…, left=…)`: rotary positions are relative, so
they are counted from the oldest frame in memory, and a stream may last for days.
Shape suffixes: L layers, B utterances, T frames of a chunk, P frames in memory, K frames of the convolution's past, D model width,
M numbers of a feature frame.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from voxmill.models.network.attention import rotation
from voxmill.models.network.model import SpeechModel
from voxmill.models.network.route import Route

LOOKAHEAD = 3
"""Feature frames that the last encoder frame of a chunk needs beyond the chunk's own four each (two convolutions of kernel 3)."""
STRIDE = 4
"""Feature frames from one encoder frame to the next."""


class StreamState(NamedTuple):
    """What a stream has heard, as far as it is needed."""

    seen_LBPD: Tensor
    """Normed inputs of each layer's attention, of the last `left` frames; zeros before the first."""
    past_LBKD: Tensor
    """Gated inputs of each layer's convolution."""
    heard_B: Tensor
    """Encoder frames heard so far."""


class StreamingEncoder(nn.Module):
    """The encoder of a model on a stream. Raises ValueError for a model whose encoder cannot stream."""

    def __init__(self, model: SpeechModel, left: int) -> None:
        """`left`: frames before a chunk that it may see (40 ms each)."""
        super().__init__()
        config = model.config
        if config.start is not None:
            raise ValueError("this model has a pretrained encoder, which hears whole utterances: it cannot stream")
        if not config.encoder.causal:
            raise ValueError("this model's convolution sees the future (encoder.causal: false): it cannot stream")
        if model.guide is not None:
            raise ValueError("this model reads a guide token before the sound (smoe.guide_token): streaming does not carry it")
        self.model, self.left = model, left

    def start(self, batch: int = 1) -> StreamState:
        """The state before the first frame."""
        config = self.model.config.encoder
        sizes = (config.layers, batch, self.left, config.dim), (config.layers, batch, config.kernel - 1, config.dim)
        seen, past = (torch.zeros(size, device=self.model.device) for size in sizes)
        return StreamState(seen, past, torch.zeros(batch, dtype=torch.long, device=self.model.device))

    def forward(
        self, feature_BTM: Tensor, state: StreamState, guide_B: Tensor | None = None, active_BK: Tensor | None = None
    ) -> tuple[Tensor, StreamState]:
        """Frames of the next chunk, shape (B, T, D), and the state after it.

        `feature`: `STRIDE * T + LOOKAHEAD` feature frames, of which the last `LOOKAHEAD` are the first of the next call. `guide`: bandwidth
        ids, with smoe in the encoder. `active`: active tasks, with task vectors."""
        length_B = torch.full_like(state.heard_B, feature_BTM.shape[1])
        x_BTD, _ = self.model.frontend(feature_BTM, length_B)
        if self.model.tasks_early is not None:
            x_BTD = self.model.tasks_early(x_BTD, active_BK)
        frames = x_BTD.shape[1]
        position_S = torch.arange(self.left + frames, device=x_BTD.device)
        mask_B11S = (position_S[None] >= self.left - state.heard_B[:, None])[:, None, None]
        by, route = rotation(position_S[None], self.model.encoder.channels), Route(guide_B=guide_B)
        seen, past = [], []
        for layer, seen_BPD, past_BKD in zip(self.model.encoder.layers, state.seen_LBPD, state.past_LBKD, strict=True):
            x_BTD, seen_BSD, past_BKD = layer.step(x_BTD, seen_BPD, past_BKD, mask_B11S, by, route)
            seen.append(seen_BSD[:, frames:])
            past.append(past_BKD)
        if self.model.tasks_late is not None:
            x_BTD = self.model.tasks_late(x_BTD, active_BK)
        return x_BTD, StreamState(torch.stack(seen), torch.stack(past), state.heard_B + frames)
