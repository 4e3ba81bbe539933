"""Addresses, spans and labels without audio: `samples.jsonl`, and `recordings.jsonl` for `voxmill crawl`.

Who has the originals makes the same audio of them with `voxmill rebuild-data`: each sample says how its recording is read, where it is silent
(so that what was silenced for personal data stays so), and the hash of its samples.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from voxmill.sharding.exports.export_format import ExportFormat, PartWriter
from voxmill.sharding.exports.exported_sample import ExportedSample

SAMPLES, RECORDINGS = "samples.jsonl", "recordings.jsonl"
READING = ("num_samples", "track", "channels", "apart", "dc", "gain_db")
"""Fields of a recording that decide how it sounds."""
SILENCE = 160
"""Samples of exact zeros that count as silence (10 ms)."""

Pcm = NDArray[np.int16]
"""Mono samples at 16 kHz, shape (num_samples,)."""


def pcm_of(sound: bytes) -> Pcm:
    """The samples of a FLAC file of 16 bits."""
    pcm: Pcm = soundfile.read(io.BytesIO(sound), dtype="int16")[0]
    return pcm


def pcm_sha256(pcm: Pcm) -> str:
    """Hash of the samples as little-endian bytes: equal on every machine, whatever wrote the FLAC file."""
    return hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest()


def silences(pcm: Pcm) -> list[tuple[int, int]]:
    """Where nothing but zeros are, as [start, end) in samples.

    >>> silences(np.r_[[1], np.zeros(200), [1, 0, 1]].astype(np.int16))
    [(1, 201)]
    """
    edges = np.flatnonzero(np.diff(np.r_[0, pcm == 0, 0].astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a >= SILENCE]


def _write(out: PartWriter, samples: Iterator[ExportedSample]) -> None:
    recordings: dict[str, bytes] = {}
    with out.files.writing(out.share(SAMPLES)) as lines:
        for sample in samples:
            recordings.setdefault(sample.row.recording_id, _json(_recording(sample)))
            lines.write(_json(_sample(sample)))
    out.lines(RECORDINGS, sorted(recordings.values()))


def _sample(sample: ExportedSample) -> dict[str, Any]:
    pcm, recording = pcm_of(sample.flac), sample.document["recording"]
    span = {"start": sample.row.start, "num_samples": sample.row.num_samples}
    return {
        "key": sample.row.key,
        "recording_id": sample.row.recording_id,
        "url": sample.document["provenance"]["url"],
        "span": span,
        "pcm_sha256": pcm_sha256(pcm),
        "silent": silences(pcm),
        "reading": {name: recording[name] for name in READING},
        "text": sample.row.text,
        "language": sample.row.language,
        **sample.facts,
    }


def _recording(sample: ExportedSample) -> dict[str, Any]:
    address, licence = sample.document["provenance"], sample.document["licence"]["name"]
    return {"url": address["url"], "language": sample.document["recording"]["language"], "licence": licence}


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()


URLS = ExportFormat(
    "urls",
    "addresses, spans and labels without audio, to be made again from the originals",
    _write,
    "voxmill crawl {set}/recordings.jsonl -o runs/again --contact …\nvoxmill rebuild-data {set} --originals runs/again -o audio",
    labelled_only=False,
    joined=(SAMPLES,),
    merged=(RECORDINGS,),
)
