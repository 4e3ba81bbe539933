"""A stage of the user's own: its entry under `stages:` in a config, and the class that does its work.

The class states what its rows are and why it may reject a segment; it is called like every operator:

    @dataclass(frozen=True)
    class Loudness:
        segment_id: str
        dbfs: float = 0.0
        rejection: Rejection | None = None

    class MeasureLoudness:
        record = Loudness
        reasons = {"loudness.quiet": ("hardly louder than silence", "lower `options.least` of the stage")}

        def __init__(self, least: float = -50.0) -> None:
            self.least = least

        def __call__(self, work: UnitInput) -> list[Loudness]:
            ...  # one row for each of work.segments, in order
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from voxmill.manifests.reasons import Reason, register
from voxmill.manifests.schema import SchemaError, schema_of
from voxmill.operators.contract.unit_input import Operator
from voxmill.operators.contract.user_code import UserCode, UserCodeError, resolved


class UserStageConfig(UserCode):
    """One stage of your own, run after `redact` and before `select`."""

    kind: Literal["python"] = "python"
    """`python`, or a name that an installed package has registered under `voxmill.stages`."""
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Of the stage, its table, and the first part of its reasons."""
    reads: tuple[str, ...] = ("segment",)
    """Stages whose rows it is given, beside the unit's recordings: `segment`, `transcribe` (all engines) or `transcribe:<name>`,
    `reconcile`, `label`, or another stage of yours."""
    filters: bool = False
    """What it rejects is not kept: `select` passes its reason on."""

    @model_validator(mode="before")
    @classmethod
    def _registered(cls, data: Any) -> Any:
        found = resolved(data, "voxmill.stages", frozenset())
        kind = found.get("kind", "python") if isinstance(found, Mapping) else "python"
        if kind != "python":
            raise ValueError(
                f"no installed package registers `{kind}` under `voxmill.stages`: install it, or say `kind: python`"
            )
        return found


def make_user_stage(config: UserStageConfig) -> Operator:
    """The operator, in the process that runs it. Raises UserCodeError."""
    record_of(config)
    operator: Operator = config.make()
    return operator


def record_of(config: UserStageConfig) -> type:
    """What a row of the stage is: a dataclass with `segment_id` first, and defaults for everything else.

    Checks the class, and makes its reasons known to this process. Raises UserCodeError.
    """
    made = config.load()
    record = getattr(made, "record", None)
    if not (isinstance(record, type) and is_dataclass(record)):
        raise UserCodeError(f"`{config.call}` must state its rows: `record = <a frozen dataclass>`")
    names = [field.name for field in fields(record)]
    if names[:1] != ["segment_id"]:
        raise UserCodeError(f"{record.__name__}: the first field of a stage's rows is `segment_id: str`; it has {names}")
    bare = [f.name for f in fields(record)[1:] if f.default is MISSING and f.default_factory is MISSING]
    if bare:
        raise UserCodeError(f"{record.__name__}: {', '.join(bare)} need a default, for the row of a segment that failed")
    if config.filters and "rejection" not in names:
        raise UserCodeError(
            f"{record.__name__}: a stage with `filters: true` needs a field `rejection: Rejection | None = None`"
        )
    try:
        schema_of(record)
    except (SchemaError, TypeError, KeyError) as error:
        raise UserCodeError(
            f"{record.__name__} cannot be written to a table ({error}): use str, int, float, bool, tuples, dataclasses"
        ) from error
    _register(config.name, getattr(made, "reasons", {}))
    return record


def _register(stage: str, reasons: Mapping[str, tuple[str, str]]) -> None:
    """Raises UserCodeError for a reason that is not of this stage."""
    for name, (meaning, advice) in reasons.items():
        if not name.startswith(f"{stage}."):
            raise UserCodeError(f"reason `{name}`: reasons of the stage `{stage}` begin with `{stage}.`")
        register(Reason(name, meaning, advice))
    failed = "the stage died or failed on this segment twice; quarantined"
    register(Reason(f"{stage}.failed", failed, "see the detail and its reproduce command"))
