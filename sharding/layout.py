"""Which sample goes to which shard, and in which order: a pure function of the samples, whatever order they come in.

A shard is `{split}-{licence}-{bucket:05d}-{part:03d}`. The bucket is a hash of the recording, so that a recording stays
together and a new one disturbs few shards. Inside a bucket, samples are in the order of (generation, unit, recording,
time) and are cut into parts

- at every new generation: what a later `voxmill run` brings only ever appends parts, it never changes an old one;
- where the *estimated* size passes the target. The size is estimated from the durations because the FLAC size is known
  only after encoding: shards could then not be planned apart, and a new libFLAC would move every boundary.

A revoked recording still counts where parts are cut, so taking it out rewrites its own shards and moves no boundary.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from voxmill.manifests.ids import SHORT, digest
from voxmill.manifests.schema import SCHEMA_VERSION
from voxmill.sharding.sample import PACKER, Entry

SHARD_NAME = re.compile(r"(?P<split>[a-z]+)-(?P<licence>[a-z0-9_-]+)-(?P<bucket>\d{5,})-(?P<part>\d{3,})")

BYTES_PER_SAMPLE = 1.0
"""Estimated bytes of FLAC, JSON and words per audio sample: 16 kHz speech takes 0.6 to 1.3 in FLAC."""

BYTES_PER_ENTRY = 4096
"""Estimated bytes of a sample besides: tar headers, padding, the fixed part of the JSON."""


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """One shard to make: a small, picklable unit of work."""

    split: str
    licence: str
    bucket: int
    part: int
    generation: int
    buckets: int
    """B, frozen for the run."""
    entries: tuple[Entry, ...]
    upstream: str = field(default="", repr=False)
    """Fingerprint of the stages whose records are packed: another one means that the shard must be made again."""

    @property
    def name(self) -> str:
        """`{split}-{licence}-{bucket:05d}-{part:03d}`: the name of its files, without a suffix."""
        return f"{self.split}-{slug(self.licence)}-{self.bucket:05d}-{self.part:03d}"

    @property
    def digest(self) -> str:
        """Equal digests mean equal bytes: what the shard is made from, and by which version of the packer."""
        rows = (f"{e.key} {e.recording_id} {e.start} {e.num_samples}" for e in self.entries)
        return digest([PACKER, str(SCHEMA_VERSION), self.name, self.licence, str(self.buckets), self.upstream, *rows])


def plan_shards(
    entries: Iterable[Entry],
    buckets: int,
    target_bytes: int,
    *,
    upstream: str = "",
    revoked: Collection[str] = (),
    picture_bytes: int = 0,
) -> list[ShardPlan]:
    """The shards of a run, sorted by name; none is empty.

    `revoked` holds recording ids that keep their place in the plan and are not packed. `picture_bytes` is what a sample's
    video frames are estimated to take: the same for each sample, so that it can be known of a revoked one.
    Raises ValueError where two samples share a key or two licences share a shard name.
    """
    piles: dict[tuple[str, str, int], list[Entry]] = defaultdict(list)
    for entry in entries:
        piles[entry.split, entry.licence, bucket_of(entry.recording_id, buckets)].append(entry)
    _check_slugs({licence for _, licence, _ in piles})
    plans = []
    for (split, licence, bucket), pile in sorted(piles.items()):
        for part, members in enumerate(_parts(sorted(pile, key=_place), target_bytes, picture_bytes)):
            kept = tuple(e for e in members if e.recording_id not in revoked)
            if kept:
                plans.append(ShardPlan(split, licence, bucket, part, kept[0].generation, buckets, kept, upstream))
    _check_keys(plans)
    return sorted(plans, key=lambda plan: plan.name)


def bucket_of(recording_id: str, buckets: int) -> int:
    """The bucket of a recording, in [0, buckets). Hashes the part of the id that is in every key, so that a key alone tells its bucket."""
    return int(digest(["bucket", recording_id[:SHORT]])[:16], 16) % buckets


def bucket_of_key(key: str, buckets: int) -> int:
    """The bucket of a sample, from a segment id `{recording}-{start}-{end}`."""
    return bucket_of(key.rsplit("-", 2)[0], buckets)


def bucket_of_name(shard: str) -> int:
    """The bucket of a shard, from its name. Raises ValueError where it is no name of a shard.

    >>> bucket_of_name("train-cc0-1_0-00007-000")
    7
    """
    found = SHARD_NAME.fullmatch(shard)
    if not found:
        raise ValueError(f"`{shard}` is no name of a shard")
    return int(found["bucket"])


def slug(licence: str) -> str:
    """A licence as a part of a file name.

    >>> slug("CC-BY-4.0")
    'cc-by-4_0'
    """
    return re.sub(r"[^a-z0-9-]", "_", licence.lower()) or "_"


def estimated_bytes(entry: Entry) -> int:
    """What the sample is taken to need in the tar, in bytes."""
    return int(entry.num_samples * BYTES_PER_SAMPLE) + BYTES_PER_ENTRY


def _place(entry: Entry) -> tuple[int, int, int, int, str]:
    return entry.generation, entry.unit, entry.order, entry.start, entry.key


def _parts(ordered: list[Entry], target_bytes: int, picture_bytes: int) -> Iterator[list[Entry]]:
    """Cuts before the sample that would pass the target; a part holds at least one."""
    for _, members in groupby(ordered, key=lambda entry: entry.generation):
        part: list[Entry] = []
        size = 0
        for entry in members:
            estimate = estimated_bytes(entry) + picture_bytes
            if part and size + estimate > target_bytes:
                yield part
                part, size = [], 0
            part.append(entry)
            size += estimate
        yield part


def _check_slugs(licences: set[str]) -> None:
    names: dict[str, str] = {}
    for licence in sorted(licences):
        other = names.setdefault(slug(licence), licence)
        if other != licence:
            raise ValueError(f"licences {other!r} and {licence!r} would share shards: rename one of them in `sources`")


def _check_keys(plans: list[ShardPlan]) -> None:
    seen: dict[str, str] = {}
    for plan in plans:
        for entry in plan.entries:
            if entry.key in seen:
                raise ValueError(f"key {entry.key} is there twice: in recordings {seen[entry.key]} and {entry.recording_id}")
            seen[entry.key] = entry.recording_id
