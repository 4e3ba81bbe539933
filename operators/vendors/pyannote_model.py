"""Loads pyannote's segmentation network from a folder without trusting its checkpoint."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

FILE = "pytorch_model.bin"

HOP = 270
"""Samples between the network's frames: SincNet's strides."""

WINDOW = 80_000
"""Samples in a window: 5 s, what the network was trained on."""

LEAD = 1
"""Hops by which the centre of the first frame comes after that of the first hop."""


def load_network(file: Path) -> Any:
    """The network with the weights of the checkpoint; classes that the checkpoint names are replaced by `_Inert`."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchcodec, which reads files for pyannote, is not needed: waveforms come from memory
        from pyannote.audio.models.segmentation.PyanNet import PyanNet

    strangers = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    with torch.serialization.safe_globals([(_Inert, name) for name in strangers]):
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    weights, shape = checkpoint["state_dict"], checkpoint["hyper_parameters"]
    network = PyanNet(**{part: dict(shape[part]) for part in ("sincnet", "lstm", "linear")})
    network.classifier = torch.nn.Linear(*reversed(weights["classifier.weight"].shape))
    network.activation = torch.nn.Sigmoid()
    network.load_state_dict(weights)
    return network.eval()


class _Inert:
    """Stands for every class that a checkpoint names (its training task, its config): built, and then ignored."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass
