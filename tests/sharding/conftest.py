"""A pack on disk, and what it was made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from samples import read_audio, several
from voxmill.sharding.layout import ShardPlan, plan_shards
from voxmill.sharding.sample import Sample
from voxmill.sharding.writer import pack_shard

BUCKETS, TARGET = 2, 150_000

Pack = Callable[..., list[ShardPlan]]


def pack_all(samples: Sequence[Sample], root: Path | str, upstream: str = "fingerprint") -> list[ShardPlan]:
    plans = plan_shards((s.entry for s in samples), BUCKETS, TARGET, upstream=upstream)
    for plan in plans:
        pack_shard(plan, samples, read_audio, str(root))
    return plans


@pytest.fixture
def pack() -> Pack:
    return pack_all


@pytest.fixture(scope="session")
def made() -> list[Sample]:
    return several()


@pytest.fixture(scope="session")
def once(made: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packed once; tests that damage it copy it first."""
    root = tmp_path_factory.mktemp("packed") / "shards"
    pack_all(made, root)
    return root
