"""A model in a folder: tensors as safetensors, everything else as JSON and the tokeniser's own file. Nothing is ever unpickled.

    model.safetensors  tokens.model  [training.safetensors]  checkpoint.json

The JSON is written last and holds the digests of the others: a folder without it, or whose files differ from it, is no checkpoint.
What is loaded is checked before it is used: names, shapes, finite numbers, and that the tokeniser is the model's own.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from voxmill.manifests.commit import commit_bytes, locate
from voxmill.manifests.mistakes import Mistake
from voxmill.models.budget import Budget
from voxmill.models.model import ModelConfig, SpeechModel
from voxmill.models.targets import TargetsConfig
from voxmill.models.tokens import Tokens, TokensConfig

FORMAT = 1
"""Raised when a checkpoint of before can no longer be read."""
MODEL, TOKENS, TRAINING, COMMIT = "model.safetensors", "tokens.model", "training.safetensors", "checkpoint.json"


class CheckpointError(Mistake):
    """A folder that is no checkpoint of ours, or no longer; the message names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A model with all that it takes to use it."""

    model: SpeechModel
    tokens: Tokens
    targets: TargetsConfig
    step: int = 0
    trained: tuple[Budget, ...] = ()
    """Budgets that training visited; empty for a model of one size."""

    def extract(self, budget: Budget) -> Bundle:
        """The smaller model, on its own. Warns where training never visited the budget; raises BudgetError."""
        self.warn_outside(budget)
        small = self.model.extract(budget)
        full = max(small.config.emoe.schedule.budgets()) if small.config.emoe else budget
        inside = (b for b in self.trained if b.experts <= full.experts and b.top_k <= full.top_k and b.width <= full.width)
        return Bundle(small, self.tokens, self.targets, self.step, tuple(inside))

    def warn_outside(self, budget: Budget) -> None:
        if self.trained and budget not in self.trained:
            known = ", ".join(map(str, self.trained))
            warnings.warn(f"budget {budget} was never trained, expect worse: trained were {known}", stacklevel=3)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """What resuming needs besides the model."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    """JSON."""


def save(folder: str, bundle: Bundle, training: TrainingState | None = None) -> None:
    """Writes a checkpoint to a folder or fsspec URL; it exists when this returns, and not before."""
    from safetensors.torch import save as to_bytes

    files = {MODEL: to_bytes(_contiguous(bundle.model.state_dict())), TOKENS: bundle.tokens.subwords}
    if training is not None:
        files[TRAINING] = to_bytes(_contiguous(training.tensors))
    for name, blob in files.items():
        commit_bytes(f"{folder}/{name}", blob, replace=True)
    document = {
        "format": FORMAT,
        "step": bundle.step,
        "model": bundle.model.config.model_dump(mode="json"),
        "targets": bundle.targets.model_dump(mode="json"),
        "tokens": {"config": bundle.tokens.config.model_dump(mode="json"), "digest": bundle.tokens.digest},
        "trained": [str(budget) for budget in bundle.trained],
        "training": None if training is None else dict(training.values),
        "sha256": {name: hashlib.sha256(blob).hexdigest() for name, blob in files.items()},
    }
    commit_bytes(f"{folder}/{COMMIT}", (json.dumps(document, indent=1, sort_keys=True) + "\n").encode(), replace=True)


def load(folder: str, device: torch.device | str = "cpu") -> Bundle:
    """The model in evaluation mode, on a device. Raises CheckpointError."""
    document = _document(folder)
    tokens = _tokens(folder, document)
    try:
        config = ModelConfig.model_validate(document["model"])
        targets = TargetsConfig.model_validate(document["targets"])
        full = config.emoe.full if config.emoe else None
        trained = tuple(Budget.parse(text, full) for text in document["trained"]) if full else ()
        step = int(document["step"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, COMMIT, _first_line(error)) from error
    if config.vocabulary != len(tokens):
        raise _damaged(folder, TOKENS, f"has {len(tokens)} tokens, the model was trained with {config.vocabulary}")
    with torch.device("meta"):
        model = SpeechModel(config)
    tensors = read_tensors(folder, MODEL, document)
    _check(folder, model, tensors)
    model.load_state_dict(tensors, assign=True)
    model.to(device).eval()
    return Bundle(model, tokens, targets, step, trained)


def load_training(folder: str) -> TrainingState:
    """Raises CheckpointError where the checkpoint was saved without it."""
    document = _document(folder)
    if document.get("training") is None:
        raise CheckpointError(f"{folder} holds a model and no training state: training cannot go on from it")
    return TrainingState(read_tensors(folder, TRAINING, document), document["training"])


def latest(folder: str) -> str | None:
    """The checkpoint of the highest step among the sub-folders `step-…` of a training's folder."""
    fs, path = locate(folder)
    try:
        names = [str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(path, detail=False)]
    except FileNotFoundError:
        return None
    steps = sorted(name for name in names if name.startswith("step-"))
    committed = [name for name in steps if fs.exists(f"{path}/{name}/{COMMIT}")]
    return f"{folder}/{committed[-1]}" if committed else None


