"""Opens a pretrained network: a local folder in the layout of transformers, CTranslate2 or ESPnet, or a pinned id of a hub."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from voxmill.manifests.errors import Unavailable, UserError
from voxmill.models.network.pretrained.ctranslate2_file import MODEL_FILE, read_whisper
from voxmill.models.network.pretrained.espnet_folder import ESPNET_FILES, EspnetFolder, espnet_folder
from voxmill.models.network.pretrained.families import family_of
from voxmill.models.network.pretrained.family import Family
from voxmill.models.network.pretrained.owsm import owsm_tokenizer
from voxmill.models.network.pretrained.owsm_config import owsm_network
from voxmill.models.network.pretrained.start_config import StartConfig

TOKENIZER = "tokenizer.json"
_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_OF_A_MACHINE = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "architectures", "auto_map")
"""Keys of a `config.json` that say nothing of the network."""
_Found = TypeVar("_Found")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class OpenedStart:
    """A pretrained network on this machine. Its weights are read when they are asked for."""

    folder: Path
    label: str
    """What its folder or hub id is called."""
    parts: frozenset[str]
    """`encoder`, and `decoder` where that is wanted."""

    @cached_property
    def espnet(self) -> EspnetFolder | None:
        """Its files, if it is in ESPnet's layout. Raises UserError."""
        return self._checked(lambda: espnet_folder(self.folder))

    @cached_property
    def network(self) -> dict[str, Any]:
        """Its architecture. Raises UserError."""
        if (self.folder / MODEL_FILE).is_file():
            return self._checked(lambda: read_whisper(self.folder / MODEL_FILE).network)
        if opened := self.espnet:
            return self._checked(lambda: owsm_network(opened))
        network = _json(self.folder / _CONFIG)
        network = {key: value for key, value in network.items() if key not in _OF_A_MACHINE}
        if (self.folder / _PREPROCESSOR).is_file():
            network["preprocessor"] = _json(self.folder / _PREPROCESSOR)
        return network

    @cached_property
    def family(self) -> Family:
        """Its adapter. Raises UserError."""
        return self._checked(lambda: family_of(self.network))

    @cached_property
    def name(self) -> str:
        """What its folder is called, and a digest of its weights."""
        digest = hashlib.sha256()
        files = [path for path in self.folder.iterdir() if path.suffix == ".safetensors" or path.name == MODEL_FILE]
        for path in [self.espnet.weights_file] if self.espnet else sorted(files):
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return f"{self.label}@{digest.hexdigest()[:12]}"

    def weights(self) -> dict[str, Tensor]:
        """Its tensors, under the names of our model's parameters. Raises UserError."""
        return self._checked(lambda: self.family.weights(self.folder, self.parts))

    def tokenizer(self) -> bytes:
        """Its `tokenizer.json`; of ESPnet's a SentencePiece model. Raises UserError."""
        if opened := self.espnet:
            return self._checked(lambda: owsm_tokenizer(opened))
        try:
            return (self.folder / TOKENIZER).read_bytes()
        except FileNotFoundError:
            raise UserError(
                f"model.start: {self.label} has no {TOKENIZER}, which `parts: all` needs; take `parts: encoder`"
            ) from None

    def _checked(self, read: Callable[[], _Found]) -> _Found:
        try:
            return read()
        except (ValueError, KeyError, OSError) as error:
            raise UserError(f"model.start: {self.label} cannot be used: {error}") from error


def open_start(config: StartConfig) -> OpenedStart:
    """Opens what a config names. Raises UserError if it is not there, is not pinned, or holds no safetensors."""
    folder = Path(config.model).expanduser()
    if not folder.is_dir():
        folder = _from_hub(config)
    label = config.model if folder != Path(config.model).expanduser() else folder.resolve().name
    start = OpenedStart(folder, label, frozenset({"encoder", *(["decoder"] if config.parts == "all" else [])}))
    if not any((folder / name).is_file() for name in (*_WEIGHTS, MODEL_FILE)) and start.espnet is None:
        raise UserError(
            f"model.start: {config.model} holds neither model.safetensors nor {MODEL_FILE}: save it with save_pretrained(…, "
            "safe_serialization=True); pickled weights are not loaded"
        )
    return start


def _from_hub(config: StartConfig) -> Path:
    if config.revision is None or not _COMMIT.fullmatch(config.revision):
        raise UserError(
            f"model.start: {config.model} is no local folder and no name of `voxmill models list`; a hub id needs its commit, 40 hex "
            "digits, as `revision`, so that the weights stay the same"
        )
    try:
        import huggingface_hub
    except ImportError:
        raise Unavailable("a model of a hub needs huggingface-hub: pip install 'voxmill[pretrained]'") from None
    try:
        got = huggingface_hub.snapshot_download(
            config.model,
            revision=config.revision,
            allow_patterns=["*.safetensors", "*.json", *ESPNET_FILES],
            ignore_patterns=["flax*", "tf_*"],
        )
    except (OSError, ValueError, RuntimeError) as error:
        said = str(error).partition("\n")[0]
        raise Unavailable(f"model.start: {config.model} of the hub cannot be had: {said}; give a local folder") from error
    return Path(got)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"model.start: {path.parent.name} has no {path.name}: give a folder that save_pretrained wrote"
        ) from None
    except ValueError as error:
        raise UserError(f"model.start: {path.name} of {path.parent.name} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"model.start: {path.name} of {path.parent.name} is no JSON object")
    return content
