"""A model of ESPnet as its hub keeps it: `meta.yaml` says where config and weights are; or `config.yaml` and one file of weights beside it.

Weights are safetensors, or torch's file, of which tensors alone are read (`weights_only`).
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import torch
import yaml
from torch import Tensor

ESPNET_FILES = ("*.yaml", "*.pth", "*.model")
"""What a hub is asked for besides safetensors."""
META, CONFIG = "meta.yaml", "config.yaml"
_CONFIG_KEY, _WEIGHTS_KEY = "s2t_train_config", "s2t_model_file"
_BPE = "bpe.model"


@dataclass(frozen=True)
class EspnetFolder:
    """Where its files are."""

    folder: Path
    config_file: Path
    weights_file: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of its config. Raises ValueError."""
        return _mapping(self.config_file)

    def tensors(self) -> dict[str, Tensor]:
        """Its weights, under ESPnet's names. Raises ValueError if they are anything but tensors."""
        if self.weights_file.suffix == ".safetensors":
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                return dict(load_file(self.weights_file))
            except SafetensorError as error:
                raise ValueError(f"{self.weights_file.name}: {error}") from error
        try:
            found = torch.load(self.weights_file, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise ValueError(f"{self.weights_file.name} is no file of tensors alone: {str(error).splitlines()[0]}") from error
        if not isinstance(found, dict) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
            raise ValueError(f"{self.weights_file.name} is no plain dictionary of tensors: save the model's state_dict")
        return found

    def subwords(self) -> bytes:
        """Its SentencePiece model. Raises ValueError if it is not there."""
        named = PurePosixPath(str(self.config.get("bpemodel") or _BPE))
        places = sorted(self.folder.rglob(named.name))  # a path of the machine that unpacked it says no more than the name
        for place in [self.folder / named, *places] if _is_inside(named) else places:
            if place.is_file():
                return place.read_bytes()
        raise ValueError(f"its SentencePiece model is missing: put {named.name} into the folder")


def espnet_folder(folder: Path) -> EspnetFolder | None:
    """What a folder in ESPnet's layout holds; None if it is in another. Raises ValueError if its weights cannot be told."""
    if (folder / META).is_file():
        meta = _mapping(folder / META)
        try:
            config, weights = meta["yaml_files"][_CONFIG_KEY], meta["files"][_WEIGHTS_KEY]
        except (KeyError, TypeError):
            raise ValueError(
                f"{META} names no {_CONFIG_KEY} and {_WEIGHTS_KEY}: only speech-to-text models (OWSM) can be read"
            ) from None
        found = _inside(folder, weights)
        safe = found.with_suffix(".safetensors")
        return EspnetFolder(folder, _inside(folder, config), safe if safe.is_file() else found)
    if not (folder / CONFIG).is_file():
        return None
    for kind in (".safetensors", ".pth"):
        files = sorted(path for path in folder.iterdir() if path.suffix == kind)
        if len(files) > 1:
            raise ValueError(f"it holds {len(files)} files of weights, {files[0].name} and others: leave one beside {CONFIG}")
        if files:
            return EspnetFolder(folder, folder / CONFIG, files[0])
    return None


def _inside(folder: Path, name: Any) -> Path:
    path = PurePosixPath(str(name))
    if not _is_inside(path):
        raise ValueError(f"{META} names {name}, which is outside of the folder")
    return folder / path


def _is_inside(path: PurePosixPath) -> bool:
    return not path.is_absolute() and ".." not in path.parts


def _mapping(path: Path) -> dict[str, Any]:
    """A YAML file; with libyaml where it is there, since a list of 50,000 tokens takes half a minute without."""
    try:
        found = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is no YAML: {str(error).splitlines()[0]}") from error
    mapping: dict[str, Any] | None = found if isinstance(found, dict) else None
    if mapping is None:
        raise ValueError(f"{path.name} holds no mapping")
    return mapping
