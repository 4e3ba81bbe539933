"""What a simulated run is about: recordings, the segments that its stages make of them, and one recording that is revoked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from crash.late_store import ROOT, STORE
from factory import recording, segment
from stages import kind
from voxmill.manifests.records import Recording, Segment
from voxmill.manifests.tombstones import Tombstone, is_scrubbed, mark, revoked_tile, scrubbed_recording
from voxmill.pipeline.rights.scrub import Scrub
from voxmill.pipeline.stage import Resources, Stage, no_operator
from voxmill.pipeline.state.fragment import FragmentWriter
from voxmill.pipeline.state.listing import RECORDINGS
from voxmill.pipeline.state.run import Run

REVOKED = 1
"""The unit whose recording is revoked."""
BUCKETS = 2
SALT = "salt"
RUN_JSON = b'{"buckets": 2, "schema_version": 1, "config": {}}'
TABLE_STAGES = {
    name: Stage("segment", no_operator, kind("segment"), ("recordings",), name, Resources()) for name in ("ab", "cd")
}
"""One stage under two configs, by fingerprint."""


def unit(position: int) -> str:
    """The id of a unit."""
    return f"u{position:07d}-x"


@cache
def source(position: int) -> Recording:
    """The recording of a unit."""
    return recording(f"{position}")


@cache
def stone() -> Tombstone:
    """The revocation of one recording."""
    mine = source(REVOKED)
    hashes = {mine.id, mine.id[:24], mine.item_id, mine.pcm_sha256 or ""}
    marks = tuple(sorted(mark(SALT, "hash", value) for value in hashes))
    return Tombstone(SALT, "asked", marks[:1], marks, 1, mine.num_samples)


def recordings(run: Run, first: int, end: int) -> Iterator[tuple[str, list[Recording]]]:
    """What the driver lists: nothing that is revoked, as far as it knows."""
    stones = run.tombstones
    scrub = Scrub(run, stones, SALT, BUCKETS)
    for position in range(first, end):
        mine = source(position)
        yield unit(position), [scrubbed_recording(mine, SALT, scrub.pseudonym(mine.id)) if stones.recording(mine) else mine]


def segments(position: int, of: Recording) -> list[Segment]:
    """What a worker makes of a unit: none for some, several for others."""
    cuts = range(0, 16000 * (position % 4), 16000)
    if not is_scrubbed(of):
        return [segment(of, start, 16000) for start in cuts]
    return [revoked_tile(of.id, 0, 16000 * len(cuts))] if cuts else []


@cache
def wanted_tables(units: int, revoked: bool, fingerprints: tuple[str, ...]) -> dict[str, bytes]:
    """The tables of a run that did everything in order, by path."""
    kept, watcher, world = dict(STORE.blobs), STORE.watcher, STORE.world
    STORE.blobs, STORE.watcher, STORE.world = {}, None, None
    try:
        run = Run(ROOT)
        if revoked:
            run.bury(stone())
        run.ledger.write(RECORDINGS, recordings(run, 0, units))
        for fingerprint in fingerprints:
            commit(run, TABLE_STAGES[fingerprint], range(units))
        run.ledger.fold()
        live = {c.rows for one in run.ledger.state.stages.values() for c in one.chunks.values()}
        return {path: STORE.blobs[f"run/{path}"] for path in live}
    finally:
        STORE.blobs, STORE.watcher, STORE.world = kept, watcher, world


def commit(run: Run, stage: Stage, units: Iterable[int]) -> None:
    """All of some units at once."""
    writer = FragmentWriter(run)
    for position in units:
        (mine,) = run.ledger.read(RECORDINGS, position)
        writer.add(stage, unit(position), segments(position, mine))
    run.ledger.append({"fragments": [info.to_json() for info in writer.flush()]})
