"""What other projects' own readers find in a set of an export, format by format."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemo_package import nemo_reader


@dataclass(frozen=True, eq=False)
class Found:
    """One sample as a reader gives it."""

    key: str
    audio: NDArray[np.float32]
    text: str | None
    language: str | None
    facts: Mapping[str, Any]
    """Tier, labels, provenance and so on, wherever the format keeps them."""
    words: list[tuple[str, float]] | None = None
    """With their starts (s), where the format has a place of its own for them."""


def by_nemo(folder: Path) -> Iterator[Found]:
    """NeMo's iterator of tarred manifests, and its reader of indices."""
    import lhotse

    manifests, tars = (sorted(map(str, folder.glob(pattern))) for pattern in ("manifest_*.json", "audio_*.tar"))
    cuts = lhotse.CutSet(nemo_reader("nemo_adapters").LazyNeMoTarredIterator(manifests, tars))
    yield from map(_nemo_cut, cuts)
    _check_indices(manifests)


def by_nemo_files(folder: Path) -> Iterator[Found]:
    """NeMo's iterator of plain manifests."""
    import lhotse

    manifest = str(folder / "manifest.json")
    yield from map(_nemo_cut, lhotse.CutSet(nemo_reader("nemo_adapters").LazyNeMoIterator(manifest)))
    _check_indices([manifest])


def _nemo_cut(cut: Any) -> Found:
    (said,) = cut.supervisions
    key = Path(cut.recording_id).name.removesuffix(".flac")
    return Found(key, cut.load_audio()[0], said.text, said.language, cut.custom)


def _check_indices(manifests: list[str]) -> None:
    indexed = nemo_reader("indexed_adapters")
    for manifest in manifests:
        lines = Path(manifest).read_text().splitlines()
        reader = indexed.IndexedJSONLReader(manifest)
        names = [reader[i]["audio_filepath"] for i in range(len(reader))]
        assert len(names) == len(lines)
        assert all(name in line for name, line in zip(names, lines, strict=True))
        tar = Path(manifest.replace("manifest_", "audio_")).with_suffix(".tar")
        if tar.exists():
            offsets, count = indexed._load_index(str(tar))
            with tar.open("rb") as file:
                for i, name in enumerate(names):
                    file.seek(int(offsets[i]))
                    assert indexed._read_tar_member(file)[0] == name
            assert count == len(lines)


def by_lhotse(folder: Path) -> Iterator[Found]:
    """`CutSet.from_shar`."""
    import lhotse

    yield from map(_cut, lhotse.CutSet.from_shar(in_dir=folder))


def by_lhotse_files(folder: Path) -> Iterator[Found]:
    """`CutSet.from_file`; the paths are relative to the export."""
    import lhotse

    yield from map(_cut, lhotse.CutSet.from_file(folder / "cuts.jsonl.gz").with_recording_path_prefix(folder.parents[1]))


def _cut(cut: Any) -> Found:
    (said,) = cut.supervisions
    words = (said.alignment or {}).get("word")
    times = words and [(one.symbol, one.start) for one in words]
    return Found(cut.id, cut.load_audio()[0], said.text, said.language, said.custom, times)


def by_datasets(folder: Path) -> Iterator[Found]:
    """`load_dataset` on the whole export, which finds config and split in its card: streaming, and the same without."""
    import datasets

    config, split = folder.parts[-2:]
    with tempfile.TemporaryDirectory(prefix="voxmill-datasets-") as cache:
        how = {"path": str(folder.parents[1]), "name": config, "split": split}
        streamed = list(datasets.load_dataset(**how, streaming=True))
        stored = datasets.load_dataset(**how, cache_dir=cache)
        assert isinstance(stored.features["audio" if "audio" in stored.features else "flac"], datasets.Audio)
        assert [row.get("key", row.get("__key__")) for row in streamed] == list(
            stored["key" if "key" in stored.features else "__key__"]
        )
        yield from (_row(row) if "key" in row else _member(row) for row in streamed)


def _row(row: dict[str, Any]) -> Found:
    words = row["words"] and [(one["word"], one["start"]) for one in row["words"]]
    return Found(row["key"], _decoded(row["audio"]), row["text"], row["language"], row, words)


def _member(row: dict[str, Any]) -> Found:
    facts = row["json"] | {key: json.loads(row["json"][key]) for key in ("labels", "provenance", "licence")}
    return Found(row["__key__"], _decoded(row["flac"]), facts["text"], facts["language"], facts)


def _decoded(audio: Any) -> NDArray[np.float32]:
    heard = audio.get_all_samples()
    assert heard.sample_rate == 16_000
    sound: NDArray[np.float32] = heard.data.numpy()[0]
    return sound


def by_webdataset(folder: Path) -> Iterator[Found]:
    """Plain `webdataset` on the tars, and then `datasets`."""
    import webdataset

    plain = [sample["__key__"] for sample in webdataset.WebDataset(sorted(map(str, folder.glob("*.tar"))), shardshuffle=False)]
    found = list(by_datasets(folder))
    assert plain == [one.key for one in found]
    yield from found


def by_kaldi(folder: Path) -> Iterator[Found]:
    """lhotse's reader of Kaldi's folders, which both toolkits have, from the folder of the export; the order is what Kaldi checks."""
    import lhotse

    for name in ("wav.scp", "text", "utt2spk", "spk2utt", "utt2dur", "ctm"):
        firsts = [line.split(b" ")[0] for line in (folder / name).read_bytes().splitlines()]
        assert firsts == sorted(firsts), f"{name} is not sorted as the C locale does"
    documents = {one["key"]: one for one in map(json.loads, (folder / "samples.jsonl").read_text("utf8").splitlines())}
    timed: dict[str, list[tuple[str, float]]] = {}
    for key, _, start, _, word, *_ in map(str.split, (folder / "ctm").read_text("utf8").splitlines()):
        timed.setdefault(key, []).append((word, float(start)))
    recordings, said, _ = lhotse.kaldi.load_kaldi_data_dir(folder, 16_000)
    with _inside(folder.parents[1]):
        for one in said:
            facts = documents[one.id]
            assert one.speaker == facts["recording_id"][: len(one.speaker)]
            yield Found(one.id, recordings[one.recording_id].load_audio()[0], one.text, one.language, facts, timed.get(one.id))


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def by_jsonl(folder: Path) -> Iterator[Found]:
    """The standard library and soundfile."""
    import soundfile

    with (folder / "samples.jsonl").open(encoding="utf8") as lines:
        for row in map(json.loads, lines):
            audio, rate = soundfile.read(folder / row["audio"], dtype="float32")
            assert rate == row["sampling_rate"] == 16_000
            words = row["words"] and [(one["word"], one["start"]) for one in row["words"]]
            yield Found(row["key"], audio, row["text"], row["language"], row, words)


READERS: dict[str, Callable[[Path], Iterator[Found]]] = {
    "hf": by_datasets,
    "hf-webdataset": by_webdataset,
    "nemo": by_nemo,
    "nemo-files": by_nemo_files,
    "lhotse": by_lhotse,
    "lhotse-files": by_lhotse_files,
    "kaldi": by_kaldi,
    "espnet": by_kaldi,
    "jsonl": by_jsonl,
}
