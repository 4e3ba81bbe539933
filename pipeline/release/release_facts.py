"""What the cards of a release say, each figure asked of the run's own tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voxmill import __version__
from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.tombstones import REVOKED
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.state.run import Run
from voxmill.sharding.index import read_index

OPT_OUTS = ("crawl.robots", "crawl.opt_out", "crawl.denied")
"""Reasons for which something was left out because its owner wants it so."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Samples of one kind that the shards hold."""

    value: str
    samples: int
    hours: float


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One source of the config, with what of it is in the shards."""

    name: str
    licences: tuple[str, ...]
    recordings: int
    hours: float
    """Of audio as it was decoded."""
    kept_hours: float


@dataclass(frozen=True, slots=True)
class Loss:
    """What one reason left out."""

    stage: str
    reason: str
    rows: int
    hours: float
    meaning: str


@dataclass(frozen=True, slots=True)
class LanguageRetention:
    """Of the speech in one language, what was kept."""

    language: str
    speech_hours: float
    kept_hours: float


@dataclass(frozen=True, slots=True)
class ExpectedError:
    """What the labels of one tier should be worth, where the run has a calibration."""

    tier: str
    samples: int
    hours: float
    error: float
    """Errors expected per word."""


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """How far one labeller answers one task."""

    task: str
    labeller: str
    coverage: float


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """Everything that cards are made of."""

    name: str
    samples: int
    hours: float
    mean_seconds: float
    shards: int
    licences: tuple[Amount, ...]
    languages: tuple[Amount, ...]
    tiers: tuple[Amount, ...]
    splits: tuple[Amount, ...]
    sources: tuple[SourceFacts, ...]
    losses: tuple[Loss, ...]
    retention: tuple[LanguageRetention, ...]
    expected: tuple[ExpectedError, ...]
    labels: tuple[LabelFacts, ...]
    engines: tuple[str, ...]
    """Recognisers, with their models, as the config has them."""
    given: bool
    """Whether transcripts that came with the recordings were compared with them."""
    revoked: int
    """Recordings that were taken out on request."""
    redacted: int
    """Samples in which something was made unreadable and silent."""
    duplicates: int
    weak: float
    """Agreement from which a label is kept at all."""
    high: float
    """Agreement from which a label is of the high tier."""
    version: str = __version__

    @property
    def opt_outs(self) -> tuple[Loss, ...]:
        """What was left out because its owner wants it so."""
        return tuple(loss for loss in self.losses if loss.reason in OPT_OUTS)


def release_facts(run: Run, config: RunConfig, name: str) -> ReleaseFacts:
    """Asks the tables of a run. Raises CatalogError where it has none."""
    ask = _asked(open_catalog(run.root))
    ((samples, hours),) = ask("SELECT count(*), coalesce(sum(num_samples), 0) / 57.6e6 FROM samples")
    ((revoked, duplicates),) = ask(
        f"SELECT count(*) FILTER (provenance.url LIKE '{REVOKED}%'), count(*) FILTER (rejection.reason = 'crawl.duplicate') FROM recordings"
    )
    ((redacted,),) = ask(
        "SELECT count(*) FROM redactions r SEMI JOIN samples s ON s.segment_id = r.segment_id WHERE len(r.masked) > 0"
    )
    losses = ask("SELECT stage, reason, num_rows, seconds / 3600, meaning FROM rejections ORDER BY ALL")
    retention = ask("SELECT coalesce(value, 'not known'), speech_s / 3600, kept_s / 3600 FROM retention_by_language ORDER BY 1")
    expected = ask(
        "SELECT tier, num_segments, hours, expected_error FROM expected_by_tier WHERE expected_error IS NOT NULL ORDER BY 1"
    )
    return ReleaseFacts(
        name=name,
        samples=samples,
        hours=hours,
        mean_seconds=3600 * hours / samples if samples else 0.0,
        shards=len(read_index(run.shards_dir)),
        licences=_amounts(ask, "licence"),
        languages=_amounts(ask, "language"),
        tiers=_amounts(ask, "tier"),
        splits=_amounts(ask, "split"),
        sources=_sources(ask),
        losses=tuple(Loss(*row) for row in losses),
        retention=tuple(LanguageRetention(*row) for row in retention),
        expected=tuple(ExpectedError(*row) for row in expected),
        labels=tuple(LabelFacts(*row) for row in ask("SELECT task, labeller, coverage FROM label_coverage ORDER BY ALL")),
        engines=tuple(
            f"{one.name} ({getattr(one, 'model', None) or one.kind})" for one in config.transcribe if one.kind not in GIVEN
        ),
        given=any(one.kind in GIVEN for one in config.transcribe),
        revoked=revoked,
        redacted=redacted,
        duplicates=duplicates,
        weak=config.select.weak,
        high=config.select.high,
    )


GIVEN = ("given", "captions")
"""Kinds of engines that hear nothing: their transcripts came with the recordings."""

Ask = Callable[[str], list[Any]]


def _asked(con: Any) -> Ask:
    def ask(sql: str) -> list[Any]:
        rows: list[Any] = con.execute(sql).fetchall()
        return rows

    return ask


def _amounts(ask: Ask, column: str) -> tuple[Amount, ...]:
    rows = ask(
        f"SELECT coalesce({column}, 'not known'), count(*), sum(num_samples) / 57.6e6 FROM samples GROUP BY 1 ORDER BY 3 DESC, 1"
    )
    return tuple(Amount(*row) for row in rows)


def _sources(ask: Ask) -> tuple[SourceFacts, ...]:
    rows = ask(
        """
        WITH kept AS (SELECT recording_id, sum(num_samples) AS kept FROM samples GROUP BY 1)
        SELECT r.provenance.source, list(DISTINCT r.licence.name ORDER BY r.licence.name), count(*), coalesce(sum(r.num_samples), 0) / 57.6e6,
            coalesce(sum(k.kept), 0) / 57.6e6
        FROM recordings r LEFT JOIN kept k ON k.recording_id = r.id
        WHERE r.rejection IS NULL GROUP BY 1 ORDER BY 1
        """
    )
    return tuple(SourceFacts(name, tuple(licences), *rest) for name, licences, *rest in rows)
