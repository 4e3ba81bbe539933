"""`run`, `crawl` (the first half of `run`), `plan` (predict a run) and `replay` (repeat one stage on one unit)."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer
from rich.text import Text

from voxmill.pipeline.commands import options
from voxmill.pipeline.terminal.output import amount, console, print_json

if TYPE_CHECKING:
    from voxmill.pipeline.resolve import ResolvedConfig
    from voxmill.pipeline.state.run import Run


def run(
    out: options.Out,
    inputs: options.Inputs = None,
    config: options.ConfigIfAny = None,
    language: options.Language = None,
    licence: options.Licence = None,
    contact: options.Contact = None,
    change: options.Set = None,
    executor: options.Executor = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join: `auto`, or `host:6379` of its head.")] = None,
    until: Annotated[str, typer.Option(help="Stop after `list`, `crawl`, `select` or `pack`.")] = "pack",
    retry: options.Retry = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
) -> None:
    """Run the pipeline from sources to shards, or continue a stopped run.

    Without a config, name the sources here: recognisers are chosen by language and by what is installed, and the config is saved in the run
    as `config.yaml`, for you to edit.

    Examples:

        voxmill run talks/ -o runs/talks --language en --licence cc-by-4.0

        voxmill run https://example.org/feed.xml more/*.mp3 urls.txt -o runs/one --language de --contact me@example.org

        voxmill run -c mine.yaml -o s3://bucket/run1 --executor ray --address auto --set select.high=0.9

        voxmill run -c mine.yaml -o runs/one --dry-run
    """
    from voxmill.pipeline.resolve import resolve_config

    resolved = resolve_config(inputs, config, out, change, language, licence, contact)
    start_run(resolved, out, executor, address, until, retry or [], dry_run=dry_run, quiet=quiet)


def crawl(
    out: options.Out,
    inputs: options.Inputs = None,
    config: options.ConfigIfAny = None,
    language: options.Language = None,
    licence: options.Licence = None,
    contact: options.Contact = None,
    change: options.Set = None,
    executor: options.Executor = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join.")] = None,
    retry: options.Retry = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the sources and their rules, and fetch nothing.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fetch and decode the sources only; `voxmill run` continues from there.

    Examples:

        voxmill crawl -c mine.yaml -o runs/one

        voxmill crawl https://example.org/feed.xml -o runs/one --contact me@example.org
    """
    from voxmill.pipeline.resolve import resolve_config

    resolved = resolve_config(inputs, config, out, change, language, licence, contact)
    start_run(resolved, out, executor, address, "crawl", retry or [], dry_run=dry_run, quiet=quiet)


