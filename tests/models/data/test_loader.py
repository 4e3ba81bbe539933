from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from networks import config as model_config
from samples import recording, sample, several
from voxmill.manifests.records import Annotation, Mark
from voxmill.models.common.features import FbankConfig
from voxmill.models.common.tokenizer import Tokenizer
from voxmill.models.data.augment import AugmentConfig
from voxmill.models.data.batch import Batch
from voxmill.models.data.examples import ExampleConfig
from voxmill.models.data.loader import DataConfig, Loader, Position
from voxmill.models.data.sampler_config import SamplerConfig
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.training.forward import conditions_of
from voxmill.sharding.reader import StoredSample
from voxmill.sharding.sample import Sample
from voxmill.sharding.sidecar import committed

Pack = Callable[[Sequence[Sample], Path], Path]
FBANK = FbankConfig(num_mels=20)
PLAN = SamplerConfig(batch_seconds=8.0, window=2)


def loader(root: Path, tokens: Tokenizer, *, rank: int = 0, world: int = 1, workers: int = 0, **example: Any) -> Loader:
    config = DataConfig(plan=PLAN, example=ExampleConfig(**example), workers=workers)
    return Loader(str(root), tokens, FBANK, config, rank=rank, world=world)


def same(one: Batch, other: Batch) -> bool:
    return (
        one.keys == other.keys and torch.equal(one.feature_BTM, other.feature_BTM) and torch.equal(one.read_BU, other.read_BU)
    )


def all_same(ones: list[Batch], others: list[Batch]) -> bool:
    return len(ones) == len(others) and all(map(same, ones, others))


def test_batches_hold_what_the_shards_say(shards: Path, tokens: Tokenizer) -> None:
    batches = list(loader(shards, tokens, augment=None).once())
    assert sorted(key for batch in batches for key in batch.keys) == sorted(s.key for s in several(recordings=10))
    batch = batches[0]
    assert batch.feature_BTM.shape == (len(batch), int(batch.length_B.max()), 20)
    assert tokens.decode(batch.spoken_BU[0].tolist()) == "谢谢 thank you"
    assert (batch.weight_B == 1).all()
    assert batch.frames is None


@pytest.fixture(scope="module")
def alone(shards: Path, tokens: Tokenizer) -> list[Batch]:
    """The first batches of one rank that nothing stops: three epochs and a part of the fourth."""
    return list(islice(loader(shards, tokens), 36))


@pytest.mark.parametrize("stop", [1, 7, 20])
def test_going_on_is_exact_in_the_middle_of_an_epoch_and_after(
    shards: Path, tokens: Tokenizer, alone: list[Batch], stop: int
) -> None:
    first = loader(shards, tokens)
    head = list(islice(first, stop))
    second = loader(shards, tokens)
    second.load_state_dict(first.state_dict())
    assert all_same(head + list(islice(second, 24 - stop)), alone[:24])


