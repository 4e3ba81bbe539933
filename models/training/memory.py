"""The memory that a training needs: parameters and optimiser are counted, activations measured on short made-up utterances and scaled up.

Not counted: what kernels need for a moment, the fragments of an allocator, video frames, and loader processes. So it is the
least that a device needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from voxmill.models.network.model import Conditions, SpeechModel
from voxmill.models.training.pretrained_start import is_frozen
from voxmill.models.training.train_config import TrainConfig

TOKENS_A_SECOND = 5
"""Of text in the made-up utterances: fast English in subwords."""
UNIT_S = 1.0
"""Length of the shortest of them."""


@dataclass(frozen=True, slots=True)
class TrainingMemory:
    """Bytes on the device of each worker."""

    parameters: int
    """The model, and its moving average where there is one."""
    optimizer: int
    """Gradients and AdamW's two means, of what is trained in the last step."""
    activations: int
    """What the forward pass of the largest batch keeps for the backward pass."""

    @property
    def total(self) -> int:
        """All three."""
        return self.parameters + self.optimizer + self.activations


def training_memory(model: SpeechModel, config: TrainConfig, batches: Sequence[tuple[int, float]]) -> TrainingMemory:
    """An estimate for a fresh model, which is run. `batches`: (utterances, seconds of the longest) of each."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and not is_frozen(name, model.config.start, config.steps))
    stored = sum(p.numel() * p.element_size() for p in model.parameters())
    learnt = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    one, two, four = (kept_bytes(model, 1, length * UNIT_S, config) for length in (1, 2, 4))
    fixed = max(0, 2 * one - kept_bytes(model, 2, UNIT_S, config))  # such as the parameters in bfloat16
    square = max(0.0, ((four - two) / 2 - (two - one)) / 3)
    slope = (four - one) / 3 - 5 * square
    level = one - slope - square - fixed

    def activations(utterances: int, seconds: float) -> float:
        length = seconds / UNIT_S
        return fixed + utterances * (level + slope * length + square * length**2)

    largest = max((activations(*batch) for batch in batches), default=0.0)
    return TrainingMemory(stored * (2 if config.average else 1), 3 * learnt, int(largest))


def kept_bytes(model: SpeechModel, utterances: int, seconds: float, config: TrainConfig) -> int:
    """Bytes that one forward pass keeps for the backward pass, parameters not counted."""
    features, tasks = model.config.features, model.config.tasks
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    sound_BTM = torch.randn(utterances, round(1000 * seconds / features.shift_ms), features.width)
    token_BU = torch.randint(1, model.config.vocabulary, (utterances, max(1, int(TOKENS_A_SECOND * seconds))))
    zero_B = torch.zeros(utterances, dtype=torch.long)
    active_BK = tasks.active([frozenset(tasks.tasks)] * utterances) if tasks else None
    conditions = Conditions(bandwidth_B=zero_B, translates_B=zero_B, active_BK=active_BK, loads=[])
    bfloat16 = torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), bfloat16:
        length_B = torch.full((utterances,), sound_BTM.shape[1])
        outputs = model.train()(sound_BTM, length_B, token_BU, conditions, token_BU, token_BU)
        heads = (outputs.ctc_BTV, outputs.forward_BUV, outputs.backward_BUV)
        losses = [functional.log_softmax(one.float(), -1).sum() for one in heads if one is not None]
        losses += [one.sum() for one in outputs.lattice or ()]
        total = torch.stack(losses).sum()
    del total  # until here it holds all that is kept, so that no two tensors were counted as one
    return sum(kept.values())
