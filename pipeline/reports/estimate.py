"""`voxmill plan`: predicts disk space, hours kept and CPU time of a run from a small sample of it, with intervals."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console

from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.records import Item
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.operators.crawl.listing.lister import Lister
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.host_limit_server import open_gate
from voxmill.pipeline.execution.local_executor import LocalExecutor
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.state.run_dir import RunError
from voxmill.pipeline.terminal.output import amount
from voxmill.pipeline.terminal.progress import Progress
from voxmill.pipeline.terminal.table import number, print_table

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Tried:
    """Size and cost of one recording of the sample."""

    megabytes: float
    hours: float
    kept_hours: float
    cpu_hours: float


def predict(config: RunConfig, sample: int, root: str | None, out: Console) -> None:
    """Lists every source, runs the pipeline on `sample` items spread evenly over the listing, scales up and prints the result.

    The sample is a separate run, kept in `root/plan` if a root is given; the run in `root` is not touched.
    """
    kept = Run(Run(root).uri("plan")) if root else None
    if kept and kept.exists():
        raise RunError(f"{kept.root} holds the sample of an earlier plan: remove it, or give another --out")
    with tempfile.TemporaryDirectory(prefix="voxmill-plan-") as folder:
        run = kept or Run(folder)
        total = 0
        with open_gate("machine", run, config.crawl) as gate:
            expand = Lister(config.crawl, gate)
            listed = {s.name: [i for i in expand(s) if i.rejection is None] for s in config.sources}
            total = sum(map(len, listed.values()))
            chosen = _spread([i for items in listed.values() for i in items], sample)
            progress = Progress()
            run_line(config, run, LocalExecutor(), gate, progress, expand=_only(listed, {i.id for i in chosen}))
        tried = _tried(run)
    out.print(
        f"{amount(total, 'item')} listed, {len(tried)} tried; the columns scale the sample's mean, with a 90 % interval over its recordings",
        soft_wrap=True,
    )
    _print(_scaled(tried, total), total, out)
    if kept:
        out.print(f"the sample is kept: voxmill stats {kept.root}", soft_wrap=True)


def _only(listed: dict[str, list[Item]], ids: set[str]) -> Callable[[SourceConfig], list[Item]]:
    return lambda source: [item for item in listed[source.name] if item.id in ids]


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` items spread evenly over the listing, so that all parts of it are sampled."""
    if len(items) <= count:
        return list(items)
    return [items[round(i * (len(items) - 1) / max(count - 1, 1))] for i in range(count)]


def _tried(run: Run) -> list[Tried]:
    con = open_catalog(run.root)
    rows = con.execute(
        """
        WITH kept AS (
          SELECT s.recording_id, sum(s.num_samples) / 16000 / 3600 AS hours
          FROM segments s JOIN selections x ON x.segment_id = s.id AND x.rejection IS NULL GROUP BY 1
        ), total AS (SELECT coalesce(sum(cpu_s), 0) / 3600 AS cpu FROM costs), audio AS (SELECT sum(num_samples) AS n FROM recordings)
        SELECT r.num_bytes / 1e6, r.num_samples / 16000 / 3600, coalesce(k.hours, 0),
               total.cpu * r.num_samples / nullif(audio.n, 0)
        FROM recordings r LEFT JOIN kept k ON k.recording_id = r.id AND r.rejection IS NULL, total, audio
        """
    ).fetchall()
    return [Tried(*(float(v or 0) for v in row)) for row in rows]


def _scaled(tried: Sequence[Tried], total: int) -> dict[str, tuple[float, float, float]]:
    """Mean × total, with the 5th and 95th percentile of a bootstrap over recordings."""
    columns = {
        "original audio, GB": [t.megabytes / 1e3 for t in tried],
        "audio in, hours": [t.hours for t in tried],
        "audio kept, hours": [t.kept_hours for t in tried],
        "shards, GB": [t.kept_hours * 3600 * 16000 * 1.0 / 1e9 for t in tried],
        "CPU hours": [t.cpu_hours for t in tried],
    }
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(tried), (RESAMPLES, len(tried))) if tried else np.zeros((1, 0), int)
    scaled = {}
    for name, values in columns.items():
        means = np.asarray(values)[picks].mean(axis=1) if tried else np.zeros(1)
        low, high = np.percentile(means, [5, 95])
        scaled[name] = (float(np.mean(values or [0])) * total, float(low) * total, float(high) * total)
    return scaled


def _print(scaled: dict[str, tuple[float, float, float]], total: int, out: Console) -> None:
    rows = [(name, f"{mean:.3g}", f"{low:.3g} – {high:.3g}") for name, (mean, low, high) in scaled.items()]
    print_table(out, ("predicted", number(" "), number("90 % interval")), rows)
    out.print("time = CPU hours / cores of your workers, once crawling is not the limit", soft_wrap=True)
