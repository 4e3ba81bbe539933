"""Video frames as tokens before the sound, and experts for both (EVA, arXiv 2409.12370).

An utterance without frames takes no part in this: its feed-forward layers are those of the audio model. So a model that was
extended by vision with its audio parts frozen computes the same for sound alone, bit for bit. Shape suffixes: B utterances, F
video frames, C width of an image embedding, T sound frames, D model width.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

import copy
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from voxmill.manifests.config_base import Settings
from voxmill.models.common.image_encoder import ImageEncoderConfig
from voxmill.models.common.video_frames import VideoFrames
from voxmill.models.network.activation import Activation
from voxmill.models.network.conformer import PrefixTokens
from voxmill.models.network.emoe import ElasticMoE, MoEConfig
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.route import Route


class VisionConfig(Settings):
    """Vision: tokens from the video frames of a sample, and experts for them."""

    dim: int = 512
    """Width of the image encoder's embeddings: 512 for CLIP ViT-B/32."""
    encoder: str = ""
    """Name of the image encoder that the model was trained with. Filled in when training starts, as `images` is."""
    images: ImageEncoderConfig | None = None
    """Where that image encoder is loaded from."""
    frames: int = Field(default=8, ge=1)
    """Most frames of an utterance."""
    experts: int = Field(default=8, ge=1)
    """Experts of a layer; EVA has 8."""
    top_k: int = 2
    """Experts that process a frame."""
    where: Literal["all", "last_half", "post_encoder"] = "last_half"
    """Encoder layers whose second feed-forward layer gets experts. With eMoE on, its experts are used instead.

    `post_encoder`: none of them; visual tokens join the sound after the encoder, in one mixture of experts for both, so the
    decoder uses them and CTC does not. Second-hand sources of EVA support either reading.
    """
    in_memory: bool = True
    """The decoder attends to the visual tokens too. CTC never does."""
    drop: float = Field(default=0.3, ge=0, le=1)
    """Modality dropout: probability that training withholds an utterance's frames, so that the model also works without."""

    @model_validator(mode="after")
    def _somebody_looks(self) -> VisionConfig:
        if self.where == "post_encoder" and not self.in_memory:
            raise ValueError("vision.where is `post_encoder`: there only the decoder sees, so `in_memory` has to be on")
        return self

    def has_experts(self, layer: int, layers: int) -> bool:
        """Whether encoder layer number `layer` of `layers` gets experts."""
        return self.where == "all" or (self.where == "last_half" and layer >= layers // 2)


class VisualTokens(nn.Module):
    """Projects image embeddings to the model's width, and adds embeddings of frame position and modality."""

    def __init__(self, config: VisionConfig, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.dim)
        self.project = nn.Linear(config.dim, dim)
        self.place = nn.Embedding(config.frames, dim)
        self.modality_D = nn.Parameter(torch.zeros(dim))
        nn.init.normal_(self.place.weight, std=0.02)

    def forward(self, frames: VideoFrames, length_B: Tensor) -> PrefixTokens:
        """Tokens spread evenly over the `length` frames of sound. Raises ValueError on too many video frames, or a wrong
        embedding width."""
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
        return PrefixTokens(token_BFD, real_BF, moment_BF)


class VisualExperts(nn.Module):
    """The audio model's layer for utterances without video, a mixture of experts for those with video."""

    def __init__(
        self, config: VisionConfig, dim: int, hidden: int, dropout: float, activation: Activation, audio: nn.Module
    ) -> None:
        super().__init__()
        self.audio = audio
        self.moe = _experts(config, dim, hidden, dropout, activation)

    def forward(self, x_BSD: Tensor, route: Route) -> Tensor:
        """Output of the same shape."""
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
        """Makes the audio layer and every expert a copy of a trained dense layer; the gate keeps its first values."""
        if isinstance(self.audio, FeedForward):
            self.audio.load_state_dict(dense.state_dict())
        for index in range(len(self.moe.experts)):
            self.moe.experts[index] = copy.deepcopy(dense)


class PostEncoderExperts(nn.Module):
    """`post_encoder`: a mixture of experts over visual tokens and sound, added to its input. A new one adds zero."""

    def __init__(self, config: VisionConfig, dim: int, hidden: int, dropout: float, activation: Activation) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.moe = _experts(config, dim, hidden, dropout, activation)
        for expert in self.moe.experts:
            nn.init.zeros_(expert.down.weight)
            nn.init.zeros_(expert.down.bias)

    def forward(self, x_BSD: Tensor, route: Route) -> Tensor:
        """Output of the same shape; utterances without video are not changed."""
        assert route.seen_B is not None
        (row_R,) = torch.where(route.seen_B)
        real_RS = None if route.real_BT is None else route.real_BT[row_R]
        mixed_RSD = self.moe(self.norm(x_BSD[row_R]), Route(None, None, None, real_RS, route.loads))
        return x_BSD.index_add(0, row_R, mixed_RSD.to(x_BSD.dtype))


def _experts(config: VisionConfig, dim: int, hidden: int, dropout: float, activation: Activation) -> ElasticMoE:
    moe = MoEConfig(experts=config.experts, shared=0, top_k=config.top_k, width=hidden, dropout=dropout)
    return ElasticMoE(dim, moe, activation=activation)


def is_vision_parameter(name: str) -> bool:
    """Whether a parameter of a model belongs to vision: in EVA's first phase only these are trained."""
    return name.startswith(("vision.", "afterwards.")) or ".moe." in name
