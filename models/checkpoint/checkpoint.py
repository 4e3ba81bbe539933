"""Saving and loading checkpoints: tensors as safetensors, the tokeniser's own file, everything else as JSON. No pickle.

    model.safetensors  tokens.model  [training.safetensors]  checkpoint.json

The JSON is written last and holds the digests of the other files and of itself: a folder without it, or whose files differ from
their digests, is no checkpoint. Digests find damage, not malice, so loading also checks names, shapes, that all numbers are
finite, and that the tokeniser is the one the model was trained with.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from voxmill.manifests.storage import commit_bytes, locate
from voxmill.models.checkpoint.manifest import (
    COMMIT,
    FORMAT,
    MODEL,
    TOKENS,
    TRAINING,
    CheckpointError,
    CheckpointManifest,
    LoaderState,
    damaged,
    first_line,
    read_manifest,
    seal,
)
from voxmill.models.checkpoint.validation import read_validations
from voxmill.models.common.tasks import Task
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.network.budget import Budget, BudgetError
from voxmill.models.network.model import ModelConfig, SpeechModel


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A model with its tokeniser and all else that using it takes."""

    model: SpeechModel
    tokens: Tokenizer
    targets: TargetsConfig
    step: int = 0
    trained: tuple[Budget, ...] = ()
    """Budgets that training visited, smallest first; empty for a model without eMoE."""
    taught: tuple[Task, ...] = ()
    """Of the targets' tasks, those that any training utterance was labelled for; the others were never learnt. Empty: not
    known."""
    translated: tuple[str, ...] | None = None
    """Languages that any training utterance was translated into; None: not known."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that the model can be asked for."""
        return self.taught or self.targets.tasks

    def translates_into(self, language: str) -> bool:
        """Whether a language was translated into in training, or by the pretrained network that the model began as; True where that is not known.

        Raises UnknownTokenError.
        """
        start, task = self.model.config.start, self.tokens.translate_to(language)
        brought = start is not None and start.parts == "all" and task < self.tokens.num_given
        return self.translated is None or language in self.translated or brought

    def extract(self, budget: Budget) -> Bundle:
        """The model of a smaller budget, as one of its own. Warns if training never visited the budget; raises BudgetError."""
        self.warn_outside(budget)
        small = self.model.extract(budget)
        full = small.config.emoe.full if small.config.emoe else budget
        inside = (one for one in self.trained if one.fits(full))
        return Bundle(small, self.tokens, self.targets, self.step, tuple(inside), self.taught, self.translated)

    def warn_outside(self, budget: Budget) -> None:
        """Warns if training visited budgets, and not this one."""
        if self.trained and budget not in self.trained:
            known = ", ".join(map(str, self.trained))
            warnings.warn(f"budget {budget} was never trained, expect worse: trained were {known}", stacklevel=3)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """What resuming a training needs besides the model."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    """Plain values, written as JSON."""


def save(folder: str, bundle: Bundle, training: TrainingState | None = None) -> None:
    """Writes a checkpoint to a folder or fsspec URL. It is a checkpoint only once the last file, the JSON, is written."""
    from safetensors.torch import save as to_bytes

    files = {MODEL: to_bytes(_contiguous(bundle.model.state_dict())), TOKENS: bundle.tokens.subwords}
    if training is not None:
        files[TRAINING] = to_bytes(_contiguous(training.tensors))
    for name, blob in files.items():
        commit_bytes(f"{folder}/{name}", blob, replace=True)
    manifest = {
        "format": FORMAT,
        "step": bundle.step,
        "model": bundle.model.config.model_dump(mode="json"),
        "targets": bundle.targets.model_dump(mode="json"),
        "tokens": {"config": bundle.tokens.config.model_dump(mode="json"), "digest": bundle.tokens.digest},
        "trained": [str(budget) for budget in bundle.trained],
        "taught": list(bundle.taught),
        "translated": None if bundle.translated is None else list(bundle.translated),
        "training": None if training is None else dict(training.values),
        "sha256": {name: hashlib.sha256(blob).hexdigest() for name, blob in files.items()},
    }
    manifest["seal"] = seal(manifest)
    commit_bytes(f"{folder}/{COMMIT}", (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode(), replace=True)


def load(folder: str, device: torch.device | str = "cpu") -> Bundle:
    """Loads a checkpoint; the model is in evaluation mode, on a device. Raises CheckpointError."""
    manifest = read_manifest(folder)
    config, tokens = manifest.model, _tokens(folder, manifest)
    try:
        full = config.emoe.full if config.emoe else None
        trained = tuple(Budget.parse(text, full) for text in manifest.trained) if full else ()
    except BudgetError as error:
        raise damaged(folder, COMMIT, str(error)) from error
    if config.vocabulary != len(tokens):
        raise damaged(folder, TOKENS, f"has {len(tokens)} tokens, the model was trained with {config.vocabulary}")
    tensors = _read_tensors(folder, MODEL, manifest)
    model = _empty_model(folder, config, len(tensors))
    if manifest.format < 3:
        tensors = _with_balancers(folder, model, tensors)
    _check(folder, model, tensors)
    model.load_state_dict(tensors, assign=True)
    model.to(device).eval()
    return Bundle(model, tokens, manifest.targets, manifest.step, trained, manifest.taught, manifest.translated)


def load_training(folder: str) -> TrainingState:
    """Loads the training state of a checkpoint. Raises CheckpointError if it is damaged or was saved without one."""
    manifest = read_manifest(folder)
    if manifest.training is None:
        raise CheckpointError(f"{folder} holds a model and no training state: training cannot go on from it")
    read_validations(folder, manifest.training.get("validations", []))
    try:
        LoaderState.model_validate(manifest.training.get("loader"))
    except ValidationError as error:
        raise damaged(folder, COMMIT, f"training.loader: {first_line(error)}") from error
    tensors, of_model = _read_tensors(folder, TRAINING, manifest), _read_tensors(folder, MODEL, manifest)
    for place, tensor in tensors.items():
        kind, _, name = place.partition(".")
        key, _, name = name.partition(".") if kind == "optimizer" else (kind, "", name)
        if name not in of_model or tensor.shape not in (of_model[name].shape, *([torch.Size()] if key == "step" else [])):
            raise damaged(folder, TRAINING, f"{place} {tuple(tensor.shape)} belongs to no tensor of the model")
        if not torch.isfinite(tensor).all():
            raise damaged(folder, TRAINING, f"{place} holds NaN or infinite numbers")
    return TrainingState(tensors, manifest.training)


def latest(folder: str) -> str | None:
    """The checkpoint of the highest step among the sub-folders `step-…` of a training's folder; None if there is none."""
    found = _steps(folder)
    return f"{folder}/{found[-1]}" if found else None


