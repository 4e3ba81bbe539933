"""What ESPnet's config says of OWSM v3.1, as an architecture. What other models of ESPnet have in its place is refused."""

from __future__ import annotations

from typing import Any

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.models.network.pretrained.espnet_folder import EspnetFolder
from voxmill.models.network.pretrained.family import Architecture
from voxmill.models.network.pretrained.owsm_features import OwsmFeatures

OWSM, CTC_HEAD = "owsm", "ctc_head"
"""The `model_type` of such an architecture; its key that says whether a CTC head comes along."""
_CONVOLUTIONS = {
    "conv2d": ((3, 2), (3, 2)), "conv2d1": ((3, 1), (3, 1)), "conv2d2": ((3, 2), (3, 1)), "conv2d6": ((3, 2), (5, 3)),
    "conv2d8": ((3, 2), (3, 2), (3, 2)),
}  # fmt: skip
"""Kernel and stride of each, by the name of an input layer."""
_FOURFOLD = "conv2d"
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
    features = owsm_features(network)
    assert features.longest is not None
    network["max_target_positions"] = features.num_encoded(features.longest)  # ESPnet's search says no more tokens than frames
    return network


def check_owsm(network: Architecture) -> None:
    """Raises ValueError for what our modules are not."""
    for conf, rules in _ONLY.items():
        for key, (default, wanted) in rules.items():
            if (found := network[conf].get(key, default)) != wanted:
                raise ValueError(f"its {conf}.{key} is {found!r}; only {wanted!r} can be read, as OWSM v3.1 has it")
    if (hertz := network["frontend_conf"].get("fs", SAMPLE_RATE)) not in (SAMPLE_RATE, "16k", "16000"):
        raise ValueError(f"it hears {hertz} Hz, and only 16 kHz can be read")
    if (layer := network["encoder_conf"].get("input_layer", _FOURFOLD)) not in _CONVOLUTIONS:
        raise ValueError(f"its input layer is {layer!r}; there are {', '.join(_CONVOLUTIONS)}")


def owsm_features(network: Architecture) -> OwsmFeatures:
    """What it hears. Raises ValueError as `check_owsm` does."""
    check_owsm(network)
    own = network["frontend_conf"]
    size = own.get("n_fft", 512)
    return OwsmFeatures(
        own.get("n_mels", 80), size, own.get("win_length") or size, own.get("hop_length", 128),
        round(network["speech_length"] * SAMPLE_RATE), _CONVOLUTIONS[network["encoder_conf"].get("input_layer", _FOURFOLD)],
    )  # fmt: skip
