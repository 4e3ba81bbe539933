"""Whisper (arXiv 2212.04356): encoder, decoder and the names of its tensors. The modules are ours (`whisper_layers.py`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.pretrained.ctranslate2_file import MODEL_FILE, read_whisper
from voxmill.models.network.pretrained.family import Architecture, Sizes
from voxmill.models.network.pretrained.vendor_layers import load_vendor, vendor
from voxmill.models.network.pretrained.whisper_features import WhisperFeatures
from voxmill.models.network.pretrained.whisper_layers import TiedDecoder, WindowFront, WindowLayers
from voxmill.models.network.pretrained.window_sound import WindowSound
from voxmill.models.network.sound_encoder import SoundEncoder

_NAMES = tuple(
    (re.compile(theirs), ours)
    for theirs, ours in (
        (r"^encoder\.(conv\d)", r"frontend.\1"),
        (r"^encoder\.embed_positions\.weight$", "frontend.place_TD"),
        (r"^encoder\.layers\.(\d+)\.self_attn_layer_norm", r"encoder.layers.\1.norm_attention"),
        (r"^encoder\.layers\.(\d+)\.self_attn", r"encoder.layers.\1.attention"),
        (r"^decoder\.embed_tokens", "decoder.embed"),
        (r"^decoder\.embed_positions", "decoder.place"),
        (r"^decoder\.layers\.(\d+)\.self_attn_layer_norm", r"decoder.layers.\1.norm_itself"),
        (r"^decoder\.layers\.(\d+)\.self_attn", r"decoder.layers.\1.itself"),
        (r"^decoder\.layers\.(\d+)\.encoder_attn_layer_norm", r"decoder.layers.\1.norm_sound"),
        (r"^decoder\.layers\.(\d+)\.encoder_attn", r"decoder.layers.\1.sound"),
        (r"\.final_layer_norm\.", ".norm_feed_forward."),
        (r"\.layer_norm\.", ".norm."),
        (r"\.q_proj\.", ".query."),
        (r"\.k_proj\.", ".key."),
        (r"\.v_proj\.", ".value."),
        (r"\.out_proj\.", ".out."),
        (r"\.fc1\.", ".feed_forward.up."),
        (r"\.fc2\.", ".feed_forward.down."),
    )
)
"""Their names and ours, applied in this order."""


class WhisperFamily:
    """Adapter for Whisper. See `Family`."""

    takes_experts = True
    brings_blank = False

    def __init__(self, network: Architecture) -> None:
        self.network = network

    def encoder_sizes(self) -> Sizes:
        """Width, depth, heads, hidden units."""
        own = self.network
        return {
            "dim": own["d_model"], "layers": own["encoder_layers"], "heads": own["encoder_attention_heads"],
            "hidden": own["encoder_ffn_dim"], "dropout": own.get("dropout", 0.0), "activation": "gelu", "causal": False,
        }  # fmt: skip

    def decoder_sizes(self) -> Sizes | None:
        """Depth, heads, hidden units; it has no decoder from the end."""
        own = self.network
        return {
            "layers": own["decoder_layers"], "backward_layers": 0, "heads": own["decoder_attention_heads"],
            "hidden": own["decoder_ffn_dim"], "dropout": own.get("dropout", 0.0), "activation": "gelu",
        }  # fmt: skip

    def features(self) -> WhisperFeatures:
        """Log mel features."""
        return WhisperFeatures(self.network["num_mel_bins"], 2 * self.network["max_source_positions"])

    def encoder(self, feed_forward: Callable[[int], nn.Module], whole: bool) -> SoundEncoder:
        """Front and layers."""
        size = self.encoder_sizes()
        features = self.features()
        front = WindowFront(features.num_mels, size["dim"], self.network["max_source_positions"])
        made = [feed_forward(index) for index in range(size["layers"])]
        layers = WindowLayers(size["dim"], size["heads"], size["dropout"], made)
        return WindowSound(features, size["dim"], size["layers"], 2 * features.shift_ms, front, layers, whole=whole)

    def decoder(self, vocabulary: int, feed_forward: Callable[[int], nn.Module]) -> nn.Module:
        """The decoder over its vocabulary."""
        config = DecoderConfig(**(self.decoder_sizes() or {}))
        made = [feed_forward(index) for index in range(config.layers)]
        return TiedDecoder(vocabulary, self.network["d_model"], self.network["max_target_positions"], config, made)

    def weights(self, folder: Path, parts: frozenset[str]) -> dict[str, Tensor]:
        """Its tensors under our names, from a folder of transformers' or CTranslate2's."""
        if (folder / MODEL_FILE).is_file():
            given: Mapping[str, Tensor] = read_whisper(folder / MODEL_FILE).tensors
        else:
            given = load_vendor(vendor().WhisperModel, folder).state_dict()
        return {own_name(name): tensor for name, tensor in given.items() if name.partition(".")[0] in parts}


def own_name(name: str) -> str:
    """Our name of a tensor of transformers' `WhisperModel`."""
    for theirs, ours in _NAMES:
        name = theirs.sub(ours, name)
    return name
