"""NVIDIA NeMo: tars with a manifest each (`audio_0.tar`, `manifest_0.json`), or FLAC files with one manifest. Both with `.idx` files.

An index is 64-bit little-endian numbers: where each sample begins, and the size of the file (the form of Megatron-Energon).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from tarfile import BLOCKSIZE
from typing import Any

import numpy as np

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.sharding.exports.export_files import ExportFiles
from voxmill.sharding.exports.export_format import ExportFormat, PartWriter
from voxmill.sharding.exports.exported_sample import ExportedSample
from voxmill.sharding.tarball import TarSink

MANIFEST = "manifest.json"


def _write_tarred(out: PartWriter, samples: Iterator[ExportedSample]) -> None:
    number = out.part.number
    tar_name, text_name = out.named(f"audio_{number}.tar"), out.named(f"manifest_{number}.json")
    starts = []
    with out.files.writing(text_name) as text, out.files.writing(tar_name) as sink:
        lines = [0]
        with TarSink(sink) as tar:  # type: ignore[arg-type]  # it only writes
            for sample in samples:
                member = f"{sample.row.key}.flac"
                starts.append(tar.add(member, sample.flac) - BLOCKSIZE)
                text.write(_line(sample, member, shard_id=number))
                lines.append(text.num_bytes)
        starts.append(sink.num_bytes)
    out.files.put(f"{tar_name}.idx", _index(starts))
    out.files.put(f"{text_name}.idx", _index(lines))


def _write_plain(out: PartWriter, samples: Iterator[ExportedSample]) -> None:
    out.lines(MANIFEST, (_line(sample, out.audio(sample)) for sample in samples))


def _index_manifest(files: ExportFiles, folder: str) -> None:
    starts = [0]
    with files.reading(f"{folder}/{MANIFEST}") as lines:
        for line in lines:
            starts.append(starts[-1] + len(line))
    files.put(f"{folder}/{MANIFEST}.idx", _index(starts))


def _index(starts: Sequence[int]) -> bytes:
    return np.asarray(starts, "<u8").tobytes()


def _line(sample: ExportedSample, audio: str, **more: Any) -> bytes:
    line = {
        "audio_filepath": audio,
        "duration": sample.seconds,
        "sampling_rate": SAMPLE_RATE,
        "text": sample.row.text,
        "lang": sample.row.language,
        **more,
        **sample.facts,
    }
    return (json.dumps(line, ensure_ascii=False) + "\n").encode()


NEMO = ExportFormat(
    "nemo",
    "NeMo, tarred: audio_<i>.tar and manifest_<i>.json with .idx",
    _write_tarred,
    "manifest_filepath={set}/manifest__OP_0..{last}_CL_.json\ntarred_audio_filepaths={set}/audio__OP_0..{last}_CL_.tar",
)
NEMO_FILES = ExportFormat(
    "nemo-files",
    "NeMo, plain: FLAC files and manifest.json with .idx",
    _write_plain,
    "manifest_filepath={set}/manifest.json",
    joined=(MANIFEST,),
    derive=_index_manifest,
)
