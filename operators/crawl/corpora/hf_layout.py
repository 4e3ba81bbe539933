"""Data sets of Hugging Face on disk: Parquet or Arrow files with an Audio column. They are read as tables; no script of a data set is ever run.

https://huggingface.co/docs/datasets/audio_dataset
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from voxmill.manifests.storage import open_file
from voxmill.operators.crawl.corpora.corpus_folder import CorpusFolder
from voxmill.operators.crawl.corpora.row_facts import LANGUAGE, LICENCE, SPEAKER, TEXT, facts_of, json_row, text_of
from voxmill.operators.crawl.corpora.utterance import BadEntry, Utterance
from voxmill.operators.crawl.facts.corpus_options import CorpusOptions
from voxmill.operators.crawl.facts.member_address import table_cell
from voxmill.operators.crawl.facts.urls import file_path
from voxmill.operators.crawl.fetch.copy_member import arrow_batches

TABLES = ("*.parquet", "*.arrow")
ROWS = 1000
"""Rows of a table that are in memory at once, without their audio."""


def is_hf(folder: CorpusFolder) -> bool:
    """Whether the first of its tables has a column of audio, as a struct of `bytes` and `path`."""
    return any(_audio_column(schema) is not None for schema in map(_schema, _tables(folder, None)[:1]) if schema is not None)


def read_hf(folder: CorpusFolder, options: CorpusOptions) -> Iterator[Utterance | BadEntry]:
    """An utterance for each row. Columns are found by their common names, or as the options say."""
    for address in _tables(folder, options.glob):
        schema = _schema(address)
        column = options.audio or (_audio_column(schema) if schema else None)
        if schema is None or column is None or column not in schema.names:
            why = "it is damaged" if schema is None else f"no column of audio; it has {', '.join(schema.names)}"
            yield BadEntry.of(address.rpartition("/")[2], why)
            continue
        wanted = [name for name in (options.text, *TEXT, *SPEAKER, *LANGUAGE, *LICENCE) if name in schema.names]
        row = 0
        try:
            for said in _rows(address, list(dict.fromkeys(wanted))):
                text = text_of(said, options.text)
                yield Utterance(table_cell(address, column, row), text=text, **facts_of(said))
                row += 1
        except (pa.ArrowException, OSError) as error:
            yield BadEntry.of(
                f"{address.rpartition('/')[2]}, row {row}", f"it cannot be read further: {error}", "list.truncated"
            )


def _tables(folder: CorpusFolder, glob: str | None) -> list[str]:
    """Addresses of its tables, and of those in its folder `data`, where data sets of the hub have them."""
    places = [folder, *([folder.subfolder("data")] if "data" in folder.folders else [])]
    return [place.uri(name) for place in places for name in (place.matching(glob) if glob else place.matching(*TABLES))]


def _schema(address: str) -> pa.Schema | None:
    path = file_path(address)
    try:
        with open_file(path) as source:
            if path.endswith(".parquet"):
                return pq.read_schema(source)
            found: Any = pa.ipc.open_stream(source)
            schema: pa.Schema = found.schema
            return schema
    except (pa.ArrowException, OSError):
        return None


def _audio_column(schema: pa.Schema) -> str | None:
    """The column of audio: as the metadata of `datasets` states it, else the first struct of `bytes` and `path`."""
    stated = json_row((schema.metadata or {}).get(b"huggingface", b"").decode("utf-8", "replace")) or {}
    features = (stated.get("info") or {}).get("features") if isinstance(stated.get("info"), dict) else None
    if isinstance(features, dict):
        audio = [name for name, kind in features.items() if isinstance(kind, dict) and kind.get("_type") == "Audio"]
        return next((name for name in audio if name in schema.names), None)
    for field in schema:
        parts = {field.type.field(n).name for n in range(field.type.num_fields)} if pa.types.is_struct(field.type) else set()
        if {"bytes", "path"} <= parts:
            return field.name
    return None


def _rows(address: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of a table in order, with these columns alone."""
    path = file_path(address)
    with open_file(path) as source:
        if path.endswith(".parquet"):
            table: Any = pq.ParquetFile(source)
            if not columns:
                yield from ({} for _ in range(table.metadata.num_rows))
                return
            batches = table.iter_batches(ROWS, columns=columns)
        else:
            batches = (batch.select(columns) for batch in arrow_batches(path, source))
        for batch in batches:
            yield from batch.to_pylist() if columns else ({} for _ in range(batch.num_rows))
