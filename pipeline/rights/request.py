"""Turns a request for revocation into a tombstone, and removes from a run what its tombstones name.

A request names addresses, hosts, ids or hashes. It covers all copies: the same bytes from another address, the same decoded samples in another
file format, every listed item that led there. The tombstone is committed first and everything else follows from the tombstones alone, so a
revocation that was killed is finished by the next one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from voxmill.manifests.ids import archive_key, digest
from voxmill.manifests.public_form import public_address
from voxmill.manifests.records import Item, Provenance, Recording
from voxmill.manifests.tombstones import Ghost, Tombstone, Tombstones, is_scrubbed, mark
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig
from voxmill.operators.crawl.policy.denylist import DenyList
from voxmill.pipeline.packing.plan import entries_of
from voxmill.pipeline.rights.scrub import Scrub
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.listing import ITEMS, OUTCOMES
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError, names_in
from voxmill.pipeline.state.tombstone_store import FOLDER, stones_of
from voxmill.sharding.shard_files import remove_shard
from voxmill.sharding.sidecar import Member, ShardError, committed, read_members


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be revoked. `urls` are addresses of recordings, of pages or feeds that led to them, or local paths.

    Secrets in an address (tokens, passwords) are ignored when addresses are compared.
    """

    urls: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    """Ids of recordings, listed items or segments; a segment stands for its whole recording."""
    hashes: tuple[str, ...] = ()
    """sha256 of original files, of decoded samples, or of FLAC files in shards, with or without the prefix `sha256:`."""
    reason: str = ""

    def values(self) -> list[tuple[str, str]]:
        """(kind, value) of everything asked for, where kind is `url`, `host` or `hash`. Raises RunError for malformed values."""
        plain = [("hash", h.removeprefix("sha256:").lower()) for h in (*self.ids, *self.hashes)]
        for _, value in plain:
            if not re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{24}(-\d{10}-\d{10})?", value):
                raise RunError(f'`{value}` is no id and no sha256: `voxmill stats RUN --sql "FROM recordings"` shows ids')
        found = [("url", _address(u)) for u in self.urls] + [("host", _host(h)) for h in self.hosts]
        for asked, (kind, value) in zip((*self.urls, *self.hosts), found, strict=True):
            if not value:
                raise RunError(f"`{asked}` names no {'host' if kind == 'host' else 'address'}: write it as in example.org")
        found += [(kind, value.partition("-")[0]) for kind, value in plain]
        if not found:
            raise RunError("nothing to revoke: give --url, --host, --id or --hash")
        return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Affected:
    """The items and recordings of the run that a request covers."""

    items: tuple[Item, ...]
    recordings: tuple[Recording, ...]
    """In listing order, rejected ones included."""

    @property
    def kept(self) -> list[Recording]:
        """The recordings that are not rejected."""
        return [r for r in self.recordings if r.rejection is None]


def find(run: Run, stages: Mapping[str, Stage], values: Iterable[tuple[str, str]]) -> Affected:
    """Everything in the run that the values name, and all copies of it (equal bytes or equal decoded samples).

    The run is read again as long as copies lead to further copies; what is kept of it is what is found.
    """
    wanted = set(values)
    hashes = {value for kind, value in wanted if kind == "hash"} | _packed(run, {v for k, v in wanted if k == "hash"})
    named = set[str]()
    while True:
        items, mine = list[Item](), list[Recording]()
        for listed, recordings in _outcomes(run, stages):
            items += (i for i in listed if i.id in hashes or i.id in named or _is_from(i.provenance, wanted))
            mine += (r for r in recordings if _is_one(r, hashes, named) or _is_from(r.provenance, wanted))
        grown = hashes | {r.id for r in mine} | {r.pcm_sha256 for r in mine if r.pcm_sha256}
        found = {i.id for i in items} | {r.item_id for r in mine}
        if grown == hashes and found == named:
            return Affected(tuple(items), tuple(mine))
        hashes, named = grown, found


