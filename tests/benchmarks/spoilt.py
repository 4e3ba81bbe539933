"""Shards with one thing wrong in each, and what training and evaluation have to count there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from samples import read_audio, recording, sample, several
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.sample import Sample
from voxmill.sharding.shard_files import sidecar_of, tar_of
from voxmill.sharding.sidecar import Member, ShardSummary, committed, read_members
from voxmill.sharding.writer import pack_shard

GOOD = several(recordings=3)
"""Twelve samples of 1 to 2.5 s."""
ODD = recording("odd", seconds=70)


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    samples: Sequence[Sample]
    spoil: Callable[[Path], dict[str, int]]
    """Damages packed shards; says what has to be counted as left out."""


def cases() -> Iterator[Case]:
    yield Case("nothing wrong", GOOD, lambda _: {})
    yield Case("a tar with bits flipped all through", GOOD, _flip_bits)
    yield Case("a tar that ends in the middle", GOOD, _cut_tar)
    yield Case("a tar that is gone", GOOD, lambda root: {"damaged": _gone(root, tar_of)})
    yield Case("a sidecar that is gone", GOOD, lambda root: {"shard": _gone(root, sidecar_of)})
    yield Case("a member whose bytes are gone", GOOD, _blank_member)
    yield Case("empty text", [*GOOD, _with(sample(ODD, 0, 1), text="")], lambda _: {})
    yield Case(
        "no label of what is asked for", [*GOOD, _unlabelled(sample(ODD, 0, 1, tier="unlabelled", weight=0.0))], _no_label
    )
    yield Case("a language without a token", [*GOOD, _with(sample(ODD, 0, 1), language="tlh")], lambda _: {"unknown_token": 1})
    yield Case("0.05 s", [*GOOD, sample(ODD, 0, 0.05)], lambda _: {"too_short": 1})
    yield Case("60 s", [*GOOD, sample(ODD, 0, 60)], lambda _: {"too_long": 1})


def pack(samples: Sequence[Sample], root: Path) -> Path:
    for plan in plan_shards((one.entry for one in samples), 4, 120_000):
        pack_shard(plan, samples, read_audio, str(root))
    return root


def _with(one: Sample, **changes: Any) -> Sample:
    return replace(one, consensus=replace(one.consensus, **changes), hypotheses=())


def _unlabelled(one: Sample) -> Sample:
    return replace(one, labels=None, consensus=replace(one.consensus, language=None))


def _no_label(_: Path) -> dict[str, int]:
    return {"no_label": 1}


def _largest(root: Path) -> tuple[ShardSummary, list[Member]]:
    shard = max(committed(str(root)), key=lambda one: one.num_shard_samples)
    return shard, list(read_members(str(root), shard))


def _flip_bits(root: Path) -> dict[str, int]:
    shard, _ = _largest(root)
    blob = bytearray((root / shard.tar).read_bytes())
    blob[::500] = bytes(byte ^ 1 for byte in blob[::500])  # every sample is longer than that
    (root / shard.tar).write_bytes(blob)
    return {"damaged": shard.num_shard_samples}


def _cut_tar(root: Path) -> dict[str, int]:
    shard, members = _largest(root)
    blob = (root / shard.tar).read_bytes()
    end = len(blob) // 2
    (root / shard.tar).write_bytes(blob[:end])
    return {"damaged": sum(max(m.flac_offset + m.flac_size, m.json_offset + m.json_size) > end for m in members)}


def _gone(root: Path, file_of: Callable[[str], str]) -> int:
    shard, _ = _largest(root)
    (root / file_of(shard.name)).unlink()
    return shard.num_shard_samples


def _blank_member(root: Path) -> dict[str, int]:
    shard, (member, *_) = _largest(root)
    with (root / shard.tar).open("r+b") as file:
        file.seek(member.flac_offset)
        file.write(bytes(member.flac_size))
    return {"damaged": 1}
