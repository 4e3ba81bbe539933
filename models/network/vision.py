"""What the camera saw, as tokens before the sound (EVA): projected, marked with their place, mixed by experts.

Where an utterance has no frames, nothing of this file takes part: its feed-forward layers are the audio model's own. So a model
that got eyes with its audio parts frozen computes the same for sound alone, to the bit.
Shape suffixes: B utterances, F video frames, C width of an image embedding, T sound frames, D model width.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxmill.manifests.config_base import Settings
from voxmill.models.common.seeds import Generator
from voxmill.models.network.conformer import Prefix
from voxmill.models.network.emoe import ElasticMoE, MoEConfig
from voxmill.models.network.feed_forward import FeedForward, Route
from voxmill.models.network.image_encoder import ImagesConfig


class VisionConfig(Settings):
    """What sees: visual tokens from the frames of a sample, and experts for them."""

    dim: int = 512
    """Width of the image encoder's embeddings: 512 for CLIP ViT-B/32."""
    encoder: str = ""
    """Name of the encoder whose embeddings it was trained on. Filled in where training starts, as `images` is."""
    images: ImagesConfig | None = None
    """Where that encoder came from."""
    frames: int = Field(default=8, ge=1)
    """Frames of an utterance at most, spread evenly over it."""
    experts: int = Field(default=8, ge=1)
    """EVA has 8."""
    top_k: int = 2
    """Experts that a frame asks."""
    where: Literal["all", "last_half", "post_encoder"] = "last_half"
    """Encoder layers whose second feed-forward layer gets experts. With eMoE on, its experts are used instead of these.

    `post_encoder`: none of them. The visual tokens join the sound after the encoder, in one mixture of experts for both; so only
    the decoder sees with the sound, and CTC does not. Second-hand sources of EVA support either reading.
    """
    in_memory: bool = True
    """The decoder looks at the visual tokens too. CTC never does."""
    drop: float = Field(default=0.3, ge=0, le=1)
    """Probability that training withholds an utterance's frames, so that sound alone keeps working."""

    @model_validator(mode="after")
    def _somebody_looks(self) -> VisionConfig:
        if self.where == "post_encoder" and not self.in_memory:
            raise ValueError("vision.where is `post_encoder`: there only the decoder sees, so `in_memory` has to be on")
        return self

    def has_experts(self, layer: int, layers: int) -> bool:
        return self.where == "all" or (self.where == "last_half" and layer >= layers // 2)


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Image embeddings of a batch."""

    embedding_BFC: Tensor
    number_B: Tensor
    """How many of them are real; 0 for an utterance without video."""

    def to(self, device: torch.device | str) -> Frames:
        return Frames(self.embedding_BFC.to(device), self.number_B.to(device))

    def withheld(self, probability: float, generator: Generator) -> Frames | None:
        """Some utterances lose their frames; None where nobody has any left."""
        kept_B = torch.rand(len(self.number_B), generator=generator) >= probability
        number_B = self.number_B * kept_B.to(self.number_B.device)
        return Frames(self.embedding_BFC, number_B) if bool(number_B.any()) else None


class VisualTokens(nn.Module):
    """A light projection of image embeddings into the space of the sound, with frame position and modality."""

    def __init__(self, config: VisionConfig, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.dim)
        self.project = nn.Linear(config.dim, dim)
        self.place = nn.Embedding(config.frames, dim)
        self.modality_D = nn.Parameter(torch.zeros(dim))
        nn.init.normal_(self.place.weight, std=0.02)

    def forward(self, frames: Frames, length_B: Tensor) -> Prefix:
        """`length`: frames of sound, over which the images are spread. Raises ValueError on more frames than there are places."""
        count, places = frames.embedding_BFC.shape[1], self.place.num_embeddings
        if count > places:
            raise ValueError(f"{count} video frames for an utterance, this model was made for {places} at most")
        if frames.embedding_BFC.shape[2] != self.project.in_features:
            width = frames.embedding_BFC.shape[2]
            raise ValueError(f"embeddings of width {width}, this model takes {self.project.in_features}: another image encoder")
        index_F = torch.arange(count, device=length_B.device)
        token_BFD = self.project(self.norm(frames.embedding_BFC)) + self.place(index_F) + self.modality_D
        real_BF = index_F[None] < frames.number_B[:, None]
        moment_BF = (index_F[None] + 0.5) / frames.number_B.clamp_min(1)[:, None] * length_B[:, None]
        return Prefix(token_BFD, real_BF, moment_BF)


class VisualExperts(nn.Module):
    """The audio model's layer for utterances without frames, a mixture of experts for those with."""

    def __init__(self, config: VisionConfig, dim: int, hidden: int, dropout: float, audio: nn.Module) -> None:
        super().__init__()
        self.audio = audio
        self.moe = _experts(config, dim, hidden, dropout)

    def forward(self, x_BSD: Tensor, route: Route) -> Tensor:
        if route.seen_B is None:
            out_BSD: Tensor = self.audio(x_BSD, route)
            return out_BSD
        out_BSD = torch.zeros_like(x_BSD)
        layers: tuple[tuple[nn.Module, Tensor], ...] = ((self.moe, route.seen_B), (self.audio, ~route.seen_B))
        for layer, own_B in layers:
            (row_R,) = torch.where(own_B)
            if len(row_R):
                real_RS = None if route.real_BT is None else route.real_BT[row_R]
                guide_R = None if route.guide_B is None else route.guide_B[row_R]
                part = Route(None, guide_R, None, real_RS, route.loads)
                out_BSD = out_BSD.index_add(0, row_R, layer(x_BSD[row_R], part).to(out_BSD.dtype))
        return out_BSD

    def upcycle(self, dense: FeedForward) -> None:
        """The audio layer and every expert become a copy of a trained dense layer; the gate stays near even."""
        if isinstance(self.audio, FeedForward):
            self.audio.load_state_dict(dense.state_dict())
        for index in range(len(self.moe.experts)):
            self.moe.experts[index] = copy.deepcopy(dense)


class MixedAfterwards(nn.Module):
    """`post_encoder`: experts over visual tokens and sound together. A fresh one changes nothing."""

    def __init__(self, config: VisionConfig, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.moe = _experts(config, dim, hidden, dropout)
        for expert in self.moe.experts:
            nn.init.zeros_(expert.down.weight)
            nn.init.zeros_(expert.down.bias)

    def forward(self, x_BSD: Tensor, route: Route) -> Tensor:
        """Utterances without frames keep every bit."""
        assert route.seen_B is not None
        (row_R,) = torch.where(route.seen_B)
        real_RS = None if route.real_BT is None else route.real_BT[row_R]
        mixed_RSD = self.moe(self.norm(x_BSD[row_R]), Route(None, None, None, real_RS, route.loads))
        return x_BSD.index_add(0, row_R, mixed_RSD.to(x_BSD.dtype))


def _experts(config: VisionConfig, dim: int, hidden: int, dropout: float) -> ElasticMoE:
    moe = MoEConfig(experts=config.experts, shared=0, top_k=config.top_k, width=hidden, dropout=dropout)
    return ElasticMoE(dim, moe)


def train_only(model: nn.Module, chosen: Callable[[str], bool]) -> int:
    """Freezes every parameter but the chosen names'. Returns how many stay trainable.

    EVA's first phase is `train_only(model, of_vision)`: projection, gates and experts learn, the audio model does not move.
    Its second phase is `train_only(model, everything)`, at a lower rate; the image encoder is outside the model and never moves.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(chosen(name))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def of_vision(name: str) -> bool:
    return name.startswith(("vision.", "afterwards.")) or ".moe." in name


def everything(name: str) -> bool:
    return True
