"""Errors that a user can mend: the command line prints them as one line. Everything else is a bug and keeps its traceback."""

from __future__ import annotations

from voxmill.manifests.commit import NondeterministicError
from voxmill.manifests.mistakes import Mistake
from voxmill.manifests.schema import SchemaError
from voxmill.operators.weights import WeightsMissing
from voxmill.pipeline.config import ConfigError
from voxmill.pipeline.executor import WorkerDied
from voxmill.pipeline.run import RunError
from voxmill.pipeline.worker import StageError
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
