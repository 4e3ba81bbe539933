"""Hugging Face's `datasets` opens our shards as they are, streaming or not, whatever the first samples lack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datasets_here import datasets_or_skip
from samples import read_audio, recording, sample, several
from voxmill.manifests.records import Labels, Slot
from voxmill.sharding.index import write_index
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.reader import read_run
from voxmill.sharding.sample import RECORDS, Sample, document
from voxmill.sharding.writer import pack_shard


@pytest.fixture(scope="module")
def datasets() -> Any:
    return datasets_or_skip()


def bare(index: int) -> Sample:
    """A sample of which next to nothing is known."""
    one = sample(recording(f"bare-{index}"), 1, 1)
    provenance = replace(one.recording.provenance, title=None)
    return replace(
        one,
        recording=replace(one.recording, provenance=provenance, codec=None, sampling_rate=None),
        hypotheses=(),
        consensus=replace(one.consensus, language=None, agreement=None, confidence=None, slots=(), engines=(), normalised=()),
        labels=None,
        selection=replace(one.selection, tier="unlabelled", weight=1),
    )


@pytest.fixture(scope="module")
def late() -> list[Sample]:
    """Seven samples without anything optional, then some with everything: more than the five that `datasets` looks at."""
    poor = [replace(bare(i), unit=i, order=0) for i in range(7)]
    empty = sample(recording("empty"), 1, 1, unit=7)
    nothing_found = replace(
        empty, labels=Labels(empty.key), consensus=replace(empty.consensus, slots=(Slot(("a", None), None, True),))
    )
    return [*poor, nothing_found, *(replace(one, unit=8 + i) for i, one in enumerate(several(2)))]


@pytest.fixture(scope="module")
def shards(late: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("datasets") / "shards"
    for plan in plan_shards((one.entry for one in late), 1, 150_000):
        pack_shard(plan, late, read_audio, str(root))
    write_index(str(root))
    assert len(list(root.glob("*.tar"))) > 1
    return root


def rows(datasets: Any, root: Path, how: str, streaming: bool) -> Iterator[dict[str, Any]]:
    cache = {"cache_dir": str(root.parent / f"cache-{how}"), "streaming": streaming, "split": "train"}
    if how == "files":
        opened = datasets.load_dataset("webdataset", data_files=sorted(map(str, root.glob("*.tar"))), **cache)
    elif how == "glob":
        opened = datasets.load_dataset("webdataset", data_files=f"{root}/train-*.tar", **cache)
    elif how == "data_dir":
        opened = datasets.load_dataset("webdataset", data_dir=str(root), **cache)
    else:
        opened = datasets.load_dataset(str(root), **cache)
    yield from opened.cast_column("flac", datasets.Audio(decode=False))


@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "whole"])
@pytest.mark.parametrize("how", ["files", "glob", "data_dir", "folder"])
def test_every_sample_arrives_as_our_own_reader_has_it(
    how: str, streaming: bool, datasets: Any, shards: Path, late: list[Sample]
) -> None:
    wanted = {one.key: document(one) for one in late}
    read = list(rows(datasets, shards, how, streaming))
    assert [row["__key__"] for row in read] == [one.key for one in read_run(str(shards))]
    for row in read:
        words, truth = row["json"], wanted[row["__key__"]]
        assert words.keys() == truth.keys()
        assert {key: json.loads(words[key]) for key in RECORDS} == {key: truth[key] for key in RECORDS}
        assert (words["text"], words["tier"], words["num_samples"]) == (
            truth["text"] or "",
            truth["tier"],
            truth["num_samples"],
        )
        assert row["flac"]["bytes"][:4] == b"fLaC"
    labels = [json.loads(row["json"]["labels"]) for row in read]
    assert labels[0] is None
    assert labels[-1]["sound_events"]["marks"] == [], "labelled and empty, which is not unlabelled"


def test_only_tars_are_taken_for_data(datasets: Any, shards: Path) -> None:
    opened = datasets.load_dataset(str(shards), streaming=True, split="train")
    assert {Path(row["__url__"]).suffix for row in opened.cast_column("flac", datasets.Audio(decode=False))} == {".tar"}
    builder = datasets.load_dataset_builder(str(shards))
    assert all(file.endswith(".tar") for files in builder.config.data_files.values() for file in files)
