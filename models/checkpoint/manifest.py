"""`checkpoint.json`, the manifest of a checkpoint: its fields, and reading it with every value checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import UserError
from voxmill.manifests.storage import locate
from voxmill.models.common.tasks import Task
from voxmill.models.common.tokenizer import TokenizerConfig
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.network.model import ModelConfig

FORMAT = 4
"""Raised when an older voxmill can no longer read a new checkpoint. Format 1 had no seal; routers had another bias up to format 2; up to
format 3 there was no pretrained start."""
MODEL, TOKENS, TRAINING, COMMIT = "model.safetensors", "tokens.model", "training.safetensors", "checkpoint.json"


class TokenizerEntry(Settings):
    """Config of the tokeniser, and its digest (`Tokenizer.digest`)."""

    config: TokenizerConfig
    digest: str


class CheckpointManifest(Settings):
    """The content of `checkpoint.json`."""

    format: PositiveInt
    step: NonNegativeInt
    model: ModelConfig
    targets: TargetsConfig
    tokens: TokenizerEntry
    trained: tuple[str, ...]
    """Budgets that training visited, as `Budget.parse` reads them."""
    taught: tuple[Task, ...] = ()
    """Tasks that any utterance was labelled for."""
    translated: tuple[str, ...] | None = None
    """Languages that any utterance was translated into; null: not known."""
    training: dict[str, Any] | None
    """Values that resuming needs; null: only the model was saved."""
    sha256: dict[str, str]
    """Digest of each of the other files."""
    seal: str = ""
    """Digest of all other fields."""


class LoaderState(Settings):
    """Position of the data loader (`Loader.state_dict`), which is checked before training goes on from it."""

    epoch: NonNegativeInt
    index: NonNegativeInt
    skipped: dict[str, NonNegativeInt] = Field(default_factory=dict)


class CheckpointError(UserError):
    """A folder that is no checkpoint or a damaged one; the message names the file and what is wrong with it."""


def read_manifest(folder: str) -> CheckpointManifest:
    """The manifest of the checkpoint in a folder or at an fsspec URL. Raises CheckpointError."""
    fs, path = locate(f"{folder}/{COMMIT}")
    try:
        plain = json.loads(fs.cat_file(path))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} is no checkpoint: it has no {COMMIT}, which is written last") from None
    except (ValueError, RecursionError) as error:
        raise damaged(folder, COMMIT, first_line(error)) from error
    version = plain.get("format") if isinstance(plain, dict) else None
    if not isinstance(version, int):
        raise damaged(folder, COMMIT, "does not say its format")
    if version > FORMAT:
        raise CheckpointError(f"{folder} has format {version}, this voxmill reads up to {FORMAT}: upgrade voxmill")
    if version > 1 and plain.get("seal") != seal(plain):
        raise damaged(folder, COMMIT, "was changed after it was written: it differs from its own digest")
    try:
        return CheckpointManifest.model_validate(plain)
    except ValidationError as error:
        raise damaged(folder, COMMIT, first_line(error)) from error


def seal(document: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its seal; does not depend on spaces or the order of keys."""
    rest = {name: value for name, value in document.items() if name != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def damaged(folder: str, name: str, cause: str) -> CheckpointError:
    """The error for a file of a checkpoint that cannot be used, with its fix."""
    return CheckpointError(f"{folder}/{name}: {cause}; take another checkpoint, or save it again")


def first_line(error: Exception) -> str:
    """What an exception says, in one line; of a validation error the first field and its message."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
    return str(error).partition("\n")[0] or type(error).__name__
