"""Which feed-forward layer stands where: the place in which the switches meet.

Off, a place holds a plain `FeedForward`. smoe makes it one for each guide id, emoe an elastic mixture with that (or a plain one)
as shared expert, vision adds experts beside it for utterances with video.
"""

from __future__ import annotations

from torch import nn

from voxmill.manifests.config_base import Settings
from voxmill.models.common.guides import BANDWIDTHS, PROMPT_TASKS
from voxmill.models.network.budget import Budget, BudgetSchedule
from voxmill.models.network.conformer import ConformerLayer, EncoderConfig
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.emoe import ElasticMoE, MoEConfig, cut
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.smoe import GuidedExperts
from voxmill.models.network.vision import VisionConfig, VisualExperts


class ElasticConfig(MoEConfig):
    """eMoE. The defaults are TouchASP's numbers as second-hand sources give them, and ours elsewhere."""

    encoder: bool = True
    """The second feed-forward layer of every encoder layer."""
    macaron: bool = False
    """The first one as well."""
    decoder: bool = True
    """The feed-forward layers of the decoders as well."""
    schedule: BudgetSchedule = BudgetSchedule()
    """The budgets that training visits."""

    def cut(self, budget: Budget) -> ElasticConfig:
        """The config of the smaller model; the schedule keeps what is left inside it."""
        small = cut(self, budget)
        full = small.full
        return self.model_copy(update={**full_fields(full), "schedule": self.schedule.cut(full)})


class GuidedConfig(Settings):
    """S-MoE."""

    encoder: bool = True
    """Experts by bandwidth: narrow, wide."""
    decoder: bool = True
    """Experts by task: transcribe, translate."""
    guide_token: bool = True
    """The bandwidth also stands before the sound as a learned token; in the decoder the prompt says the task anyway."""


def full_fields(full: Budget) -> dict[str, int]:
    return {"experts": full.experts, "top_k": full.top_k, "width": full.width}


def encoder_layers(
    config: EncoderConfig, emoe: ElasticConfig | None, smoe: GuidedConfig | None, vision: VisionConfig | None
) -> list[ConformerLayer]:
    guides = len(BANDWIDTHS) if smoe and smoe.encoder else 0
    size = (config.dim, config.hidden, config.dropout)
    layers = []
    for index in range(config.layers):
        macaron = feed_forward(*size, guides, emoe if emoe and emoe.macaron else None)
        second = feed_forward(*size, guides, emoe if emoe and emoe.encoder else None)
        if vision and vision.has_experts(index, config.layers) and not isinstance(second, ElasticMoE):
            second = VisualExperts(vision, *size, second)
        layers.append(ConformerLayer(config, macaron, second))
    return layers


def decoder_layers(
    dim: int, config: DecoderConfig, depth: int, emoe: ElasticConfig | None, smoe: GuidedConfig | None
) -> list[nn.Module]:
    guides = len(PROMPT_TASKS) if smoe and smoe.decoder else 0
    elastic = emoe if emoe and emoe.decoder else None
    return [feed_forward(dim, config.hidden, config.dropout, guides, elastic) for _ in range(depth)]


def feed_forward(dim: int, hidden: int, dropout: float, guides: int, emoe: ElasticConfig | None) -> nn.Module:
    if emoe is not None:
        return ElasticMoE(dim, emoe, guides)
    return GuidedExperts(guides, dim, hidden, dropout) if guides else FeedForward(dim, hidden, dropout)


def upcycle(model: nn.Module, dense: nn.Module) -> list[str]:
    """Starts a model with switches on from a trained dense one: equal names are copied, guided and visual experts become copies
    of the layer that stood in their place. Returns what is left as it was: elastic experts, gates, vectors, projections.
    """
    given = dense.state_dict()
    fresh = model.state_dict()
    copied = {name: given[name] for name, own in fresh.items() if name in given and given[name].shape == own.shape}
    model.load_state_dict(copied, strict=False)
    filled = set(copied)
    places = dict(dense.named_modules())
    for name, layer in model.named_modules():
        if isinstance(layer, (GuidedExperts, VisualExperts)):
            stood = places.get(name.removesuffix(".audio").removesuffix(".shared"))
            if isinstance(stood, FeedForward) and _same_size(layer, stood):
                layer.upcycle(stood)
                filled |= {f"{name}.{own}" for own in layer.state_dict() if "router" not in own}
    return sorted(set(fresh) - filled)


def _same_size(layer: GuidedExperts | VisualExperts, dense: FeedForward) -> bool:
    """Not so for the shared expert of an elastic layer, which is narrower."""
    expert = (layer.moe if isinstance(layer, VisualExperts) else layer).experts[0]
    same: bool = expert.up.weight.shape == dense.up.weight.shape
    return same
