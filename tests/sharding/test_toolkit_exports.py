from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samples import read_audio, recording, sample
from voxmill.sharding.flac import decode
from voxmill.sharding.layout import ShardPlan
from voxmill.sharding.sample import Sample
from voxmill.sharding.toolkit_exports import export_nemo, export_shar


@pytest.fixture
def mixed(made: list[Sample], pack: Callable[..., list[ShardPlan]], tmp_path: Path) -> Path:
    """Every tier and split: of these, only the labelled samples of `train` are to be exported."""
    dev = [replace(s, selection=replace(s.selection, split="dev")) for s in made if s.unit == 1]
    train = [s for s in made if s.unit != 1]
    train[0] = replace(train[0], selection=replace(train[0].selection, tier="unlabelled"))
    silent = [sample(recording(f"silent-{i}", licence="cc0-1.0"), 0, 1, tier="unlabelled") for i in range(3)]
    pack([*train, *dev, *silent], tmp_path / "shards")
    return tmp_path / "shards"


def exported(made: list[Sample]) -> dict[str, Sample]:
    return {s.key: s for s in made if s.unit != 1 and s.key != made[0].key}


def check_sound(blob: bytes, one: Sample) -> None:
    wanted = read_audio(one.recording, one.segment.start, one.segment.num_samples)
    assert np.abs(decode(blob) - wanted).max() <= 0.5 / 32768


def test_nemo_pairs_every_tar_with_its_manifest(mixed: Path, made: list[Sample], tmp_path: Path) -> None:
    out = tmp_path / "nemo"
    shards = export_nemo(str(mixed), str(out))
    seen = {}
    for index in range(shards):
        lines = [json.loads(line) for line in (out / f"manifest_{index}.json").read_text().splitlines()]
        with tarfile.open(out / f"audio_{index}.tar") as tar:
            assert [line["audio_filepath"] for line in lines] == tar.getnames(), "NeMo stops at a member without a line"
            for line in lines:
                body = tar.extractfile(line["audio_filepath"])
                assert body is not None
                one = exported(made)[line["audio_filepath"].removesuffix(".flac")]
                check_sound(body.read(), one)
                assert (line["text"], line["duration"], line["shard_id"]) == (one.text, one.segment.seconds, index)
                seen[one.key] = index
    assert seen.keys() == exported(made).keys()
    assert sorted(set(seen.values())) == list(range(shards)), "numbered without gaps, none empty"


def test_shar_is_a_pair_of_members_per_cut(mixed: Path, made: list[Sample], tmp_path: Path) -> None:
    out = tmp_path / "shar"
    seen = []
    for index in range(export_shar(str(mixed), str(out))):
        cuts = [json.loads(line) for line in gzip.decompress((out / f"cuts.{index:06d}.jsonl.gz").read_bytes()).splitlines()]
        with tarfile.open(out / f"recording.{index:06d}.tar") as tar:
            assert tar.getnames() == [f"{cut['id']}.{suffix}" for cut in cuts for suffix in ("flac", "json")]
        seen += [cut["id"] for cut in cuts]
    assert sorted(seen) == sorted(exported(made))


@pytest.mark.parametrize("export", [export_nemo, export_shar])
def test_exports_are_the_same_bytes_each_time(export: Callable[..., int], mixed: Path, tmp_path: Path) -> None:
    trees = []
    for name in ("once", "twice"):
        export(str(mixed), str(tmp_path / name))
        trees.append({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path / name).iterdir()})
    assert trees[0] == trees[1]
    assert len(trees[0]) >= 4


def test_a_shorter_export_leaves_nothing_of_a_longer_one(mixed: Path, tmp_path: Path) -> None:
    """A loader that globs must not find shards of last time."""
    out = tmp_path / "nemo"
    many, few = export_nemo(str(mixed), str(out)), export_nemo(str(mixed), str(out), "dev")
    assert 0 < few < many
    assert len(list(out.iterdir())) == 2 * few


def test_lhotse_loads_audio_and_text(mixed: Path, made: list[Sample], tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    export_shar(str(mixed), str(tmp_path / "shar"))
    cuts = {cut.id: cut for cut in lhotse.CutSet.from_shar(in_dir=tmp_path / "shar")}
    assert cuts.keys() == exported(made).keys()
    for key, one in exported(made).items():
        wanted = read_audio(one.recording, one.segment.start, one.segment.num_samples)
        assert np.abs(cuts[key].load_audio()[0] - wanted).max() <= 0.5 / 32768
        assert cuts[key].supervisions[0].text == one.text
