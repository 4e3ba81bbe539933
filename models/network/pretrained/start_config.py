"""Which pretrained network a model starts from, and how it is tuned."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from voxmill.manifests.config_base import Settings
from voxmill.models.network.pretrained.lora import LoraConfig, is_below


class StartConfig(Settings):
    """A pretrained network to start from. Sizes of `model.encoder` (and of `model.decoder`, with `parts: all`) are taken from it."""

    model: str
    """A local folder, a name of `voxmill models list`, or a hub id. Of a model that was saved: which weights it started from."""
    revision: str | None = None
    """Commit of a hub id; needed there, so that the weights stay the same."""
    parts: Literal["encoder", "all"] = "encoder"
    """`encoder`: that alone, below heads of our own. `all`: decoder and tokeniser too, so that training begins where that model stands."""
    freeze: tuple[str, ...] = ()
    """Parameters that are not trained, by the beginnings of their names: `frontend`, `encoder`, `encoder.layers.0`, `decoder`, …"""
    until: int | None = Field(default=None, ge=1)
    """Step from which these are trained too; null: they stay frozen."""
    rate_share: float = Field(default=1.0, gt=0)
    """Learning rate of the parameters that were pretrained, as a share of that of the new ones."""
    layer_share: float = Field(default=1.0, gt=0, le=1)
    """Layer-wise rates: each pretrained layer learns at this share of the rate of the layer above it; 1: all alike."""
    lora: LoraConfig | None = None
    """Small trained matrices beside frozen linear layers. Null: none."""
    network: dict[str, Any] | None = None
    """Its architecture, as its own `config.json` states it. Filled in when training starts."""

    @model_validator(mode="after")
    def _lora_stands_beside_what_is_frozen(self) -> StartConfig:
        if self.lora is None:
            return self
        for name in self.lora.below:
            if not any(is_below(prefix, name) for prefix in self.freeze):
                raise ValueError(f"lora.below names {name!r}, which is trained itself: name it in freeze too")
        if self.until is not None:
            raise ValueError("with lora, what is frozen stays so: leave out until")
        return self
