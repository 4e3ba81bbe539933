"""The one straight line: sources -> crawl -> decode -> segment -> transcribe -> reconcile -> select -> pack -> tables.

Every step looks at what is committed, does what is missing and commits it: starting, continuing and re-running are the same.
"""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from voxmill import __version__
from voxmill.manifests.catalog import catalog_files
from voxmill.manifests.errors import UserError
from voxmill.manifests.ids import digest
from voxmill.manifests.reasons import REASONS
from voxmill.manifests.records import Item
from voxmill.manifests.storage import StoreError
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.listing.lister import Lister
from voxmill.operators.crawl.policy.host_limit import HostGate
from voxmill.pipeline.books import JournalBooks, keys_of
from voxmill.pipeline.build import build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.duplicates.find_duplicates import FindDuplicates
from voxmill.pipeline.execution.executor import Executor, Job
from voxmill.pipeline.execution.worker import Worker
from voxmill.pipeline.packing.failures import pack_stage, upstream_of
from voxmill.pipeline.packing.packer import packed_tables, packing
from voxmill.pipeline.packing.plan import plan
from voxmill.pipeline.preflight.run_inputs import check_inputs
from voxmill.pipeline.resolve.saved_config import keep
from voxmill.pipeline.rights.attribution import write_attribution
from voxmill.pipeline.rights.erasure_check import revoked_rows
from voxmill.pipeline.rights.request import apply_tombstones, check_denied, has_unfinished, refuse_copies
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.stage_builder import WHOLE_CORE, stated_cost
from voxmill.pipeline.state import metadata_overrides as amend
from voxmill.pipeline.state.chunks import OF_LISTING
from voxmill.pipeline.state.driver_lease import Lease
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.listing import Expand, Listing
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError
from voxmill.pipeline.state.table_writer import catalog_sha256, is_published, write_tables
from voxmill.pipeline.state.tombstone_store import stones_of
from voxmill.pipeline.terminal.output import amount
from voxmill.pipeline.terminal.progress import Progress
from voxmill.sharding.index import is_intact, write_index
from voxmill.sharding.sample import PACKER
from voxmill.sharding.writer import prune

Until = Literal["list", "crawl", "select", "pack"]
"""Where to stop; each includes what comes before it."""

PACKAGES = ("av", "ctranslate2", "duckdb", "faster-whisper", "funasr", "numpy", "onnxruntime", "pyarrow", "ray", "silero-vad", "torch", "whisperx", "yt-dlp")  # fmt: skip


def run_line(
    config: RunConfig,
    run: Run,
    executor: Executor,
    gate: HostGate,
    progress: Progress,
    *,
    until: Until = "pack",
    retry: Collection[str] = (),
    expand: Expand | None = None,
    text: str | None = None,
) -> None:
    """Brings a run up to its config. Raises RunError, StageError; what was committed stays.

    `retry` names reasons whose items are fetched once more. `expand` lists a source in another way than `operators.crawl.sources.Lister` does (a sample, say).
    `text` is the config as its user may edit it, kept beside run.json.
    """
    check_inputs(config, run)
    with Lease(run, progress.say), progress:
        stages = build(config, run, gate)
        state = _open(config, run, stages)
        if text is not None:
            keep(run, text)
        began = _recover(run, progress)
        _advance(config, run, stages, state["buckets"], executor, gate, progress, until, retry, expand)
        if run.ledger.state.number != began:
            run.ledger.fold()
            run.ledger.sweep(catalog_files(run.root))
            run.sweep_staged()


