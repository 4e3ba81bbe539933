"""A stage is pure data: what to run, what it reads, what it writes, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.operators.contract.unit_input import Operator


class Resources(Settings):
    """What one worker of a stage needs, and how many workers there may be."""

    workers: int = Field(default=1, ge=1)
    """Most workers at once; a pool of Ray Data grows from `min_workers` up to this."""
    min_workers: int = Field(default=1, ge=1)
    """Workers that are there from the start, where a pool grows and shrinks."""
    cpus: float = Field(default=1.0, ge=0)
    """Cores a worker is given in Ray's scheduling; light stages take a fraction."""
    gpus: float = Field(default=0.0, ge=0)
    """Share of a GPU; 0.25 lets four workers use one device."""
    memory_gb: float = Field(default=0.0, ge=0)
    """Memory reserved per worker on Ray (GiB); 0 reserves none."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One node of the stage DAG. Picklable: `make` is a module-level callable or a `functools.partial` of one."""

    name: str
    make: Callable[[], Operator]
    writes: type
    reads: tuple[str, ...]
    """Names of the stages whose fragments it needs; `units` stands for the unit's parts and recordings."""
    fingerprint: str
    resources: Resources

    @property
    def kind(self) -> str:
        """The stage's family: `transcribe:whisperx` belongs to `transcribe`."""
        return self.name.split(":", 1)[0]

    @property
    def key(self) -> str:
        """Folder of its fragments in the ledger: a name and what it depends on."""
        return f"{self.name.replace(':', '-')}/{self.fingerprint}"


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