def prune(folder: str, keep: int, wanted: Collection[int] = ()) -> None:
    """Removes the checkpoints of a training's folder but the last `keep` and those of the steps `wanted`. The JSON goes first, so that no half
    checkpoint is left; what a kill left of one goes as well, unless it is after the last: that one is being written."""
    fs, path = locate(folder)
    whole = _steps(folder)
    for name in whole[:-keep]:
        if _number(name) in wanted:
            continue
        fs.rm_file(f"{path}/{name}/{COMMIT}")
        fs.rm(f"{path}/{name}", recursive=True)
    for name in set(_named(folder)) - set(whole):
        if whole and _number(name) < _number(whole[-1]):
            fs.rm(f"{path}/{name}", recursive=True)


def steps_in(folder: str) -> list[int]:
    """The steps of the checkpoints in a training's folder, in order."""
    return [_number(name) for name in _steps(folder)]


_STEP = re.compile(r"step-\d+")


def _number(name: str) -> int:
    return int(name.rsplit("-", 1)[1])


def _named(folder: str) -> list[str]:
    """Names of the sub-folders that are or were checkpoints, by step."""
    fs, path = locate(folder)
    try:
        names = [str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(path, detail=False)]
    except FileNotFoundError:
        return []
    return [name for name in sorted(names) if _STEP.fullmatch(name)]


def _steps(folder: str) -> list[str]:
    """Names of the whole checkpoints among them, by step."""
    fs, path = locate(folder)
    return [name for name in _named(folder) if fs.exists(f"{path}/{name}/{COMMIT}")]