def test_ranks_share_the_stream_and_go_on_as_any_number_of_them(shards: Path, tokens: Tokenizer, alone: list[Batch]) -> None:
    ranks = [loader(shards, tokens, rank=rank, world=3) for rank in range(3)]
    shared = [list(islice(one, 8)) for one in ranks]
    assert all_same([shared[i % 3][i // 3] for i in range(24)], alone[:24])
    states = [one.state_dict() for one in ranks]
    assert states[0] == states[1] == states[2]
    two = [loader(shards, tokens, rank=rank, world=2) for rank in range(2)]
    for other in two:
        other.load_state_dict(states[0])
    rest = [list(islice(other, 6)) for other in two]
    assert all_same([rest[i % 2][i // 2] for i in range(12)], alone[24:])


def test_loader_processes_change_nothing(shards: Path, tokens: Tokenizer, alone: list[Batch]) -> None:
    two = loader(shards, tokens, workers=2)
    assert all_same(list(islice(two, 7)), alone[:7])
    assert two.position == Position(0, 7)


def test_an_epoch_is_augmented_in_a_way_of_its_own(shards: Path, tokens: Tokenizer) -> None:
    stream = iter(loader(shards, tokens))
    seen: dict[str, list[int]] = {}
    num_batches = len(list(loader(shards, tokens).once()))
    for batch in islice(stream, 2 * num_batches):
        for key, length in zip(batch.keys, batch.length_B.tolist(), strict=True):
            seen.setdefault(key, []).append(length)
    assert any(first != second for first, second in seen.values())  # another speed


def test_two_folders_of_shards_are_read_as_one_by_any_number_of_ranks(
    shards: Path, tokens: Tokenizer, pack: Pack, tmp_path: Path
) -> None:
    roots = [str(shards), str(pack(several(recordings=3, first=9), tmp_path / "more"))]  # one recording is in both
    config = DataConfig(plan=PLAN)
    alone = list(islice(Loader(roots, tokens, FBANK, config), 24))
    epoch = list(Loader(roots, tokens, FBANK, config).once())
    assert sorted(key for batch in epoch for key in batch.keys) == sorted(s.key for s in several(recordings=12))
    assert skipped_in(epoch) == {"twice": 4}
    ranks = [Loader(roots, tokens, FBANK, config, rank=rank, world=2) for rank in range(2)]
    shared = [list(islice(one, 6)) for one in ranks]
    assert all_same([shared[i % 2][i // 2] for i in range(12)], alone[:12])
    going_on = Loader(roots, tokens, FBANK, config)
    going_on.load_state_dict(ranks[1].state_dict())
    assert all_same(list(islice(going_on, 12)), alone[12:])


def broken(root: Path, tokens: Tokenizer, **example: Any) -> Counter[str]:
    one = loader(root, tokens, **example)
    return skipped_in(list(one.once()))


def skipped_in(batches: list[Batch]) -> Counter[str]:
    return sum((Counter(batch.skipped) for batch in batches), Counter())


def test_a_flipped_bit_costs_one_sample(shards: Path, tokens: Tokenizer, tmp_path: Path) -> None:
    root = Path(shutil.copytree(shards, tmp_path / "shards"))
    tar = root / next(committed(str(root))).tar
    blob = bytearray(tar.read_bytes())
    blob[1000] ^= 1
    tar.write_bytes(blob)
    assert broken(root, tokens) == {"damaged": 1}


def test_a_missing_tar_costs_its_samples(shards: Path, tokens: Tokenizer, tmp_path: Path) -> None:
    root = Path(shutil.copytree(shards, tmp_path / "shards"))
    shard = next(committed(str(root)))
    (root / shard.tar).unlink()
    assert broken(root, tokens) == {"damaged": shard.num_shard_samples}


def test_a_missing_sidecar_costs_its_samples_and_no_others(shards: Path, tokens: Tokenizer, tmp_path: Path) -> None:
    root = Path(shutil.copytree(shards, tmp_path / "shards"))
    shard = next(committed(str(root)))
    (root / shard.parquet).unlink()
    assert broken(root, tokens) == {"shard": shard.num_shard_samples}


def test_a_step_has_the_same_batches_on_ranks_that_share_it_unequally(
    shards: Path, tokens: Tokenizer, alone: list[Batch]
) -> None:
    config = DataConfig(plan=PLAN)
    ranks = [Loader(str(shards), tokens, FBANK, config, rank=rank, world=2, round=3) for rank in range(2)]
    first, second = (list(islice(one, count)) for one, count in zip(ranks, (4, 2), strict=True))
    assert all_same([first[0], second[0], first[1], first[2], second[1], first[3]], alone[:6])
    going_on = Loader(str(shards), tokens, FBANK, config, rank=1, world=3, round=3)
    going_on.load_state_dict(ranks[1].state_dict())
    assert all_same(list(islice(going_on, 2)), [alone[7], alone[10]])


def test_odd_samples_are_counted_outcomes(tokens: Tokenizer, pack: Pack, tmp_path: Path) -> None:
    rec = recording("odd", seconds=70)
    good = sample(rec, 0, 1)
    nothing = sample(rec, 2, 1, tier="unlabelled", weight=0.0)
    klingon = sample(rec, 4, 1)
    odd = [
        good,
        replace(nothing, labels=None, consensus=replace(nothing.consensus, language=None)),
        replace(klingon, consensus=replace(klingon.consensus, language="tlh")),
        sample(rec, 6, 0.05),
        sample(rec, 8, 60),
        replace(sample(rec, 7, 0.3), consensus=replace(sample(rec, 7, 0.3).consensus, text="so much text in so little time")),
    ]
    one = loader(pack(odd, tmp_path / "shards"), tokens, augment=None)
    batches = list(one.once())
    assert [key for batch in batches for key in batch.keys] == [good.key]
    assert skipped_in(batches) == {"no_label": 1, "unknown_token": 1, "too_short": 1, "too_long": 1, "text_too_long": 1}


def test_empty_text_is_a_label(tokens: Tokenizer, pack: Pack, tmp_path: Path) -> None:
    one = sample(recording("silence"), 0, 1)
    silent = replace(one, consensus=replace(one.consensus, text=""), hypotheses=())
    (batch,) = loader(pack([silent], tmp_path / "shards"), tokens).once()
    assert batch.num_spoken_B.tolist() == [0]


def test_tiers_weigh_as_the_shards_or_the_config_say(tokens: Tokenizer, pack: Pack, tmp_path: Path) -> None:
    rec = recording("tiers")
    root = pack([sample(rec, 0, 1), sample(rec, 2, 1, tier="weak", weight=0.5)], tmp_path / "shards")
    (batch,) = loader(root, tokens).once()
    assert sorted(batch.weight_B.tolist()) == [0.5, 1.0]
    (batch,) = loader(root, tokens, tier_weights={"weak": 0.25}).once()
    assert sorted(batch.weight_B.tolist()) == [0.25, 1.0]


def test_a_telephone_changes_the_guide(shards: Path, tokens: Tokenizer) -> None:
    on = AugmentConfig(telephone=1.0)
    assert {b for batch in loader(shards, tokens, augment=on).once() for b in batch.bandwidth_B.tolist()} == {0}
    assert {b for batch in loader(shards, tokens, augment=None).once() for b in batch.bandwidth_B.tolist()} == {1}


def test_active_tasks_reach_the_model(tokens: Tokenizer, pack: Pack, tmp_path: Path) -> None:
    rec = recording("tasks")
    half, full = sample(rec, 0, 1), sample(rec, 2, 1)
    assert full.labels is not None
    full = replace(full, labels=replace(full.labels, endpoint=Annotation((), "x"), language=Annotation((Mark("en"),), "x")))
    root = pack([half, full], tmp_path / "shards")
    style = TargetsConfig(style="activated", tasks=("asr", "language", "endpoint"), deactivate=0)
    (batch,) = loader(root, tokens, targets=style, augment=None).once()
    active = dict(zip(batch.keys, conditions_of(batch, model_config("tasks")).active_BK.tolist(), strict=True))  # type: ignore[union-attr]
    assert active == {half.key: [True, True, False], full.key: [True, True, True]}


def test_frames_come_from_whoever_has_them(shards: Path, tokens: Tokenizer) -> None:
    def frames_of(sample: StoredSample) -> torch.Tensor | None:
        return torch.ones(2, 6) if sample.document["segment"]["start"] == 4000 else None

    config = DataConfig(plan=PLAN)
    batches = list(Loader(str(shards), tokens, FBANK, config, frames_of=frames_of).once())
    seen = [int(batch.frames.number_B.sum()) for batch in batches if batch.frames is not None]
    assert sum(seen) == 20
