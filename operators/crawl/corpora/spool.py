"""Utterances that a corpus lists in another order than its recordings: put aside on disk, and read again recording by recording."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def spool(schema: str) -> Iterator[sqlite3.Connection]:
    """A database in a temporary file, which goes when the block ends, with the tables of `schema`; it holds no more than some MB in memory."""
    with tempfile.TemporaryDirectory(prefix="voxmill-corpus-") as folder:
        connection = sqlite3.connect(Path(folder) / "spool.sqlite", isolation_level=None)
        try:
            connection.executescript(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000;" + schema
            )
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()
