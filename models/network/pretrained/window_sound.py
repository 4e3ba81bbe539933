"""An encoder that hears a window of fixed length, silence included: Whisper's and OWSM's.

Shape suffixes: B utterances, T frames, P prefix tokens, S = P + T, M numbers of a feature frame, D model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from voxmill.models.common.sound_features import SoundFeatures
from voxmill.models.network.attention import real_mask
from voxmill.models.network.conformer import PrefixTokens
from voxmill.models.network.route import Route


class WindowSound:
    """An encoder whose front fills the window. See `SoundEncoder`."""

    def __init__(
        self,
        features: SoundFeatures,
        dim: int,
        depth: int,
        frame_ms: float,
        front: nn.Module,
        layers: nn.Module,
        *,
        whole: bool,
    ) -> None:
        """`whole`: its own decoder stands above, which was trained on the frames of the whole window."""
        self.features, self.dim, self.depth, self.frame_ms = features, dim, depth, frame_ms
        self.front, self.layers = front, layers
        self.whole, self.trails = whole, not whole

    def remembered(self, length_B: Tensor, size: int) -> Tensor:
        """With its own decoder all of the window, as that was trained; else the frames of the utterance."""
        real_BT = real_mask(length_B, size)
        return torch.ones_like(real_BT) if self.whole else real_BT


def check_window(feature_BTM: Tensor, size: int) -> None:
    """Raises ValueError for features that are longer than a window of so many frames."""
    if feature_BTM.shape[1] > size:
        raise ValueError(f"{feature_BTM.shape[1]} feature frames, this encoder hears {size} at most: cut the sound before")


def entered(
    x_BTD: Tensor, length_B: Tensor, route: Route, chunk: int | None, prefix: PrefixTokens | None
) -> tuple[Tensor, Tensor | None, Route]:
    """(prefix and frames (B, S, D), attention mask (B, 1, 1, S) or None for all, route) with which the layers begin.

    The window's quiet is attended to like sound, but does not count as the load of experts. Raises ValueError for chunks.
    """
    if chunk is not None:
        raise ValueError("a pretrained encoder hears whole utterances and cannot stream: leave out `chunk`")
    real_BS = real_mask(length_B, x_BTD.shape[1])
    mask_B11S = None
    if prefix is not None:
        attended_BS = torch.cat([prefix.real_BP, torch.ones_like(real_BS)], dim=1)
        mask_B11S, real_BS = attended_BS[:, None, None], torch.cat([prefix.real_BP, real_BS], dim=1)
        x_BTD = torch.cat([prefix.token_BPD.to(x_BTD.dtype), x_BTD], dim=1)
    return x_BTD, mask_B11S, Route(route.budget, route.guide_B, route.seen_B, real_BS, route.loads)
