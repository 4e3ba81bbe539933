"""Whisper's network (arXiv 2212.04356) of our own modules, so that its feed-forward layers may be any of ours.

A Transformer with layer norm before each part. The encoder hears a window of 30 s, silence included, as it was trained; the decoder's
embedding is its output layer as well. Shape suffixes: B utterances, T feature frames and then frames, P prefix tokens, S = P + T, U tokens,
M mel bins, D model width, V vocabulary.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxmill.models.network.attention import Attention, real_mask
from voxmill.models.network.conformer import PrefixTokens
from voxmill.models.network.decoder import DecoderConfig, DecoderLayer, check_places, through_layers
from voxmill.models.network.decoder_cache import DecoderCache
from voxmill.models.network.pretrained.whisper_features import QUIETEST, RANGE
from voxmill.models.network.pretrained.window_sound import check_window, entered
from voxmill.models.network.route import Route


class WindowFront(nn.Module):
    """Fills the window with quiet, makes half as many frames of the model's width by two convolutions, and adds positions."""

    def __init__(self, num_mels: int, dim: int, frames: int) -> None:
        """`frames`: of the window, after the convolutions."""
        super().__init__()
        self.conv1 = nn.Conv1d(num_mels, dim, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(dim, dim, kernel_size=3, stride=2, padding=1)
        self.register_buffer("place_TD", torch.zeros(frames, dim))

    def forward(self, feature_BTM: Tensor, length_B: Tensor) -> tuple[Tensor, Tensor]:
        """(frames (B, T', D) of the whole window, number of those of each utterance (B)). Raises ValueError if it is longer than the window."""
        size = 2 * len(self.place_TD)
        check_window(feature_BTM, size)
        real_BT1 = real_mask(length_B, size)[..., None]
        whole_BTM = functional.pad(feature_BTM, (0, 0, 0, size - feature_BTM.shape[1]))
        loudest_B11 = whole_BTM.masked_fill(~real_BT1, QUIETEST).amax(dim=(1, 2), keepdim=True)
        whole_BTM = torch.where(real_BT1, whole_BTM, (loudest_B11 - RANGE).clamp_min(QUIETEST))
        x_BDT = functional.gelu(self.conv2(functional.gelu(self.conv1(whole_BTM.transpose(1, 2)))))
        return x_BDT.transpose(1, 2) + self.place_TD, torch.div(length_B + 1, 2, rounding_mode="floor")


class WindowLayer(nn.Module):
    """Self-attention and feed-forward, each with layer norm before and a residual connection."""

    def __init__(self, dim: int, heads: int, dropout: float, feed_forward: nn.Module) -> None:
        super().__init__()
        self.attention = Attention(dim, heads, dropout, key_bias=False)
        self.feed_forward = feed_forward
        self.norm_attention, self.norm_feed_forward = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BSD: Tensor, mask_B11S: Tensor | None, route: Route) -> Tensor:
        """Output of the same shape."""
        x_BSD = x_BSD + self.dropout(self.attention(self.norm_attention(x_BSD), mask_B11S))
        return x_BSD + self.dropout(self.feed_forward(self.norm_feed_forward(x_BSD), route))


class WindowLayers(nn.Module):
    """The layers over a window, prefix tokens before it; and a last layer norm."""

    def __init__(self, dim: int, heads: int, dropout: float, feed_forwards: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(WindowLayer(dim, heads, dropout, feed_forward) for feed_forward in feed_forwards)
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, x_BTD: Tensor, length_B: Tensor, route: Route, chunk: int | None = None, prefix: PrefixTokens | None = None
    ) -> Tensor:
        """Prefix and frames of the window, shape (B, P + T, D). Raises ValueError for chunks."""
        x_BTD, mask_B11S, route = entered(x_BTD, length_B, route, chunk, prefix)
        for layer in self.layers:
            x_BTD = layer(x_BTD, mask_B11S, route)
        out_BSD: Tensor = self.norm(x_BTD)
        return out_BSD


class TiedDecoder(nn.Module):
    """A decoder with learned positions, whose embedding is its output layer too. Called as `Decoder`."""

    def __init__(self, vocabulary: int, dim: int, places: int, config: DecoderConfig, feed_forwards: list[nn.Module]) -> None:
        """`places`: longest sequence, prompt included."""
        super().__init__()
        self.embed = nn.Embedding(vocabulary, dim)
        self.place = nn.Embedding(places, dim)
        for one in (self.embed, self.place):
            nn.init.normal_(one.weight, std=0.02)
        self.layers = nn.ModuleList(DecoderLayer(dim, config, feed_forward, key_bias=False) for feed_forward in feed_forwards)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(config.dropout)

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
        check_places(length, cache, self.place.num_embeddings)
        x_BUD = self.dropout(self.embed(token_BU) + self.place.weight[before : before + length])
        x_BUD = through_layers(self.layers, x_BUD, None, memory_BSD, memory_real_BS, route, cache)
        logits_BUV: Tensor = functional.linear(self.norm(x_BUD), self.embed.weight)
        return logits_BUV
