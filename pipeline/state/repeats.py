"""Which recordings of a generation are there already: the same bytes, or the same samples in another wrapping.

The first in listing order wins, those of earlier generations before all. By DuckDB, in bounded memory, since a run may have millions.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from voxmill.manifests.tombstones import refused
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.ledger import Ledger

_BATCH = 20_000


def repeats(ledger: Ledger, outcomes: Stage, crawl: Stage, decode: Stage, span: tuple[int, int]) -> dict[int, str]:
    """For each repeat among the recordings of these groups (counted in listing order from 0): the id of the recording it repeats."""
    from voxmill.manifests.catalog import connect  # here, because workers import this file, and do not ask it

    with connect() as con:
        con.execute("CREATE TABLE heard (number BIGINT, id VARCHAR, same VARCHAR)")
        for batch in _earlier(ledger, outcomes, span[0]):
            con.register("batch", batch)
            con.execute("INSERT INTO heard FROM batch")
        for batch in _fetched(ledger, crawl, decode, span):
            con.register("batch", batch)
            con.execute("INSERT INTO heard FROM batch")
        found = con.execute(
            "SELECT number, first FROM (SELECT number, first_value(id) OVER same AS first, row_number() OVER same AS place "
            "FROM heard WINDOW same AS (PARTITION BY same ORDER BY number)) WHERE place > 1 AND number >= 0"
        )
        return dict(found.fetchall())


def _earlier(ledger: Ledger, outcomes: Stage, end: int) -> Iterator[pa.Table]:
    """What earlier generations kept, counted below zero."""
    number = -(2**62)
    for _, recordings in ledger.scan_tables(outcomes, 0, end) if end else ():
        kept = recordings.filter(recordings["rejection"].is_null())
        numbers = pa.array(range(number, number + len(kept)), pa.int64())
        yield pa.table({"number": numbers, "id": kept["id"], "same": pc.coalesce(kept["pcm_sha256"], kept["id"])})
        number += len(kept)


def _fetched(ledger: Ledger, crawl: Stage, decode: Stage, span: tuple[int, int]) -> Iterator[pa.Table]:
    """What of a generation could be kept."""
    rows: list[tuple[int, str, str]] = []
    number = -1
    for position, fetched in ledger.scan(crawl, *span):
        decoded = {r.item_id: r for r in ledger.read(decode, position)}
        for row in fetched:
            number += 1
            recording = refused(decoded.get(row.item_id, row))
            if recording.rejection is None:
                rows.append((number, recording.id, recording.pcm_sha256 or recording.id))
        if len(rows) >= _BATCH:
            yield _table(rows)
            rows = []
    yield _table(rows)


def _table(rows: list[tuple[int, str, str]]) -> pa.Table:
    numbers, ids, same = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {"number": pa.array(numbers, pa.int64()), "id": pa.array(ids, pa.string()), "same": pa.array(same, pa.string())}
    )
