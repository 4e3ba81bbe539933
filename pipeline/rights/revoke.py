"""`voxmill revoke`: tombstone, ledger, shards, tables, proof of absence, signed report, in this order.

If it is killed anywhere, running it again gives the same bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voxmill.manifests.storage import commit_bytes, remove
from voxmill.manifests.tombstones import Tombstone
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.packing.packer import packed_tables, packing
from voxmill.pipeline.packing.plan import plan
from voxmill.pipeline.rights.attribution import write_attribution
from voxmill.pipeline.rights.erasure_check import find_traces
from voxmill.pipeline.rights.request import Affected, Request, apply_tombstones, has_unfinished, make_tombstone, unknown
from voxmill.pipeline.stage import Resources, Stage
from voxmill.pipeline.state import metadata_overrides
from voxmill.pipeline.state.driver_lease import Lease
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError, exists, names_in
from voxmill.pipeline.state.table_writer import write_tables
from voxmill.pipeline.state.tombstone_store import FOLDER, name_of, stones_of
from voxmill.sharding.index import write_index
from voxmill.sharding.sidecar import committed, read_members
from voxmill.sharding.writer import prune

KEY = "VOXMILL_SIGNING_KEY"
"""Environment variable with the key that signs reports."""


@dataclass(slots=True)
class Revocation:
    """What a revocation did."""

    stone: Tombstone | None
    """None if everything was revoked before."""
    found: Affected
    shards: list[str] = field(default_factory=list)
    """Names of the shards that held any of it."""
    near: list[str] = field(default_factory=list)
    """Recordings that the stage `duplicates` matched with it and that are not revoked."""
    problems: list[str] = field(default_factory=list)
    report: str = ""
    """URI of the report."""


def revoke(
    run: Run, config: RunConfig, stages: Mapping[str, Stage], request: Request, *, dry_run: bool = False, ahead: bool = False
) -> Revocation:
    """Removes what is requested from the run and proves its absence.

    Raises RunError if another driver holds the run, and for values that match nothing in it (often a typing error), unless `ahead`
    says to refuse them in future.
    """
    if not ahead and (strangers := unknown(run, stages, request)):
        raise RunError(
            f"{run.root} knows nothing of {', '.join(strangers)}: nothing was revoked. Check it (`voxmill stats {run.root} --sql "
            '"SELECT id, provenance.url FROM recordings"`), or refuse what may yet come with --ahead'
        )
    if dry_run:
        stone, found = make_tombstone(run, stages, request, write=False)
        return Revocation(stone, found, _shards_of(run, found), _near(run, stages, found))
    with Lease(run):
        if has_unfinished(run) or not all(run.tombstones.has(*value) for value in request.values()):
            run.ledger.begin()  # who lists something now has not seen the tombstone
        stone, found = make_tombstone(run, stages, request)
        done = Revocation(stone, found, near=_near(run, stages, found))
        rewrite_run(run, config, stages)
        done.shards = _affected(run, config, stages, stone) if stone else []
        done.problems = [str(trace) for trace in find_traces(run, run.tombstones)]
        for one in stones_of(run):
            uri = run.uri(FOLDER, f"{name_of(one)}.report.json")
            if not exists(uri) and not done.problems:
                commit_bytes(uri, report(run, config, stages, one))
            done.report = uri if one == stone or not done.report else done.report
        return done


def rewrite_run(run: Run, config: RunConfig, stages: Mapping[str, Stage]) -> None:
    """Makes the run agree with its tombstones: ledger, originals, shards and tables."""
    apply_tombstones(run)
    amendments = metadata_overrides.find(run, config.sources)
    ledger = run.ledger
    needed = [s for s in stages.values() if not s.of.of_items]
    if not all(ledger.done(stage).holds(0, run.listing.num_units) for stage in needed):
        for name in names_in(run.uri("manifests")):  # the run is unfinished: `voxmill run` will write tables and shards
            if name.endswith(".parquet"):
                remove(run.uri("manifests", name))
        remove(run.uri("catalog.sql"))
        write_index(run.shards_dir)
        write_attribution(run, amendments)
        return
    if names_in(run.shards_dir):
        plans = plan(run, stages, config.pack, int(run.load()["buckets"]))
        wanted = packing(run, stages, plans, Resources())
        prune(run.shards_dir, wanted.shards)
        LocalExecutor(in_process=True).run([wanted.job], lambda done: None)
        write_index(run.shards_dir)
        write_attribution(run, amendments)
    if exists(run.uri("catalog.sql")):
        write_tables(run, list(stages.values()), packed_tables(run, stages))
    ledger.sweep()


def report(run: Run, config: RunConfig, stages: Mapping[str, Stage], stone: Tombstone) -> bytes:
    """The report as JSON: what was removed and what was checked. It holds no time and no name, and is signed if there is a key."""
    body = {
        "tombstone": name_of(stone),
        "asked": list(stone.asked),
        "reason": stone.reason,
        "recordings": stone.num_recordings,
        "samples_in_shards": len(stone.ghosts),
        "seconds": stone.num_samples / 16000,
        "shards": _affected(run, config, stages, stone),
        "absent": True,
        "checked": "every file name, table, document and tar member of the run against the tombstone's marks",
    }
    return (json.dumps({**body, "signature": sign(body)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def sign(body: Mapping[str, Any]) -> dict[str, str]:
    """HMAC-SHA256 (RFC 2104) of the body's canonical JSON under the key in VOXMILL_SIGNING_KEY; without a key, its SHA-256."""
    blob = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    key = os.environ.get(KEY, "")
    if not key:
        return {"algorithm": "none: sha256 only", "value": hashlib.sha256(blob).hexdigest()}
    return {"algorithm": "hmac-sha256", "value": hmac.new(key.encode(), blob, hashlib.sha256).hexdigest()}


def signed(blob: bytes) -> bool:
    """Whether the signature of a report is right under the key in the environment (without a key: its digest)."""
    body = json.loads(blob)
    return hmac.compare_digest(json.dumps(body.pop("signature"), sort_keys=True), json.dumps(sign(body), sort_keys=True))


def _affected(run: Run, config: RunConfig, stages: Mapping[str, Stage], stone: Tombstone) -> list[str]:
    """Names of the shards that the samples of a tombstone belonged to."""
    mine = {ghost.recording_id for ghost in stone.ghosts}
    if not mine:
        return []
    plans = plan(run, stages, config.pack, int(run.load()["buckets"]), revoked_too=True)
    return [p.name for p in plans if any(e.recording_id in mine for e in p.entries)]


def _near(run: Run, stages: Mapping[str, Stage], found: Affected) -> list[str]:
    """Recordings that the stage `duplicates` matched with a revoked one."""
    ids = {r.id for r in found.kept}
    stage = stages.get("duplicates")
    if stage is None or not ids:
        return []
    ledger, near = run.ledger, set[str]()
    for _, rows in ledger.scan(stage):
        for row in rows:
            if not row.of and ids & {row.recording_id, row.partner}:
                near |= {row.recording_id, row.partner} - ids
    return sorted(near)


def _shards_of(run: Run, found: Affected) -> list[str]:
    mine = {r.id for r in found.recordings}
    held = []
    for shard in committed(run.shards_dir):
        held += [shard.name] if any(m.recording_id in mine for m in read_members(run.shards_dir, shard)) else []
    return held
