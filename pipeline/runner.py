"""The one straight line: sources -> crawl -> decode -> segment -> transcribe -> reconcile -> select -> pack -> tables.

Every step looks at what is committed, does what is missing and commits it: starting, continuing and re-running are the same.
"""

from __future__ import annotations

import platform
import uuid
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from voxmill import __version__
from voxmill.manifests.reasons import REASONS
from voxmill.manifests.records import Item
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.listing.lister import Lister
from voxmill.operators.crawl.policy.host_limit import HostGate
from voxmill.pipeline.build import build
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.dedup import FindDuplicates
from voxmill.pipeline.execution.executor import Books, Executor, Job, KeyOnly
from voxmill.pipeline.execution.worker import Worker
from voxmill.pipeline.packing.packer import packed_tables, packing
from voxmill.pipeline.packing.plan import plan
from voxmill.pipeline.preflight.run_inputs import check_inputs
from voxmill.pipeline.resolve.saved_config import keep
from voxmill.pipeline.rights.attribution import write_attribution
from voxmill.pipeline.rights.request import apply_tombstones, check_denied, has_unfinished, refuse_copies
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.stage_builder import WHOLE_CORE, stated_cost
from voxmill.pipeline.state import metadata_overrides as amend
from voxmill.pipeline.state.driver_lease import Lease
from voxmill.pipeline.state.listing import Expand, Listing
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError
from voxmill.pipeline.state.table_writer import write_tables
from voxmill.pipeline.terminal.output import amount
from voxmill.pipeline.terminal.progress import Progress
from voxmill.sharding.index import write_index
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
        if has_unfinished(run):
            progress.say(
                f"{amount(apply_tombstones(run), 'file')} changed to finish a revocation; `voxmill revoke` writes its report"
            )
        listing = run.listing
        progress.phase(f"listing {amount(len(config.sources), 'source')}")
        stones, lists = run.tombstones, expand or Lister(config.crawl, gate)

        def refused(source: SourceConfig) -> list[Item]:
            return stones.refuse(lists(source))

        generations = listing.extend(config.sources, refused)
        check_denied(run, config.crawl)
        if until == "list":
            return
        if retry:
            progress.say(f"{amount(listing.retry(retry, config.sources, refused), 'item')} to be fetched again")
            generations = listing.num_generations()
        _fetch(run, listing, stages, generations, config, executor, progress)
        if until == "crawl":
            return
        units = [unit.id for unit in listing.units()]
        amendments = amend.find(run, config.sources)
        amend.write(run, stages["recordings"], units, amendments)
        chain = [s for s in stages.values() if not (s.of.by_driver or s.of.of_items)]
        sharing = {s.name for s in chain if not s.resources.gpus} - config.executor.resources.keys()
        if settings := config.duplicates:
            _run_stages(run, stages, chain[:-1], units, executor, progress, sharing)
            progress.phase("looking for duplicates")
            changed = FindDuplicates(run, stages, settings)(listing.units())
            progress.say(f"{amount(changed, 'unit')} of work compared with the rest anew")
        _run_stages(run, stages, chain, units, executor, progress, sharing)
        if until == "pack":
            _pack(run, stages, config, state["buckets"], executor, progress)
            progress.phase("writing attribution")
            write_attribution(run, amendments)
        progress.phase("writing tables")
        files = write_tables(run, [s for s in stages.values() if s.reads], amendments, packed_tables(run, stages))
        progress.say(f"tables: {len(files)} in {run.uri('manifests')}, views in {run.uri('catalog.sql')}")


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
    groups = [group for g in pending for group in listing.groups(g)]
    _run_stages(run, stages, [stages["crawl"], stages["decode"]], groups, executor, progress)
    refuse_copies(run, stages)
    for generation in pending:
        listing.make_units(generation, stages["crawl"], stages["decode"], config.units)


def _run_stages(
    run: Run,
    stages: Mapping[str, Stage],
    chain: Sequence[Stage],
    keys: Sequence[str],
    executor: Executor,
    progress: Progress,
    sharing: Collection[str] = (),
) -> None:
    """The keys that lack a stage through the chain; a stage that has a fragment for every key is left out, and its model is never loaded.

    Stages whose name is in `sharing` may share their workers.
    """
    ledger, session, jobs = run.ledger, uuid.uuid4().hex, []
    done = {stage.name: ledger.done(stage) for stage in chain}
    wanted = tuple(key for key in keys if any(key not in found for found in done.values()))
    for stage in chain:
        if any(key not in done[stage.name] for key in wanted):
            worker = partial(Worker, run.root, stage, [stages[name] for name in stage.reads], session)
            make = partial(KeyOnly, worker)
            jobs.append(Job(stage.name, make, wanted, stage.resources, stage.name in sharing))
    progress.expect(jobs)
    with progress.watching(session):
        executor.run(jobs, progress.report, Books(say=progress.say))
    for stage in chain:
        missing = set(keys) - ledger.done(stage)
        if missing:
            raise RunError(
                f"stage {stage.name} left {len(missing)} of {len(keys)} units without a result: run again to continue"
            )


def _pack(
    run: Run, stages: Mapping[str, Stage], config: RunConfig, buckets: int, executor: Executor, progress: Progress
) -> None:
    resources = stated_cost(config, "pack", WHOLE_CORE)
    session = uuid.uuid4().hex
    progress.phase("planning shards")
    wanted = packing(run, stages, plan(run, stages, config.pack, buckets), resources, session)
    progress.expect([wanted.job])
    prune(run.shards_dir, wanted.shards)
    with progress.watching(session):
        executor.run([wanted.job], progress.report, Books(say=progress.say))
    write_index(run.shards_dir)


def _versions() -> dict[str, str]:
    found = {"voxmill": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
