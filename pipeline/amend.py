"""What may be stated of a source after it was listed: its licence and its domain. Nothing is fetched or heard again for it.

A changed licence is a correction of the recordings' records: they are written again under a fingerprint of their own, which
`select` reads. While the config says what it said when the source was listed, there is nothing to amend and nothing to re-run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from voxmill.manifests.commit import commit_bytes
from voxmill.manifests.ids import digest
from voxmill.manifests.parquet import records_bytes
from voxmill.manifests.records import Licence, Recording
from voxmill.operators.crawl.licence import of_config
from voxmill.operators.crawl.sources import SourceConfig
from voxmill.pipeline.ledger import Ledger
from voxmill.pipeline.listing import RECORDINGS, Listing
from voxmill.pipeline.run import Run
from voxmill.pipeline.stage import Stage

AMENDABLE = ("licence", "domain")

Facts = Mapping[str, str | None]
"""The amendable keys of one source, as the config states them."""

Amendments = Mapping[str, Facts]
"""Source name to what is stated now, for sources that were listed under other facts."""


def find(run: Run, sources: Sequence[SourceConfig]) -> Amendments:
    listed = Listing(run).facts()
    now = {s.name: {key: getattr(s, key) for key in AMENDABLE} for s in sources}
    return {name: facts for name, facts in sorted(now.items()) if name in listed and listed[name] != facts}


def amend(recording: Recording, amendments: Amendments) -> Recording:
    facts = amendments.get(recording.provenance.source)
    if facts is None:
        return recording
    # a licence that the source itself states is kept where the config takes its own statement back
    stated = recording.licence if recording.licence.source not in ("config", "none") else Licence()
    return replace(recording, licence=of_config(facts["licence"]) if facts["licence"] else stated, domain=facts["domain"])


def fingerprint(amendments: Amendments) -> str:
    return digest([json.dumps(amendments, sort_keys=True)])[:16] if amendments else RECORDINGS.fingerprint


def write(run: Run, stage: Stage, units: Iterable[str], amendments: Amendments) -> None:
    """The recordings of every unit as amended, under the fingerprint of `stage`."""
    ledger = Ledger(run)
    done = ledger.done(stage)
    for unit in units:
        if unit not in done:
            rows = [amend(recording, amendments) for recording in ledger.read(RECORDINGS, unit)]
            commit_bytes(ledger.fragment(stage, unit), records_bytes(rows, Recording))
