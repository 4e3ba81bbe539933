"""Settings that all labellers share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import LabelTask

LabellerName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]

Reads = Literal["transcribe", "reconcile"]

SENSITIVE: frozenset[LabelTask] = frozenset({"gender", "age", "emotion"})
"""Tasks that guess facts about a person from the voice."""


class LabellerSettings(Settings):
    """Settings of one labeller: one entry of `label:` in a run's config."""

    reads: ClassVar[tuple[Reads, ...]] = ()
    """Stages beside `segment` whose results it reads."""
    hears: ClassVar[bool] = False
    """Whether it needs the audio."""
    events: ClassVar[bool] = False
    """Whether it also labels segments without speech."""
    modules: ClassVar[tuple[str, ...]] = ()
    """Modules of other packages that it imports: `voxmill config check` says how to install those that are missing."""

    kind: str
    """Which labeller this is; it decides what else can be set."""
    name: LabellerName
    """How opinions and labels name it; unique in a run."""
    skip: tuple[LabelTask, ...] = ()
    """Tasks that it could label and should not."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """The tasks that it can label."""
        raise NotImplementedError


class ModelSettings(LabellerSettings):
    """Settings of a labeller with weights."""

    model: str
    """A name of `voxmill models list`, `name@commit`, or a folder."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the model runs: `cpu`, or `cuda` for an NVIDIA GPU."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of one worker."""
    gpus: float | None = Field(default=None, ge=0)
    """Share of a GPU that one worker holds; null = a quarter of one on `cuda`, none on `cpu`."""

    @model_validator(mode="after")
    def _gpu_where_cuda(self) -> ModelSettings:
        if self.device == "cuda" and self.gpus == 0:
            raise ValueError("device: cuda needs gpus above 0 (labellers can share one: 0.25)")
        if self.device == "cpu" and self.gpus:
            raise ValueError("gpus is set, but device is cpu")
        return self

    @property
    def gpu_share(self) -> float:
        """Share of a GPU that one worker holds."""
        return self.gpus if self.gpus is not None else 0.25 * (self.device == "cuda")
