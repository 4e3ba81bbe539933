"""The proof that a run lost nothing: ledger = index = shard members, and in = kept + Σ rejected, in counts and in samples."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from voxmill.manifests.parquet import read_records
from voxmill.manifests.records import Recording
from voxmill.manifests.schema import SchemaError
from voxmill.pipeline.packing.failures import failed_samples
from voxmill.pipeline.packing.partition import by_bucket
from voxmill.pipeline.reports.proof import Balance, Report
from voxmill.pipeline.reports.unfinished import Pending, pending
from voxmill.pipeline.reports.verify_units import check_parts, check_units, stages_of_units
from voxmill.pipeline.rights.erasure_check import find_traces
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.chunks import OF_LISTING
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.listing import ITEMS, OUTCOMES, Listing, group_id
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import exists
from voxmill.sharding.index import INDEX
from voxmill.sharding.sidecar import ShardError, ShardSummary, committed
from voxmill.sharding.verify_shards import ExpectedSample, verify_shards


def verify(run: Run, stages: Mapping[str, Stage]) -> Report:
    """Reads every table and every byte of every shard. Of a run that was stopped after a stage, what there is is proved.

    What is in memory is one unit, then one bucket of shards.
    """
    report = Report()
    run = Run(run.root)  # as it lies there now
    listing, ledger = run.listing, run.ledger
    report.problems += (f"damaged: {one}" for one in ledger.journal.damaged_beginnings())
    report.problems += _lost_files(ledger, stages)
    chain = [s for s in stages_of_units(stages) if s.kind != "units"]
    to_come = pending(run, stages, chain)
    report.pending += to_come
    _check_fetching(run, listing, ledger, stages, to_come, report)
    report.problems += check_parts(listing.each_unit(), listing.each_recording())
    report.problems += map(str, find_traces(run, run.tombstones))
    report.warnings += ledger.state.notes
    _check_shards(run, stages, to_come, report)
    report.problems += _check_index(run, packed=not report.pending)
    report.problems += [f"unbalanced: {b}" for b in report.balances if not b.holds]
    return report


def _lost_files(ledger: Ledger, stages: Mapping[str, Stage]) -> list[str]:
    """Files of tables that are gone; from here on, what they held is not done."""
    lost = ledger.lost()
    names = {stage.key: stage.name for stage in (ITEMS, *stages.values())}
    found = []
    for key, gone in lost.items():
        files = ", ".join(chunk.rows for chunk in gone)
        cure = "restore them: nothing makes them again" if key.partition("/")[0] in OF_LISTING else "run `voxmill run` again"
        found += [f"missing: {names[key]}: {files}; {cure}"] if key in names else []
    ledger.overlook(lost)
    return found


def _check_shards(run: Run, stages: Mapping[str, Stage], to_come: Pending, report: Report) -> None:
    """The shards hold what the stages selected, and nothing else; and the books of the units on the way there."""
    aside, pack = failed_samples(run, stages), Balance("pack")

    def selected() -> Iterator[ExpectedSample]:
        for one in check_units(run, run.ledger, run.listing.each_unit(), stages, to_come, report):
            pack.rows_in += 1
            pack.samples_in += one.num_samples
            if one.key not in aside:
                yield one
                continue
            pack.rejected += 1
            pack.samples_rejected += one.num_samples

    buckets = int(run.load().get("buckets", 1))
    verdict = verify_shards(run.shards_dir, by_bucket(selected(), ExpectedSample, buckets))
    report.problems += [str(problem) for problem in verdict.problems]
    report.shards, report.shard_samples = verdict.shards, verdict.samples
    pack.kept, pack.samples_kept = verdict.samples, verdict.num_samples
    if verdict.waiting:
        report.pending.append(f"pack: {verdict.waiting} of {verdict.waiting + verdict.new} segments")
        pack.rows_in, pack.samples_in = pack.rows_in - verdict.waiting, pack.samples_in - verdict.samples_waiting
    elif report.pending:
        report.pending.append("pack")
    if pack.rows_in or verdict.shards or not report.pending:
        report.balances.append(pack)


def _check_fetching(
    run: Run, listing: Listing, ledger: Ledger, stages: Mapping[str, Stage], to_come: Pending, report: Report
) -> None:
    """Every item has one recording or one reason; audio files are there."""
    crawl, decode = Balance("crawl"), Balance("decode")
    for number, generation in enumerate(listing.generations):
        for stage in (stages["crawl"], stages["decode"]):
            for first, end in ledger.done(stage).missing(*generation.groups):
                if not to_come.waits_to_be_fetched(stage.name, first):
                    ids = group_id(first) if end == first + 1 else f"{group_id(first)} to {group_id(end - 1)}"
                    report.problems.append(f"missing: {stage.name} {ids}: no result; run `voxmill run` again")
        if number in to_come.generations:
            continue
        if generation.units is None:
            report.problems.append(f"missing: generation {number}: no units; run `voxmill run` again")
        for position in range(*generation.groups):
            items = {item.id for item in (ledger.read(ITEMS, position) if position in ledger.done(ITEMS) else ())}
            outcomes = (
                ledger.read(OUTCOMES, position) if generation.units is not None and position in ledger.done(OUTCOMES) else []
            )
            crawl.rows_in += len(items)
            report.problems += _check_group(run, items, outcomes, crawl, decode)
    decode.rows_in = crawl.kept
    report.balances += [crawl, decode]


def _check_group(run: Run, items: set[str], outcomes: Sequence[Recording], crawl: Balance, decode: Balance) -> Iterator[str]:
    """One group of items against what became of them."""
    for recording in outcomes:
        at = recording.rejection.reason.split(".")[0] if recording.rejection else None
        crawl.rejected += at in ("list", "crawl")
        crawl.kept += at not in ("list", "crawl")
        decode.rejected += at == "decode"
        decode.kept += at is None
        if at in (None, "decode"):  # what is in the file: what was decoded, and `decode.lost`
            decoded = recording.num_samples - recording.silent_samples
            decode.samples_in += decoded + recording.lost_samples
            decode.samples_kept += decoded if at is None else 0
            decode.samples_rejected += recording.lost_samples + (decoded if at == "decode" else 0)
            if not 0 <= recording.silent_samples <= min(recording.lost_samples, recording.num_samples):
                yield (
                    f"recording {recording.id}: {recording.silent_samples} samples of silence for "
                    f"{recording.lost_samples} lost ones, of {recording.num_samples}"
                )
        if at is None and recording.audio and "://" not in recording.audio:
            in_place = recording.audio.startswith("/")
            uri = recording.audio if in_place else run.uri(recording.audio)
            if not exists(uri):
                yield f"missing: {uri}: the audio of recording {recording.id}"
            elif in_place and recording.num_bytes and os.stat(uri).st_size != recording.num_bytes:
                yield f"differs: {uri}: it is not the file that recording {recording.id} was fetched from"
    known = {recording.item_id for recording in outcomes}
    for stranger in sorted(known - items):
        yield f"missing: items: recording of item {stranger} is there, and no such item is listed"
    for missing in sorted(items - known):
        yield f"missing: item {missing} has no outcome"


def _check_index(run: Run, packed: bool) -> Iterator[str]:
    """The index names the committed shards as their commits do; damaged commits were reported before. It is written when all is `packed`."""
    fix = "run `voxmill run` again to write it again"
    uri = f"{run.shards_dir}/{INDEX}"
    try:
        indexed = {shard.name: shard for shard in read_records(uri, ShardSummary)} if exists(uri) else {}
        shards = {shard.name: shard for shard in committed(run.shards_dir)}
    except (SchemaError, ShardError) as error:
        yield f"damaged: {error}"
        return
    for name in sorted(shards.keys() | indexed.keys()):
        if name not in indexed:
            if packed:
                yield f"missing: {uri}: it has no line for {name}; {fix}"
        elif name not in shards:
            yield f"extra: {uri}: it names {name}, which is not committed; {fix}"
        elif indexed[name] != shards[name]:
            yield f"differs: {uri}: {name} is not what was committed; {fix}"
