"""lhotse: Shar (`cuts.000000.jsonl.gz`, `recording.000000.tar`), or FLAC files and one `cuts.jsonl.gz`.

A cut has one supervision over all of it, with the words as its alignment and everything else under `custom`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.sharding.exports.export_format import ExportFormat, PartWriter
from voxmill.sharding.exports.exported_sample import ExportedSample
from voxmill.sharding.tarball import TarSink

CUTS = "cuts.jsonl.gz"


def _write_shar(out: PartWriter, samples: Iterator[ExportedSample]) -> None:
    number = out.part.number
    tar_name, text_name = out.named(f"recording.{number:06d}.tar"), out.named(f"cuts.{number:06d}.jsonl.gz")
    with out.files.writing(text_name) as text, _gzip(text) as lines, out.files.writing(tar_name) as sink:
        with TarSink(sink) as tar:  # type: ignore[arg-type]  # it only writes
            for sample in samples:
                recording = _recording(sample, "shar", "")
                tar.add(f"{sample.row.key}.flac", sample.flac)
                tar.add(f"{sample.row.key}.json", json.dumps(recording).encode())
                lines.write(_line(sample, recording))


def _write_files(out: PartWriter, samples: Iterator[ExportedSample]) -> None:
    """The shares are gzip members, and several in one file are a gzip file."""
    with out.files.writing(out.share(CUTS)) as text, _gzip(text) as lines:
        for sample in samples:
            lines.write(_line(sample, _recording(sample, "file", out.prefix + out.named(out.audio(sample)))))


def _gzip(target: Any) -> gzip.GzipFile:
    return gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0)


def _line(sample: ExportedSample, recording: dict[str, Any]) -> bytes:
    span = {"start": 0.0, "duration": sample.seconds, "channel": 0}
    supervision = {
        "id": sample.row.key,
        "recording_id": sample.row.key,
        **span,
        "text": sample.row.text,
        "language": sample.row.language,
        "custom": sample.facts,
    }
    if sample.words:
        supervision["alignment"] = {
            "word": [[w["word"], w["start"], round(w["end"] - w["start"], 6), w["confidence"]] for w in sample.words]
        }
    cut = {"id": sample.row.key, **span, "supervisions": [supervision], "recording": recording, "type": "MonoCut"}
    return (json.dumps(cut, ensure_ascii=False) + "\n").encode()


def _recording(sample: ExportedSample, kind: str, source: str) -> dict[str, Any]:
    """A lhotse `Recording`; with the kind `shar` its data follow in the tar."""
    return {
        "id": sample.row.key,
        "sources": [{"type": kind, "channels": [0], "source": source}],
        "sampling_rate": SAMPLE_RATE,
        "num_samples": sample.row.num_samples,
        "duration": sample.seconds,
        "channel_ids": [0],
    }


LHOTSE = ExportFormat(
    "lhotse",
    "lhotse Shar: cuts.<i>.jsonl.gz and recording.<i>.tar",
    _write_shar,
    'CutSet.from_shar(in_dir="{set}")',
)
LHOTSE_FILES = ExportFormat(
    "lhotse-files",
    "lhotse, plain: FLAC files and cuts.jsonl.gz",
    _write_files,
    'CutSet.from_file("{set}/cuts.jsonl.gz")  # elsewhere: .with_recording_path_prefix("…")',
    joined=(CUTS,),
)
