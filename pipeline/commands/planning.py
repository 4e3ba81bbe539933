"""What `voxmill plan` does, from its arguments to what it prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from voxmill.manifests.errors import UserError
from voxmill.operators.crawl.facts.urls import is_openable
from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.planning.extrapolation import Extrapolation
from voxmill.pipeline.planning.machines import parse_machines, parse_prices, parse_speeds
from voxmill.pipeline.planning.plan_display import plan_json, print_plan
from voxmill.pipeline.planning.plan_run import extrapolate_run
from voxmill.pipeline.planning.plan_sources import extrapolate_sources
from voxmill.pipeline.planning.predict import predict
from voxmill.pipeline.planning.sample_run import SampleSize, parse_size, sample_config
from voxmill.pipeline.planning.stage_work import Fleet, stage_names
from voxmill.pipeline.preflight import examine, report_issues
from voxmill.pipeline.resolve import resolve_config
from voxmill.pipeline.state.run import Run
from voxmill.pipeline.terminal.output import console, print_json


def plan_inputs(
    inputs: Sequence[str] | None,
    config: str | None,
    language: str | None,
    licence: str | None,
    contact: str | None,
    change: Sequence[str] | None,
    *,
    sample: str,
    machine: Sequence[str],
    speed: Sequence[str],
    price: Sequence[str],
    store_price: str | None,
    hours: float | None,
    seed: int,
    out: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Plans from a run, where `inputs` is one, else from a sample of the sources. What is wrong with an option is said before any work."""
    size, machines = parse_size(sample), parse_machines(machine)
    prices = parse_prices(price, machines, store_price)
    made = None if config else _run_at(inputs)
    if made and (out or change or language or licence):
        raise UserError(f"{made.root} is a run: it is planned from as it is, without --out, --set, --language and --licence")
    if made:
        whole, notes = extrapolate_run(made, seed=seed)
        speeds = parse_speeds(speed, stage_names(whole.config), machines)
    else:
        resolved = resolve_config(inputs, config, None, change, language, licence, contact)
        speeds = parse_speeds(speed, stage_names(resolved.config), machines)
        if not quiet:
            _to_stderr(resolved.notes)
        whole, notes = _sampled(resolved.config, resolved.recipe, size, out, seed, quiet)
    if hours is not None:
        whole = whole.for_hours(hours)
    found = predict(whole, Fleet(machines, prices, speeds), "run" if made else "sample", notes)
    if as_json:
        print_json(plan_json(found, machines))
    else:
        print_plan(found, machines, console())


def _run_at(inputs: Sequence[str] | None) -> Run | None:
    """The run that the only input is; None where it is no run. The web is not asked."""
    if not inputs or len(inputs) != 1 or not is_openable(inputs[0]):
        return None
    return Run(inputs[0]) if Run(inputs[0]).exists() else None


def _sampled(
    config: RunConfig, recipe: str | None, size: SampleSize, out: str | None, seed: int, quiet: bool
) -> tuple[Extrapolation, list[str]]:
    kept = Run(Run(out).uri("plan")) if out else None
    report_issues(examine(sample_config(config), kept, kind="local", recipe=recipe), _warn)
    return extrapolate_sources(config, size, out, seed=seed, quiet=quiet)


def _to_stderr(lines: Sequence[str]) -> None:
    for line in lines:
        console(stderr=True).print(line, soft_wrap=True)


def _warn(line: str) -> None:
    console(stderr=True).print(Text.assemble(("warning: ", "yellow"), line), soft_wrap=True)
