"""Errors that a user can mend: the command line prints them as one line. Everything else is a bug and keeps its traceback."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voxmill.manifests.commit import NondeterministicError
from voxmill.manifests.mistakes import Mistake
from voxmill.manifests.schema import SchemaError
from voxmill.operators.weights import WeightsMissing
from voxmill.pipeline.config import ConfigError
from voxmill.pipeline.execution.executor import WorkerDied
from voxmill.pipeline.execution.faults import StageError
from voxmill.pipeline.state.run import RunError
from voxmill.sharding.sidecar import ShardError

USER_ERRORS = (
    Mistake,
    ConfigError,
    RunError,
    SchemaError,
    ShardError,
    StageError,
    WeightsMissing,
    WorkerDied,
    NondeterministicError,
)

EXTRAS = {
    "train": ("torch", "sentencepiece", "safetensors"),
    "evaluate": ("jiwer", "sacrebleu", "sklearn"),
    "export": ("onnx", "onnxruntime"),
    "cluster": ("ray",),
}
"""Packages of the model's commands, by the extra that brings them."""


def missing_extra(error: ImportError) -> str | None:
    """How to get the package that an import missed; None where it is none of an extra's: then it is a bug."""
    package = (error.name or "").split(".")[0]
    for extra, packages in EXTRAS.items():
        if package in packages:
            return f"{package} is not installed: pip install 'voxmill[{extra}]'"
    return None


def warn_plainly(say: Callable[[str], None]) -> None:
    """Warnings of this package are for its user and go to `say`; those of other packages stay as they are."""
    home, show = str(Path(__file__).resolve().parents[1]), warnings.showwarning

    def shown(message: Warning | str, category: type[Warning], filename: str, lineno: int, *more: Any) -> None:
        if category is UserWarning and str(Path(filename).resolve()).startswith(home):
            say(str(message))
        else:
            show(message, category, filename, lineno, *more)

    warnings.showwarning = shown  # type: ignore[assignment]
