"""What a decoder has computed of a sequence that is said token by token: keys and values of its attentions, so that a step reads one token.

Shape suffixes: B utterances, N sequences (one or more of each utterance), H heads, S positions, C channels of a head.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True, eq=False)
class AttentionCache:
    """Keys and values of one attention; None before its first call."""

    key_BHSC: Tensor | None = None
    value_BHSC: Tensor | None = None

    def grown(self, key_BHSC: Tensor, value_BHSC: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values so far, with these as the last."""
        if self.key_BHSC is not None and self.value_BHSC is not None:
            key_BHSC = torch.cat([self.key_BHSC, key_BHSC], dim=2)
            value_BHSC = torch.cat([self.value_BHSC, value_BHSC], dim=2)
        self.key_BHSC, self.value_BHSC = key_BHSC, value_BHSC
        return key_BHSC, value_BHSC

    def select(self, row_N: Tensor) -> None:
        """Goes on with these rows, in this order; one may be there several times."""
        if self.key_BHSC is not None and self.value_BHSC is not None:
            self.key_BHSC, self.value_BHSC = self.key_BHSC[row_N], self.value_BHSC[row_N]


@dataclass(slots=True, eq=False)
class LayerCache:
    """Of one decoder layer: attention to itself, and to the sound."""

    itself: AttentionCache = field(default_factory=AttentionCache)
    sound: AttentionCache = field(default_factory=AttentionCache)


class DecoderCache:
    """Of a whole decoder. One cache is for sequences that grow together, as many of each utterance, and the memory of these utterances."""

    def __init__(self) -> None:
        self.length = 0
        """Tokens read so far."""
        self._layers: dict[int, LayerCache] = {}

    def layer(self, index: int) -> LayerCache:
        """The cache of layer number `index`."""
        return self._layers.setdefault(index, LayerCache())

    def select(self, row_N: Tensor, utterance_B: Tensor | None = None) -> None:
        """Goes on with these sequences, of these utterances: indices into those of the last call. None: of all utterances."""
        for layer in self._layers.values():
            layer.itself.select(row_N)
            if utterance_B is not None:
                layer.sound.select(utterance_B)
