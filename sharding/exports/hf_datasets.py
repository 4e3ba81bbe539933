"""Hugging Face's `datasets`: Parquet with an Audio feature, or tars in the layout of WebDataset. Both with a card that names configs and splits.

A config is a licence. Row groups are small, so that streaming and the viewer fetch little for a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from voxmill.manifests.records import SAMPLE_RATE, Licence, Provenance
from voxmill.manifests.schema import schema_of, to_table
from voxmill.sharding.exports.export_format import ExportFormat, PartWriter
from voxmill.sharding.exports.export_plan import ExportedSet
from voxmill.sharding.exports.exported_sample import ExportedSample
from voxmill.sharding.sample import RECORDS
from voxmill.sharding.sidecar import Member
from voxmill.sharding.tarball import TarSink

ROWS, ROW_BYTES = 100, 32 << 20
"""Of a row group, at most."""


def _texts(record: type, *without: str) -> pa.DataType:
    return pa.struct([(field.name, pa.string()) for field in fields(record) if field.name not in without])


DOCUMENT_TYPES = {
    **dict.fromkeys(("agreement", "duration", "weight"), "float64"),
    **dict.fromkeys(("num_samples", "sampling_rate", "schema_version"), "int64"),
    **dict.fromkeys(("key", "packer", "text", "language", "tier", "split", "recording_id", *RECORDS), "string"),
}
"""Of the JSON of a sample in a tar."""
_WORD = pa.struct([("word", pa.string()), ("start", pa.float64()), ("end", pa.float64()), ("confidence", pa.float64())])
_ROW = schema_of(Member)
SCHEMA = pa.schema(
    [
        ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("key", pa.string()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("tier", pa.string()),
        ("weight", pa.float64()),
        ("agreement", pa.float64()),
        ("seconds", pa.float64()),
        ("recording_id", pa.string()),
        ("start", pa.float64()),
        ("words", pa.list_(_WORD)),
        ("labels", _ROW.field("labels").type),
        ("licence", _texts(Licence)),
        ("provenance", _texts(Provenance, "etag", "last_modified")),
        ("document", pa.string()),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": {"audio": {"sampling_rate": SAMPLE_RATE, "_type": "Audio"}}}})},
)


def _write_parquet(out: PartWriter, samples: Iterator[ExportedSample]) -> None:
    name = out.named(f"{out.part.shard.split}-{out.part.number:05d}-of-{out.parts:05d}.parquet")
    with out.files.writing(name) as sink, pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:  # type: ignore[arg-type]
        rows: list[ExportedSample] = []
        for sample in samples:
            rows.append(sample)
            if len(rows) == ROWS or sum(len(one.flac) for one in rows) >= ROW_BYTES:
                writer.write_table(_table(rows))
                rows = []
        if rows:
            writer.write_table(_table(rows))


def _table(rows: list[ExportedSample]) -> pa.Table:
    labels = to_table([sample.row for sample in rows], Member).column("labels")
    table = pa.Table.from_pylist([_cells(sample) for sample in rows], SCHEMA)
    return table.set_column(SCHEMA.get_field_index("labels"), SCHEMA.field("labels"), labels)


def _cells(sample: ExportedSample) -> dict[str, Any]:
    facts = {name: value for name, value in sample.facts.items() if name not in ("labels", "split")}
    return {
        "audio": {"bytes": sample.flac, "path": f"{sample.row.key}.flac"},
        "key": sample.row.key,
        "text": sample.row.text,
        "language": sample.row.language,
        "seconds": sample.seconds,
        "document": json.dumps(sample.document, ensure_ascii=False),
        **facts,
    }


def _write_tar(out: PartWriter, samples: Iterator[ExportedSample]) -> None:
    name = out.named(f"{out.part.shard.split}-{out.part.number:05d}-of-{out.parts:05d}.tar")
    with out.files.writing(name) as sink, TarSink(sink) as tar:  # type: ignore[arg-type]  # it only writes
        for sample in samples:
            tar.add(f"{sample.row.key}.flac", sample.flac)
            tar.add(f"{sample.row.key}.json", sample.json)


def _card(sets: Sequence[ExportedSet], *, suffix: str = "parquet", features: Sequence[Any] = ()) -> str:
    """The metadata that the Hub and `load_dataset` read: a config for each licence, its splits and their files."""
    configs, infos = [], []
    for name, mine in groupby(sets, key=lambda one: one.folder.split("/")[0]):
        files = [{"split": one.split, "path": f"{one.folder}/*.{suffix}"} for one in mine]
        configs.append({"config_name": name, "data_files": files})
        infos.append({"config_name": name, "features": features})
    card = {
        "license": sorted({one.licence if one.licence.startswith("cc") else "other" for one in sets}),
        "language": sorted({language for one in sets for language in one.languages}),
        "task_categories": ["automatic-speech-recognition"],
        "configs": configs,
        **({"dataset_info": infos} if features else {}),
    }
    return f"---\n{yaml.safe_dump(card, sort_keys=False, allow_unicode=True)}---\n\n"


TAR_FEATURES: list[dict[str, Any]] = [
    *({"name": name, "dtype": "string"} for name in ("__key__", "__url__")),
    {"name": "flac", "dtype": {"audio": {"sampling_rate": SAMPLE_RATE}}},
    {"name": "json", "struct": [{"name": name, "dtype": kind} for name, kind in DOCUMENT_TYPES.items()]},
]
"""What a sample in a tar holds, as a card says it: so that `load_dataset` does not guess types from the first samples."""


def _card_with_features(sets: Sequence[ExportedSet]) -> str:
    return _card(sets, suffix="tar", features=TAR_FEATURES)


HF = ExportFormat(
    "hf",
    "Hugging Face datasets: Parquet with an Audio feature",
    _write_parquet,
    'load_dataset(".", "{config}", split="{split}", streaming=True)',
    labelled_only=False,
    card=_card,
)
HF_WEBDATASET = ExportFormat(
    "hf-webdataset",
    "Hugging Face datasets: tars in WebDataset layout",
    _write_tar,
    'load_dataset(".", "{config}", split="{split}", streaming=True)',
    labelled_only=False,
    card=_card_with_features,
)
