"""OWSM v3.1 (arXiv 2401.16658) from ESPnet's checkpoint: encoder, decoder, CTC head and the names of their tensors.

The modules are ours (`owsm_layers.py`, `owsm_decoder.py`). What other models of ESPnet have in their place is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.pretrained.espnet_folder import EspnetFolder, espnet_folder
from voxmill.models.network.pretrained.family import Architecture, Sizes
from voxmill.models.network.pretrained.mel_filters import slaney_filters
from voxmill.models.network.pretrained.owsm_decoder import PlacedDecoder
from voxmill.models.network.pretrained.owsm_features import OwsmFeatures
from voxmill.models.network.pretrained.owsm_layers import BranchLayers, BranchSizes, ConvolvedFront, sinusoids
from voxmill.models.network.pretrained.owsm_tokens import OwsmTokens, owsm_tokens
from voxmill.models.network.pretrained.window_sound import WindowSound
from voxmill.models.network.sound_encoder import SoundEncoder

OWSM, CTC_HEAD = "owsm", "ctc_head"
_CONVOLUTIONS = {
    "conv2d": ((3, 2), (3, 2)), "conv2d1": ((3, 1), (3, 1)), "conv2d2": ((3, 2), (3, 1)), "conv2d6": ((3, 2), (5, 3)),
    "conv2d8": ((3, 2), (3, 2), (3, 2)),
}  # fmt: skip
"""Kernel and stride of each, by the name of an input layer."""
_PARTS = ("frontend", "encoder", "decoder")
_CONFS = tuple(f"{part}_conf" for part in _PARTS)
_KINDS: dict[str, Any] = {
    "frontend": "default",
    "encoder": "e_branchformer",
    "decoder": "transformer",
    "preencoder": None,
    "postencoder": None,
}
_ONLY: dict[str, dict[str, tuple[Any, Any]]] = {
    "encoder_conf": {
        "attention_layer_type": ("rel_selfattn", "selfattn"), "pos_enc_layer_type": ("rel_pos", "abs_pos"),
        "use_linear_after_conv": (False, False), "gate_activation": ("identity", "identity"), "use_ffn": (False, True),
        "macaron_ffn": (False, True), "ffn_activation_type": ("swish", "swish"), "positionwise_layer_type": ("linear", "linear"),
        "interctc_use_conditioning": (False, False), "qk_norm": (False, False),
    },
    "decoder_conf": {
        "input_layer": ("embed", "embed"), "use_output_layer": (True, True), "normalize_before": (True, True),
        "concat_after": (False, False), "qk_norm": (False, False),
    },
    "frontend_conf": {
        "window": ("hann", "hann"), "center": (True, True), "normalized": (False, False), "onesided": (True, True), "fmin": (None, None),
        "fmax": (None, None), "htk": (False, False), "apply_stft": (True, True),
    },
}  # fmt: skip
"""Keys of ESPnet's config whose value decides what the network is: what it is where the key is left out, and what it has to be."""
_ATTENTION = tuple(
    (f".linear_{theirs}.", f".{ours}.") for theirs, ours in (("q", "query"), ("k", "key"), ("v", "value"), ("out", "out"))
)
_NAMES = tuple(
    (re.compile(theirs), ours)
    for theirs, ours in (
        (r"^normalize\.mean$", "frontend.mean_M"),
        (r"^normalize\.std$", "frontend.std_M"),
        (r"^encoder\.embed\.out\.0\.", "frontend.out."),
        (r"^encoder\.encoders\.(\d+)\.", r"encoder.layers.\1."),
        (r"^decoder\.decoders\.(\d+)\.", r"decoder.layers.\1."),
        (r"^decoder\.embed\.0\.", "decoder.embed."),
        (r"^decoder\.output_layer\.", "decoder.out."),
        (r"\.after_norm\.", ".norm."),
        (r"^ctc\.ctc_lo\.", "ctc."),
        (r"\.attn\.", ".attention."),
        (r"\.self_attn\.", ".itself."),
        (r"\.src_attn\.", ".sound."),
        (r"\.norm1\.", ".norm_itself."),
        (r"\.norm2\.", ".norm_sound."),
        (r"\.norm3\.", ".norm_feed_forward."),
        (r"\.norm_ff_macaron\.", ".norm_macaron."),
        (r"\.norm_ff\.", ".norm_feed_forward."),
        (r"\.norm_mha\.", ".norm_attention."),
        (r"\.norm_mlp\.", ".norm_gated."),
        (r"\.norm_final\.", ".norm_out."),
        (r"\.feed_forward_macaron\.", ".macaron."),
        (r"\.w_1\.", ".up."),
        (r"\.w_2\.", ".down."),
        (r"\.cgmlp\.channel_proj1\.0\.", ".gated.enter."),
        (r"\.cgmlp\.channel_proj2\.", ".gated.leave."),
        (r"\.cgmlp\.csgu\.norm\.", ".gated.norm."),
        (r"\.cgmlp\.csgu\.conv\.", ".gated.depthwise."),
        (r"\.depthwise_conv_fusion\.", ".depthwise."),
        (r"\.merge_proj\.", ".merge."),
        *((re.escape(theirs), ours) for theirs, ours in _ATTENTION),
    )
)
"""Their names and ours, applied in this order."""
_FRONT = re.compile(r"^encoder\.embed\.conv\.(\d+)\.")
"""A convolution of theirs, between which activations are counted too."""
_FILTERS = "frontend.logmel.melmat"
_OF_TOKENS = ("decoder.embed.weight", "decoder.out.weight", "decoder.out.bias", "ctc.weight", "ctc.bias")
"""Tensors whose rows are the tokens of the vocabulary."""


