"""The tables of a run that hold records: one entry each, and everything that has to know of them asks here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from voxmill.manifests.duplicate_records import Duplicate
from voxmill.manifests.records import (
    Consensus,
    Hypothesis,
    Item,
    Labels,
    Opinion,
    Pictures,
    Recording,
    Segment,
    Selection,
    Unit,
)
from voxmill.manifests.redaction_records import Redaction


@dataclass(frozen=True, slots=True)
class Table:
    """One table: a row is a record, and from segments on has one more column, `unit`, unless the record has a field of that name."""

    name: str
    record: type
    key: tuple[str, ...]
    """Fields that tell its rows apart."""
    reasons: frozenset[str] = frozenset()
    """Stages whose reasons its rejections may give; empty: nothing is said of it."""
    of_run: bool = False
    """Written from the listing of the whole run, not unit by unit."""

    @property
    def adds_unit(self) -> bool:
        """The column `unit` is added to the record's own."""
        return not self.of_run and "unit" not in self.record.__dataclass_fields__  # type: ignore[attr-defined]


TABLES = (
    # Listing may meet a repeated or denied address before crawling does.
    Table("items", Item, ("id",), frozenset({"list", "crawl"}), of_run=True),
    Table("recordings", Recording, ("item_id",), frozenset({"list", "crawl", "decode"}), of_run=True),
    Table("units", Unit, ("id",), of_run=True),
    Table("segments", Segment, ("id",), frozenset({"segment"})),
    Table("hypotheses", Hypothesis, ("segment_id", "engine"), frozenset({"transcribe"})),
    Table("consensus", Consensus, ("segment_id",), frozenset({"reconcile"})),
    Table("opinions", Opinion, ("segment_id", "labeller"), frozenset({"label"})),
    Table("labels", Labels, ("segment_id",)),
    Table("pictures", Pictures, ("segment_id",), frozenset({"frames"})),
    # A selection passes on what `reconcile` said.
    Table("selections", Selection, ("segment_id",), frozenset({"reconcile", "select"})),
    Table("duplicates", Duplicate, ("recording_id", "start", "by", "partner")),
    Table("redactions", Redaction, ("segment_id",)),
)


@cache
def reserved_names() -> frozenset[str]:
    """Names that no table of a user's own stage may have: tables and views that every run has."""
    scripts = "\n".join(path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.sql")))
    views = re.findall(r"^CREATE OR REPLACE (?:VIEW|MACRO) (\w+)", scripts, re.MULTILINE)
    return frozenset({*views, *RECORDS, "samples", "unpacked", "costs", "run", "reasons", "own_rows"})


RECORDS: dict[str, type] = {table.name: table.record for table in TABLES}
"""Record type by table."""

TABLE_OF: dict[type, str] = {table.record: table.name for table in TABLES}
"""Table by record type."""
