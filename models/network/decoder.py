"""The attention decoder, which predicts labels and text token by token from the encoder's frames.

U2++ has a second one that predicts the text from its end and helps to rescore hypotheses; it is the same module.
Of an utterance several sequences can be read at once, as of the hypotheses of a beam: its rows are beside each other, and its memory is one row.
Shape suffixes: B utterances, or sequences of them; U tokens, S positions of the encoder's output (prefix and frames), D model width, V vocabulary.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn

from voxmill.manifests.config_base import Settings
from voxmill.models.network.activation import Activation
from voxmill.models.network.attention import Attention, Rotation, past_mask, rotation
from voxmill.models.network.decoder_cache import DecoderCache, LayerCache
from voxmill.models.network.route import Route


class DecoderConfig(Settings):
    """The attention decoders, forwards and backwards."""

    layers: int = Field(default=3, ge=1)
    """Layers of the decoder that predicts the text from its beginning."""
    backward_layers: int = Field(default=3, ge=0)
    """Layers of the decoder that predicts the text from its end; 0: no such decoder."""
    heads: int = 4
    """Attention heads of a layer."""
    hidden: int = 2048
    """Hidden units of a dense feed-forward layer."""
    activation: Activation = "silu"
    """Nonlinearity of the feed-forward layers. Filled in with `model.start`, as the other sizes are."""
    dropout: float = 0.1
    """Dropout probability."""


class DecoderLayer(nn.Module):
    """Self-attention, attention to the encoder, feed-forward; each with layer norm before and a residual connection."""

    def __init__(self, dim: int, config: DecoderConfig, feed_forward: nn.Module, *, key_bias: bool = True) -> None:
        super().__init__()
        self.itself = Attention(dim, config.heads, config.dropout, key_bias=key_bias)
        self.sound = Attention(dim, config.heads, config.dropout, key_bias=key_bias)
        self.feed_forward = feed_forward
        self.norm_itself, self.norm_sound, self.norm_feed_forward = (nn.LayerNorm(dim) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x_BUD: Tensor,
        past_11UU: Tensor,
        by: Rotation | None,
        memory_BSD: Tensor,
        sound_B11S: Tensor,
        route: Route,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Output of the same shape; the masks are True where a token may attend. `by`: None where tokens carry their positions."""
        kept_itself, kept_sound = (cache.itself, cache.sound) if cache else (None, None)
        x_BUD = x_BUD + self.dropout(self.itself(self.norm_itself(x_BUD), past_11UU, by, None, kept_itself))
        asks_BQD = self.norm_sound(x_BUD).reshape(
            memory_BSD.shape[0], -1, x_BUD.shape[2]
        )  # tokens of all sequences of an utterance
        heard_BQD = self.sound(asks_BQD, sound_B11S, None, memory_BSD, kept_sound)
        x_BUD = x_BUD + self.dropout(heard_BQD.reshape(x_BUD.shape))
        return x_BUD + self.dropout(self.feed_forward(self.norm_feed_forward(x_BUD), route))


class Decoder(nn.Module):
    """Embedding, decoder layers, and a linear layer to the vocabulary."""

    def __init__(self, vocabulary: int, dim: int, config: DecoderConfig, feed_forwards: list[nn.Module]) -> None:
        super().__init__()
        self.channels = dim // config.heads
        self.embed = nn.Embedding(vocabulary, dim)
        nn.init.normal_(self.embed.weight, std=dim**-0.5)
        self.layers = nn.ModuleList(DecoderLayer(dim, config, feed_forward) for feed_forward in feed_forwards)
        self.norm = nn.LayerNorm(dim)
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
        """Logits of the next token after each, shape (B, U, V). Padding tokens come last, so the causal mask hides them. `memory` may have fewer
        rows: see above. `cache`: the tokens follow those of earlier calls."""
        before = cache.length if cache else 0
        position_1U = torch.arange(before, before + token_BU.shape[1], device=token_BU.device)[None]
        x_BUD = self.dropout(self.embed(token_BU) * math.sqrt(self.embed.embedding_dim))
        by = rotation(position_1U, self.channels)
        x_BUD = through_layers(self.layers, x_BUD, by, memory_BSD, memory_real_BS, route, cache)
        logits_BUV: Tensor = self.out(self.norm(x_BUD))
        return logits_BUV


def through_layers(
    layers: nn.ModuleList,
    x_BUD: Tensor,
    by: Rotation | None,
    memory_BSD: Tensor,
    memory_real_BS: Tensor,
    route: Route,
    cache: DecoderCache | None = None,
) -> Tensor:
    """What decoder layers make of embedded tokens, each of which sees itself, those before it, and the real positions of the memory. `by`
    and `cache`: see `DecoderLayer` and `Decoder`."""
    length, before = x_BUD.shape[1], cache.length if cache else 0
    past_11UU = past_mask(length, x_BUD.device, before)
    empty_B1 = ~memory_real_BS.any(dim=1, keepdim=True)  # no frame: attend to padding, since a row without any key would be NaN
    sound_B11S = (memory_real_BS | empty_B1)[:, None, None]
    for index, layer in enumerate(layers):
        x_BUD = layer(x_BUD, past_11UU, by, memory_BSD, sound_B11S, route, cache.layer(index) if cache else None)
    if cache:
        cache.length += length
    return x_BUD


def check_places(length: int, cache: DecoderCache | None, places: int) -> None:
    """Raises ValueError if so many more tokens are more than a decoder has places for."""
    total = length + (cache.length if cache else 0)
    if total > places:
        raise ValueError(f"{total} tokens, this decoder has places for {places}")
