"""Which feed-forward layer the switches put at each place of encoder and decoders.

With all switches off it is a plain `FeedForward`. smoe makes it one for each guide id; emoe makes it an elastic mixture, with
smoe's or a plain layer as shared expert; vision adds experts beside it for utterances with video.
"""

from __future__ import annotations

from torch import nn

from voxmill.manifests.config_base import Settings
from voxmill.models.common.guides import BANDWIDTHS, PROMPT_TASKS
from voxmill.models.network.activation import Activation
from voxmill.models.network.budget import Budget, BudgetSchedule
from voxmill.models.network.conformer import ConformerLayer, EncoderConfig
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.emoe import ElasticMoE, MoEConfig, cut
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.smoe import GuidedExperts
from voxmill.models.network.vision import VisionConfig, VisualExperts


class ElasticConfig(MoEConfig):
    """eMoE. 15 experts, top 3 and 1 shared are TouchASP's numbers as second-hand sources give them; the other defaults are
    ours."""

    encoder: bool = True
    """Use it as the second feed-forward layer of every encoder layer."""
    macaron: bool = False
    """Use it as the first (macaron) one as well."""
    decoder: bool = True
    """Use it in the decoders."""
    schedule: BudgetSchedule = BudgetSchedule()
    """The budgets that training visits."""

    def cut(self, budget: Budget) -> ElasticConfig:
        """The config of a model of that budget. Raises BudgetError."""
        small = cut(self, budget)
        return small.model_copy(update={"schedule": self.schedule.cut(small.full)})


class GuidedConfig(Settings):
    """S-MoE: experts that the bandwidth and the task choose."""

    encoder: bool = True
    """Experts by bandwidth (narrow, wide) in the encoder."""
    decoder: bool = True
    """Experts by task (transcribe, translate) in the decoders."""
    guide_token: bool = True
    """Put a learned token of the bandwidth before the sound; in the decoder the prompt holds the task anyway."""


def encoder_layers(
    config: EncoderConfig, emoe: ElasticConfig | None, smoe: GuidedConfig | None, vision: VisionConfig | None
) -> list[ConformerLayer]:
    """The Conformer layers of the encoder."""
    guides = len(BANDWIDTHS) if smoe and smoe.encoder else 0
    elastic = emoe if emoe and emoe.macaron else None
    layers = []
    for index in range(config.layers):
        macaron = feed_forward(config.dim, config.hidden, config.dropout, guides, elastic, config.activation)
        layers.append(ConformerLayer(config, macaron, encoder_feed_forward(index, config, emoe, smoe, vision)))
    return layers


def encoder_feed_forward(
    index: int, config: EncoderConfig, emoe: ElasticConfig | None, smoe: GuidedConfig | None, vision: VisionConfig | None
) -> nn.Module:
    """The feed-forward layer of encoder layer number `index`; of a Conformer layer the second one."""
    guides = len(BANDWIDTHS) if smoe and smoe.encoder else 0
    elastic = emoe if emoe and emoe.encoder else None
    layer = feed_forward(config.dim, config.hidden, config.dropout, guides, elastic, config.activation)
    if vision and vision.has_experts(index, config.layers) and not isinstance(layer, ElasticMoE):
        return VisualExperts(vision, config.dim, config.hidden, config.dropout, config.activation, layer)
    return layer


def decoder_layers(
    dim: int, config: DecoderConfig, depth: int, emoe: ElasticConfig | None, smoe: GuidedConfig | None
) -> list[nn.Module]:
    """The feed-forward layers of a decoder of `depth` layers."""
    guides = len(PROMPT_TASKS) if smoe and smoe.decoder else 0
    elastic = emoe if emoe and emoe.decoder else None
    return [feed_forward(dim, config.hidden, config.dropout, guides, elastic, config.activation) for _ in range(depth)]


def feed_forward(
    dim: int, hidden: int, dropout: float, guides: int, emoe: ElasticConfig | None, activation: Activation = "silu"
) -> nn.Module:
    """One feed-forward layer: elastic, guided (`guides`: number of guide ids) or dense."""
    if emoe is not None:
        return ElasticMoE(dim, emoe, guides, activation)
    if guides:
        return GuidedExperts(guides, dim, hidden, dropout, activation)
    return FeedForward(dim, hidden, dropout, activation)


def upcycle(model: nn.Module, dense: nn.Module) -> list[str]:
    """Initialises a model with switches on from a trained dense one: tensors of equal name and shape are copied, guided and
    visual experts become copies of the layer at their place, elastic ones parts of it where their sizes fit (`ElasticMoE.upcycle`). Returns the
    names that keep their values: other elastic experts, gates, vectors, projections.
    """
    given = dense.state_dict()
    fresh = model.state_dict()
    copied = {name: given[name] for name, own in fresh.items() if name in given and given[name].shape == own.shape}
    model.load_state_dict(copied, strict=False)
    filled = set(copied)
    places = dict(dense.named_modules())
    for name, layer in model.named_modules():
        replaced = places.get(name)
        if isinstance(layer, ElasticMoE) and isinstance(replaced, FeedForward) and layer.can_upcycle(replaced):
            layer.upcycle(replaced)
            filled |= {f"{name}.{own}" for own in layer.state_dict() if "router" not in own}
        elif isinstance(layer, (GuidedExperts, VisualExperts)):
            dense_layer = places.get(name.removesuffix(".audio").removesuffix(".shared"))
            if isinstance(dense_layer, FeedForward) and _same_size(layer, dense_layer):
                layer.upcycle(dense_layer)
                filled |= {f"{name}.{own}" for own in layer.state_dict() if "router" not in own}
    return sorted(set(fresh) - filled)


def _same_size(layer: GuidedExperts | VisualExperts, dense: FeedForward) -> bool:
    """False for the shared expert of an elastic layer, which is narrower than a dense layer."""
    expert = (layer.moe if isinstance(layer, VisualExperts) else layer).experts[0]
    same: bool = expert.up.weight.shape == dense.up.weight.shape
    return same
