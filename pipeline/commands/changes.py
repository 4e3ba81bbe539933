"""Commands that change a run without running an engine: `duplicates`, `revote` and `migrate`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from voxmill.pipeline.commands import options
from voxmill.pipeline.terminal.output import amount, console, print_json
from voxmill.pipeline.terminal.table import number, print_table


def duplicates(
    run: options.RunRoot,
    against: Annotated[list[str] | None, typer.Option(help="Another run: what is also in it counts as a duplicate.")] = None,
    decontaminate: Annotated[
        list[str] | None, typer.Option(help="An evaluation set: a JSONL file, a folder of audio, or a folder of shards.")
    ] = None,
    by: Annotated[list[str] | None, typer.Option(help="`acoustic`, `text`, or both (default).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which stages would run, and do nothing.")] = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Find near duplicates and overlaps with evaluation sets in a finished run, and remove them from the shards. No engine runs.

    Examples:

        voxmill duplicates runs/one --by text

        voxmill duplicates runs/two --against runs/one

        voxmill duplicates runs/one --decontaminate test-clean.jsonl
    """
    from voxmill.pipeline.execution.open_executor import open_executor
    from voxmill.pipeline.preflight.run_inputs import check_rerun
    from voxmill.pipeline.reports.dry_run import print_dry_run
    from voxmill.pipeline.reruns.rededup import rededuplicate, with_duplicates
    from voxmill.pipeline.state.run import Run
    from voxmill.pipeline.terminal.progress import Progress

    opened, out = Run(run), console()
    config = with_duplicates(opened, by or (), against or (), decontaminate or ())
    if dry_run:
        check_rerun(opened, config)
        print_dry_run(config, opened, out)
        return
    stated = config.executor
    executor = open_executor(
        "local", workers=stated.workers, same_results=stated.same_results, commit_seconds=stated.commit_seconds
    )
    found = rededuplicate(opened, config, executor, Progress(quiet=quiet or as_json))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    counts = [(str(one.recordings), str(one.stretches), f"{one.seconds:.1f}") for one in found]
    rows = [(one.reason, one.of or "this run", one.by, *c, one.example) for one, c in zip(found, counts, strict=True)]
    if rows:
        numbers = (number("recordings"), number("stretches", 1), number("seconds"))
        print_table(out, ("reason", "where", "by", *numbers, "best match"), rows)
    else:
        out.print("no duplicates, and no overlap with evaluation sets", soft_wrap=True)
    settings = json.dumps(config.model_dump(mode="json", exclude_defaults=True)["duplicates"])
    out.print(f"to compare like this in every run, put this into the config: duplicates: {settings}", soft_wrap=True)


def revote(
    run: options.RunRoot,
    change: Annotated[list[str], typer.Option("--set", help="KEY=VALUE under `reconcile` or `select`; may be repeated.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the change, and do nothing.")] = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Choose texts and tiers of a finished run again, under changed settings, which are saved if the run has a config.yaml. No engine runs.

    Examples:

        voxmill revote runs/one --set select.high=0.9 --set select.weak=0.75

        voxmill revote runs/vote --set reconcile.vote.alpha=0.8 --set reconcile.vote.method=maxconf --dry-run
    """
    from voxmill.pipeline.execution.open_executor import open_executor
    from voxmill.pipeline.preflight.run_inputs import check_rerun
    from voxmill.pipeline.reports.dry_run import print_dry_run
    from voxmill.pipeline.reruns import reselect
    from voxmill.pipeline.resolve import has_config, text_with
    from voxmill.pipeline.state.run import Run
    from voxmill.pipeline.terminal.progress import Progress

    opened, out = Run(run), console()
    config, text = reselect.changed_config(opened.written(), change, opened.uri("run.json")), text_with(run, change)
    if dry_run:
        check_rerun(opened, config)
        print_dry_run(config, opened, out)
        return
    stated = config.executor
    executor = open_executor(
        "local", workers=stated.workers, same_results=stated.same_results, commit_seconds=stated.commit_seconds
    )
    found = reselect.revote(opened, config, executor, Progress(quiet=quiet), text)
    if as_json:
        print_json(vars(found))
        return
    tiers = ("high", "weak", "unlabelled", "rejected")
    rows = [(tier, str(found.before[tier]), str(found.after[tier])) for tier in tiers]
    print_table(out, ("tier", number("segments before"), number("after")), rows)
    summary = f"{amount(found.segments, 'segment')}: {amount(found.texts, 'text')} and {amount(found.tiers, 'tier')} changed; no engine ran"
    out.print(summary, soft_wrap=True)
    if not has_config(run):
        out.print(f"to choose like this in every run, put this into the config: {', '.join(change)}", soft_wrap=True)


def migrate(run: options.RunRoot, quiet: options.Quiet = False) -> None:
    """Bring a run that an earlier voxmill wrote to the form of this one. No engine runs, and nothing is fetched.

    Run it once, before `voxmill run` or `verify`; where there is nothing to do, it says so. Its tables are written again by the next run.

    Example:

        voxmill migrate runs/talks
    """
    from voxmill.pipeline.state.driver_lease import Lease
    from voxmill.pipeline.state.migrate_run import migrate_run
    from voxmill.pipeline.state.run import Run

    opened = Run(run)
    opened.load()
    with Lease(opened):
        moved = migrate_run(opened)
    if not quiet:
        said = f"{amount(moved, 'file')} of units brought into tables" if moved else "there was nothing to migrate"
        console().print(f"{opened.root}: {said}", soft_wrap=True)
