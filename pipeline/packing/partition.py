"""The places of a run's samples, bucket after bucket, in bounded memory: what does not fit waits in temporary files."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from voxmill.manifests.parquet import read_records, records_bytes
from voxmill.sharding.layout import bucket_of
from voxmill.sharding.sample import Entry

HELD = 100_000
"""Places in memory at which they are put aside; each takes about 500 bytes."""


def by_bucket(entries: Iterable[Entry], buckets: int, held: int = HELD) -> Iterator[list[Entry]]:
    """The entries of each bucket that has any, in their order; one bucket in memory at a time.

    A shard never crosses a bucket, so shards can be planned from one of these lists alone. More buckets mean shorter lists.
    """
    piles: dict[int, list[Entry]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="voxmill-places-") as folder:
        aside: dict[int, list[Path]] = defaultdict(list)
        for number, entry in enumerate(entries, 1):
            piles[bucket_of(entry.recording_id, buckets)].append(entry)
            if number % held == 0:
                for bucket, pile in piles.items():
                    path = Path(folder) / f"{bucket}-{number}.parquet"
                    path.write_bytes(records_bytes(pile, Entry))
                    aside[bucket].append(path)
                piles.clear()
        for bucket in sorted(piles.keys() | aside.keys()):
            put_aside = [entry for path in aside[bucket] for entry in read_records(str(path), Entry)]
            yield put_aside + piles.pop(bucket, [])