def step_folder(folder: str, step: int) -> str:
    """The folder of the checkpoint of a step inside a training's folder."""
    return f"{folder}/step-{step:08d}"


def average_folder(folder: str, step: int) -> str:
    """The folder of the average of checkpoints that a training wrote when it ended after a step."""
    return f"{folder}/average-{step:08d}"


def is_checkpoint(folder: str) -> bool:
    """Whether a folder holds a whole checkpoint."""
    fs, path = locate(f"{folder}/{COMMIT}")
    return bool(fs.exists(path))


def _read_tensors(folder: str, name: str, manifest: CheckpointManifest) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    try:
        tensors: dict[str, Tensor] = from_bytes(_read(folder, name, manifest))
    except (SafetensorError, ValueError) as error:
        raise damaged(folder, name, first_line(error)) from error
    return tensors


def _tokens(folder: str, manifest: CheckpointManifest) -> Tokenizer:
    blob = _read(folder, TOKENS, manifest)
    try:
        tokens = Tokenizer(blob, manifest.tokens.config)
    except (RuntimeError, ValueError) as error:
        raise damaged(folder, TOKENS, first_line(error)) from error
    if tokens.digest != manifest.tokens.digest:
        raise damaged(folder, TOKENS, "is another tokeniser than the model was trained with")
    return tokens


def _empty_model(folder: str, config: ModelConfig, num_tensors: int) -> SpeechModel:
    """The model of a config on the `meta` device. Checks first that the config does not ask for more layers than there are
    tensors, which could take for ever to build."""
    blocks = config.encoder.layers + config.decoder.layers + config.decoder.backward_layers
    blocks += config.emoe.experts if config.emoe else 0
    if blocks > num_tensors:
        raise damaged(folder, MODEL, f"holds {num_tensors} tensors, the config asks for {blocks} layers and experts")
    try:
        with torch.device("meta"):
            return SpeechModel(config)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError, AssertionError) as error:
        raise damaged(folder, COMMIT, f"describes no model that can be built: {first_line(error)}") from error


def _read(folder: str, name: str, manifest: CheckpointManifest) -> bytes:
    fs, path = locate(f"{folder}/{name}")
    try:
        blob: bytes = fs.cat_file(path)
    except FileNotFoundError:
        raise damaged(folder, name, "is missing") from None
    if hashlib.sha256(blob).hexdigest() != manifest.sha256.get(name):
        raise damaged(folder, name, f"differs from its digest in {COMMIT}")
    return blob


def _with_balancers(folder: str, model: SpeechModel, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Up to format 2 a router had one bias, which stayed zero where a loss balanced it. Such a router chooses by its logits."""
    if any(tensor.any() for name, tensor in tensors.items() if name.endswith(_OLD_BIAS)):
        raise CheckpointError(f"{folder} has experts balanced by the bias of an earlier voxmill: train it again")
    fresh = {
        name: torch.full_like(tensor, float("deviation" in name), device="cpu")
        for name, tensor in model.state_dict().items()
        if ".router.balancer." in name
    }
    return fresh | {name: tensor for name, tensor in tensors.items() if not name.endswith(_OLD_BIAS)}


_OLD_BIAS = ".router.bias_E"


def _check(folder: str, model: SpeechModel, tensors: Mapping[str, Tensor]) -> None:
    own = model.state_dict()
    if missing := sorted(own.keys() - tensors.keys()):
        raise damaged(folder, MODEL, f"misses {_some(missing)}")
    if unknown := sorted(tensors.keys() - own.keys()):
        raise damaged(folder, MODEL, f"holds {_some(unknown)}, which the model does not have")
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape or tensor.dtype != own[name].dtype:
            raise damaged(
                folder, MODEL,
                f"{name} is {tensor.dtype} {tuple(tensor.shape)}, the config says {own[name].dtype} {tuple(own[name].shape)}",
            )  # fmt: skip
        if not torch.isfinite(tensor).all():
            raise damaged(folder, MODEL, f"{name} holds NaN or infinite numbers")


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
