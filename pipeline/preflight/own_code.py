"""Whether code of the user's own that a config names can be imported, and is what it is named for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from voxmill.operators.contract.user_code import UserCodeError
from voxmill.operators.contract.user_stage import record_of
from voxmill.operators.label.user_labeller import UserLabellerConfig
from voxmill.operators.transcribe.user_engine import UserEngineConfig
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.preflight.issues import Issue, error


def unusable(config: RunConfig) -> Iterator[Issue]:
    """One issue for each stage, recogniser, labeller or source whose class is not there. Its module is imported, nothing of it is built."""
    for what, load in _named(config):
        try:
            load()
        except UserCodeError as wrong:
            cause, _, fix = str(wrong).partition(": ")
            yield error(what, f"cannot be used: {cause}", fix or "see docs/how-to/extend.md")


def _named(config: RunConfig) -> Iterator[tuple[str, Callable[[], object]]]:
    for stage in config.stages:
        yield f"stage {stage.name}", lambda stage=stage: record_of(stage)  # type: ignore[misc]
    for engine in config.transcribe:
        if isinstance(engine, UserEngineConfig):
            yield f"engine {engine.name}", engine.load
    for labeller in config.label:
        if isinstance(labeller, UserLabellerConfig):
            yield f"labeller {labeller.name}", labeller.load
    for source in config.sources:
        if source.code:
            yield f"source {source.name}", source.code.load
