"""Settings that all recognisers share."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from voxmill.manifests.config_base import Settings
from voxmill.operators.contract.languages import primary

EngineName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
_CONDITION = re.compile(r"agreement < (0?\.[0-9]+|1(\.0+)?)")
ComputeType = Literal["auto", "int8", "int8_float16", "float16", "bfloat16", "float32"]


class EngineSettings(Settings):
    """Settings of one engine: one entry of `transcribe:` in a run's config."""

    modules: ClassVar[tuple[str, ...]] = ()
    """Modules of other packages that it imports: `voxmill config check` says how to install those that are missing."""
    speed_only: ClassVar[frozenset[str]] = frozenset()
    """Keys of this engine that say where and how fast it runs, not what it makes: what is made does not depend on them."""

    kind: str
    """Which recogniser this is; other settings depend on it."""
    name: EngineName
    """How hypotheses, statistics and rules name this engine; unique in a run."""
    model: str
    """A name of `voxmill models list`, `name@commit`, or a folder."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the model runs: `cpu`, or `cuda` for an NVIDIA GPU."""
    compute_type: ComputeType = "auto"
    """Arithmetic; `auto` takes the engine's fastest safe one for the device."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of one worker. Several workers with one thread are faster than one worker with several."""
    gpus: float | None = Field(default=None, ge=0)
    """Share of a GPU that one worker holds; null = one whole GPU on `cuda`, none on `cpu`."""
    languages: tuple[str, ...] = ()
    """Languages (`en`, `zh`, …) this engine may recognise; empty = all it knows. A single language is assumed, not detected."""
    skip_other_languages: bool = False
    """Skip recordings whose stated language is not among `languages`; otherwise they are transcribed too."""
    when: str | None = None
    """Ask it only where the engines that are always asked agree less, as in `agreement < 0.8`, or where fewer than two of them were asked;
    null = always."""

    @field_validator("when")
    @classmethod
    def _condition(cls, when: str | None) -> str | None:
        if when is not None and not _CONDITION.fullmatch(when):
            raise ValueError("is no condition: write `agreement < 0.8`, with a number above 0 and up to 1")
        return when

    @model_validator(mode="after")
    def _gpu_where_cuda(self) -> EngineSettings:
        if self.device == "cuda" and self.gpus == 0:
            raise ValueError("device: cuda needs gpus above 0 (several engines can share one: 0.25)")
        if self.device == "cpu" and self.gpus:
            raise ValueError("gpus is set, but device is cpu")
        return self

    @property
    def gpu_share(self) -> float:
        """Share of a GPU that one worker holds."""
        return self.gpus if self.gpus is not None else float(self.device == "cuda")

    @property
    def below(self) -> float | None:
        """The agreement of the other engines under which it is asked; None: it is always asked."""
        return None if self.when is None else float(self.when.rsplit(" ", 1)[1])

    def hears(self, language: str | None) -> bool:
        """Whether recordings whose stated language is `language` are given to this engine."""
        return not (self.skip_other_languages and self.languages and language) or primary(language) in self.languages
