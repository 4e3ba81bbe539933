"""The stages of the line, one entry each, in their order. Whatever the pipeline has to know of a stage is here or asks here.

An entry says what a kind of stage is (`StageKind`: its record, its version, what a failed row looks like, what `verify` holds it against)
and adds the stages of that kind that a config asks for. Another stage is its operator's file, and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from voxmill.manifests.duplicate_records import Duplicate, Fingerprint, Shingles
from voxmill.manifests.ids import digest
from voxmill.manifests.records import Consensus, Hypothesis, Labels, Opinion, Pictures, Recording, Segment, Selection
from voxmill.manifests.redaction_records import Redaction
from voxmill.operators.contract.unit_input import Operator
from voxmill.operators.contract.user_stage import make_user_stage, record_of
from voxmill.operators.crawl.crawl import Crawl
from voxmill.operators.decode.probe import Decode
from voxmill.operators.dedup.evaluation_sets import sets_digest
from voxmill.operators.dedup.fingerprint import FingerprintConfig, TakeFingerprints
from voxmill.operators.dedup.shingles import ShingleConfig, TakeShingles
from voxmill.operators.frames.frames import TakePictures
from voxmill.operators.label.heard_language import HeardLanguageConfig
from voxmill.operators.label.label import Label
from voxmill.operators.label.labeller_config import ModelSettings
from voxmill.operators.label.merge import Merge, active_labellers
from voxmill.operators.reconcile.normalise import NORMALISER, Normaliser, NormaliserConfig
from voxmill.operators.reconcile.reconcile import HypothesesAgreement, Reconcile
from voxmill.operators.redact.redact import Redact
from voxmill.operators.segment.segment import FindSpeech
from voxmill.operators.select.select import Select
from voxmill.operators.transcribe.captions import CaptionsConfig, CaptionTranscripts
from voxmill.operators.transcribe.given import GivenConfig, GivenTranscripts
from voxmill.operators.transcribe.on_demand import TranscribeOnDemand
from voxmill.operators.transcribe.openai import OpenAiConfig
from voxmill.operators.transcribe.transcribe import EngineConfig, Transcribe
from voxmill.pipeline import failed_rows
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.stage import Resources, Stage, StageKind, by_driver
from voxmill.pipeline.stage_builder import HEAVY, LIGHT, WHOLE_CORE, StageBuilder
from voxmill.pipeline.state import metadata_overrides
from voxmill.pipeline.state.listing import ITEMS, OUTCOMES, RECORDINGS, UNITS

UNIT = ("units", "recordings")
"""What stages that hear or see read beside other stages: the parts of the unit, and their recordings."""


@dataclass(frozen=True, slots=True)
class StageEntry:
    """A kind of stage, and `add(line, kind)`: adds the stages of this kind that the config asks for, which may be none."""

    kind: StageKind
    add: Callable[[StageBuilder, StageKind], None]


def _driver(stage: Stage) -> StageEntry:
    return StageEntry(stage.of, lambda line, kind: line.put(stage))


def _crawl(line: StageBuilder, kind: StageKind) -> None:
    """Fetching and decoding are not fingerprinted: what was fetched stays, and a new limit holds for new items."""
    run = line.run
    make = partial(Crawl, line.config.crawl, run.audio_dir, line.gate, run.tombstones, run.private)
    line.put(Stage("crawl", make, kind, ("items",), "v1", line.cost("crawl", LIGHT)))


def _decode(line: StageBuilder, kind: StageKind) -> None:
    make = partial(Decode, line.config.decode, {s.name: s.channels for s in line.config.sources})
    line.put(Stage("decode", make, kind, ("crawl",), "v1", line.cost("decode", WHOLE_CORE)))


def _amendable(line: StageBuilder, kind: StageKind) -> None:
    """What was stated of a source since it was listed gives its recordings another fingerprint."""
    stage = next(one for one in (OUTCOMES, RECORDINGS) if one.of == kind)
    amended = metadata_overrides.fingerprint(metadata_overrides.find(line.run, line.config.sources))
    line.put(replace(stage, fingerprint=amended))


def _segment(line: StageBuilder, kind: StageKind) -> None:
    line.add(kind, partial(FindSpeech, line.config.segment), line.config.segment, beside=UNIT)


def _frames(line: StageBuilder, kind: StageKind) -> None:
    """Of every segment, so that no threshold of a later stage has a video decoded again."""
    if settings := line.config.frames:
        make = partial(TakePictures, settings, line.run.frames_dir)
        line.add(kind, make, settings, reads=("segment",), beside=UNIT, cost=HEAVY)


def _transcribe(line: StageBuilder, kind: StageKind) -> None:
    """Engines that are always asked come first: what they say decides whether another one is."""
    for engine in line.config.transcribe:
        if engine.when is None:
            name = f"transcribe:{engine.name}"
            line.add(kind, _opinion_of(engine), engine, reads=("segment",), beside=UNIT, name=name, cost=_share(engine))
    always, how = line.named("transcribe"), line.config.reconcile.normalise
    for engine in line.config.transcribe:
        if engine.when is not None:
            ask = partial(TranscribeOnDemand, engine, partial(_agreement_of, how))
            also = (NORMALISER, how.model_dump_json())
            name = f"transcribe:{engine.name}"
            line.add(kind, ask, engine, reads=("segment", *always), also=also, beside=UNIT, name=name, cost=_share(engine))


def _opinion_of(engine: EngineConfig) -> Callable[[], Operator]:
    """The operator of an engine: a recogniser, or transcripts that came with the recordings."""
    match engine:
        case GivenConfig():
            return partial(GivenTranscripts, engine)
        case CaptionsConfig():
            return partial(CaptionTranscripts, engine)
        case _:
            return partial(Transcribe, engine)


def _share(engine: EngineConfig) -> Resources:
    if isinstance(engine, OpenAiConfig):
        return LIGHT.model_copy(update={"workers": 1})  # so that its rate is that of the run
    deaf = isinstance(engine, GivenConfig | CaptionsConfig)
    return (LIGHT if deaf else HEAVY).model_copy(update={"gpus": engine.gpu_share})


def _agreement_of(how: NormaliserConfig) -> HypothesesAgreement:
    return HypothesesAgreement(Normaliser(how))


def _reconcile(line: StageBuilder, kind: StageKind) -> None:
    make = partial(Reconcile, line.config.reconcile, tuple(engine.name for engine in line.config.transcribe))
    choosy = any(engine.when or engine.skip_other_languages for engine in line.config.transcribe)
    also = ("of those that were asked",) if choosy else ()  # had been of all: only what may have changed is made anew
    line.add(kind, make, line.config.reconcile, reads=("segment", *line.named("transcribe")), also=also)


def _opinions(line: StageBuilder, kind: StageKind) -> None:
    """One stage for each labeller that may say something."""
    for settings in active_labellers(line.config.label, line.config.labels):
        reads = ["segment"]
        if "transcribe" in settings.reads:
            heard = settings.engine if isinstance(settings, HeardLanguageConfig) else None
            reads += [name for name in line.named("transcribe") if heard is None or name == f"transcribe:{heard}"]
        if "reconcile" in settings.reads:
            reads.append("reconcile")
        cost = HEAVY.model_copy(update={"gpus": settings.gpu_share}) if isinstance(settings, ModelSettings) else LIGHT
        name = f"label:{settings.name}"
        line.add(kind, partial(Label, settings), settings, reads=reads, beside=UNIT, name=name, cost=cost)


def _labels(line: StageBuilder, kind: StageKind) -> None:
    """One stage that merges what all labellers say; none without labellers."""
    if said := line.named("label"):
        make = partial(Merge, line.config.labels, tuple(settings.name for settings in line.config.label))
        line.add(kind, make, line.config.labels, reads=("segment", *said), beside=())


def _fingerprint(line: StageBuilder, kind: StageKind) -> None:
    if (settings := line.config.duplicates) and "acoustic" in settings.by:
        only = FingerprintConfig(speeds=settings.speeds, min_seconds=settings.min_seconds)
        line.add(kind, partial(TakeFingerprints, only), only, beside=UNIT)


def _shingle(line: StageBuilder, kind: StageKind) -> None:
    if (settings := line.config.duplicates) and "text" in settings.by:
        only = ShingleConfig(shingle=settings.shingle)
        line.add(kind, partial(TakeShingles, only), only, reads=("segment", "reconcile"), beside=("units",))


def _duplicates(line: StageBuilder, kind: StageKind) -> None:
    """The driver writes the verdicts: they are about the whole run."""
    if settings := line.config.duplicates:
        reads = line.named("fingerprint", "shingle")
        before = (line.stages[name].fingerprint for name in reads)
        parts = ["duplicates 3", settings.model_dump_json(), sets_digest(settings.evaluation), *before]
        line.put(by_driver(kind, digest(parts)[:16], reads))


def _redact(line: StageBuilder, kind: StageKind) -> None:
    if settings := line.config.redact:
        line.add(kind, partial(Redact, settings), settings, reads=("segment", *line.named("transcribe"), "reconcile"))


def _user(line: StageBuilder, kind: StageKind) -> None:
    """The user's own stages: each has a record, a version and a table of its own."""
    for settings in line.config.stages:
        own = replace(
            kind,
            name=settings.name,
            record=record_of(settings),
            version=settings.version,
            table=settings.name,
            filters=settings.filters,
        )
        own = replace(own, failed=partial(failed_rows.of_user, own.record))
        reads = dict.fromkeys(("segment", *(name for read in settings.reads for name in line.named(read) or (read,))))
        line.add(own, partial(make_user_stage, settings), settings, reads=tuple(reads), beside=UNIT)