class OwsmFamily:
    """Adapter for OWSM. See `Family`."""

    takes_experts = True
    brings_blank = True

    def __init__(self, network: Architecture) -> None:
        """Raises ValueError for what our modules are not."""
        self.network = network
        self.heard, self.sizes, self.said = (dict(network[conf]) for conf in ("frontend_conf", "encoder_conf", "decoder_conf"))
        for conf, rules in _ONLY.items():
            for key, (default, wanted) in rules.items():
                if (found := network[conf].get(key, default)) != wanted:
                    raise ValueError(f"its {conf}.{key} is {found!r}; only {wanted!r} can be read, as OWSM v3.1 has it")
        if self.heard.get("fs", 16_000) not in (16_000, "16k", "16000"):
            raise ValueError(f"it hears {self.heard['fs']} Hz, and only 16 kHz can be read")
        if self.sizes.get("input_layer", "conv2d") not in _CONVOLUTIONS:
            raise ValueError(f"its input layer is {self.sizes['input_layer']!r}; there are {', '.join(_CONVOLUTIONS)}")

    def encoder_sizes(self) -> Sizes:
        """Width, depth, heads, hidden units."""
        own = self.sizes
        return {
            "dim": own.get("output_size", 256), "layers": own.get("num_blocks", 12), "heads": own.get("attention_heads", 4),
            "hidden": own.get("linear_units", 2048), "dropout": own.get("dropout_rate", 0.1), "activation": "silu", "causal": False,
        }  # fmt: skip

    def decoder_sizes(self) -> Sizes | None:
        """Depth, heads, hidden units; it has no decoder from the end."""
        own = self.said
        return {
            "layers": own.get("num_blocks", 6), "backward_layers": 0, "heads": own.get("attention_heads", 4),
            "hidden": own.get("linear_units", 2048), "dropout": own.get("dropout_rate", 0.1), "activation": "relu",
        }  # fmt: skip

    def features(self) -> OwsmFeatures:
        """Log mel features."""
        own = self.heard
        size = own.get("n_fft", 512)
        return OwsmFeatures(
            own.get("n_mels", 80), size, own.get("win_length") or size, own.get("hop_length", 128),
            round(self.network["speech_length"] * SAMPLE_RATE), _CONVOLUTIONS[self.sizes.get("input_layer", "conv2d")],
        )  # fmt: skip

    def encoder(self, feed_forward: Callable[[int], nn.Module], whole: bool) -> SoundEncoder:
        """Front and layers; the first feed-forward layer of each stays dense."""
        own, size, features = self.sizes, self.encoder_sizes(), self.features()
        branches = BranchSizes(
            size["dim"], size["heads"], own.get("cgmlp_linear_units", 2048), own.get("cgmlp_conv_kernel", 31),
            own.get("merge_conv_kernel", 3), size["dropout"], own.get("attention_dropout_rate", 0.0),
        )  # fmt: skip
        pairs = [
            (FeedForward(size["dim"], size["hidden"], size["dropout"], size["activation"]), feed_forward(index))
            for index in range(size["layers"])
        ]
        front = ConvolvedFront(features, size["dim"], own.get("positional_dropout_rate", 0.1))
        frame_ms = features.shift_ms
        for _, stride in features.convolutions:
            frame_ms *= stride
        return WindowSound(features, size["dim"], size["layers"], frame_ms, front, BranchLayers(branches, pairs), whole=whole)

    def decoder(self, vocabulary: int, feed_forward: Callable[[int], nn.Module]) -> nn.Module:
        """The decoder over its vocabulary."""
        config = DecoderConfig(**(self.decoder_sizes() or {}))
        made = [feed_forward(index) for index in range(config.layers)]
        return PlacedDecoder(vocabulary, self.encoder_sizes()["dim"], self.network["max_target_positions"], config, made)

    def weights(self, folder: Path, parts: frozenset[str]) -> dict[str, Tensor]:
        """Its tensors under our names, from a folder of ESPnet's."""
        opened, features, dim = _opened(folder), self.features(), self.encoder_sizes()["dim"]
        given = opened.tensors()
        filters_QM = slaney_filters(features.num_mels, features.size)
        if (theirs := given.pop(_FILTERS, None)) is not None and not torch.allclose(theirs.float(), filters_QM, atol=1e-5):
            raise ValueError("its mel filters are others than librosa's")
        named = {_renamed(name): tensor.float() for name, tensor in given.items()}
        assert features.longest is not None
        named["frontend.place_TD"] = sinusoids(features.num_encoded(features.longest), dim)
        named.setdefault("frontend.mean_M", torch.zeros(features.num_mels))
        named.setdefault("frontend.std_M", torch.ones(features.num_mels))
        if "decoder" not in parts:
            return {name: tensor for name, tensor in named.items() if name.startswith(("frontend.", "encoder."))}
        named["decoder.place_TD"] = sinusoids(self.network["max_target_positions"], dim)
        order = torch.tensor(_tokens(opened).order)
        if bad := [name for name in _OF_TOKENS if name in named and len(named[name]) != len(order)]:
            raise ValueError(f"{bad[0]} has {len(named[bad[0]])} rows, its token_list {len(order)}")
        return named | {name: named[name][order] for name in _OF_TOKENS if name in named}


