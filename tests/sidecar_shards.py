"""Shards without their tars: index and Parquet sidecars, which are all that a sampler reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from voxmill.manifests.parquet import records_bytes
from voxmill.manifests.records import SAMPLE_RATE, Annotation, Labels, Mark
from voxmill.sharding.index import INDEX
from voxmill.sharding.shard_files import METADATA
from voxmill.sharding.sidecar import Member, ShardSummary, members_document


def member(name: str, seconds: float, language: str | None = "en", *, tier: str = "high", gender: str | None = None) -> Member:
    """A row of a sidecar."""
    samples = round(seconds * SAMPLE_RATE)
    ident = hashlib.sha256(name.encode()).hexdigest()[:24]
    key = f"{ident}-{0:010}-{samples:010}"
    labels = None if gender is None else Labels(key, gender=Annotation((Mark(gender),), "x"))
    text = f"{name} in {language}"
    return Member(
        key, key, ident, 0, samples, "train", "cc0", tier, 1.0, text, language, 0.9, 0, 0, 0, 0, "", "", labels=labels
    )  # fmt: skip


def write_sidecars(root: Path, rows: Sequence[Member], rows_per_shard: int = 8) -> str:
    """Writes a folder of shards that a sampler can plan; returns its name."""
    (root / INDEX).parent.mkdir(parents=True)
    parts = [rows[start : start + rows_per_shard] for start in range(0, len(rows), rows_per_shard)]
    shards = []
    for number, part in enumerate(parts):
        name, blob = f"train-{number:06}", members_document(part)
        file, length = f"{METADATA}/{name}.parquet", sum(row.num_samples for row in part)
        (root / file).write_bytes(blob)
        shards.append(
            ShardSummary(
                name, "train", "cc0", number, len(parts), 0, 0, len(part), len(part), length, length / SAMPLE_RATE,
                f"{name}.tar", 0, "", file, len(blob), hashlib.sha256(blob).hexdigest(), "",
            )
        )  # fmt: skip
    (root / INDEX).write_bytes(records_bytes(shards, ShardSummary))
    return str(root)