def _select(line: StageBuilder, kind: StageKind) -> None:
    amended = [] if line.stages["recordings"] == RECORDINGS else ["recordings"]
    filters = [name for name, stage in line.stages.items() if stage.of.filters]
    reads = ("segment", "reconcile", *amended, *line.named("duplicates", "redact"), *filters)
    line.add(kind, partial(Select, line.config.select), line.config.select, reads=reads)


_of = StageKind.of

ENTRIES: tuple[StageEntry, ...] = (
    _driver(ITEMS),
    StageEntry(StageKind("crawl", Recording, "items", failed=failed_rows.recording), _crawl),
    StageEntry(StageKind("decode", Recording, "items", failed=failed_rows.recording, hears=True), _decode),
    StageEntry(OUTCOMES.of, _amendable),
    _driver(UNITS),
    StageEntry(RECORDINGS.of, _amendable),
    StageEntry(_of("segment", Segment, "tiles", failed=failed_rows.segment, hears=True, engine=True, packed=True), _segment),
    StageEntry(_of("frames", Pictures, "segments", failed=failed_rows.pictures, hears=True, packed=True), _frames),
    StageEntry(
        _of("transcribe", Hypothesis, "segments", failed=failed_rows.hypothesis, hears=True, engine=True, packed=True),
        _transcribe,
    ),
    StageEntry(
        _of("reconcile", Consensus, "segments", version=f"2 {NORMALISER}", failed=failed_rows.consensus, packed=True),
        _reconcile,
    ),
    StageEntry(_of("label", Opinion, "segments", failed=failed_rows.opinion), _opinions),
    StageEntry(_of("label", Labels, "segments", failed=failed_rows.labels, packed=True), _labels),
    StageEntry(StageKind("fingerprint", Fingerprint, "parts", failed=failed_rows.fingerprint, hears=True), _fingerprint),
    StageEntry(StageKind("shingle", Shingles, "parts", failed=failed_rows.shingles), _shingle),
    StageEntry(_of("duplicates", Duplicate, "stretches"), _duplicates),
    StageEntry(_of("redact", Redaction, "segments", failed=failed_rows.redaction, packed=True), _redact),
    StageEntry(StageKind("python", object, "segments", failed=failed_rows.labels), _user),
    StageEntry(_of("select", Selection, "segments", failed=failed_rows.selection, packed=True), _select),
)

KINDS: tuple[StageKind, ...] = tuple(entry.kind for entry in ENTRIES)

STAGE_NAMES = frozenset({"list", "pack", *(kind.name for kind in KINDS)})

READABLE = ("segment", "transcribe", "reconcile", "label")
"""Kinds whose rows a stage of the user's own may read."""


def names_of(config: RunConfig) -> set[str]:
    """Every name under which `executor.resources` may state something, for stages of this config."""
    single = {kind.name for kind in KINDS if not kind.by_driver} - {"transcribe", "python"}
    engines = {f"transcribe:{engine.name}" for engine in config.transcribe}
    labellers = {f"label:{labeller.name}" for labeller in config.label}
    return {"list", "pack", *single, *engines, *labellers, *(stage.name for stage in config.stages)}
