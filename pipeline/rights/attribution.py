"""Attribution tables: whose recordings are in the shards, one table for each split and licence.

    shards/__metadata__/attribution/{split}-{licence}.tsv

One line for each recording, with what its licence requires to be named. Written from the committed shards whenever they change; deterministic.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import pyarrow as pa

from voxmill.manifests.catalog import connect
from voxmill.manifests.public_form import public_recording
from voxmill.manifests.records import SAMPLE_RATE, Recording
from voxmill.manifests.storage import commit_file, remove, staged
from voxmill.pipeline.state.metadata_overrides import Amendments, amend
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import names_in
from voxmill.sharding.layout import slug
from voxmill.sharding.sample import portable
from voxmill.sharding.shard_files import METADATA
from voxmill.sharding.sidecar import committed, read_members_table

FOLDER = (METADATA, "attribution")
OLD_FOLDER = "attribution"
"""Where packers before version 3 wrote the tables."""
COLUMNS = ("recording_id", "title", "author", "attribution", "licence", "evidence", "url", "page", "samples", "seconds")


AT_ONCE = 50_000
"""Recordings that are looked up at once among all that is packed."""
TOLD = COLUMNS[:-2]
"""What a recording says of itself; the other columns are of what was packed of it."""


def write_attribution(run: Run, amendments: Amendments) -> list[str]:
    """Writes the tables of the committed shards, removes stale ones, and returns the names of those written."""
    with packed_recordings() as packed:
        for shard in committed(run.shards_dir):
            packed.add(f"{shard.split}-{slug(shard.licence)}.tsv", read_members_table(run.shards_dir, shard))
        names = packed.names()
        recordings = run.listing.each_recording() if names else iter(())
        while several := list(islice(recordings, AT_ONCE)):
            packed.tell(several, amendments)
        for name in names:
            uri = run.uri("shards", *FOLDER, name)
            with staged(uri) as file:
                file.writelines(_tsv(packed.lines(name)))
                commit_file(file, uri, replace=True)
    for stale in sorted(set(names_in(run.uri("shards", *FOLDER))) - set(names)):
        remove(run.uri("shards", *FOLDER, stale))
    for old in sorted(names_in(run.uri("shards", OLD_FOLDER))):
        remove(run.uri("shards", OLD_FOLDER, old))
    return names


class PackedRecordings:
    """What is packed of which recordings, and whose they are. In a database that spills to disk: a run may hold millions."""

    def __init__(self, folder: str) -> None:
        """`folder` is for the database, and the caller's to remove."""
        self._con = connect(f"{folder}/packed.duckdb")
        self._con.execute("CREATE TABLE packed (name VARCHAR, recording_id VARCHAR, num_samples BIGINT)")
        self._con.execute(f"CREATE TABLE told ({', '.join(f'{column} VARCHAR' for column in TOLD)})")

    def add(self, name: str, members: pa.Table) -> None:
        """Adds the members of a shard to the table `name`."""
        self._con.register("members", members.select(["recording_id", "num_samples"]))
        self._con.execute("INSERT INTO packed SELECT ?, recording_id, num_samples FROM members", [name])
        self._con.unregister("members")

    def names(self) -> list[str]:
        """The tables, in order."""
        return [name for (name,) in self._con.execute("SELECT DISTINCT name FROM packed ORDER BY name").fetchall()]

    def tell(self, recordings: Iterable[Recording], amendments: Amendments) -> None:
        """Says whose recordings these are; those of which nothing is packed are passed over."""
        mine = {one.id: one for one in recordings if one.rejection is None}
        ids = pa.table({"id": pa.array(list(mine), pa.string())})
        self._con.register("ids", ids)
        wanted = self._con.execute("SELECT id FROM ids SEMI JOIN packed ON packed.recording_id = ids.id").fetchall()
        self._con.unregister("ids")
        rows = [cells(public_recording(amend(mine[key], amendments))) for (key,) in wanted]
        if rows:
            told = pa.table({column: list(values) for column, values in zip(TOLD, zip(*rows, strict=True), strict=True)})
            self._con.register("rows", told)
            self._con.execute("INSERT INTO told SELECT * FROM rows")
            self._con.unregister("rows")

    def lines(self, name: str) -> Iterator[tuple[str, ...]]:
        """The lines of a table, by id of recording."""
        yield COLUMNS
        found = self._con.cursor().execute(
            f"""
            SELECT {", ".join(f"told.{column}" for column in TOLD)}, counted.samples, counted.length
            FROM (
                SELECT recording_id, count(*) AS samples, sum(num_samples)::BIGINT AS length
                FROM packed WHERE name = ? GROUP BY recording_id
            ) AS counted JOIN told ON told.recording_id = counted.recording_id
            ORDER BY told.recording_id
            """,
            [name],
        )
        while rows := found.fetchmany(10_000):
            yield from ((*row[:-2], str(row[-2]), f"{row[-1] / SAMPLE_RATE:.3f}") for row in rows)

    def close(self) -> None:
        """Closes the database."""
        self._con.close()


@contextmanager
def packed_recordings() -> Iterator[PackedRecordings]:
    """Empty, and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="voxmill-attribution-") as folder:
        packed = PackedRecordings(folder)
        try:
            yield packed
        finally:
            packed.close()


def cells(recording: Recording) -> tuple[str, ...]:
    """What a line says of a recording: the columns `TOLD`."""
    origin, licence = recording.provenance, recording.licence
    said = (recording.id, origin.title, origin.author, licence.attribution, licence.name, portable(licence.evidence))
    return (*(" ".join((cell or "").split()) for cell in said), portable(origin.url) or "", portable(origin.page_url) or "")


def _tsv(lines: Iterable[tuple[str, ...]]) -> Iterator[bytes]:
    for line in lines:
        text = io.StringIO(newline="")
        csv.writer(text, dialect="excel-tab", lineterminator="\n").writerow(line)
        yield text.getvalue().encode()
