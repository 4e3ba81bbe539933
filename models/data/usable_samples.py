"""The samples of all folders of shards that a training may read, shard by shard, without those that are left out.

A sample that several roots hold is read from the first of them that has it and does not leave it out: its key is the hash of its recording and its
span, so it is the same sound. In the others it is counted as `twice`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from voxmill.manifests.errors import UserError, nearest
from voxmill.manifests.ids import digest
from voxmill.manifests.matching_rows import matching_rows
from voxmill.manifests.records import Split
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.shard_roots import ShardRoots, roots_of
from voxmill.models.data.training_denylist import IDS, TrainingDenylist
from voxmill.sharding.index import NoShards, shards_of
from voxmill.sharding.member_table import member_table, with_seconds
from voxmill.sharding.sidecar import ShardError, read_members_table

_LABEL = "labels."


class SampleGroup(NamedTuple):
    """Samples of one root whose columns of `sample.by` have the same values."""

    root: int
    """From 0."""
    values: tuple[str, ...]
    """A missing one is `null`."""


class GroupAmount(NamedTuple):
    """How much there is of a group."""

    samples: int
    num_samples: int
    """Length of all of them, in samples at 16 kHz."""


class UsableSamples:
    """Rows of the sidecars by the number of the shard; `shards` are those of all roots, in their order."""

    def __init__(self, shards: ShardRoots, config: SamplerConfig, *, some: bool = False) -> None:
        """`some`: roots may lack the split, though not all of them.

        Raises NoShards if a root has no shard of the split, ConditionError, DenyListError, and UserError for a column that there is not.
        """
        self.roots, self.config = roots_of(shards), config
        there = with_split(self.roots, config.split) if some else self.roots
        self.shards = [
            (number, shard)
            for number, root in enumerate(self.roots)
            if root in there
            for shard in shards_of(root, config.split)
        ]
        self._denied = TrainingDenylist(config.deny)
        self._twice: list[frozenset[int]] = [frozenset() for _ in self.roots]
        nothing = _numbered(member_table([]), 0)
        _check_columns(config.sample.by, nothing)
        own = {"key", "num_samples", *(name.partition(".")[0] for name in config.sample.by), *(IDS if self._denied else ())}
        self._columns = frozenset() if config.where else frozenset(own)  # a condition may ask for any
        if config.where:
            matching_rows(nothing, config.where)  # so that a condition that cannot be read is told before the first shard

    def survey(self) -> tuple[Mapping[SampleGroup, GroupAmount], list[frozenset[SampleGroup]]]:
        """(How much there is of each group, which groups each shard holds): reads every sidecar, and finds what several roots hold."""
        amounts: dict[SampleGroup, GroupAmount] = defaultdict(lambda: GroupAmount(0, 0))
        held: list[frozenset[SampleGroup]] = []
        earlier, own, last = np.empty(0, np.uint64), list[int](), 0
        for index, (root, _) in enumerate(self.shards):
            if root != last:
                earlier, own, last = np.union1d(earlier, np.array(own, np.uint64)), [], root
            rows, _ = self.read(index)
            keys = np.array([key_number(str(key)) for key in rows["key"].to_pylist()], np.uint64)
            again = np.isin(keys, earlier)
            self._twice[root] |= frozenset(keys[again].tolist())
            own += keys.tolist() if root < len(self.roots) - 1 else []
            kept = rows.filter(pa.array(~again))
            groups = self.groups_of(kept, root)
            for group, length in zip(groups, kept["num_samples"].to_numpy().tolist(), strict=True):
                amounts[group] = GroupAmount(amounts[group].samples + 1, amounts[group].num_samples + length)
            held.append(frozenset(groups))
        return dict(amounts), held

    def read(self, index: int, *columns: str) -> tuple[pa.Table, Counter[str]]:
        """(The rows of a shard that can be used, how many were left out by reason).

        They have these columns of `Member`, those that are needed here, `seconds` and `root`.
        """
        root, shard = self.shards[index]
        try:
            table = read_members_table(self.roots[root], shard, {*self._columns, *columns} if self._columns else ())
        except ShardError:
            return _numbered(member_table([]), root), Counter(shard=shard.num_shard_samples)
        skipped = Counter[str]()
        if self._denied:
            table = _without("denied", table, self._denied.of(table), skipped)
        if twice := self._twice[root]:
            table = _without("twice", table, [key_number(str(key)) in twice for key in table["key"].to_pylist()], skipped)
        table = _numbered(with_seconds(table), root)
        table = matching_rows(table, self.config.where) if self.config.where else table
        seconds = table["seconds"].to_numpy()
        short, long = seconds < self.config.min_seconds, seconds > self.config.max_seconds
        skipped.update(too_short=int(short.sum()), too_long=int(long.sum()))
        return table.filter(pa.array(~(short | long))), +skipped

    def groups_of(self, rows: pa.Table, root: int) -> list[SampleGroup]:
        """The group of each row."""
        columns = [_values(rows, name) for name in self.config.sample.by]
        return [SampleGroup(root, values) for values in (zip(*columns, strict=True) if columns else [()] * len(rows))]


def with_split(roots: Sequence[str], split: Split) -> list[str]:
    """The roots that have shards of a split. Raises NoShards if none has."""
    found, missing = list[str](), list[NoShards]()
    for root in roots:
        try:
            shards_of(root, split)
            found.append(root)
        except NoShards as error:
            missing.append(error)
    if not found:
        raise missing[0]
    return found


def key_number(key: str, seed: int = 0) -> int:
    """64 bits of a digest of a key: what stands for it where there are millions, and what decides when it is read."""
    return int(digest([str(seed), key])[:16], 16)


def _without(reason: str, rows: pa.Table, leave: list[bool], skipped: Counter[str]) -> pa.Table:
    skipped[reason] += sum(leave)
    return rows.filter(pa.array([not out for out in leave], pa.bool_()))


def _numbered(table: pa.Table, root: int) -> pa.Table:
    return table.append_column("root", pa.array([root + 1] * len(table), pa.int64()))


def _values(rows: pa.Table, name: str) -> list[str]:
    """The values of a column as text."""
    if not name.startswith(_LABEL):
        return ["null" if value is None else str(value) for value in rows[name].to_pylist()]
    labels: list[Any] = [(one or {}).get(name.removeprefix(_LABEL)) or {} for one in rows["labels"].to_pylist()]
    return [str(label["marks"][0]["value"]) if label.get("marks") else "null" for label in labels]


def _check_columns(by: tuple[str, ...], table: pa.Table) -> None:
    plain = [field.name for field in table.schema if not pa.types.is_nested(field.type)]
    labels = [f"{_LABEL}{field.name}" for field in table.schema.field("labels").type if pa.types.is_nested(field.type)]
    for name in by:
        if name not in (*plain, *labels):
            raise UserError(f"data.plan.sample.by: no column {name!r}{nearest(name, {*plain, *labels})}")
