"""Shards to train on, and their tokeniser."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from samples import read_audio, several
from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.sample import Sample
from voxmill.sharding.writer import pack_shard

Pack = Callable[[Sequence[Sample], Path], Path]


def pack_all(samples: Sequence[Sample], root: Path) -> Path:
    for plan in plan_shards((s.entry for s in samples), 4, 120_000):
        pack_shard(plan, samples, read_audio, str(root))
    return root


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Equal to the bit is asked for in places, and sums are added in another order on another number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pack() -> Pack:
    return pack_all


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten recordings, forty samples of 1 to 2.5 s, in several shards. Read only: copy it to damage it."""
    return pack_all(several(recordings=10), tmp_path_factory.mktemp("train") / "shards")


@pytest.fixture(scope="session")
def dev_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and three more recordings of the split `dev`: twelve samples."""
    held_out = [replace(one, selection=replace(one.selection, split="dev")) for one in several(recordings=3, first=10)]
    return pack_all([*several(recordings=10), *held_out], tmp_path_factory.mktemp("with-dev") / "shards")


@pytest.fixture(scope="session")
def tokens() -> Tokenizer:
    return Tokenizer.train(["谢谢 thank you"], TokenizerConfig(num_subwords=280))
