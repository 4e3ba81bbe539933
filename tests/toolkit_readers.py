"""What other projects' own readers find in a set of an export, format by format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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


READERS: dict[str, Callable[[Path], Iterator[Found]]] = {
    "nemo": by_nemo,
    "nemo-files": by_nemo_files,
    "lhotse": by_lhotse,
    "lhotse-files": by_lhotse_files,
}