def unknown(run: Run, stages: Mapping[str, Stage], request: Request) -> list[str]:
    """Values of a request that match nothing in the run and nothing already revoked, as `KIND VALUE`."""
    stones = run.tombstones
    missing = dict.fromkeys((kind, value) for kind, value in request.values() if not stones.has(kind, value))
    for items, recordings in _outcomes(run, stages):
        if not missing:
            break
        for origin in (*(i.provenance for i in items), *(r.provenance for r in recordings)):
            for name in _origins(origin):
                missing.pop(name, None)
        for key in (*(i.id for i in items), *(k for r in recordings for k in (r.id, r.id[:24], r.item_id, r.pcm_sha256) if k)):
            missing.pop(("hash", key), None)
    packed = {m.audio_sha256 for m in _members(run)} if any(kind == "hash" for kind, _ in missing) else set()
    return [f"{kind} {value}" for kind, value in missing if value not in packed]


def make_tombstone(
    run: Run, stages: Mapping[str, Stage], request: Request, *, write: bool = True
) -> tuple[Tombstone | None, Affected]:
    """(tombstone, what it covers) for a request; None if earlier tombstones cover everything. `write` commits it.

    Values that match nothing in the run are in the tombstone too, so that they are refused from now on.
    """
    values = request.values()
    found = find(run, stages, values)
    old = stones_of(run)
    salt = old[0].salt if old else _salt(run)
    marks = {mark(salt, kind, value) for kind, value in values} | _marks(run, salt, found)
    if marks <= {m for stone in old for m in stone.marks}:
        return None, found
    scrub = Scrub(run, Tombstones(old), salt, int(run.load()["buckets"]))
    kept = {r.id for r in found.kept}
    entries = [e for e in entries_of(run, stages, partial=True) if e.recording_id in kept] if kept else []
    stone = Tombstone(
        salt,
        request.reason,
        tuple(sorted(f"{kind}:{mark(salt, kind, value)}" for kind, value in values)),
        tuple(sorted(marks)),
        len(found.recordings),
        sum(r.num_samples for r in found.kept),
        tuple(Ghost(scrub.pseudonym(e.recording_id), e.start, e.num_samples, e.split) for e in entries),
    )
    if write:
        run.bury(stone)
    return stone, found


def apply_tombstones(run: Run) -> int:
    """Removes what the tombstones name from the ledger, the folders and the shards. Returns the number of files changed or removed.

    Shards that held any of it are removed; packing writes them again.
    """
    stones = stones_of(run)
    if not stones:
        return 0
    changed = Scrub(run, Tombstones(stones), stones[0].salt, int(run.load()["buckets"]))()
    return changed + _drop_shards(run, Tombstones(stones))


def has_unfinished(run: Run) -> bool:
    """Whether a revocation was started but has no report yet."""
    names = names_in(run.uri(FOLDER))
    return any(n.endswith(".parquet") and f"{n[:-8]}.report.json" not in names for n in names)


def refuse_copies(run: Run, stages: Mapping[str, Stage], span: tuple[int, int]) -> int:
    """Revokes recordings of these groups of items that have the same bytes or decoded samples as a revoked one. Returns how many."""
    stones = run.tombstones
    if not stones:
        return 0
    fetched = (recording for _, recordings in _outcomes(run, stages, span) for recording in recordings)
    copies = [r for r in fetched if not is_scrubbed(r) and (stones.hash(r.id) or stones.hash(r.pcm_sha256))]
    if copies:
        make_tombstone(run, stages, Request(ids=tuple(r.id for r in copies if r.audio), reason="a copy of what was revoked"))
        apply_tombstones(run)
    return len(copies)


def denied(run: Run, config: CrawlConfig, first: int = 0) -> Request:
    """A request for what the run holds, from generation `first` on, although the config's deny-list names it."""
    if not config.denied:
        return Request()
    deny = DenyList(config.denied)
    live = (r for r in run.listing.each_recording(first) if r.rejection is None and not is_scrubbed(r))
    mine = [r for r in live if deny.content(r.id) or any(map(deny.address, _addresses(r.provenance)))]
    return Request(ids=tuple(r.id for r in mine), reason="on the deny-list")


def check_denied(run: Run, config: CrawlConfig) -> None:
    """Raises RunError if the run holds recordings that its deny-list names now, so that none of them is processed or packed again.

    What was compared with the same list before is not read again.
    """
    if not config.denied:
        return
    key, checked = digest(sorted(config.denied)), run.ledger.state.allowed
    formed = sum(generation.units is not None for generation in run.listing.generations)
    if checked == (key, formed):
        return
    if found := denied(run, config, checked[1] if checked[0] == key else 0).ids:
        raise RunError(
            f"{len(found)} recordings of {run.root} are on the deny-list now: take them out with `voxmill revoke {run.root} --denied`, "
            "or take their entries off `crawl.deny`"
        )
    run.ledger.append({"allowed": [key, formed]})


