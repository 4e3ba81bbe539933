"""Which samples an export takes, and where they go: a *set* for each licence and split, numbered parts in it, one for each shard.

Decided by the sidecars alone. Shards of which nothing is taken are stepped over, since loaders fail on empty files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby

from voxmill.manifests.ids import digest
from voxmill.manifests.matching_rows import matching_rows
from voxmill.manifests.records import SAMPLE_RATE
from voxmill.sharding.exports.exported_sample import ExportedSample
from voxmill.sharding.index import NoShards, read_index
from voxmill.sharding.layout import slug
from voxmill.sharding.member_table import member_table
from voxmill.sharding.reader import raw_samples
from voxmill.sharding.sidecar import Member, ShardSummary, read_members


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """What is asked for; an empty tuple takes all."""

    tiers: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    where: str | None = None
    """A SQL condition on the columns of the sidecars and `seconds`, as in `voxmill train --where`."""

    def of(self, rows: list[Member]) -> list[Member]:
        """Those that are taken, in their order. Raises ConditionError."""
        if self.tiers:
            rows = [row for row in rows if row.tier in self.tiers]
        if self.where:
            keys = set(matching_rows(member_table(rows), self.where)["key"].to_pylist())
            rows = [row for row in rows if row.key in keys]
        return rows


@dataclass(frozen=True, slots=True)
class ExportPart:
    """What is taken of one shard."""

    shard: ShardSummary
    number: int
    """In its set, from 0 without a gap."""
    samples: int
    num_samples: int
    """Of audio at 16 kHz."""
    languages: tuple[str, ...] = ()
    """Of its texts, sorted."""

    @property
    def folder(self) -> str:
        """Of its set: licences are kept apart, and so are splits."""
        return f"{slug(self.shard.licence)}/{self.shard.split}"


@dataclass(frozen=True, slots=True)
class ExportedSet:
    """What is in one folder of an export."""

    folder: str
    licence: str
    split: str
    parts: int
    samples: int
    seconds: float
    languages: tuple[str, ...]


def plan_export(root: str, choice: ExportChoice) -> list[ExportPart]:
    """The parts of an export, set by set. Raises NoShards where nothing is taken, ConditionError, ShardError."""
    choice.of([])  # a condition that cannot be read is told before the first shard
    counts, parts = Counter[str](), []
    for shard in sorted(read_index(root), key=lambda one: (slug(one.licence), one.split, one.name)):
        if (choice.splits and shard.split not in choice.splits) or (choice.licences and shard.licence not in choice.licences):
            continue
        if rows := choice.of(read_members(root, shard)):
            folder = f"{shard.licence}/{shard.split}"
            languages = tuple(sorted({row.language for row in rows if row.language}))
            parts.append(ExportPart(shard, counts[folder], len(rows), sum(row.num_samples for row in rows), languages))
            counts[folder] += 1
    if not parts:
        raise NoShards(root, f"holds nothing of what is asked for ({_said(choice)}): there is nothing to export")
    return parts


def sets_of(parts: Iterable[ExportPart]) -> Iterator[ExportedSet]:
    """The sets of planned parts, in their order."""
    for folder, mine in groupby(parts, key=lambda part: part.folder):
        group = list(mine)
        shard, length = group[0].shard, sum(part.num_samples for part in group)
        samples = sum(part.samples for part in group)
        languages = tuple(sorted({language for part in group for language in part.languages}))
        yield ExportedSet(folder, shard.licence, shard.split, len(group), samples, length / SAMPLE_RATE, languages)


def part_samples(root: str, part: ExportPart, choice: ExportChoice) -> Iterator[ExportedSample]:
    """The samples of a part in the order of its shard, each checked against its digests. Raises ShardError."""
    for row, sound, facts in raw_samples(root, part.shard, choose=choice.of):
        yield ExportedSample(row, sound, facts)


def fingerprint(parts: list[ExportPart], choice: ExportChoice, made_by: str) -> str:
    """Equal fingerprints mean equal bytes: the samples that are taken, how they are chosen, and what writes them."""
    shards = (f"{part.folder} {part.number} {part.shard.parquet_sha256}" for part in parts)
    return digest([made_by, repr(asdict(choice)), *shards])


def _said(choice: ExportChoice) -> str:
    told = {"tier": choice.tiers, "split": choice.splits, "licence": choice.licences, "where": choice.where}
    return ", ".join(f"{k} {v if isinstance(v, str) else ' or '.join(v)}" for k, v in told.items() if v) or "everything"
