"""Samples that could not be packed: what decodes or writes them died or failed on each of them alone.

    ledger/unpacked/<fingerprint>/<segment>.parquet   the outcome of one such sample

The plan leaves it out, while its place still counts where parts are cut. So a shard is cut once, whatever happens to it, and the books
stay balanced: what was selected is packed or here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from voxmill.manifests.ids import digest
from voxmill.manifests.parquet import read_records, records_bytes
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Selection
from voxmill.manifests.storage import commit_bytes
from voxmill.pipeline.stage import Stage, StageKind, by_driver
from voxmill.pipeline.state.run_dir import RunDir, names_in
from voxmill.sharding.sample import PACKER, Entry


def upstream_of(stages: Mapping[str, Stage]) -> str:
    """What packing reads, as one fingerprint."""
    return " ".join(stages[name].fingerprint for name in ("select", "frames", "label") if name in stages)


def pack_stage(upstream: str) -> Stage:
    """Packing in the ledger: one fragment for each sample that failed, and none for the others, which are in the shards."""
    return by_driver(_KIND, digest([PACKER, upstream])[:16])


def commit_failure(run: RunDir, stage: Stage, entry: Entry, detail: str) -> None:
    """Commits the outcome of a sample that could not be packed: `pack.failed` with its detail."""
    outcome = Selection(entry.key, "rejected", entry.split, 0.0, reject("pack.failed", detail))  # type: ignore[arg-type]
    commit_bytes(_uri(run, stage, f"{entry.key}.parquet"), records_bytes([outcome], Selection))


def failed_samples(run: RunDir, stages: Mapping[str, Stage]) -> set[str]:
    """Keys of the samples that could not be packed."""
    names = names_in(_uri(run, pack_stage(upstream_of(stages))))
    return {name.removesuffix(".parquet") for name in names if name.endswith(".parquet")}


def unpacked_tables(run: RunDir, stages: Mapping[str, Stage]) -> Iterator[pa.Table]:
    """One row per sample that could not be packed, with why."""
    stage = pack_stage(upstream_of(stages))
    for key in sorted(failed_samples(run, stages)):
        for row in read_records(_uri(run, stage, f"{key}.parquet"), Selection):
            assert row.rejection
            yield pa.table({"segment_id": [key], "reason": [row.rejection.reason], "detail": [row.rejection.detail]})


def _uri(run: RunDir, stage: Stage, *name: str) -> str:
    return run.uri("ledger", "unpacked", stage.fingerprint, *name)


_KIND = StageKind("pack", Selection, "segments")
