"""The student at its start: Whisper base, whose decoder may have elastic experts, and whose encoder may be left out.

Nothing but the encoder's pass is: modules, values, budgets, tokens are those of `voxmill train -c whisper`.
"""

# mypy: allow-subclassing-any
from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.network.attention import real_mask
from voxmill.models.network.model import Conditions, EncoderOutput, ModelConfig, SpeechModel
from voxmill.models.network.pretrained.open_start import open_start
from voxmill.models.network.pretrained.start_config import StartConfig
from voxmill.models.network.route import Route
from voxmill.models.training.pretrained_start import begin_pretrained, filled, named, pretrained_tokens
from voxmill.operators.weights.registry import resolve

WHISPER = "whisper-base"
EXPERTS: dict[str, Any] = {
    "encoder": False, "experts": 6, "shared": 1, "top_k": 3, "width": 512, "scale": 3.0, "dropout": 0.0,
    "schedule": {"experts": [3, 6], "top_k": [3], "width": [512]},
}  # fmt: skip
"""Those of the recipe `whisper`."""
DECODER_ENDS = ("decoder.embed", "decoder.place", "decoder.norm")
FROZEN = ("frontend", "encoder", *DECODER_ENDS)
ATTENTION = ("itself", "sound", "norm_itself", "norm_sound")


def architecture(experts: bool, attention: bool) -> ModelConfig:
    """Whisper base; with experts in its decoder or dense, with attention trained or frozen."""
    return switched((*FROZEN, *(() if attention else attention_of_decoder())), emoe=EXPERTS if experts else None)


def switched(freeze: Sequence[str], rate_share: float = 1.0, **switches: Any) -> ModelConfig:
    """Whisper base with switches of `ModelConfig`; `freeze` and `rate_share` as in `StartConfig`."""
    start = {"model": str(resolve(WHISPER)), "parts": "all", "freeze": freeze, "rate_share": rate_share}
    return ModelConfig.model_validate({"start": start, "ctc": False, **switches})


def attention_of_decoder() -> list[str]:
    """The beginnings of the names of its parameters, for `freeze`."""
    return [f"decoder.layers.{index}.{part}" for index in range(depth("decoder")) for part in ATTENTION]


def depth(part: Literal["encoder", "decoder"]) -> int:
    """Layers of that part of Whisper base."""
    return _depth(str(resolve(WHISPER)), part)


@cache
def _depth(folder: str, part: str) -> int:
    found: int = open_start(StartConfig(model=folder, parts="all")).network[f"{part}_layers"]
    return found


class FromFrames(SpeechModel):
    """A model that is given its encoder's frames in place of features, or what enters the encoder's last layers."""

    late: int
    """How many layers these have yet to pass."""

    def encode(self, feature_BTM: Tensor, length_B: Tensor, conditions: Conditions | None = None) -> EncoderOutput:
        """Frames through what is left of the encoder, with task vectors and pictures as `SpeechModel.encode` adds them after it."""
        conditions, x_BTD = conditions or Conditions(), feature_BTM
        real_BT = real_mask(length_B, x_BTD.shape[1])
        seen_B = None if conditions.frames is None else conditions.frames.number_B > 0
        route = Route(self._budget(conditions), conditions.bandwidth_B, seen_B, real_BT, conditions.loads)
        if self.late:
            for layer in self.encoder.layers[-self.late :]:
                x_BTD = layer(x_BTD, real_BT[:, None, None], route)
            x_BTD = self.encoder.norm(x_BTD)
        x_BTD = self._with_tasks(self.tasks_late, x_BTD, conditions)
        if self.afterwards is not None and conditions.frames is not None:
            return self._seen_afterwards(x_BTD, real_BT, length_B, conditions.frames, route)
        return EncoderOutput(x_BTD, length_B, x_BTD, real_BT)


def from_frames(model: Any, late: int = 0) -> Any:
    """The same model, with the same parameters, as one that is given frames."""
    model.__class__ = FromFrames
    model.late = late
    return model


def begun(config: ModelConfig, seed: int, translate_to: tuple[str, ...] = ()) -> tuple[SpeechModel, Tokenizer]:
    """A model of a config that starts from Whisper base, before its first step."""
    assert config.start is not None
    start = open_start(config.start)
    tokens = pretrained_tokens(
        start, TokenizerConfig(gender=(), age=(), emotion=(), sound_events=(), translate_to=translate_to)
    )
    torch.manual_seed(seed)
    model = SpeechModel(filled(config, start).model_copy(update={"vocabulary": len(tokens)}))
    begin_pretrained(model, start, tokens.num_given)
    model.config = named(model.config, start)
    return model, tokens
