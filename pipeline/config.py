"""The whole configuration as one strict tree; every part is defined beside what it configures.

An unknown key is an error that names the nearest valid one; values are checked before any work starts. Files are read by
`load_config.py`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import nearest
from voxmill.operators.contract.user_stage import UserStageConfig
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.decode.probe import DecodeConfig
from voxmill.operators.dedup.fingerprint import DuplicatesConfig
from voxmill.operators.frames.frames import FramesConfig
from voxmill.operators.label.heard_language import HeardLanguageConfig
from voxmill.operators.label.label import LabellerConfig
from voxmill.operators.label.merge import MergeConfig
from voxmill.operators.reconcile.reconcile import ReconcileConfig
from voxmill.operators.redact.pii_finder import RedactConfig
from voxmill.operators.segment.segment import SegmentConfig
from voxmill.operators.select.select import SelectConfig
from voxmill.operators.transcribe.transcribe import EngineConfig
from voxmill.pipeline.stage import Resources
from voxmill.pipeline.state.units import UnitConfig


class PackConfig(Settings):
    """How kept segments become shards."""

    buckets: int = Field(default=8, ge=1, le=99_999)
    """Recordings are spread over this many buckets by a hash of their id; frozen when the run is created."""
    shard_mb: float = Field(default=256.0, gt=0)
    """Size at which a new part of a bucket begins (MB of FLAC, estimated)."""
    picture_kb: float = Field(default=100.0, ge=0)
    """With `frames` on, the estimated size of a sample's pictures (kB): counts where a new part begins."""


class ExecutorConfig(Settings):
    """Where stages run."""

    kind: Literal["local", "ray"] = "ray"
    """`local`: processes of this machine; `ray`: Ray, on this machine or a cluster."""
    address: str | None = None
    """Ray cluster to join: `auto`, the one of this machine, or `host:6379`; null starts Ray on this machine. From elsewhere, submit the
    command as a job: `ray job submit --address http://HEAD:8265 -- voxmill run …`."""
    workers: int | None = Field(default=None, ge=1)
    """Workers that take a unit through all stages from `segment` to `select`; null: one per core, as memory allows. Neighbouring
    stages share them unless a stage asks for a GPU or is named in `resources`: those have a pool of workers each."""
    commit_seconds: float = Field(default=60.0, gt=0)
    """A worker commits what it has finished together, after so many seconds of work: what a kill may cost. Less is safer, and makes more files."""
    same_results: bool = False
    """Workers on different types of CPU write the same bytes, as far as libraries can be told to: all use AVX2 and nothing newer, and a
    machine without AVX2 is refused. Costs speed where a CPU has AVX-512 (`make check-machines` measures how much). Off: a unit that is
    made twice on two types of CPU may come out otherwise; the first is kept, and `voxmill verify` says so."""
    resources: dict[str, Resources] = {}
    """Per stage (`crawl`, `decode`, `segment`, `transcribe:<engine>`, `reconcile`, `select`, `pack`); the rest have defaults."""


class RunConfig(Settings):
    """Everything a run depends on."""

    sources: tuple[SourceConfig, ...]
    crawl: CrawlConfig = CrawlConfig()
    decode: DecodeConfig = DecodeConfig()
    units: UnitConfig = UnitConfig()
    segment: SegmentConfig = SegmentConfig()
    frames: FramesConfig | None = None
    """Pictures of what is to be seen, where the source is a video; null: no video stream is ever opened."""
    transcribe: tuple[EngineConfig, ...]
    """The recognisers that hear every segment. Two or more of different makers, so that their agreement can be measured."""
    reconcile: ReconcileConfig = ReconcileConfig()
    label: tuple[LabellerConfig, ...] = ()
    """Labellers: what a segment is, beside its words. None, and nothing is labelled."""
    labels: MergeConfig = MergeConfig()
    duplicates: DuplicatesConfig | None = None
    """What is there already is not kept: near duplicates, here and in other runs, and what overlaps evaluation sets. Null: off."""
    redact: RedactConfig | None = None
    """Personal data masked in the text and silenced in the sound of shards. Null: off."""
    stages: tuple[UserStageConfig, ...] = ()
    """Stages of your own, between `redact` and `select`: code of yours that sees every segment and may reject some."""
    select: SelectConfig = SelectConfig()
    pack: PackConfig = PackConfig()
    executor: ExecutorConfig = ExecutorConfig()

    @model_validator(mode="after")
    def _check(self) -> RunConfig:
        names = [engine.name for engine in self.transcribe]
        if not names:
            raise ValueError("transcribe: at least one engine is needed")
        if any(engine.when for engine in self.transcribe) and sum(engine.when is None for engine in self.transcribe) < 2:
            raise ValueError("transcribe: `when` asks an engine where others disagree, so at least two need to be asked always")
        labellers = [labeller.name for labeller in self.label]
        for what, found in (
            ("engine", names),
            ("source", [s.name for s in self.sources]),
            ("labeller", labellers),
            ("stage", [s.name for s in self.stages]),
        ):
            twice = sorted({n for n in found if found.count(n) > 1})
            if twice:
                raise ValueError(f"{what} names must differ; given twice: {', '.join(twice)}")
        self._check_labels(set(names), set(labellers))
        web = [source.name for source in self.sources if source.is_web]
        if web and self.crawl.contact is None:
            raise ValueError(
                f"missing key `crawl.contact`: source `{web[0]}` is on the web, whose owners must know who crawls: "
                "a web page or an e-mail address, here or by --contact"
            )
        return self

    def _check_labels(self, engines: set[str], labellers: set[str]) -> None:
        for labeller in self.label:
            if isinstance(labeller, HeardLanguageConfig) and labeller.engine not in engines:
                raise ValueError(f"label {labeller.name}: no engine `{labeller.engine}`{nearest(labeller.engine, engines)}")
        for task, order in self.labels.prefer.items():
            for name in order:
                if name not in labellers:
                    raise ValueError(f"labels.prefer.{task}: no labeller `{name}`{nearest(name, labellers)}")
