"""Whether the experts of a model with eyes tell what is seen from what is heard: which of them each kind of token chooses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.experiments.corpus import Corpus
from benchmarks.experiments.hearing import encoded
from benchmarks.experiments.lessons import Lesson, Pictures
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.network.emoe import RouterOutput
from voxmill.models.network.vision import VisualExperts


def apart(bundle: Bundle, corpus: Corpus, lessons: Sequence[Lesson], pictures: Pictures) -> list[float]:
    """Of each layer with visual experts, from 0 (both kinds of token spread alike) to 1 (they share no expert)."""
    layers = [layer for layer in bundle.model.encoder.modules() if isinstance(layer, VisualExperts)]
    chosen: list[list[Tensor]] = [[] for _ in layers]
    hooks = [
        layer.moe.router.register_forward_hook(lambda _module, _given, choice, of=of: of.append(_experts(choice)))
        for layer, of in zip(layers, chosen, strict=True)
    ]
    count = layers[0].moe.config.experts
    sums_LME = torch.zeros(len(layers), 2, count)
    for batch, found in encoded(bundle, corpus, lessons, pictures=pictures):
        assert batch.frames is not None
        (row_R,) = torch.where(batch.frames.number_B > 0)
        num_frames = batch.frames.embedding_BFC.shape[1]
        real_RS = found.real_BS[row_R].cpu()
        for layer, of in enumerate(chosen):
            expert_RSK = of.pop().view(len(row_R), real_RS.shape[1], -1)
            share_RSE = functional.one_hot(expert_RSK, count).float().sum(dim=2) * real_RS[..., None]
            sums_LME[layer] += torch.stack(
                [part.sum(dim=(0, 1)) for part in share_RSE.split([num_frames, real_RS.shape[1] - num_frames], 1)]
            )
    for hook in hooks:
        hook.remove()
    share_LME = sums_LME / sums_LME.sum(dim=2, keepdim=True)
    distance: list[float] = (0.5 * (share_LME[:, 0] - share_LME[:, 1]).abs().sum(dim=1)).tolist()
    return distance


def _experts(choice: RouterOutput) -> Tensor:
    return choice.expert_NK.detach().cpu()
