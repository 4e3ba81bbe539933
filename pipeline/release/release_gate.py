"""The gate before a release: whether anything in the shards of a run, or about them, forbids handing them on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.errors import DamagedError, UserError
from voxmill.manifests.public_form import public_text
from voxmill.manifests.schema import SchemaError
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.reports.verify_run import verify
from voxmill.pipeline.rights.erasure_check import texts_of
from voxmill.pipeline.rights.request import denied
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.run import Run
from voxmill.sharding.sidecar import ShardError

Kind = Literal["proof", "licence", "revocation", "secret"]

_SHARDS = "shards/"
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Hindrance:
    """One reason why a run must not be handed on."""

    kind: Kind
    what: str
    """Where and what, in one line, and what to do. Never the secret itself."""


def hindrances(run: Run, config: RunConfig, stages: Mapping[str, Stage]) -> Iterator[Hindrance]:
    """Everything that forbids a release: reads every table and every byte of the shards. Nothing is changed."""
    yield from _unproven(run, stages)
    try:
        yield from _unlicensed(run)
        yield from _unrevoked(run, config)
        yield from _secrets(run)
    except (UserError, OSError, pa.ArrowException) as error:  # what cannot be read cannot be handed on
        yield Hindrance("proof", f"damaged: {error}")


def _unproven(run: Run, stages: Mapping[str, Stage]) -> Iterator[Hindrance]:
    """`verify` says no, or the run has not come to its end."""
    try:
        report = verify(run, stages)
    except (SchemaError, ShardError, DamagedError) as error:
        yield Hindrance("proof", f"damaged: {error}")
        return
    yield from (Hindrance("proof", problem) for problem in report.problems)
    yield from (Hindrance("proof", f"not there yet: {one}; run `voxmill run` to its end") for one in report.pending)
    if not report.shard_samples:
        yield Hindrance("proof", "the shards hold no sample: there is nothing to hand on")


def _unlicensed(run: Run) -> Iterator[Hindrance]:
    """Samples whose licence nobody knows, or that may not be handed on."""
    rows = open_catalog(run.root).execute(
        "SELECT s.licence, count(*), sum(s.num_samples) / 16000.0, list(DISTINCT r.provenance.source ORDER BY r.provenance.source) FROM samples s "
        "LEFT JOIN recordings r ON r.id = s.recording_id WHERE s.licence IN ('unknown', 'proprietary') OR s.licence IS NULL GROUP BY 1 ORDER BY 1"
    )
    for licence, count, seconds, sources in rows.fetchall():
        names = ", ".join(str(source) for source in sources[:4])
        yield Hindrance(
            "licence",
            f"{count} samples ({seconds:.0f} s) have the licence `{licence}` (sources: {names}): state it with `licence:` in the source where you "
            "know it, or leave it out with `select.licences`",
        )


def _unrevoked(run: Run, config: RunConfig) -> Iterator[Hindrance]:
    """What the config's deny-list names now and the run still holds. (What tombstones name is part of the proof.)"""
    if ids := denied(run, config.crawl).ids:
        yield Hindrance(
            "revocation", f"{len(ids)} recordings of the run are on its deny-list: run `voxmill revoke {run.root} --denied`"
        )


def _secrets(run: Run) -> Iterator[Hindrance]:
    """Texts in the shards, their sidecars and their attribution that have another public form than they have; one for each place."""
    for path in run.files():
        if path.startswith(_SHARDS):
            for where, texts in texts_of(run, path):
                told = (part for text in texts for part in _parts(text))
                if (secret := next((part for part in told if public_text(part) != part), None)) is not None:
                    yield Hindrance(
                        "secret",
                        f"{where}: {_shown(secret)} holds what looks like a secret: take it out, or make the run again",
                    )


def _parts(text: str) -> Iterator[str]:
    """Every string of a JSON document, or the lines of another text."""
    if text.startswith("{"):
        try:
            yield from _strings(json.loads(text))
        except ValueError:
            yield from text.splitlines()
    else:
        yield from text.splitlines()


def _strings(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, (list, dict)):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from _strings(branch)


def _shown(text: str) -> str:
    """Enough to find it, without what is secret in it."""
    public = public_text(text)
    return f"`{public[:_SHOWN]}…`" if len(public) > _SHOWN else f"`{public}`"
