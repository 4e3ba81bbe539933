"""Runs all checks of this folder and reports what they find."""

from __future__ import annotations

from collections.abc import Callable

from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.preflight import machine, models, own_code, packages, places, services, store_check, unusable_sources
from voxmill.pipeline.preflight.issues import Issue, NotReady, lines
from voxmill.pipeline.state.listing import source_key
from voxmill.pipeline.state.run import Run


def examine(
    config: RunConfig, run: Run | None = None, *, kind: str | None = None, address: str | None = None, recipe: str | None = None
) -> list[Issue]:
    """All issues of a config, errors first. Without a `run`, its output folder is not checked.

    `kind` and `address` of the executor override the config's; `recipe` is the name under which a shipped config was given.
    """
    kind = kind or config.executor.kind
    cluster = machine.cluster_of(config, kind, address)
    lacking = list(packages.missing(config, kind, run.root if run else None, joined=cluster is not None))
    stored = list(store_check.unwritable(run)) if run is not None and packages.can_open(run.root) else []
    listed, fetched = set[str](), set[str]()
    if run is not None and packages.can_open(run.root) and not any(one.level == "error" for one in stored):
        listed, fetched = _known(config, run)
    found = [
        *stored,
        *lacking,
        *models.missing(config),
        *own_code.unusable(config),
        *services.unset_keys(config, joined=cluster is not None),
        *machine.unreachable_cluster(kind, cluster),
        *machine.unreachable_sources(config, recipe, fetched),
        *places.missing(config, listed),
        *(places.own_folders(config, run) if run is not None else ()),
        *unusable_sources.rejected_sources(config),
    ]
    return sorted(found, key=lambda one: one.level != "error")


def report_issues(issues: list[Issue], warn: Callable[[str], None]) -> None:
    """Passes each warning to `warn`. Raises NotReady with all errors, if there are any."""
    for one, line in lines(issues):
        if one.level == "warning":
            warn(line)
    if any(one.level == "error" for one in issues):
        raise NotReady(issues)


def _known(config: RunConfig, run: Run) -> tuple[set[str], set[str]]:
    """(names of the sources that the run has listed, names of those that it has fetched completely)."""
    if not run.exists():
        return set(), set()
    listing = run.listing
    keys = listing.keys()
    listed = {source.name for source in config.sources if source_key(source) in keys}
    whole = all(listing.has_units(generation) for generation in range(listing.num_generations()))
    return listed, listed if whole else set()
