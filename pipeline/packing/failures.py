"""Samples that could not be packed: what decodes or writes them died or failed on each of them alone.

Such a sample has its outcome in the ledger, under its own key and beside the packer's marks; the plan leaves it out, while its place
still counts where parts are cut. So a shard is cut once, whatever happens to it, and the books stay balanced: what was selected is
packed or here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from voxmill.manifests.ids import digest
from voxmill.manifests.parquet import records_bytes
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Selection
from voxmill.manifests.storage import commit_bytes
from voxmill.pipeline.stage import Stage, StageKind, by_driver
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.run import Run
from voxmill.sharding.sample import PACKER, Entry


def upstream_of(stages: Mapping[str, Stage]) -> str:
    """What packing reads, as one fingerprint."""
    return " ".join(stages[name].fingerprint for name in ("select", "frames", "label") if name in stages)


def pack_stage(upstream: str) -> Stage:
    """Packing in the ledger: one fragment for each sample that failed, and none for the others, which are in the shards."""
    return by_driver(_KIND, digest([PACKER, upstream])[:16])


def commit_failure(ledger: Ledger, stage: Stage, entry: Entry, detail: str) -> None:
    """Commits the outcome of a sample that could not be packed: `pack.failed` with its detail."""
    outcome = Selection(entry.key, "rejected", entry.split, 0.0, reject("pack.failed", detail))  # type: ignore[arg-type]
    commit_bytes(ledger.fragment(stage, entry.key), records_bytes([outcome], Selection))


def failed_samples(run: Run, stages: Mapping[str, Stage]) -> set[str]:
    """Keys of the samples that could not be packed."""
    return run.ledger.done(pack_stage(upstream_of(stages)))


def unpacked_tables(run: Run, stages: Mapping[str, Stage]) -> Iterator[pa.Table]:
    """One row per sample that could not be packed, with why."""
    ledger, stage = run.ledger, pack_stage(upstream_of(stages))
    for key in sorted(ledger.done(stage)):
        for row in ledger.read(stage, key):
            yield pa.table({"segment_id": [key], "reason": [row.rejection.reason], "detail": [row.rejection.detail]})


_KIND = StageKind("pack", Selection, "segments")
