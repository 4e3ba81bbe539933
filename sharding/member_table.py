"""Rows of the sidecars as an Arrow table, for SQL conditions: the columns of `Member`, and `seconds`."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.manifests.schema import to_table
from voxmill.sharding.sidecar import Member


def member_table(rows: Sequence[Member]) -> pa.Table:
    """One row per sample; `seconds` is its length."""
    return with_seconds(to_table(rows, Member))


def with_seconds(table: pa.Table) -> pa.Table:
    """The rows of a sidecar with the length of each sample (s)."""
    return table.append_column("seconds", pc.divide(table["num_samples"].cast(pa.float64()), float(SAMPLE_RATE)))