def owsm_network(opened: EspnetFolder) -> dict[str, Any]:
    """The architecture in a folder. Raises ValueError if it is of another kind than OWSM v3.1."""
    config = opened.config
    for key, wanted in _KINDS.items():
        if (found := config.get(key, wanted)) != wanted:
            raise ValueError(f"its {key} is {found!r}; only OWSM v3.1's, {wanted!r}, can be read")
    if config.get("normalize", "global_mvn") not in ("global_mvn", None):
        raise ValueError(f"its features are normalised by {config['normalize']!r}, and only global_mvn can be read")
    network: dict[str, Any] = {"model_type": OWSM, **{conf: dict(config.get(conf) or {}) for conf in _CONFS}}
    network["speech_length"] = (config.get("preprocessor_conf") or {}).get("speech_length", 30)
    network[CTC_HEAD] = (config.get("model_conf") or {}).get("ctc_weight", 0.5) != 0
    features = OwsmFamily(network).features()
    assert features.longest is not None
    network["max_target_positions"] = features.num_encoded(features.longest)  # ESPnet's search says no more tokens than frames
    return network


def owsm_tokenizer(opened: EspnetFolder) -> bytes:
    """Its vocabulary as a SentencePiece model of ours. Raises ValueError."""
    return _tokens(opened).subwords


def _tokens(opened: EspnetFolder) -> OwsmTokens:
    if not (listed := opened.config.get("token_list")):
        raise ValueError(f"{opened.config_file.name} holds no token_list")
    return owsm_tokens([str(name) for name in listed], opened.subwords())


def _opened(folder: Path) -> EspnetFolder:
    found = espnet_folder(folder)
    if found is None:
        raise ValueError(f"{folder.name} is no folder in ESPnet's layout")
    return found


def _renamed(name: str) -> str:
    if match := _FRONT.match(name):
        return f"frontend.convolutions.{int(match[1]) // 2}.{name[match.end() :]}"
    for theirs, ours in _NAMES:
        name = theirs.sub(ours, name)
    return name