def plan(
    inputs: options.Inputs = None,
    config: options.ConfigIfAny = None,
    language: options.Language = None,
    licence: options.Licence = None,
    contact: options.Contact = None,
    change: options.Set = None,
    sample: Annotated[
        str, typer.Option(help="How much to try: a number of recordings, or of hours or minutes (`2h`, `90m`).")
    ] = "20",
    machine: Annotated[
        list[str] | None,
        typer.Option(help="NAME:COUNT[:CORES], repeatable: `h100:8`, `l4:4:16`, `cpu64:2`; default: this machine."),
    ] = None,
    speed: Annotated[
        list[str] | None,
        typer.Option(help="STAGE[@NAME]=X: a stage's speed there, times real time, as in `transcribe:whisperx@h100=120`."),
    ] = None,
    price: Annotated[
        list[str] | None, typer.Option(help="NAME=PER_HOUR: what an hour of one machine costs, as in `h100=2.50EUR`.")
    ] = None,
    store_price: Annotated[str | None, typer.Option(help="What a GB in the store costs a month.")] = None,
    hours: Annotated[
        float | None,
        typer.Option(min=0.001, max=1e9, callback=options.finite, help="Predict for so many hours of audio like the sample's."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which random sample is drawn.")] = 0,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Keep the run of the sample, as `plan` in this folder.")
    ] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict hours, disk, time and cost of a run on stated machines, with intervals.

    A random sample of the sources goes through the whole pipeline here. Given a run instead of sources, its own costs are the sample.

    Examples:

        voxmill plan talks/ --language en

        voxmill plan -c mine.yaml --sample 2h --machine h100:8 --price h100=2.50EUR --speed transcribe:whisperx@h100=120

        voxmill plan runs/one --hours 100000 --machine cpu64:20
    """
    from voxmill.pipeline.commands.planning import plan_inputs

    plan_inputs(
        inputs, config, language, licence, contact, change,
        sample=sample, machine=machine or [], speed=speed or [], price=price or [], store_price=store_price,
        hours=hours, seed=seed, out=out, as_json=as_json, quiet=quiet,
    )  # fmt: skip


def replay(
    run: options.RunRoot,
    stage: Annotated[str, typer.Option(help="Stage to repeat, as in `transcribe:whisperx`.")],
    unit: Annotated[str, typer.Option(help="Unit, as a rejection's detail names it.")],
    only: Annotated[str | None, typer.Option(help="One member of the unit.")] = None,
) -> None:
    """Repeat one stage on one unit, or on one member of it, to see why it failed. Writes nothing."""
    from voxmill.manifests.schema import plain
    from voxmill.pipeline.books import ids_of
    from voxmill.pipeline.build import as_written, build
    from voxmill.pipeline.execution.host_limit_server import open_gate
    from voxmill.pipeline.execution.worker import Worker
    from voxmill.pipeline.packing.packer import Packer
    from voxmill.pipeline.state.run import Run
    from voxmill.pipeline.state.run_dir import RunError

    opened = Run(run)
    config, stages = as_written(opened)
    runnable = [name for name, made in stages.items() if made.reads]
    if stage == "pack" and only is None:
        raise RunError("--stage pack repeats one sample: say which with --only SEGMENT")
    if stage == "pack":
        rows = Packer(opened.root, stages, {}).replay(only or "")
    elif stage not in runnable:
        raise RunError(f"no stage `{stage}` to repeat; this run has {', '.join(runnable)}, pack")
    else:
        reads = [stages[name] for name in stages[stage].reads]
        known = list(islice(ids_of(opened, reads[0]), 4))
        if not any(unit == ident for ident in ids_of(opened, reads[0])):
            some = ", ".join(known[:3]) + (", …" if len(known) > 3 else "")
            raise RunError(f"stage {stage} of {opened.root} has no unit `{unit}`; it has {some or 'none yet'}")
        with open_gate("machine", opened, config.crawl) as gate:
            made = stages[stage] if stage != "crawl" else build(config, opened, gate)[stage]  # a fetch is repeated as politely
            rows = Worker(opened.root, made, reads).replay(unit, only)
    if not rows:
        raise RunError(f"unit `{unit}` has no member `{only}`")
    for row in rows:
        print_json(plain(row))


def start_run(
    resolved: ResolvedConfig,
    root: str,
    executor: str | None,
    address: str | None,
    until: str,
    retry: list[str],
    *,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Runs the pipeline for a resolved config up to `until`, with progress and a summary.

    Raises ConfigError for wrong options and NotReady for what would make the run fail; nothing has been written then.
    """
    from voxmill.manifests.reasons import REASONS
    from voxmill.pipeline.execution.host_limit_server import open_gate
    from voxmill.pipeline.execution.metered_executor import metered
    from voxmill.pipeline.execution.open_executor import open_executor
    from voxmill.pipeline.load_config import ConfigError
    from voxmill.pipeline.preflight import examine, report_issues
    from voxmill.pipeline.preflight.machine import cluster_of
    from voxmill.pipeline.reports.dry_run import print_dry_run
    from voxmill.pipeline.reports.stats import print_summary
    from voxmill.pipeline.runner import Until, run_line
    from voxmill.pipeline.state.run import Run
    from voxmill.pipeline.state.run_dir import no_empty_folder
    from voxmill.pipeline.terminal.progress import Progress

    settings = resolved.config
    run = Run(root)
    kind = executor or settings.executor.kind
    if kind not in ("local", "ray"):
        raise ConfigError(f"--executor is `local` or `ray`, not `{kind}`")
    if until not in get_args(Until):
        raise ConfigError(f"--until is `list`, `crawl`, `select` or `pack`, not `{until}`")
    for reason in retry:
        if reason not in REASONS:
            near = difflib.get_close_matches(reason, REASONS, n=1)
            raise ConfigError(f"--retry: no reason `{reason}`" + (f"; did you mean `{near[0]}`?" if near else ""))
    issues = examine(settings, run, kind=kind, address=address, recipe=resolved.recipe)
    if dry_run:
        _say(resolved.notes)
        if resolved.saved_as:
            _say([f"the config would be saved as {resolved.saved_as}"])
        print_dry_run(settings, run, console(), issues)
        return
    report_issues(issues, _warn)
    if not quiet:
        _say(resolved.notes)
        if resolved.saved_as:
            _say([f"the config is saved as {resolved.saved_as}: edit it, and `voxmill run -o {root}` goes on with it"])
    cluster = cluster_of(settings, kind, address)
    if cluster and run.is_local:
        run = run.absolute()  # workers run in other working directories
        _say_shared(run)
    progress = Progress(quiet=quiet)
    stated = settings.executor
    engine = open_executor(
        kind, cluster, stated.workers, same_results=stated.same_results, commit_seconds=stated.commit_seconds
    )
    try:
        with (
            progress.stoppable(),
            no_empty_folder(run),
            open_gate("cluster" if cluster else "machine", run, settings.crawl) as gate,
        ):
            engine = metered(engine, kind, run.root)
            run_line(settings, run, engine, gate, progress, until=cast(Until, until), retry=retry, text=resolved.text)
    except KeyboardInterrupt:
        console(stderr=True).print("stopped; the same command continues", style="yellow")
        sys.exit(130)
    if quiet:
        return
    if until == "pack":
        print_summary(root)
        shards = _num_shards(run)
        _say([*([] if shards else _what_helps(root)), _what_next(run, shards)])
    else:
        _say([f"stopped after {until}; `voxmill run` on the same run goes on"])


def _num_shards(run: Run) -> int:
    from voxmill.sharding.shard_files import shard_files

    return len({shard for shard, suffix, _ in shard_files(run.shards_dir) if suffix == "json"})


def _what_next(run: Run, shards: int) -> str:
    """The closing line of a finished run: where its shards are and the next command."""
    if not shards:
        return f"no shards, because nothing was kept: the reasons are above, and `voxmill stats {run.root}` has more"
    return f"{amount(shards, 'shard')} in {run.shards_dir}; next: voxmill verify {run.root}"


def _what_helps(root: str) -> list[str]:
    """What can be done about the reasons that most rows have."""
    from voxmill.manifests.catalog import open_catalog, query

    most = "SELECT reason, advice FROM rejections WHERE advice NOT LIKE 'none%' GROUP BY ALL ORDER BY sum(num_rows) DESC, reason LIMIT 3"
    return [f"{row['reason']}: {row['advice']}" for row in query(open_catalog(root, most), most).to_pylist()]


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        console(stderr=True).print(line, soft_wrap=True)


def _warn(line: str) -> None:
    console(stderr=True).print(Text.assemble(("warning: ", "yellow"), line), soft_wrap=True)


def _say_shared(run: Run) -> None:
    console(stderr=True).print(
        f"{run.root} is a folder: every machine of the cluster must see it under this name (shared storage); "
        "where they do not, give a bucket prefix as --out (s3://…, gs://…)",
        style="yellow",
        soft_wrap=True,
    )
