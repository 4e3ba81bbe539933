"""Committed shards in the layouts of other toolkits. FLAC bytes are copied, never encoded again, and the same shards give
the same bytes.

- NeMo: `audio_<i>.tar` and `manifest_<i>.json`, the pair of names that its tarred loaders look for.
- lhotse Shar: `recording.<i>.tar` and `cuts.<i>.jsonl.gz`, for `CutSet.from_shar`.
- Hugging Face `datasets` opens the shards as they are: `load_dataset("webdataset", data_files={"train": "RUN/shards/train-*.tar"})`.
  It guesses the types inside the JSON from the first samples: give `features` where a label is missing in those.

Unlabelled samples have no text to train on and are left out. One split is exported at a time.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.manifests.storage import commit_bytes, commit_file, remove, staged
from voxmill.sharding.index import NoShards, shards_of
from voxmill.sharding.reader import raw_samples
from voxmill.sharding.shard_files import beside
from voxmill.sharding.sidecar import Member
from voxmill.sharding.tarball import TarSink

Add = Callable[[TarSink, Member, bytes], None]
"""Puts one sample (its row and its FLAC) into the tar."""
Line = Callable[[Member, int], dict[str, Any]]
"""What the text file beside the tar says of a sample, given the number of its shard."""


def export_nemo(root: str, out: str, split: str = "train") -> int:
    """Returns the number of shards, N. Train with `manifest_filepath=OUT/manifest__OP_0..{N-1}_CL_.json` and
    `tarred_audio_filepaths=OUT/audio__OP_0..{N-1}_CL_.tar`.
    """
    return _export(root, out, split, ("audio_{}.tar", "manifest_{}.json"), _add_flac, _nemo_line)


def export_shar(root: str, out: str, split: str = "train") -> int:
    """Returns the number of shards. Open with `CutSet.from_shar(in_dir=OUT)`."""
    return _export(root, out, split, ("recording.{:06d}.tar", "cuts.{:06d}.jsonl.gz"), _add_pair, _shar_cut)


def _export(root: str, out: str, split: str, names: tuple[str, str], add: Add, line: Line) -> int:
    """Numbers the shards from 0 without a gap, and removes what a longer export left behind."""
    number = 0
    for rows in _labelled(root, split):
        tar, text = (beside(out, name.format(number)) for name in names)
        lines = _write_tar(tar, rows, add, line, number)
        commit_bytes(text, gzip.compress(lines, mtime=0) if text.endswith(".gz") else lines, replace=True)
        number += 1
    if not number:
        raise NoShards(root, f"holds no labelled speech in split {split!r}: there is nothing to export")
    stale = number
    while sum(remove(beside(out, name.format(stale))) for name in names):
        stale += 1
    return number


def _labelled(root: str, split: str) -> Iterator[Iterator[tuple[Member, bytes]]]:
    """Shard by shard, the samples in which somebody speaks, with a text; shards without any are stepped over, as loaders fail on
    empty ones."""
    for shard in shards_of(root, split):
        rows = ((row, sound) for row, sound, _ in raw_samples(root, shard) if row.text is not None and row.tier != "event")
        for first in rows:
            yield chain([first], rows)


def _write_tar(uri: str, rows: Iterator[tuple[Member, bytes]], add: Add, line: Line, number: int) -> bytes:
    """Writes the tar, and returns one JSON line per sample in the order of the tar."""
    lines = io.StringIO()
    with staged(uri) as temp:
        with TarSink(temp) as tar:
            for row, sound in rows:
                add(tar, row, sound)
                lines.write(json.dumps(line(row, number), ensure_ascii=False) + "\n")
        commit_file(temp, uri, replace=True)
    return lines.getvalue().encode()


def _add_flac(tar: TarSink, row: Member, sound: bytes) -> None:
    tar.add(f"{row.key}.flac", sound)


def _add_pair(tar: TarSink, row: Member, sound: bytes) -> None:
    _add_flac(tar, row, sound)
    tar.add(f"{row.key}.json", json.dumps(_recording(row)).encode())


def _nemo_line(row: Member, number: int) -> dict[str, Any]:
    return {
        "audio_filepath": f"{row.key}.flac",
        "duration": row.num_samples / SAMPLE_RATE,
        "sampling_rate": SAMPLE_RATE,
        "text": row.text,
        "lang": row.language,
        "shard_id": number,
        **_extras(row),
    }


def _shar_cut(row: Member, number: int) -> dict[str, Any]:
    """A lhotse `MonoCut` with one supervision over all of it."""
    span = {"start": 0.0, "duration": row.num_samples / SAMPLE_RATE, "channel": 0}
    words = {"text": row.text, "language": row.language, "custom": _extras(row)}
    supervision = {"id": row.key, "recording_id": row.key, **span, **words}
    return {"id": row.key, **span, "supervisions": [supervision], "recording": _recording(row), "type": "MonoCut"}


def _recording(row: Member) -> dict[str, Any]:
    """A lhotse `Recording` whose data follow in the tar (source type `shar`)."""
    return {
        "id": row.key,
        "sources": [{"type": "shar", "channels": [0], "source": ""}],
        "sampling_rate": SAMPLE_RATE,
        "num_samples": row.num_samples,
        "duration": row.num_samples / SAMPLE_RATE,
        "channel_ids": [0],
    }


def _extras(row: Member) -> dict[str, Any]:
    return {"tier": row.tier, "weight": row.weight, "agreement": row.agreement}