def step_folder(folder: str, step: int) -> str:
    return f"{folder}/step-{step:08d}"


def read_tensors(folder: str, name: str, document: Mapping[str, Any]) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    try:
        tensors: dict[str, Tensor] = from_bytes(_read(folder, name, document))
    except (SafetensorError, ValueError) as error:
        raise _damaged(folder, name, _first_line(error)) from error
    return tensors


def _document(folder: str) -> dict[str, Any]:
    fs, path = locate(f"{folder}/{COMMIT}")
    try:
        document = json.loads(fs.cat_file(path))
        version = int(document["format"])
    except FileNotFoundError:
        raise CheckpointError(f"{folder} is no checkpoint: it has no {COMMIT}, which is written last") from None
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, COMMIT, _first_line(error)) from error
    if version > FORMAT:
        raise CheckpointError(f"{folder} has format {version}, this voxmill reads up to {FORMAT}: upgrade voxmill")
    found: dict[str, Any] = document
    return found


def _tokens(folder: str, document: Mapping[str, Any]) -> Tokens:
    blob = _read(folder, TOKENS, document)
    try:
        tokens = Tokens(blob, TokensConfig.model_validate(document["tokens"]["config"]))
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, TOKENS, _first_line(error)) from error
    if tokens.digest != document["tokens"].get("digest"):
        raise _damaged(folder, TOKENS, "is another tokeniser than the model was trained with")
    return tokens


def _read(folder: str, name: str, document: Mapping[str, Any]) -> bytes:
    fs, path = locate(f"{folder}/{name}")
    try:
        blob: bytes = fs.cat_file(path)
    except FileNotFoundError:
        raise _damaged(folder, name, "is missing") from None
    if hashlib.sha256(blob).hexdigest() != document.get("sha256", {}).get(name):
        raise _damaged(folder, name, f"differs from its digest in {COMMIT}")
    return blob


def _check(folder: str, model: SpeechModel, tensors: Mapping[str, Tensor]) -> None:
    own = model.state_dict()
    if missing := sorted(own.keys() - tensors.keys()):
        raise _damaged(folder, MODEL, f"misses {_some(missing)}")
    if unknown := sorted(tensors.keys() - own.keys()):
        raise _damaged(folder, MODEL, f"holds {_some(unknown)}, which the model does not have")
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape or tensor.dtype != own[name].dtype:
            raise _damaged(
                folder, MODEL,
                f"{name} is {tensor.dtype} {tuple(tensor.shape)}, the config says {own[name].dtype} {tuple(own[name].shape)}",
            )  # fmt: skip
        if not torch.isfinite(tensor).all():
            raise _damaged(folder, MODEL, f"{name} holds NaN or infinite numbers")


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _damaged(folder: str, name: str, cause: str) -> CheckpointError:
    return CheckpointError(f"{folder}/{name}: {cause}; take another checkpoint, or save it again")


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).partition("\n")[0] or type(error).__name__
