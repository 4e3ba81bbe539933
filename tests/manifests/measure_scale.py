"""How long the catalog takes over a run of a million segments: `python tests/manifests/measure_scale.py [segments]`.

Prints the time per view: the first query after opening, the median and the best of four, and CPU-seconds, which say what a busy machine
would take when quiet. The target is a retention query under 1 s.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from voxmill.manifests.catalog import SAMPLES, catalog_sql, open_catalog, query
from voxmill.manifests.ids import segment_id
from voxmill.manifests.parquet import table_bytes
from voxmill.manifests.records import Item, Licence, Part, Provenance, Recording, Unit
from voxmill.manifests.schema import SCHEMA_VERSION, schema_of, to_table
from voxmill.manifests.tables import RECORDS

PER_RECORDING = 200
ENGINES = ("whisperx", "paraformer")
SELECT = {
    "score": "agreement", "confidence_share": 0.25, "high": 0.95, "weak": 0.8, "unlabelled": 0.6, "min_confidence": 0.0,
    "languages": ["en", "zh"], "language_confidence": 0.8, "max_repeats": 3, "max_compression": 2.4, "rate_fence": 1.5,
    "rate_segments": 8, "min_chars": 2, "licences": ["*"], "allow_unknown_licence": True, "keep_unlabelled": False,
}  # fmt: skip
VIEWS = (
    "retention_by_language", "retention_by_host", "retention_by_tier", "funnel", "rejections", "marginal_loss", "what_if(weak := 0.9)",
    "cost_by_stage", "conservation", "retention",
)  # fmt: skip


def write(root: Path, segments: int) -> None:
    """A run of that many segments, with the shapes of a real one: ids, nested slots, two engines, losses at every stage."""
    rng = np.random.default_rng(0)
    count = segments // PER_RECORDING
    ids = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(count)]
    lengths = rng.integers(2 * 16_000, 30 * 16_000, (count, PER_RECORDING))
    starts = np.cumsum(lengths, axis=1) - lengths
    owners = np.repeat(np.arange(count), PER_RECORDING)
    units = np.array([f"u{i:07d}" for i in range(count)], dtype=object)[owners]
    keys = np.array(
        [segment_id(ids[r], int(s), int(s + n)) for r, s, n in zip(owners, starts.flat, lengths.flat, strict=True)],
        dtype=object,
    )
    licence = Licence("cc-by-4.0", source="page")
    origins = [
        Provenance(f"source-{i % 3}", f"https://h{i % 40}.example/{i}.mp3", host=f"h{i % 40}.example") for i in range(count)
    ]
    totals = lengths.sum(axis=1).tolist()
    items = [Item(f"i{i}", origins[i], licence) for i in range(count)]
    recordings = [
        Recording(ids[i], f"i{i}", origins[i], licence, "x", num_samples=totals[i], bandwidth="wide", domain=f"d{i % 5}")
        for i in range(count)
    ]
    speech = rng.random(segments) < 0.7
    n = int(speech.sum())
    agreement, empty = rng.beta(8, 1, n), rng.random(n) < 0.05
    reasons = np.where(agreement < 0.6, "select.low_agreement", "select.unlabelled").astype(object)
    kept = (agreement >= 0.8) & ~empty
    tables: dict[str, pa.Table] = {
        "items": to_table(items, Item),
        "recordings": to_table(recordings, Recording),
        "units": to_table([Unit(f"u{i:07d}", i, 0, (Part(ids[i], 0, totals[i]),)) for i in range(count)], Unit),
        "segments": _table(
            "segments", units, id=keys, recording_id=[ids[r] for r in owners], start=starts.ravel(), num_samples=lengths.ravel(),
            speech=rng.random(segments), rejection=_rejections(~speech, "segment.no_speech"),
        ),
        "hypotheses": _table(
            "hypotheses", np.tile(units[speech], 2), segment_id=np.tile(keys[speech], 2), engine=np.repeat(ENGINES, n), model=["m"] * 2 * n,
            text=[f"some words that were heard {k}" for k in range(2 * n)], confidence=rng.random(2 * n),
        ),
        "consensus": _table(
            "consensus", None, segment_id=keys[speech], text=[f"some words that were heard {k}" for k in range(n)], rule=["r"] * n,
            language=rng.choice(["en", "zh", "yue"], n), language_confidence=rng.uniform(0.7, 1, n), agreement=agreement, unit=["word"] * n,
            engines=[list(ENGINES)] * n, normalised=[["a b", "a b"]] * n, normaliser=["1"] * n,
            slots=[[{"words": ["a", "a"], "choice": "a", "tie": False}] * 5] * n, num_ties=[0] * n, confidence=rng.random(n),
            chars_per_second=rng.normal(15, 3, n), compression_ratio=rng.normal(1.5, 0.3, n), repeated_ngrams=rng.integers(1, 5, n),
            rejection=_rejections(empty, "reconcile.one_empty"),
        ),
        "selections": _table(
            "selections", units[speech], segment_id=keys[speech], tier=np.where(kept, np.where(agreement >= 0.95, "high", "weak"), "rejected"),
            split=["train"] * n, weight=[1.0] * n, rejection=_rejections(~kept, np.where(empty, "reconcile.one_empty", reasons)),
        ),
        "samples": pa.table(
            {
                name: keys[speech][kept] if name in ("key", "segment_id") else lengths.ravel()[speech][kept] if name == "num_samples"
                else ["x"] * int(kept.sum()) for name in SAMPLES.names
            }
        ),
    }  # fmt: skip
    (root / "manifests").mkdir(parents=True)
    for name, table in tables.items():
        (root / f"manifests/{name}-00000.parquet").write_bytes(table_bytes(table))
    (root / "catalog.sql").write_text(catalog_sql({name: [f"manifests/{name}-00000.parquet"] for name in tables}))
    (root / "run.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION, "config": {"select": SELECT}}))


def _table(name: str, units: Any, **columns: Any) -> pa.Table:
    """A table of a record's schema from columns; those not given are null."""
    schema = schema_of(RECORDS[name])
    size = len(next(iter(columns.values())))
    table = pa.Table.from_arrays([pa.array(columns.get(f.name, [None] * size), f.type) for f in schema], schema=schema)
    return table if units is None else table.append_column("unit", pa.array(units, pa.string()))


def _rejections(lost: Any, reason: Any) -> list[dict[str, str] | None]:
    reasons = np.broadcast_to(np.asarray(reason, dtype=object), len(lost))
    return [{"reason": str(why), "detail": ""} if gone else None for gone, why in zip(lost, reasons, strict=True)]


def main(segments: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "run"
        write(root, segments)
        size = sum(path.stat().st_size for path in (root / "manifests").iterdir()) / 1e6
        print(f"{segments:,} segments, {size:.0f} MB of Parquet, duckdb {duckdb.__version__}, {os.cpu_count()} cores")
        began = time.perf_counter()
        con = open_catalog(str(root))
        print(f"{'open':24}{time.perf_counter() - began:8.2f} s")
        for view in VIEWS:
            walls, cpus = [], []
            for _ in range(4):
                wall, cpu = time.perf_counter(), time.process_time()
                rows = query(con, f"FROM {view}").num_rows
                walls.append(time.perf_counter() - wall)
                cpus.append(time.process_time() - cpu)
            cells = (
                f"{walls[0]:8.2f} s first {median(walls[1:]):8.2f} s median {min(walls):8.2f} s best {median(cpus):8.2f} CPU-s"
            )
            print(f"{view:24}{cells} {rows:6} rows", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
