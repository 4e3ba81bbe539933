"""Rows about a run's samples, bucket after bucket, in bounded memory: what does not fit waits in temporary files."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from voxmill.manifests.parquet import read_records, records_bytes
from voxmill.sharding.layout import bucket_of

HELD = 100_000
"""Rows in memory at which they are put aside; each takes about 500 bytes."""


class OfRecording(Protocol):
    """A record that says which recording it is about."""

    @property
    def recording_id(self) -> str:
        """Its recording."""
        ...


Row = TypeVar("Row", bound=OfRecording)


def by_bucket(rows: Iterable[Row], record: type[Row], buckets: int, held: int = HELD) -> Iterator[tuple[int, list[Row]]]:
    """(bucket, its rows in their order) of each bucket that has any; one bucket in memory at a time. `record` is the type of the rows.

    A shard never crosses a bucket, so shards can be planned, or compared, from one of these lists alone. More buckets mean shorter lists.
    """
    piles: dict[int, list[Row]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="voxmill-places-") as folder:
        aside: dict[int, list[Path]] = defaultdict(list)
        for number, row in enumerate(rows, 1):
            piles[bucket_of(row.recording_id, buckets)].append(row)
            if number % held == 0:
                for bucket, pile in piles.items():
                    path = Path(folder) / f"{bucket}-{number}.parquet"
                    path.write_bytes(records_bytes(pile, record))
                    aside[bucket].append(path)
                piles.clear()
        for bucket in sorted(piles.keys() | aside.keys()):
            put_aside = [row for path in aside[bucket] for row in read_records(str(path), record)]
            yield bucket, put_aside + piles.pop(bucket, [])
