"""`voxmill duplicates`: compare a finished run with itself, other runs and evaluation sets; no engine runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.errors import UserError, nearest
from voxmill.operators.dedup.fingerprint import DuplicatesConfig, Way
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.execution.executor import Executor
from voxmill.pipeline.execution.host_limit_server import no_gate
from voxmill.pipeline.load_config import parse_config
from voxmill.pipeline.preflight.run_inputs import check_rerun
from voxmill.pipeline.runner import run_line
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.progress import Progress


@dataclass(frozen=True, slots=True)
class Overlap:
    """What overlaps with one place (this run, another run, an evaluation set), found by one method, and how much of it."""

    reason: str
    of: str
    """Empty: this run."""
    by: str
    recordings: int
    stretches: int
    seconds: float
    example: str
    """Recording and partner of the best match."""


def with_duplicates(
    run: Run, by: Sequence[str], against: Sequence[str], evaluation: Sequence[str]
) -> RunConfig:  # fmt: skip
    """The run's config with these comparisons added to its `duplicates` section. Raises ConfigError, UserError for an unknown `by`."""
    for way in by:
        if way not in get_args(Way):
            raise UserError(f"--by {way}: parts are not compared so{nearest(way, set(get_args(Way)))}")
    state = run.written()
    where = run.uri("run.json")
    old = parse_config(state["config"], where)
    now: dict[str, Any] = (old.duplicates or DuplicatesConfig()).model_dump(mode="json")
    now["by"] = list(by) or now["by"]
    now["against"] = list(dict.fromkeys([*now["against"], *against]))
    now["evaluation"] = list(dict.fromkeys([*now["evaluation"], *evaluation]))
    return parse_config({**state["config"], "duplicates": now}, where)


def rededuplicate(run: Run, config: RunConfig, executor: Executor, progress: Progress) -> list[Overlap]:
    """Runs fingerprints, duplicates, selection and packing again under `config`. Raises RunError if an engine would have to run."""
    check_rerun(run, config)
    run_line(config, run, executor, no_gate(), progress)
    return overlaps(run)


def overlaps(run: Run) -> list[Overlap]:
    """The duplicates that the run has found, the most audio first."""
    rows = open_catalog(run.root).execute(
        'SELECT reason, "of", "by", count(DISTINCT recording_id), count(*), sum(num_samples) / 16000, '
        "arg_max(recording_id[:12] || ' ~ ' || partner, score) FROM duplicates GROUP BY ALL ORDER BY 6 DESC, 1, 2, 3"
    )
    return [Overlap(*row) for row in rows.fetchall()]
