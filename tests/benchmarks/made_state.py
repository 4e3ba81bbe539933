"""The state of a run without its audio: items, recordings, and five stages of every unit, written through the product's own writers.

Listing, units, journal and folding are the product's; what workers would commit, fragments of many units, comes from here. Every segment is
heard alike by two engines and rejected by `select`, so there is nothing to pack, and every command works on the run as on any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from voxmill.manifests.ids import digest, segment_id
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import (
    SAMPLE_RATE,
    Consensus,
    Hypothesis,
    Item,
    Licence,
    Provenance,
    Recording,
    Segment,
    Selection,
    Slot,
)
from voxmill.manifests.schema import UNIT_INDEX, to_table
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.pipeline.books import JournalBooks
from voxmill.pipeline.build import build
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state import chunks
from voxmill.pipeline.state.fragment import FragmentInfo, FragmentWriter
from voxmill.pipeline.state.listing import UNITS, group_id
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress

SECONDS = 600
PER_RECORDING = 8
"""Units of a recording."""
PER_FRAGMENT = 512
"""Units that a worker commits together."""
WORDS = ["it", "was", "the", "best", "of", "times"]
TEXT = " ".join(WORDS)


def settings(folder: Path, sources: int) -> dict[str, Any]:
    """A config whose sources are files that nobody opens."""
    (folder / "nothing.wav").touch()
    path = str(folder / "nothing.wav")
    return {
        "sources": [{"name": f"made-{n}", "path": path, "language": "en", "licence": "cc0-1.0"} for n in range(sources)],
        "crawl": {"contact": "https://example.org/contact"},
        "transcribe": [
            {"kind": "python", "name": name, "call": "benchmarks.instant:Instant", "version": "1"} for name in ("one", "two")
        ],
        "pack": {"buckets": 2},
        "executor": {"kind": "local"},
    }


class MadeState:
    """A run at `root` that grows by units, with `segments` in each of them; `sources`: those that it has already."""

    def __init__(self, root: Path, segments: int, sources: int = 0) -> None:
        self.root, self._segments, self._sources = root, segments, sources

    @property
    def settings(self) -> dict[str, Any]:
        """The config that `voxmill run` takes the run up with."""
        return settings(self.root.parent, self._sources)

    def grow(self, units: int) -> None:
        """Adds a source with so many units, all of them heard and judged."""
        self._sources += 1
        config, run = parse_config(self.settings), Run(str(self.root))
        executor, progress = LocalExecutor(in_process=True), Progress(quiet=True)
        count = -(-units // PER_RECORDING)

        def expand(source: SourceConfig) -> Iterator[Item]:
            return (_item(source.name, n) for n in range(count))

        run_line(config, run, executor, no_gate(), progress, until="list", expand=expand)
        stages = build(config, run)
        self._commit(run, stages, self._fetched(run, stages))
        run_line(config, run, executor, no_gate(), progress, until="crawl", expand=expand)
        self._commit(run, stages, self._heard(run, stages))

    def _commit(self, run: Run, stages: dict[str, Stage], infos: Iterator[FragmentInfo]) -> None:
        books = JournalBooks(run, stages)
        for info in infos:
            books.committed([[info]])

    def _fetched(self, run: Run, stages: dict[str, Stage]) -> Iterator[FragmentInfo]:
        """What was crawled and decoded of the last generation."""
        writer = FragmentWriter(run)
        span = run.listing.generations[-1].groups
        for number, position in enumerate(range(*span), 1):
            rows = [_recording(item) for item in run.ledger.read(stages["items"], position)]
            for name in ("crawl", "decode"):
                writer.add(stages[name], group_id(position), rows)
            if number % PER_FRAGMENT == 0 or position + 1 == span[1]:
                yield from writer.flush()

    def _heard(self, run: Run, stages: dict[str, Stage]) -> Iterator[FragmentInfo]:
        """What five stages made of the units of the last generation."""
        rows = _rows_of_a_unit(self._segments)
        for units in _units(run, *run.listing.generations[-1].units or (0, 0)):
            writer = FragmentWriter(run)
            for name, table in rows.items():
                writer.hold(stages[name], [position for position, *_ in units], _repeated(table, units, self._segments))
            yield from writer.flush()


Place = tuple[int, str, str, int]
"""A unit of one part: position, id, recording, first sample."""


def _units(run: Run, first: int, end: int) -> Iterator[list[Place]]:
    """The units of a range of positions, as many at a time as a worker commits."""
    for chunk in run.ledger.state.stages[UNITS.key].chunks_in(first, end):
        table = chunks.read_rows(run, chunk, ["id", "position", "parts"])
        mine = [unit for unit in table.to_pylist() if first <= unit["position"] < end]
        for at in range(0, len(mine), PER_FRAGMENT):
            yield [
                (u["position"], u["id"], u["parts"][0]["recording_id"], u["parts"][0]["start"])
                for u in mine[at : at + PER_FRAGMENT]
            ]


def _repeated(rows: pa.Table, units: Sequence[Place], per_unit: int) -> pa.Table:
    """The rows of one unit, for each of several, under their own ids."""
    length = SECONDS * SAMPLE_RATE // per_unit
    spans = [(r, s + n * length) for _, _, r, s in units for n in range(per_unit)]
    ids = [segment_id(recording, start, start + length) for recording, start in spans]
    own: dict[str, Any] = {"id": ids, "segment_id": ids, "recording_id": [r for r, _ in spans], "start": [s for _, s in spans]}
    table = rows.take(np.tile(np.arange(per_unit), len(units)))
    for name in own.keys() & set(table.column_names):
        place = table.schema.field(name)
        table = table.set_column(table.schema.get_field_index(name), place, pa.array(own[name], place.type))
    if "unit" not in table.column_names:  # a consensus has another one
        table = table.append_column("unit", pa.array([key for _, key, _, _ in units for _ in range(per_unit)], pa.string()))
    positions = pa.array(np.repeat([position for position, *_ in units], per_unit), pa.int64())
    return table.append_column(pa.field(UNIT_INDEX, pa.int64(), nullable=False), positions)


def _rows_of_a_unit(segments: int) -> dict[str, pa.Table]:
    """What each stage says of a unit: rows whose ids are still to come."""
    length = SECONDS * SAMPLE_RATE // segments
    rejected = reject("select.low_agreement", "made up")
    slots = tuple(Slot((word, word), word, False) for word in WORDS)
    heard = [
        Consensus(
            "", TEXT, "agreed", "en", None, 1.0, None, "word", ("one", "two"), (TEXT, TEXT), "1", slots, 0, 1.0, 12.0, 1.5, 1
        )
    ]
    rows: dict[str, tuple[type, list[Any]]] = {
        "segment": (Segment, [Segment("", "", 0, length, 0.9)]),
        **{
            f"transcribe:{name}": (Hypothesis, [Hypothesis("", name, "made@1", TEXT, confidence=1.0)])
            for name in ("one", "two")
        },
        "reconcile": (Consensus, heard),
        "select": (Selection, [Selection("", "rejected", "train", 0.0, rejected)]),
    }
    return {name: to_table(one * segments, record) for name, (record, one) in rows.items()}


def _item(source: str, number: int) -> Item:
    url = f"https://example.org/{source}/{number}.mp3"
    return Item(digest([url]), Provenance(source, url, host="example.org"), Licence("cc0-1.0", source="config"), language="en")


def _recording(item: Item) -> Recording:
    return Recording(
        digest(["audio", item.id]), item.id, item.provenance, item.licence, num_bytes=1_000_000, language="en",
        num_samples=PER_RECORDING * SECONDS * SAMPLE_RATE, pcm_sha256=digest(["pcm", item.id]),
    )  # fmt: skip