def _advance(
    config: RunConfig,
    run: Run,
    stages: Mapping[str, Stage],
    buckets: int,
    executor: Executor,
    gate: HostGate,
    progress: Progress,
    until: Until,
    retry: Collection[str],
    expand: Expand | None,
) -> None:
    """The line itself, as far as `until` says."""
    if has_unfinished(run):
        progress.say(
            f"{amount(apply_tombstones(run), 'file')} changed to finish a revocation; `voxmill revoke` writes its report"
        )
    listing = run.listing
    progress.phase(f"listing {amount(len(config.sources), 'source')}")
    lister = Lister(config.crawl, gate)
    stones, lists = run.tombstones, expand or lister.each

    def refused(source: SourceConfig) -> Iterator[Item]:
        return (item for listed in lists(source) for item in stones.refuse([listed]))

    before = listing.num_generations()
    generations = listing.extend(config.sources, refused)
    finished = all(map(listing.has_units, range(before))) and run.ledger.state.tabled == listing.num_units
    if generations == before and finished and not retry:
        progress.say(
            "all sources were listed before; what was added to a folder or feed since is listed when its source gets another name"
        )
    if unlisted := str(lister.unlisted):
        progress.say(f"not listed of folders: {unlisted}")
    check_denied(run, config.crawl)
    if until == "list":
        return
    if retry:
        progress.say(f"{amount(listing.retry(retry, config.sources, refused), 'item')} to be fetched again")
        generations = listing.num_generations()
    _fetch(run, listing, stages, generations, config, executor, progress)
    if until == "crawl":
        return
    amendments = amend.find(run, config.sources)
    amend.write(run, stages["recordings"], stages["outcomes"], amendments)
    chain = [s for s in stages.values() if not (s.of.by_driver or s.of.of_items)]
    sharing = {s.name for s in chain if not s.resources.gpus} - config.executor.resources.keys()
    units = (0, listing.num_units)
    if settings := config.duplicates:
        _run_stages(run, stages, chain[:-1], units, executor, progress, sharing)
        progress.phase("looking for duplicates")
        changed = FindDuplicates(run, stages, settings)()
        progress.say(f"{amount(changed, 'unit')} of work compared with the rest anew")
    _run_stages(run, stages, chain, units, executor, progress, sharing)
    stamp = _stamp(run, stages, config, amendments)
    if until == "pack" and run.ledger.state.packed == stamp and is_intact(run.shards_dir) and is_published(run):
        progress.say(f"nothing new: shards in {run.shards_dir} and tables are as they were")
        return
    if until == "pack":
        if run.ledger.state.packed:  # from here on the shards are neither those of before nor all of the new ones
            run.ledger.append({"packed": ""})
        _pack(run, stages, config, buckets, executor, progress)
        progress.phase("writing attribution")
        write_attribution(run, amendments)
    progress.phase("writing tables")
    files = write_tables(run, list(stages.values()), packed_tables(run, stages))
    progress.say(f"tables: {len(files)} in {run.uri('manifests')}, views in {run.uri('catalog.sql')}")
    packed = {"packed": stamp, "packed_units": listing.num_units} if until == "pack" else {}
    if packed or run.ledger.state.tabled != listing.num_units:
        run.ledger.append({"tabled": listing.num_units, "catalog": catalog_sha256(run), **packed})


def _open(config: RunConfig, run: Run, stages: Mapping[str, Stage]) -> dict[str, Any]:
    """Creates or updates run.json. The number of buckets is frozen when the run is created."""
    old = run.written() if run.exists() else {}
    buckets = int(old.get("buckets", config.pack.buckets))
    if old and buckets != config.pack.buckets:
        raise RunError(f"{run.root} was created with {buckets} buckets: set `pack.buckets: {buckets}`, or start a new run")
    state = {
        "buckets": buckets,
        "config": config.model_dump(mode="json"),
        "fingerprints": {name: stage.fingerprint for name, stage in stages.items()},
        "stated": amend.stated(run, config.sources),
        **_own_reasons(config),
        "versions": _versions(),
    }
    run.save(state)
    return state


def _own_reasons(config: RunConfig) -> dict[str, Any]:
    """What the reasons of the user's own stages mean: kept with the run, for whoever asks it without their code."""
    own = {stage.name for stage in config.stages}
    reasons = {r.name: [r.meaning, r.advice] for r in REASONS.values() if r.stage in own}
    return {"reasons": reasons} if own else {}


def _recover(run: Run, progress: Progress) -> int:
    """Takes up what an earlier driver left: fragments that nobody journalled, and files of tables that somebody deleted.

    Returns the number of this driver's first entry.
    """
    ledger = run.ledger
    ledger.begin()
    began = ledger.state.number
    ledger.adopt(revoked_rows(run.tombstones))
    lost, fragments = ledger.lost(), ledger.lost_fragments()
    if gone := [chunk.rows for key, found in lost.items() if key.partition("/")[0] in OF_LISTING for chunk in found]:
        raise RunError(f"{', '.join(gone)} of {run.root} is gone, and nothing makes it again: restore it, or start a new run")
    ledger.forget_costs()
    if count := sum(map(len, lost.values())) + len(fragments):
        progress.say(f"{amount(count, 'file')} of the tables are gone: what they held is made again")
        ledger.forget(lost, fragments)
    ledger.fold()
    return began


