"""The proof that a run lost nothing: ledger = index = shard members, and in = kept + Σ rejected, in counts and in samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from voxmill.manifests.parquet import read_records
from voxmill.manifests.schema import SchemaError
from voxmill.pipeline.packing.failures import failed_samples
from voxmill.pipeline.reports.proof import Balance, Report
from voxmill.pipeline.reports.unfinished import Pending, finished, not_packed, pending
from voxmill.pipeline.reports.verify_units import check_parts, check_units, stages_of_units
from voxmill.pipeline.rights.erasure_check import find_traces
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.listing import ITEMS, Listing
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import exists
from voxmill.sharding.index import INDEX
from voxmill.sharding.sidecar import ShardError, ShardSummary, committed
from voxmill.sharding.verify_shards import verify_shards


def verify(run: Run, stages: Mapping[str, Stage]) -> Report:
    """Reads the whole ledger and every byte of every shard. Of a run that was stopped after a stage, what there is is proved."""
    report = Report()
    listing, ledger = run.listing, run.ledger
    units, known = listing.units(), finished(run)
    to_come = pending(run, stages, [s for s in stages_of_units(stages) if s.kind != "units"], units, known)
    report.pending += to_come
    _check_fetching(run, listing, ledger, stages, to_come, report)
    lost = known.units - {unit.id for unit in units}
    report.problems += [
        f"missing: unit {ident}: it is in the tables, and the listing knows nothing of it" for ident in sorted(lost)
    ]
    recordings = {r.id: r for r in listing.recordings() if r.rejection is None}
    report.problems += check_parts(units, recordings)
    expected = check_units(run, ledger, units, stages, to_come, report)
    report.problems += map(str, find_traces(run, run.tombstones))
    report.warnings += [line for stage in stages.values() for line in ledger.twice(stage)]
    if waiting := not_packed(run, expected, known):
        report.pending.append(f"pack: {len(waiting)} segments")
        expected = {key: fact for key, fact in expected.items() if key not in waiting}
    elif report.pending:
        report.pending.append("pack")
    aside = expected.keys() & failed_samples(run, stages)
    verdict = verify_shards(run.shards_dir, {key: fact for key, fact in expected.items() if key not in aside})
    report.problems += [str(problem) for problem in verdict.problems]
    report.problems += _check_index(run)
    report.shards, report.shard_samples = verdict.shards, verdict.samples
    pack = Balance("pack", len(expected), verdict.samples, len(aside))
    pack.samples_in, pack.samples_kept = sum(e.num_samples for e in expected.values()), verdict.num_samples
    pack.samples_rejected = sum(expected[key].num_samples for key in aside)
    if expected or verdict.shards or not report.pending:
        report.balances.append(pack)
    report.problems += [f"unbalanced: {b.stage}: {b}" for b in report.balances if not b.holds]
    return report


def _check_fetching(
    run: Run, listing: Listing, ledger: Ledger, stages: Mapping[str, Stage], to_come: Pending, report: Report
) -> None:
    """Every item has one recording or one reason; audio files are there."""
    crawl, decode = Balance("crawl"), Balance("decode")
    for generation in range(listing.num_generations()):
        for group in listing.groups(generation):
            for stage in (stages["crawl"], stages["decode"]):
                if group not in to_come.fetching.get(stage.name, ()) and not ledger.is_done(stage, group):
                    report.problems.append(f"missing: {stage.name} {group}: no fragment; run `voxmill run` again")
        if generation not in to_come.generations and not listing.has_units(generation):
            report.problems.append(f"missing: generation {generation}: no units; run `voxmill run` again")
    fetched = [g for g in range(listing.num_generations()) if g not in to_come.generations]
    items = {item.id for g in fetched for group in listing.groups(g) for item in ledger.read(ITEMS, group)}
    outcomes = listing.recordings()
    crawl.rows_in = len(items)
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
                report.problems.append(
                    f"recording {recording.id}: {recording.silent_samples} samples of silence for "
                    f"{recording.lost_samples} lost ones, of {recording.num_samples}"
                )
    decode.rows_in = crawl.kept
    report.balances += [crawl, decode]
    for stranger in sorted({r.item_id for r in outcomes} - items):
        report.problems.append(f"missing: items: recording of item {stranger} is there, and no such item is listed")
    for missing in sorted(items - {r.item_id for r in outcomes}):
        report.problems.append(f"missing: item {missing} has no outcome")
    for recording in outcomes:
        if recording.rejection is None and recording.audio and "://" not in recording.audio:
            uri = recording.audio if recording.audio.startswith("/") else run.uri(recording.audio)
            if not exists(uri):
                report.problems.append(f"missing: {uri}: the audio of recording {recording.id}")


def _check_index(run: Run) -> Iterator[str]:
    """The index names the committed shards as their commits do; damaged commits were reported before."""
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
            yield f"missing: {uri}: it has no line for {name}; {fix}"
        elif name not in shards:
            yield f"extra: {uri}: it names {name}, which is not committed; {fix}"
        elif indexed[name] != shards[name]:
            yield f"differs: {uri}: {name} is not what was committed; {fix}"
