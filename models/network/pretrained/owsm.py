"""OWSM v3.1 (arXiv 2401.16658) from ESPnet's checkpoint: encoder, decoder, CTC head and vocabulary.

The modules are ours (`owsm_layers.py`, `owsm_decoder.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from voxmill.models.network.decoder import DecoderConfig
from voxmill.models.network.feed_forward import FeedForward
from voxmill.models.network.pretrained.espnet_folder import EspnetFolder, espnet_folder
from voxmill.models.network.pretrained.family import OF_TOKENS, Architecture, Sizes
from voxmill.models.network.pretrained.mel_filters import slaney_filters
from voxmill.models.network.pretrained.owsm_config import check_owsm, owsm_features
from voxmill.models.network.pretrained.owsm_decoder import PlacedDecoder
from voxmill.models.network.pretrained.owsm_features import OwsmFeatures
from voxmill.models.network.pretrained.owsm_layers import BranchLayers, BranchSizes, ConvolvedFront, sinusoids
from voxmill.models.network.pretrained.owsm_names import renamed
from voxmill.models.network.pretrained.owsm_tokens import OwsmTokens, owsm_tokens
from voxmill.models.network.pretrained.window_sound import WindowSound
from voxmill.models.network.sound_encoder import SoundEncoder

_FILTERS = "frontend.logmel.melmat"


class OwsmFamily:
    """Adapter for OWSM. See `Family`."""

    takes_experts = True
    brings_blank = True

    def __init__(self, network: Architecture) -> None:
        """Raises ValueError for what our modules are not."""
        check_owsm(network)
        self.network, self.sizes, self.said = network, network["encoder_conf"], network["decoder_conf"]

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
        return owsm_features(self.network)

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
        named = {renamed(name): tensor.float() for name, tensor in given.items()}
        assert features.longest is not None
        named["frontend.place_TD"] = sinusoids(features.num_encoded(features.longest), dim)
        named.setdefault("frontend.mean_M", torch.zeros(features.num_mels))
        named.setdefault("frontend.std_M", torch.ones(features.num_mels))
        if "decoder" not in parts:
            return {name: tensor for name, tensor in named.items() if name.startswith(("frontend.", "encoder."))}
        named["decoder.place_TD"] = sinusoids(self.network["max_target_positions"], dim)
        order = torch.tensor(_tokens(opened).order)
        if bad := [name for name in OF_TOKENS if name in named and len(named[name]) != len(order)]:
            raise ValueError(f"{bad[0]} has {len(named[bad[0]])} rows, its token_list {len(order)}")
        return named | {name: named[name][order] for name in OF_TOKENS if name in named}


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
