"""Who holds the same keys as whom. The keys lie in a temporary DuckDB database, whose joins spill to disk, so memory stays the same.

An entry is a part of a recording, or a clip of an evaluation set. Entries are numbers, and a smaller one was there before. A key that many
hold names its first holders only: of many copies each still finds the first, and a phrase that everybody says costs no more than that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from voxmill.manifests.catalog import connect

HOLDERS = 16
"""Of those who hold a key, as many are partners as were there first."""

PARTNERS = 64
"""Of the partners of an entry, as many are looked at as share the most keys."""

AT_ONCE = 1 << 20
"""Keys in memory before they are written."""

FEW = 1 << 22
"""Where no more keys are asked for, other keys are not even written."""

_COLUMNS = "key BIGINT, entry BIGINT, place INTEGER, speed TINYINT"


class Partner(NamedTuple):
    """A partner that shares keys with the entry that asked."""

    entry: int
    holder: int
    speed: int
    """With which of its lists of keys the entry asked."""
    shift: int
    """By how many places its keys lie later in the partner."""


class SharedKeys:
    """Asks for entries, adds all that are held, then `partners()`. `folder` is for its database, and the caller's to remove."""

    def __init__(self, folder: str, name: str, least: int, clips: int = 0, least_of_clip: int = 1) -> None:
        """`least`: fewest keys at one shift that make a partner; `least_of_clip` for entries below `clips`."""
        self._least = f"CASE WHEN held.entry < {clips} THEN {least_of_clip} ELSE {least} END"
        self._con = connect(f"{folder}/{name}.duckdb")
        self._con.execute("SET preserve_insertion_order = false")
        for table in ("asked", "held"):
            self._con.execute(f"CREATE TABLE {table} ({_COLUMNS})")
        self._waiting: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self._in_memory: dict[str, int] = defaultdict(int)
        self._num_asked = 0

    def ask(self, entry: int, keys: NDArray[np.int64], places: NDArray[np.int32] | None = None, speed: int = 0) -> None:
        """Adds an entry that looks for partners. All are asked for before the first is held."""
        self._num_asked += len(keys)
        self._add("asked", entry, keys, places, speed)

    def hold(self, entry: int, keys: NDArray[np.int64], places: NDArray[np.int32] | None = None) -> None:
        """Adds an entry that may be a partner of those that come after it."""
        self._write("asked")
        self._add("held", entry, keys, places, 0)

    def partners(self) -> Iterator[Partner]:
        """For every entry that asked, in order, the partners before it."""
        self._write("asked")
        self._write("held")
        found = self._con.execute(f"""
            WITH first AS (SELECT * FROM held QUALIFY row_number() OVER (PARTITION BY key ORDER BY entry, place) <= {HOLDERS}),
            shared AS (
                SELECT asked.entry, held.entry AS holder, asked.speed, held.place - asked.place AS shift, count(*) AS num_keys
                FROM asked JOIN first AS held ON held.key = asked.key AND held.entry < asked.entry
                GROUP BY ALL HAVING count(*) >= {self._least}
            )
            SELECT entry, holder, speed, shift FROM shared
            QUALIFY row_number() OVER (PARTITION BY entry ORDER BY num_keys DESC, holder, speed, shift) <= {PARTNERS}
            ORDER BY ALL
        """)
        while rows := found.fetchmany(10_000):
            yield from map(Partner._make, rows)

    def close(self) -> None:
        """Closes the database; its folder is the caller's to remove."""
        self._con.close()

    def _add(self, table: str, entry: int, keys: Any, places: Any, speed: int) -> None:
        count = len(keys)
        where = np.zeros(count, np.int32) if places is None else places
        self._waiting[table].append((keys, np.full(count, entry, np.int64), where, np.full(count, speed, np.int8)))
        self._in_memory[table] += count
        if self._in_memory[table] >= AT_ONCE:
            self._write(table)

    def _write(self, table: str) -> None:
        if not (waiting := self._waiting.pop(table, [])):
            return
        self._in_memory[table] = 0
        names = ("key", "entry", "place", "speed")
        batch = pa.table({name: np.concatenate(parts) for name, parts in zip(names, zip(*waiting, strict=True), strict=True)})
        wanted = "SEMI JOIN asked USING (key)" if table == "held" and self._num_asked <= FEW else ""
        self._con.register("batch", batch)
        self._con.execute(f"INSERT INTO {table} SELECT * FROM batch {wanted}")
        self._con.unregister("batch")
