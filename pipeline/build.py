"""RunConfig to stages: the only place that names every operator, in order, with what it reads and what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from voxmill.manifests.config_base import Settings
from voxmill.manifests.duplicate_records import Duplicate, Fingerprint
from voxmill.manifests.ids import digest
from voxmill.manifests.records import Consensus, Hypothesis, Labels, Opinion, Pictures, Recording, Segment, Selection
from voxmill.manifests.redaction_records import Redaction
from voxmill.operators.contract.unit_input import Operator
from voxmill.operators.crawl.crawl import Crawl
from voxmill.operators.crawl.policy.host_limit import HostGate
from voxmill.operators.decode.probe import Decode
from voxmill.operators.dedup.evaluation_sets import sets_digest
from voxmill.operators.dedup.fingerprint import DuplicatesConfig, FingerprintConfig, TakeFingerprints
from voxmill.operators.frames.frames import FramesConfig, TakePictures
from voxmill.operators.label.heard_language import HeardLanguageConfig
from voxmill.operators.label.label import Label
from voxmill.operators.label.labeller_config import ModelSettings
from voxmill.operators.label.merge import Merge, asked
from voxmill.operators.reconcile.normalise import NORMALISER
from voxmill.operators.reconcile.reconcile import Reconcile
from voxmill.operators.redact.pii_finder import RedactConfig
from voxmill.operators.redact.redact import Redact
from voxmill.operators.segment.segment import FindSpeech
from voxmill.operators.select.select import Select
from voxmill.operators.transcribe.transcribe import Transcribe
from voxmill.operators.weights.registry import identity
from voxmill.pipeline.config import RunConfig, parse_config
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.stage import Resources, Stage
from voxmill.pipeline.state import metadata_overrides as amend
from voxmill.pipeline.state.listing import ITEMS, RECORDINGS, UNITS, _no_operator
from voxmill.pipeline.state.run_dir import Run, exists, read_bytes
from voxmill.pipeline.state.tombstone_store import read_tombstones

VERSIONS = {
    "segment": "1",
    "frames": "1",
    "fingerprint": "1",
    "redact": "1",
    "transcribe": "1",
    "reconcile": f"2 {NORMALISER}",
    "label": "1",
    "select": "1",
}
"""Raised by hand when a stage's operator would give other rows for the same input and config."""

RECORDED_ONLY = {"name", "device", "threads", "batch_size", "gpus", "memory_gb"}
"""Config keys that say how fast a stage runs, not what it makes: recorded in run.json, not part of a fingerprint."""

LIGHT = Resources(workers=1, cpus=0.1)
HEAVY = Resources(workers=1, cpus=0.4)


def build(config: RunConfig, run: Run, gate: HostGate) -> dict[str, Stage]:
    """Every stage of the line by name, in order.

    `run` may be new; where it is not, `select` also depends on what was amended since its sources were listed.

    Fetching and decoding are not fingerprinted: what was fetched stays, and a new limit holds for new items.
    """
    crawl = Stage(
        "crawl",
        partial(Crawl, config.crawl, run.audio_dir, gate, read_tombstones(run), run.private),
        Recording,
        ("items",),
        "v1",
        _cost(config, "crawl", LIGHT),
    )
    decode = Stage(
        "decode",
        partial(Decode, config.decode, {s.name: s.channels for s in config.sources}),
        Recording,
        ("crawl",),
        "v1",
        _cost(config, "decode", LIGHT),
    )
    recordings = replace(RECORDINGS, fingerprint=amend.fingerprint(amend.find(run, config.sources)))
    amended = {"recordings": recordings} if recordings != RECORDINGS else {}
    segment = _stage(
        config, "segment", partial(FindSpeech, config.segment), Segment, {}, ("units", "recordings"), config.segment, LIGHT
    )
    engines = [
        _stage(
            config,
            f"transcribe:{e.name}",
            partial(Transcribe, e),
            Hypothesis,
            {"segment": segment},
            ("units", "recordings"),
            e,
            HEAVY.model_copy(update={"gpus": e.gpu_share}),
        )
        for e in config.transcribe
    ]
    names = tuple(e.name for e in config.transcribe)
    heard = {"segment": segment, **{e.name: e for e in engines}}
    reconcile = _stage(
        config,
        "reconcile",
        partial(Reconcile, config.reconcile, names),
        Consensus,
        heard,
        ("recordings",),
        config.reconcile,
        LIGHT,
    )
    known = [] if config.duplicates is None else _duplicates(config, config.duplicates, segment, reconcile)
    hidden = {} if config.redact is None else {"redact": _redact(config, config.redact, segment, engines, reconcile)}
    select = _stage(
        config,
        "select",
        partial(Select, config.select),
        Selection,
        {"segment": segment, "reconcile": reconcile, **amended, **({"duplicates": known[-1]} if known else {}), **hidden},
        ("recordings",),
        config.select,
        LIGHT,
    )
    frames = [] if config.frames is None else [_frames(config, config.frames, run, segment)]
    labels = _labels(config, segment, engines, reconcile)
    stages = [
        ITEMS,
        crawl,
        decode,
        UNITS,
        recordings,
        segment,
        *frames,
        *engines,
        reconcile,
        *labels,
        *known,
        *hidden.values(),
        select,
    ]
    return {stage.name: stage for stage in stages}


