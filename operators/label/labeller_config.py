"""What every labeller can be told, whichever it is."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from voxmill.manifests.config_base import Settings
from voxmill.manifests.records import LabelTask

LabellerName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]

Reads = Literal["transcribe", "reconcile"]

SENSITIVE: frozenset[LabelTask] = frozenset({"gender", "age", "emotion"})
"""What is guessed of a person from the voice."""


class LabellerSettings(Settings):
    """One entry of `label:` in a run's config."""

    reads: ClassVar[tuple[Reads, ...]] = ()
    """The stages beside `segment` whose results it looks at."""
    hears: ClassVar[bool] = False
    """Whether it needs the audio."""
    events: ClassVar[bool] = False
    """Whether it has something to say of segments in which nobody speaks."""

    kind: str
    """Which labeller this is; it decides what else can be set."""
    name: LabellerName
    """How opinions and labels name it; unique in a run."""
    skip: tuple[LabelTask, ...] = ()
    """Tasks that it is not asked, though it could be."""

    def tasks(self) -> tuple[LabelTask, ...]:
        """What it can be asked."""
        raise NotImplementedError


class ModelSettings(LabellerSettings):
    """A labeller with weights."""

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
        return self.gpus if self.gpus is not None else 0.25 * (self.device == "cuda")
