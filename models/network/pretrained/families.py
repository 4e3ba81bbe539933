"""The kinds of pretrained networks that a model can start from, by the `model_type` of their `config.json` (OWSM's is ours)."""

from __future__ import annotations

from voxmill.models.network.pretrained.family import Architecture, Family
from voxmill.models.network.pretrained.moonshine_encoder import MoonshineFamily
from voxmill.models.network.pretrained.owsm import OwsmFamily
from voxmill.models.network.pretrained.owsm_config import OWSM
from voxmill.models.network.pretrained.w2v_bert import W2vBertFamily
from voxmill.models.network.pretrained.wav2vec2 import Wav2Vec2Family
from voxmill.models.network.pretrained.whisper import WhisperFamily

FAMILIES: dict[str, type[Family]] = {
    "whisper": WhisperFamily,
    "wav2vec2": Wav2Vec2Family,
    "wav2vec2-bert": W2vBertFamily,
    "moonshine": MoonshineFamily,
    OWSM: OwsmFamily,
}


def family_of(network: Architecture) -> Family:
    """The adapter for an architecture. Raises ValueError if there is none."""
    kind = network.get("model_type")
    if kind not in FAMILIES:
        raise ValueError(f"a network of kind {kind!r} cannot be started from; there are adapters for {', '.join(FAMILIES)}")
    return FAMILIES[kind](network)