def as_written(run: Run) -> tuple[RunConfig, dict[str, Stage]]:
    """The config and stages that a run was last brought up to: a newer voxmill may give the same stages other fingerprints."""
    state = run.written()
    config = parse_config(state["config"], run.uri("run.json"))
    written: dict[str, str] = state.get("fingerprints", {})
    stages = build(config, run, no_gate())
    return config, {name: replace(stage, fingerprint=written.get(name, stage.fingerprint)) for name, stage in stages.items()}


def _frames(config: RunConfig, settings: FramesConfig, run: Run, segment: Stage) -> Stage:
    """Of every segment, so that no threshold of a later stage has a video decoded again."""
    make = partial(TakePictures, settings, run.frames_dir)
    return _stage(config, "frames", make, Pictures, {"segment": segment}, ("units", "recordings"), settings, HEAVY)


def _duplicates(config: RunConfig, settings: DuplicatesConfig, segment: Stage, reconcile: Stage) -> list[Stage]:
    """Fingerprints where sound is compared, and the verdicts, which the driver writes: they are about the whole run."""
    stages = []
    if "acoustic" in settings.by:
        only = FingerprintConfig(speeds=settings.speeds, min_seconds=settings.min_seconds)
        make = partial(TakeFingerprints, only)
        stages.append(_stage(config, "fingerprint", make, Fingerprint, {}, ("units", "recordings"), only, LIGHT))
    reads = [segment, reconcile, *stages]
    parts = ["duplicates 1", settings.model_dump_json(), sets_digest(settings.evaluation), *(s.fingerprint for s in reads)]
    verdicts = Stage("duplicates", _no_operator, Duplicate, tuple(s.name for s in reads), digest(parts)[:16], LIGHT)
    return [*stages, verdicts]


def _redact(config: RunConfig, settings: RedactConfig, segment: Stage, engines: Sequence[Stage], reconcile: Stage) -> Stage:
    reads = {"segment": segment, **{e.name: e for e in engines}, "reconcile": reconcile}
    return _stage(config, "redact", partial(Redact, settings), Redaction, reads, ("recordings",), settings, LIGHT)


def _labels(config: RunConfig, segment: Stage, engines: Sequence[Stage], reconcile: Stage) -> list[Stage]:
    """One stage per labeller that may say something, and the one that merges what they say; none at all without labellers."""
    stages = []
    for settings in asked(config.label, config.labels):
        reads = {"segment": segment}
        if "transcribe" in settings.reads:
            wanted = settings.engine if isinstance(settings, HeardLanguageConfig) else None
            reads |= {e.name: e for e in engines if wanted is None or e.name == f"transcribe:{wanted}"}
        reads |= {"reconcile": reconcile} if "reconcile" in settings.reads else {}
        cost = LIGHT
        if isinstance(settings, ModelSettings):
            cost = HEAVY.model_copy(update={"gpus": settings.gpu_share})
        stages.append(
            _stage(
                config,
                f"label:{settings.name}",
                partial(Label, settings),
                Opinion,
                reads,
                ("units", "recordings"),
                settings,
                cost,
            )
        )
    if not stages:
        return []
    said = {"segment": segment, **{stage.name: stage for stage in stages}}
    names = tuple(settings.name for settings in config.label)
    merge = _stage(config, "label", partial(Merge, config.labels, names), Labels, said, (), config.labels, LIGHT)
    return [*stages, merge]


def _stage(
    config: RunConfig,
    name: str,
    make: Callable[[], Operator],
    writes: type,
    reads: Mapping[str, Stage],
    units: tuple[str, ...],
    settings: Settings,
    cost: Resources,
) -> Stage:
    fingerprint = _fingerprint(name, settings, reads)
    names = dict.fromkeys((*units, *(s.name for s in reads.values())))
    return Stage(name, make, writes, tuple(names), fingerprint, _cost(config, name, cost))


def _fingerprint(name: str, settings: Settings, reads: Mapping[str, Stage]) -> str:
    """A stage's config, its model's hash, its operator's version, and the fingerprints of the stages that it reads."""
    chosen: dict[str, Any] = {k: v for k, v in settings.model_dump(mode="json").items() if k not in RECORDED_ONLY}
    model = chosen.get("model")
    parts = [
        name,
        VERSIONS[name.split(":", 1)[0]],
        json.dumps(chosen, sort_keys=True),
        identity(model) if model else "",
        _contents(chosen.get("calibration")),
        *(f"{key}={stage.fingerprint}" for key, stage in reads.items()),
    ]
    return digest(parts)[:16]


def _contents(path: str | None) -> str:
    """A calibration that is made again under the same name is another one."""
    return digest([read_bytes(path).decode()]) if path and exists(path) else ""


def _cost(config: RunConfig, name: str, default: Resources) -> Resources:
    """What the config states of a stage's workers; what it leaves out is as by default, an engine's share of a GPU for one."""
    stated = config.executor.resources.get(name)
    return default.model_copy(update=stated.model_dump(exclude_unset=True)) if stated else default