def _is_one(recording: Recording, hashes: set[str], items: set[str]) -> bool:
    keys = {recording.id, recording.id[:24], recording.pcm_sha256}
    return bool(keys & hashes) or recording.item_id in items


def _is_from(origin: Provenance, wanted: set[tuple[str, str]]) -> bool:
    return any(name in wanted for name in _origins(origin))


def _origins(origin: Provenance) -> Iterator[tuple[str, str]]:
    """(kind, value) of everything by which a recording of this origin can be requested."""
    for url in _addresses(origin):
        yield "url", _key(url)
        labels = _host(url).split(".")
        yield from (("host", ".".join(labels[n:])) for n in range(len(labels)))


def _address(url: str) -> str:
    """The key of an address or a local path."""
    return _key(url if "://" in url else Path(url).absolute().as_uri())


def _key(url: str) -> str:
    """The archive key of an address without its secrets."""
    return archive_key(public_address(url))


def _addresses(origin: Provenance) -> list[str]:
    return [url for url in (origin.url, origin.final_url, origin.page_url) if url]


def _host(text: str) -> str:
    """The lower-case host of an address; empty if it has none.

    >>> _host("https://Example.org:80/x"), _host("Example.org."), _host("/home/me/a.wav")
    ('example.org', 'example.org', '')
    """
    try:
        host = urlsplit(text if "://" in text or text.startswith("/") else f"//{text}").hostname or ""
    except ValueError:
        host = ""
    return host.lower().rstrip(".")


def _outcomes(
    run: Run, stages: Mapping[str, Stage], span: tuple[int, int] | None = None
) -> Iterator[tuple[list[Item], list[Recording]]]:
    """Groups of items in listing order, each with the latest known recording of every item: fetched, decoded, or final."""
    ledger, known = run.ledger, (stages["crawl"], stages["decode"], OUTCOMES)
    for position, items in ledger.scan(ITEMS, *(span or ())):
        rows = [r for stage in known if position in ledger.done(stage) for r in ledger.read(stage, position)]
        yield items, list({r.item_id: r for r in rows}.values())


def _packed(run: Run, hashes: set[str]) -> set[str]:
    """Recordings of packed samples whose FLAC has one of these hashes."""
    return {m.recording_id for m in _members(run) if m.audio_sha256 in hashes} if hashes else set()


def _members(run: Run) -> Iterator[Member]:
    for shard in committed(run.shards_dir):
        try:
            yield from read_members(run.shards_dir, shard)
        except ShardError:  # damaged: it will be packed again
            continue


def _marks(run: Run, salt: str, found: Affected) -> set[str]:
    """Marks of all ids, hashes and addresses under which the affected recordings could come back."""
    ids = {r.id for r in found.recordings if r.audio or r.rejection is None}
    hashes = ids | {i[:24] for i in ids} | {r.pcm_sha256 for r in found.recordings if r.pcm_sha256}
    hashes |= {i.id for i in found.items} | {r.item_id for r in found.recordings}
    hashes |= {m.audio_sha256 for m in _members(run) if m.recording_id in ids} if ids else set()
    origins = [i.provenance for i in found.items] + [r.provenance for r in found.recordings]
    urls = {_key(u) for o in origins for u in (o.url, o.final_url) if u}
    return {mark(salt, "hash", h) for h in hashes} | {mark(salt, "url", u) for u in urls}


def _salt(run: Run) -> str:
    """The salt of the run's marks, derived from its first listing: the same request gives the same bytes in every copy of the run."""
    first = next(iter(run.listing.generations), None)  # sorted in the journal
    listed = json.dumps({"facts": first.facts, "sources": first.sources}) if first else ""
    return digest(["salt", str(run.load()["buckets"]), listed])


def _drop_shards(run: Run, stones: Tombstones) -> int:
    """Removes shards that hold something revoked or cannot be read, their commit first. Returns the number of files removed."""
    dropped = 0
    for shard in list(committed(run.shards_dir)):
        try:
            bad = any(stones.hash(m.recording_id) for m in read_members(run.shards_dir, shard))
        except ShardError:
            bad = True
        if bad:
            dropped += len(remove_shard(run.shards_dir, shard.name))
    return dropped
