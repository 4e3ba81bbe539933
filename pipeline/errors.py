"""Errors that a user can mend: the command line prints them as one line. Everything else is a bug and keeps its traceback."""

from __future__ import annotations

from voxmill.manifests.commit import NondeterministicError
from voxmill.manifests.mistakes import Mistake
from voxmill.manifests.schema import SchemaError
from voxmill.operators.weights import WeightsMissing
from voxmill.pipeline.config import ConfigError
from voxmill.pipeline.execution.executor import WorkerDied
from voxmill.pipeline.execution.faults import StageError, machine_fault
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


def explain(error: Exception) -> str | None:
    """What to tell the user: the cause and the fix. None where it is a bug."""
    if isinstance(error, USER_ERRORS):
        return str(error)
    return missing_extra(error) if isinstance(error, ImportError) else machine_fault(error)


def missing_extra(error: ImportError) -> str | None:
    """How to get the package that an import missed; None where it is none of an extra's: then it is a bug."""
    package = (error.name or "").split(".")[0]
    for extra, packages in EXTRAS.items():
        if package in packages:
            return f"{package} is not installed: pip install 'voxmill[{extra}]'"
    return None
