"""FLAC files and `samples.jsonl`: a line for each sample with everything that is known of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from voxmill.sharding.exports.export_format import ExportFormat, PartWriter
from voxmill.sharding.exports.exported_sample import ExportedSample

LINES = "samples.jsonl"


def document_line(sample: ExportedSample, audio: str) -> bytes:
    """The document of a sample on one line, with the name of its sound and the words of its label in seconds."""
    return (json.dumps({"audio": audio, "words": sample.words, **sample.document}, ensure_ascii=False) + "\n").encode()


def _write(out: PartWriter, samples: Iterator[ExportedSample]) -> None:
    out.lines(LINES, (document_line(sample, out.audio(sample)) for sample in samples))


JSONL = ExportFormat(
    "jsonl",
    "JSON lines and FLAC files: samples.jsonl with all that is known",
    _write,
    'for line in open("{set}/samples.jsonl"): …  # `audio` is relative to it',
    labelled_only=False,
    joined=(LINES,),
)
