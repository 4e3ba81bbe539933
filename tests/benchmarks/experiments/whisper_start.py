"""The student at its start: Whisper base, whose decoder may have elastic experts, and whose encoder may be left out.

Nothing but the encoder's pass is: modules, values, budgets, tokens are those of `voxmill train -c whisper`.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.network.attention import real_mask
from voxmill.models.network.model import Conditions, EncoderOutput, ModelConfig, SpeechModel
from voxmill.models.network.pretrained.open_start import open_start
from voxmill.models.network.pretrained.start_config import StartConfig
from voxmill.models.training.pretrained_start import begin_pretrained, filled, named, pretrained_tokens
from voxmill.operators.weights.registry import resolve

WHISPER = "whisper-base"
EXPERTS: dict[str, Any] = {
    "encoder": False, "experts": 6, "shared": 1, "top_k": 3, "width": 512, "scale": 3.0, "dropout": 0.0,
    "schedule": {"experts": [3, 6], "top_k": [3], "width": [512]},
}  # fmt: skip
"""Those of the recipe `whisper`."""
FROZEN = ("frontend", "encoder", "decoder.embed", "decoder.place", "decoder.norm")
ATTENTION = ("itself", "sound", "norm_itself", "norm_sound")


def architecture(experts: bool, attention: bool) -> ModelConfig:
    """Whisper base; with experts in its decoder or dense, with attention trained or frozen."""
    folder = str(resolve(WHISPER))
    layers = () if attention else [f"decoder.layers.{index}.{part}" for index in range(depth(folder)) for part in ATTENTION]
    start = {"model": folder, "parts": "all", "freeze": [*FROZEN, *layers]}
    return ModelConfig.model_validate({"start": start, "ctc": False, "emoe": EXPERTS if experts else None})


@cache
def depth(folder: str) -> int:
    """Layers of a Whisper's decoder."""
    found: int = open_start(StartConfig(model=folder, parts="all")).network["decoder_layers"]
    return found


class FromFrames(SpeechModel):
    """A model that is given its encoder's frames in place of features."""

    def encode(self, feature_BTM: Tensor, length_B: Tensor, conditions: Conditions | None = None) -> EncoderOutput:
        """The frames as they are."""
        return EncoderOutput(feature_BTM, length_B, feature_BTM, real_mask(length_B, feature_BTM.shape[1]))


def from_frames(model: Any) -> Any:
    """The same model, with the same parameters, as one that is given frames."""
    model.__class__ = FromFrames
    return model


def begun(config: ModelConfig, seed: int) -> tuple[SpeechModel, Tokenizer]:
    """A model of a config that starts from Whisper base, before its first step."""
    assert config.start is not None
    start = open_start(config.start)
    tokens = pretrained_tokens(start, TokenizerConfig(gender=(), age=(), emotion=(), sound_events=(), translate_to=()))
    torch.manual_seed(seed)
    model = SpeechModel(filled(config, start).model_copy(update={"vocabulary": len(tokens)}))
    begin_pretrained(model, start, tokens.num_given)
    model.config = named(model.config, start)
    return model, tokens
