"""Writes the cards of a release beside its shards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from voxmill.manifests.storage import commit_bytes
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.release.croissant import croissant
from voxmill.pipeline.release.dataset_card import dataset_card
from voxmill.pipeline.release.datasheet import datasheet
from voxmill.pipeline.release.release_facts import ReleaseFacts, release_facts
from voxmill.pipeline.state.run import Run
from voxmill.sharding.index import read_index
from voxmill.sharding.shard_files import CARD, CROISSANT, DATASHEET, beside


def write_cards(
    run: Run, config: RunConfig, name: str | None = None, url: str | None = None, creator: str | None = None
) -> tuple[ReleaseFacts, list[str]]:
    """Writes the cards of a run into the folder of its shards, in place of earlier ones. Returns what they say, and their addresses.

    The date of publication is that of the run's last change, so that the same run has the same cards.
    """
    facts = release_facts(run, config, name or name_of(run))
    day = datetime.fromtimestamp(run.ledger.state.written_at or 0, UTC).date().isoformat()
    texts: Mapping[str, str] = {
        CARD: dataset_card(facts, read_index(run.shards_dir)),
        DATASHEET: datasheet(facts),
        CROISSANT: croissant(facts, url, creator, day),
    }
    for file, text in texts.items():
        commit_bytes(beside(run.shards_dir, file), text.encode(), replace=True)
    return facts, [beside(run.shards_dir, file) for file in texts]


def name_of(run: Run) -> str:
    """What a run's data is called where nobody says it: as its folder is.

    >>> name_of(Run("s3://bucket/runs/evening talks"))
    'evening-talks'
    """
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", run.root.rstrip("/").rsplit("/", 1)[-1]).strip("-") or "speech"