def _fetch(
    run: Run,
    listing: Listing,
    stages: Mapping[str, Stage],
    generations: int,
    config: RunConfig,
    executor: Executor,
    progress: Progress,
) -> None:
    pending = [g for g in range(generations) if not listing.has_units(g)]
    if not pending:
        return
    span = (listing.generations[pending[0]].groups[0], listing.generations[pending[-1]].groups[1])
    _run_stages(run, stages, [stages["crawl"], stages["decode"]], span, executor, progress)
    refuse_copies(run, stages, span)
    if copies := sum(listing.make_units(generation, stages["crawl"], stages["decode"], config.units) for generation in pending):
        progress.say(
            f"{amount(copies, 'recording')} of those kept so far: what another one holds, and rejected now as a duplicate"
        )


def _run_stages(
    run: Run,
    stages: Mapping[str, Stage],
    chain: Sequence[Stage],
    span: tuple[int, int],
    executor: Executor,
    progress: Progress,
    sharing: Collection[str] = (),
) -> None:
    """The units (or groups of items) of a range of positions through the chain; a stage that has done them all is left out, and its model is never loaded.

    Stages whose name is in `sharing` may share their workers.
    """
    ledger, session = run.ledger, uuid.uuid4().hex
    chain = [stage for stage in chain if not ledger.done(stage).holds(*span)]
    if not chain:
        return
    keys, books = keys_of(run, chain, span), JournalBooks(run, {stage.name: stage for stage in chain})
    jobs = []
    for stage in chain:
        make = partial(Worker, run.root, stage, [stages[name] for name in stage.reads], session)
        jobs.append(Job(stage.name, make, keys, stage.resources, stage.name in sharing))
    progress.expect(jobs)
    with progress.watching(session), nobody_suspected(ledger):
        executor.run(jobs, progress.report, books.for_executor(progress.say))
    ledger.fold()
    for stage in chain:
        if missing := sum(end - first for first, end in ledger.done(stage).missing(*span)):
            raise RunError(
                f"stage {stage.name} left {missing} of {span[1] - span[0]} units without a result: run again to continue"
            )


@contextmanager
def nobody_suspected(ledger: Ledger) -> Iterator[None]:
    """A driver that lives to see its workers end, however they do, knows that what they had in hand killed nobody."""
    try:
        yield
    finally:
        if ledger.state.in_flight:
            with suppress(UserError, OSError, StoreError):  # why it ends is to be told, and not this
                ledger.append({"in_flight": []})


def _pack(
    run: Run, stages: Mapping[str, Stage], config: RunConfig, buckets: int, executor: Executor, progress: Progress
) -> None:
    resources = stated_cost(config, "pack", WHOLE_CORE)
    session = uuid.uuid4().hex
    progress.phase("planning shards")
    wanted = packing(run, stages, plan(run, stages, config.pack, buckets), resources, session)
    progress.expect([wanted.job])
    prune(run.shards_dir, wanted.shards)
    with progress.watching(session), nobody_suspected(run.ledger):
        books = JournalBooks(run, {"pack": pack_stage(upstream_of(stages))})
        executor.run([wanted.job], progress.report, books.for_executor(progress.say, holds=False))
    write_index(run.shards_dir)


def _stamp(run: Run, stages: Mapping[str, Stage], config: RunConfig, amendments: amend.Amendments) -> str:
    """All that shards and tables follow from: where it is as it was, there is nothing to pack and nothing to write."""
    marks = [stone.marks for stone in stones_of(run)]
    made = [f"{stage.key} {run.ledger.done(stage).runs} {run.ledger.chunk_files(stage)}" for stage in stages.values()]
    parts = [__version__, PACKER, config.pack.model_dump_json(), json.dumps(amendments, sort_keys=True), *made]
    return digest([*parts, json.dumps(marks)])


def _versions() -> dict[str, str]:
    found = {"voxmill": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
