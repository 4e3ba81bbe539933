"""Video frames as members of a shard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from datasets_here import datasets_or_skip
from samples import read_audio, several
from voxmill.manifests.parquet import table_bytes
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Picture, Pictures
from voxmill.manifests.schema import SCHEMA_VERSION, migrate, to_table
from voxmill.sharding.index import SampleFinder
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.reader import SampleReader, raw_samples, read_run
from voxmill.sharding.sample import Sample
from voxmill.sharding.shard_files import commit_of
from voxmill.sharding.sidecar import Member, Place, ShardError, commit_document, committed, read_members, read_members_table
from voxmill.sharding.tarball import TarSink
from voxmill.sharding.verify_shards import verify_shards
from voxmill.sharding.writer import pack_shard


def jpeg(key: str, index: int) -> bytes:
    """No real one: shards do not look inside."""
    return b"\xff\xd8" + f"{key} {index}".encode() * (index + 1) + b"\xff\xd9"


def read_pictures(pictures: Pictures) -> list[bytes]:
    return [jpeg(pictures.segment_id, index) for index in range(len(pictures.pictures))]


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def with_pictures(sample: Sample, count: int | None) -> Sample:
    """None: its video is broken."""
    if count is None:
        return replace(sample, pictures=Pictures(sample.key, rejection=reject("frames.corrupt")))
    blobs = [jpeg(sample.key, index) for index in range(count)]
    found = tuple(
        Picture(sample.segment.start + i, 8, 8, 0, len(b), hashlib.sha256(b).hexdigest()) for i, b in enumerate(blobs)
    )
    return replace(sample, pictures=Pictures(sample.key, found, "frames/x.mjpeg"))


@pytest.fixture
def made() -> list[Sample]:
    """The first has no video, the second a broken one, the third shows nothing, the others something."""
    samples = several(recordings=2)
    counts = {1: None, 2: 0, 3: 3, 4: 1}
    return [with_pictures(one, counts[i]) if i in counts else one for i, one in enumerate(samples)]


def pack(samples: list[Sample], root: Path) -> Path:
    for plan in plan_shards((s.entry for s in samples), 2, 150_000):
        pack_shard(plan, samples, read_audio, str(root), read_pictures)
    return root


def test_pictures_come_back_and_unknown_stays_apart_from_none(made: list[Sample], tmp_path: Path) -> None:
    root = pack(made, tmp_path / "shards")
    assert verify_shards(str(root)).problems == []
    read = {sample.key: sample for sample in read_run(str(root))}
    rows = {row.key: row for shard in committed(str(root)) for row in read_members(str(root), shard)}
    for sample in made:
        stored, row = read[sample.key], rows[sample.key]
        assert list(stored.pictures) == [jpeg(sample.key, i) for i in range(len(sample.seen or ()))]
        assert row.num_pictures == (None if sample.seen is None else len(sample.seen))
        assert (stored.document["pictures"] is None) == (sample.seen is None)
        assert SampleReader(str(root))[sample.key].pictures == stored.pictures
        assert SampleReader(str(root), pictures=False)[sample.key].pictures == ()
    assert sum(1 for shard in committed(str(root)) for _ in raw_samples(str(root), shard)) == len(made)


def test_the_bytes_are_the_same_in_any_order(made: list[Sample], tmp_path: Path) -> None:
    one, other = pack(made, tmp_path / "a"), pack(made[::-1], tmp_path / "b")
    assert files(one) == files(other)


def test_a_damaged_picture_is_named(made: list[Sample], tmp_path: Path) -> None:
    root = pack(made, tmp_path / "shards")
    shard, row = SampleFinder(str(root)).find(made[3].key)
    tar = root / shard.tar
    blob = bytearray(tar.read_bytes())
    blob[row.pictures[1].offset + 3] ^= 1
    tar.write_bytes(blob)
    with pytest.raises(ShardError, match=r"picture 1 of .* differs from its digest"):
        SampleReader(str(root))[made[3].key]
    assert any("the digest of picture 1 differs" in problem.detail for problem in verify_shards(str(root)).problems)


def test_a_file_that_changed_after_it_was_taken_is_not_packed(made: list[Sample], tmp_path: Path) -> None:
    plans = plan_shards((s.entry for s in made), 1, 10**9)
    with pytest.raises(ValueError, match="differs from its digest"):
        pack_shard(plans[0], made, read_audio, str(tmp_path), lambda p: [b"other"] * len(p.pictures))
    with pytest.raises(ValueError, match="give `read_pictures`"):
        pack_shard(plans[0], made, read_audio, str(tmp_path))


def test_a_sidecar_from_before_pictures_is_read(made: list[Sample], tmp_path: Path) -> None:
    root = pack(made, tmp_path / "shards")
    rows = read_members(str(root), next(committed(str(root))))
    old = to_table(rows, Member).drop_columns(["num_pictures", "pictures"])
    old = old.replace_schema_metadata({"voxmill.record": "Member", "voxmill.schema_version": "1"})
    new = migrate(old, Member, "there")
    assert new.column("num_pictures").to_pylist() == [None] * len(rows)
    assert new.column("pictures").to_pylist() == [[]] * len(rows)
    assert isinstance(new, pa.Table)


@pytest.mark.parametrize("version", [1, SCHEMA_VERSION])
def test_columns_of_a_sidecar_are_those_of_the_whole(made: list[Sample], tmp_path: Path, version: int) -> None:
    root = pack(made, tmp_path / "shards")
    shard = next(committed(str(root)))
    table = to_table(read_members(str(root), shard), Member)
    table = table.drop_columns(["num_pictures", "pictures"]) if version == 1 else table
    blob = table_bytes(table.replace_schema_metadata({"voxmill.record": "Member", "voxmill.schema_version": str(version)}))
    (root / shard.parquet).write_bytes(blob)
    shard = replace(shard, parquet_sha256=hashlib.sha256(blob).hexdigest(), parquet_bytes=len(blob))
    whole = read_members_table(str(root), shard)
    assert whole.column_names == to_table([], Member).column_names
    some = read_members_table(str(root), shard, {"pictures", "key", "labels"})
    assert some.column_names == [name for name in whole.column_names if name in ("pictures", "key", "labels")]
    assert some.equals(whole.select(some.column_names))
    (root / shard.parquet).write_bytes(b"x" + blob)
    with pytest.raises(ShardError, match="damaged"):
        read_members_table(str(root), shard, {"key"})


@pytest.mark.parametrize("streaming", [True, False])
def test_datasets_opens_samples_with_any_number_of_pictures(streaming: bool, tmp_path: Path) -> None:
    datasets = datasets_or_skip()
    counts = [0, 3, None, 1, 0, 0, 2, None]
    samples = [with_pictures(one, count) for one, count in zip(several(recordings=2), counts, strict=True)]
    root = pack(samples, tmp_path / "shards")
    opened = datasets.load_dataset(str(root), split="train", streaming=streaming, cache_dir=str(tmp_path / "cache"))
    read = {row["__key__"]: row for row in opened.cast_column("flac", datasets.Audio(decode=False))}
    for sample, count in zip(samples, counts, strict=True):
        row = read[sample.key]
        pictures = json.loads(row["json"]["pictures"])
        assert row["mjpeg"] == b"".join(jpeg(sample.key, index) for index in range(count or 0))
        assert pictures is None if count is None else [one["num_bytes"] for one in pictures] == [
            len(jpeg(sample.key, index)) for index in range(count)
        ]  # fmt: skip
    assert verify_shards(str(root)).problems == []


def test_pictures_of_packer_2_each_a_member_are_read_and_verified(
    made: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(tar: TarSink, sample: Sample, seen: Sequence[bytes]) -> Iterator[Place]:
        for index, blob in enumerate(seen):
            yield Place(tar.add(f"{sample.key}.{index:03d}.jpg", blob), len(blob), hashlib.sha256(blob).hexdigest())

    monkeypatch.setattr("voxmill.sharding.writer._add_pictures", add)
    root = pack(made, tmp_path / "shards")
    for shard in committed(str(root)):
        (root / commit_of(shard.name)).write_bytes(commit_document(replace(shard, packer="2")))
    assert verify_shards(str(root)).problems == []
    assert {one.key: len(one.pictures) for one in read_run(str(root))} == {one.key: len(one.seen or ()) for one in made}
