"""What a stage is: its kind (the same for every run) and the stage itself (one node of one run's graph). Pure data.

The kinds themselves are listed in `stages.py`, one entry each.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import Rejection
from voxmill.manifests.tables import TABLE_OF
from voxmill.operators.contract.unit_input import Operator, UnitInput


class Resources(Settings):
    """What one worker of a stage needs, and how many workers there may be."""

    workers: int | None = Field(default=None, ge=1)
    """Most workers at once; null: as many as the machines hold, one per core at most, and on a cluster that can grow as many as have
    something to do."""
    min_workers: int = Field(default=1, ge=1)
    """Workers that are there from the start. A pool grows from here, and goes back to here when it has nothing to do."""
    cpus: float = Field(default=1.0, ge=0)
    """Cores a worker is given in Ray's scheduling; light stages take a fraction."""
    gpus: float = Field(default=0.0, ge=0)
    """Share of a GPU; 0.25 lets four workers use one device."""
    memory_gb: float = Field(default=0.0, ge=0)
    """Memory reserved per worker on Ray (GiB); 0 reserves none."""
    custom: dict[str, float] = {}
    """Amounts of custom resources of a Ray cluster that a worker takes (`ray start --resources`): only nodes that have them get workers."""
    labels: dict[str, str] = {}
    """Labels that a node of a Ray cluster must have (`ray start --labels`), as Ray's label selectors state them: `a`, `!a`, `in(a, b)`."""


Rows = Literal["items", "recordings", "units", "parts", "tiles", "segments", "stretches"]
"""What a unit's rows stand for, which is what `voxmill verify` holds them against:

- `items`, `recordings`, `units`: the listing and what became of it;
- `parts`: one row for every part of the unit, in order;
- `tiles`: spans that cover every part without gap or overlap;
- `segments`: one row for every segment that was kept, in order;
- `stretches`: any number of spans inside the unit's parts.
"""

MakeFailed = Callable[[UnitInput, str, str, "Rejection | None"], Any]
"""`make(work, member, name, rejection)`: the row of a member that failed or killed the stage; `name` is the engine's or labeller's."""


@dataclass(frozen=True, slots=True)
class StageKind:
    """All that the rest of the pipeline has to know of one kind of stage."""

    name: str
    record: type
    """What a row of its fragments is."""
    rows: Rows
    version: str = "1"
    """Raised by hand when the operator would give other rows for the same input and config: part of the fingerprint."""
    failed: MakeFailed | None = None
    """None where the driver writes the rows: nothing of it can fail for one member alone."""
    hears: bool = False
    """It needs nothing but audio, so a plain sound shows whether it works at all."""
    engine: bool = False
    """It loads a recogniser or a detector: what `revote` and `duplicates` must never have to do again."""
    packed: bool = False
    """Its rows are part of the samples in shards."""
    filters: bool = False
    """A stage of the user's own whose rejections `select` passes on."""
    table: str | None = None
    """Its table in the catalog; None: it has none."""

    @classmethod
    def of(cls, name: str, record: type, rows: Rows, **more: Any) -> StageKind:
        """A kind whose table is that of its record."""
        return cls(name, record, rows, table=TABLE_OF.get(record), **more)

    @property
    def by_driver(self) -> bool:
        """The driver writes its rows, not a worker."""
        return self.failed is None

    @property
    def of_items(self) -> bool:
        """It works on groups of listed items; all other stages work on units."""
        return self.name in ("items", "crawl", "decode", "outcomes")

    @property
    def of_run(self) -> bool:
        """Its rows are those of the listing, not of what was heard."""
        return self.of_items or self.name in ("units", "recordings")

    @property
    def can_reject(self) -> bool:
        """Its rows say whether something was kept."""
        return "rejection" in getattr(self.record, "__dataclass_fields__", {})

    def member_of(self, row: Any) -> str:
        """The key (see `UnitInput.members`) of the member that a row belongs to."""
        names = self.record.__dataclass_fields__  # type: ignore[attr-defined]
        field = "item_id" if "item_id" in names else "segment_id" if "segment_id" in names else "recording_id"
        return str(getattr(row, field))


@dataclass(frozen=True, slots=True)
class Stage:
    """One node of a run's graph of stages. Picklable: `make` is a module-level callable or a `functools.partial` of one."""

    name: str
    """As in `segment` or `transcribe:whisperx`."""
    make: Callable[[], Operator]
    of: StageKind
    reads: tuple[str, ...]
    """Names of the stages whose fragments it needs; `units` stands for the unit's parts."""
    fingerprint: str
    resources: Resources

    @property
    def kind(self) -> str:
        """Name of its kind: `transcribe:whisperx` is of the kind `transcribe`."""
        return self.of.name

    @property
    def writes(self) -> type:
        """The record type of its rows."""
        return self.of.record

    @property
    def key(self) -> str:
        """Folder of its fragments in the ledger: a name and what it depends on."""
        return f"{self.name.replace(':', '-')}/{self.fingerprint}"


def no_operator() -> Operator:
    """Stands where the driver writes a stage's rows itself. Raises AssertionError."""
    raise AssertionError("the driver writes these fragments")


def by_driver(kind: StageKind, fingerprint: str = "v1", reads: tuple[str, ...] = ()) -> Stage:
    """A stage whose fragments the driver writes."""
    return Stage(kind.name, no_operator, kind, reads, fingerprint, Resources(workers=1, cpus=0.1))


@dataclass(frozen=True, slots=True)
class Done:
    """What a worker reports of one unit: counts for the progress display, nothing that decides anything."""

    stage: str
    unit: str
    kept: int = 0
    rejected: int = 0
    seconds: float = 0.0
    """Audio seconds that went in."""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    skipped: bool = False
    """The fragment was there already."""
    kept_s: float = 0.0
    """Audio seconds of the rows that were kept, as far as rows have a length."""
    reasons: tuple[tuple[str, int, float], ...] = ()
    """Rejections by reason: its name, how many rows, seconds of their audio."""
    waits: tuple[tuple[str, float], ...] = ()
    """Seconds that fetches of this worker waited for their turn, by host, since its last unit."""
    requests: tuple[int, int] = (0, 0)
    """Requests that this worker sent to stores since its last unit, and how many of them were sent again."""
    worker: str = field(default_factory=lambda: f"{platform.node()}:{os.getpid()}")
    """The process that did it."""
