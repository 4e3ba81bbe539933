"""What may be stated of a source after it was listed: its licence and its domain. Nothing is fetched or heard again for it.

A changed licence is a correction of the recordings' records: they are written again under a fingerprint of their own, which
`select` reads. While the config says what it said when the source was listed, there is nothing to amend and nothing to re-run.
A source that is taken out of the config leaves its recordings, and what was last stated of it, to the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from voxmill.manifests.ids import digest
from voxmill.manifests.records import Licence, Recording
from voxmill.operators.crawl.facts.licence import of_config
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.listing import OUTCOMES, RECORDINGS
from voxmill.pipeline.state.run import Run

AMENDABLE = ("licence", "domain")

Facts = Mapping[str, str | None]
"""Amendable keys of one source, as the config states them."""

Amendments = Mapping[str, Facts]
"""Source name to the facts that are stated now and were not when it was listed."""


def stated(run: Run, sources: Sequence[SourceConfig]) -> dict[str, Facts]:
    """What was last stated of every source that the run has had: now, or by the last config that named it (kept in run.json)."""
    last = run.load() if run.exists() else {}
    before: Mapping[str, Facts] = last.get("stated") or {s["name"]: s for s in last.get("config", {}).get("sources", ())}
    now = {source.name: source.model_dump() for source in sources}
    return {name: {key: facts[key] for key in AMENDABLE} for name, facts in sorted({**before, **now}.items())}


def find(run: Run, sources: Sequence[SourceConfig]) -> Amendments:
    """What is stated otherwise than at any listing of the source: only those keys, the others stay as they were found."""
    listed, found = run.listing.facts(), {}
    for name, now in stated(run, sources).items():
        changed = {key: value for key, value in now.items() if any(then[key] != value for then in listed.get(name, ()))}
        if changed:
            found[name] = changed
    return found


def amend(recording: Recording, amendments: Amendments) -> Recording:
    """The recording with the licence and domain that are stated of its source now."""
    facts = amendments.get(recording.provenance.source, {})
    if "licence" in facts:
        # a licence that the source itself states is kept where the config takes its own statement back
        stated = recording.licence if recording.licence.source not in ("config", "none") else Licence()
        recording = replace(recording, licence=of_config(facts["licence"]) if facts["licence"] else stated)
    if "domain" in facts:
        recording = replace(recording, domain=facts["domain"])
    return recording


def fingerprint(amendments: Amendments) -> str:
    """Of the stage `recordings`: its own where nothing was amended."""
    return digest([json.dumps(amendments, sort_keys=True)])[:16] if amendments else RECORDINGS.fingerprint


def write(run: Run, recordings: Stage, outcomes: Stage, amendments: Amendments) -> None:
    """The recordings of every unit, and every verdict of the listing, as amended, under the fingerprints of these stages."""
    ledger = run.ledger
    for original, amended in ((RECORDINGS, recordings), (OUTCOMES, outcomes)):
        for first, end in list(ledger.done(amended).missing(0, ledger.done(original).end)) if amended != original else ():
            rows: Iterator[tuple[str | int, list[Recording]]] = (
                (position, [amend(row, amendments) for row in mine]) for position, mine in ledger.scan(original, first, end)
            )
            ledger.write(amended, rows)
