"""OWSM's decoder: a Transformer with fixed positions and an output layer of its own.

Shape suffixes: B utterances, T places, U tokens, S positions of the encoder's output, D model width, V vocabulary.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import math

from torch import Tensor, nn

from voxmill.models.network.decoder import DecoderConfig, DecoderLayer, check_places, through_layers
from voxmill.models.network.decoder_cache import DecoderCache
from voxmill.models.network.pretrained.owsm_layers import NORM_EPSILON, sinusoids
from voxmill.models.network.route import Route


class PlacedDecoder(nn.Module):
    """Embedding and sines as positions, decoder layers, and a linear layer to the vocabulary. Called as `Decoder`."""

    def __init__(self, vocabulary: int, dim: int, places: int, config: DecoderConfig, feed_forwards: list[nn.Module]) -> None:
        """`places`: longest sequence, prompt included."""
        super().__init__()
        self.embed = nn.Embedding(vocabulary, dim)
        self.register_buffer("place_TD", sinusoids(places, dim))
        self.layers = nn.ModuleList(DecoderLayer(dim, config, feed_forward) for feed_forward in feed_forwards)
        self.norm = nn.LayerNorm(dim, NORM_EPSILON)
        for layer in self.layers:
            for norm in (layer.norm_itself, layer.norm_sound, layer.norm_feed_forward):
                norm.eps = NORM_EPSILON
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(dim, vocabulary)

    def forward(
        self,
        token_BU: Tensor,
        memory_BSD: Tensor,
        memory_real_BS: Tensor,
        route: Route,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """Logits of the next token after each, shape (B, U, V). `cache`: the tokens follow those of earlier calls. Raises ValueError if
        there are more tokens than places."""
        length, before = token_BU.shape[1], cache.length if cache else 0
        check_places(length, cache, len(self.place_TD))
        x_BUD = self.embed(token_BU) * math.sqrt(self.embed.embedding_dim) + self.place_TD[before : before + length]
        x_BUD = through_layers(self.layers, self.dropout(x_BUD), None, memory_BSD, memory_real_BS, route, cache)
        logits_BUV: Tensor = self.out(self.norm(x_BUD))
        return logits_BUV
