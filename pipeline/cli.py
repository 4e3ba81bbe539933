"""The command line: parse, call, print. No logic lives here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from voxmill import __version__

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", add_completion=False, pretty_exceptions_enable=False)
config_app = typer.Typer(no_args_is_help=True, help="Start, show and check configurations.")
models_app = typer.Typer(no_args_is_help=True, help="List, fetch and verify model weights.")
app.add_typer(config_app, name="config")
app.add_typer(models_app, name="models")

ConfigOption = Annotated[str, typer.Option("--config", "-c", help="A YAML file, or the name of a shipped recipe.")]
OutOption = Annotated[str, typer.Option("--out", "-o", help="The run: a directory, or a bucket prefix (`s3://…`).")]
RunArgument = Annotated[str, typer.Argument(help="The run: a directory, or a bucket prefix.", show_default=False)]

ModelOption = Annotated[str, typer.Option("--model", "-m", help="A training's folder (its last checkpoint), or a checkpoint.")]
BudgetOption = Annotated[
    str | None, typer.Option(help="How much of an elastic model: EXPERTS[:TOP_K[:WIDTH]], as in `6`; default: all.")
]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Turns the audio of the web into training data for speech models.

    `voxmill run -c demo -o runs/demo` goes from sources to shards; the same command continues a stopped run.
    """
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def run(
    config: ConfigOption,
    out: OutOption,
    executor: Annotated[str | None, typer.Option(help="`local` or `ray`; default: as the config says.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join: `auto` or `ray://host:10001`.")] = None,
    until: Annotated[str, typer.Option(help="Stop after `list`, `crawl`, `select` or `pack`.")] = "pack",
    retry: Annotated[
        list[str] | None, typer.Option(help="Fetch items with this reason once more, e.g. `crawl.network`.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
) -> None:
    """Run the whole line, from sources to shards, or continue it.

    Examples:

        voxmill run -c demo -o runs/demo

        voxmill run -c mine.yaml -o s3://bucket/run1 --executor ray --address auto

        voxmill run -c mine.yaml -o runs/one --dry-run
    """
    from voxmill.pipeline.commands import run_command

    run_command(config, out, executor, address, until, retry=retry or [], dry_run=dry_run, quiet=quiet)


@app.command()
def crawl(
    config: ConfigOption,
    out: OutOption,
    executor: Annotated[str | None, typer.Option(help="`local` or `ray`; default: as the config says.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join.")] = None,
    retry: Annotated[
        list[str] | None, typer.Option(help="Fetch items with this reason once more, e.g. `crawl.network`.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the sources' rules, fetch nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
) -> None:
    """Fetch and decode the sources only; `voxmill run` continues from there.

    Example:

        voxmill crawl -c mine.yaml -o runs/one
    """
    from voxmill.pipeline.commands import run_command

    run_command(config, out, executor, address, "crawl", retry=retry or [], dry_run=dry_run, quiet=quiet)


@app.command()
def stats(
    run: RunArgument,
    by: Annotated[
        str | None, typer.Option(help="Break down by language, domain, host, source, licence, tier, reason or bandwidth.")
    ] = None,
    what_if: Annotated[
        list[str] | None, typer.Option("--what-if", help="`select.agreement=0.9`: recompute, do not re-run.")
    ] = None,
    sql: Annotated[str | None, typer.Option(help="Any SELECT over the run's views.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="For machines.")] = False,
) -> None:
    """What was kept, what was not, and why.

    Examples:

        voxmill stats runs/demo

        voxmill stats runs/demo --by host --json

        voxmill stats runs/demo --what-if select.agreement=0.9

        voxmill stats runs/demo --sql "SELECT reason, sum(seconds) FROM outcomes GROUP BY 1"
    """
    from voxmill.pipeline.commands import stats_command

    stats_command(run, by, what_if or [], sql, as_json=as_json, as_csv=as_csv)


@app.command()
def verify(run: RunArgument, as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Prove that nothing was lost: ledger = index = shard members, and in = kept + rejected everywhere.

    Exits with 1 and names what is missing where the proof fails.

    Example:

        voxmill verify runs/demo
    """
    from voxmill.pipeline.commands import verify_command

    verify_command(run, as_json=as_json)


@app.command()
def revoke(
    run: RunArgument,
    url: Annotated[
        list[str] | None, typer.Option(help="Address of a recording, or of the page or feed that led to it.")
    ] = None,
    host: Annotated[list[str] | None, typer.Option(help="Everything from this host and its subdomains.")] = None,
    ident: Annotated[list[str] | None, typer.Option("--id", help="A recording, a listed item, or a segment of one.")] = None,
    sha256: Annotated[
        list[str] | None, typer.Option("--hash", help="sha256 of an original, of decoded samples, or of a FLAC in a shard.")
    ] = None,
    denied: Annotated[bool, typer.Option("--denied", help="What the config's deny-list has come to name.")] = False,
    reason: Annotated[str, typer.Option(help="Kept in the tombstone; put no name there.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Take something out of a run for good, prove that it is gone, and never let it in again.

    Only the shards that held it are written again. With a key in VOXMILL_SIGNING_KEY the report is signed.

    Examples:

        voxmill revoke runs/one --url https://example.org/talk.mp3 --reason "request 17" --dry-run

        voxmill revoke runs/one --host example.org

        voxmill revoke runs/one --hash sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    """
    from voxmill.pipeline.commands import revoke_command
    from voxmill.pipeline.rights.revocation import Request

    request = Request(tuple(url or ()), tuple(host or ()), tuple(ident or ()), tuple(sha256 or ()), reason)
    revoke_command(run, request, denied_too=denied, dry_run=dry_run, as_json=as_json)


@app.command()
def duplicates(
    run: RunArgument,
    against: Annotated[list[str] | None, typer.Option(help="Another run: what it holds is a duplicate here.")] = None,
    decontaminate: Annotated[
        list[str] | None, typer.Option(help="An evaluation set: a JSONL file, a folder of audio, or a folder of shards.")
    ] = None,
    by: Annotated[list[str] | None, typer.Option(help="`acoustic`, `text`, or both (default).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which stages would run, and do nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Find near duplicates and what overlaps evaluation sets, in a finished run, and take it out of the shards. No engine runs.

    Examples:

        voxmill duplicates runs/one --by text

        voxmill duplicates runs/two --against runs/one

        voxmill duplicates runs/one --decontaminate test-clean.jsonl
    """
    from voxmill.pipeline.commands import duplicates_command

    duplicates_command(run, by or (), against or (), decontaminate or (), dry_run=dry_run, quiet=quiet, as_json=as_json)


@app.command()
def calibrate(
    run: RunArgument,
    reference: Annotated[Path, typer.Option(help="JSON lines with true words; see the README.")],
    error: Annotated[float | None, typer.Option(help="Find the threshold for this expected error, e.g. 0.05.")] = None,
    hours: Annotated[float | None, typer.Option(help="Find the threshold that keeps this many hours.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """From a small labelled sample, how wrong the labels of every tier and threshold should be, with intervals.

    Examples:

        voxmill calibrate runs/one --reference labelled.jsonl --error 0.05

        voxmill revote runs/one --set select.score=expected_error --set select.calibration=runs/one/calibration.json
    """
    from voxmill.pipeline.commands import calibrate_command

    calibrate_command(run, reference, error, hours, as_json=as_json)


@app.command()
def retention(
    run: RunArgument,
    by: Annotated[list[str] | None, typer.Option(help="Only these factors (`language`, `domain`, `bandwidth`, …).")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the bars into this file (.png, .svg, .pdf).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """How much speech is kept by what it is, and what each property changes while the others stay, with intervals.

    Examples:

        voxmill retention runs/one --plot retention.png

        voxmill retention runs/one --by language --by domain
    """
    from voxmill.pipeline.commands import retention_command

    retention_command(run, by, plot, as_json=as_json)


@app.command()
def revote(
    run: RunArgument,
    change: Annotated[list[str], typer.Option("--set", help="KEY=VALUE under `reconcile` or `select`; may be repeated.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the change, and do nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Change the rules that make texts and tiers of a finished run. Every engine keeps what it heard; none runs.

    Examples:

        voxmill revote runs/one --set select.high=0.9 --set select.weak=0.75

        voxmill revote runs/vote --set reconcile.vote.alpha=0.8 --set reconcile.vote.method=maxconf --dry-run
    """
    from voxmill.pipeline.commands import revote_command

    revote_command(run, change, dry_run=dry_run, quiet=quiet, as_json=as_json)


@app.command()
def plan(
    config: ConfigOption,
    sample: Annotated[int, typer.Option(help="Recordings to try the line on.")] = 3,
    out: Annotated[str | None, typer.Option("--out", "-o", help="Keep the sample's run, as `plan` in this folder.")] = None,
) -> None:
    """Predict disk, hours and time of a run from a small sample of its sources.

    Example:

        voxmill plan -c mine.yaml --sample 5
    """
    from voxmill.pipeline.commands import plan_command

    plan_command(config, sample, out)


@app.command()
def doctor(
    config: Annotated[str | None, typer.Option("--config", "-c", help="Check what this config needs.")] = None,
) -> None:
    """What is installed, which weights are here, what is missing, and how to get it.

    Example:

        voxmill doctor -c demo
    """
    from voxmill.pipeline.commands import doctor_command

    doctor_command(config)


@app.command()
def train(
    shards: Annotated[str, typer.Option(help="The shards of a run: `RUN/shards`.")],
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for checkpoints, log and curve.")],
    config: Annotated[str, typer.Option("--config", "-c", help="A YAML file, or `compact`, `dense` or `taste`.")] = "compact",
    where: Annotated[str | None, typer.Option(help="Only these samples, as in `tier='high' and language='en'`.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps, instead of the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda`, `cuda:1`, …")] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Processes that share each step, under Ray Train; on GPUs one each.")] = 1,
    address: Annotated[str | None, typer.Option(help="Ray cluster for the workers; default: this machine.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
) -> None:
    """Train a speech model from shards, or continue a training.

    Ctrl-C finishes the step and saves; the same command goes on from there, to the same end. Any number of workers makes the same
    steps; where one dies, all go on from the last checkpoint.

    Examples:

        voxmill train --shards runs/one/shards --out models/one

        voxmill train --shards runs/one/shards --out models/en -c mine.yaml --where "tier='high' and language='en'"

        voxmill train --shards runs/one/shards --out models/one --workers 4 --address auto

        voxmill train --shards runs/one/shards --out models/one --dry-run
    """
    from voxmill.models.training import distributed, training
    from voxmill.models.training.recipe import load_recipe
    from voxmill.pipeline.modelling import learning

    recipe = distributed.for_workers(training.change(load_recipe(config), where=where, steps=steps), workers)
    console = Console(stderr=True)
    if dry_run or not quiet:
        learning.print_survey(training.survey(shards, out, recipe), shards, out, console)
    if dry_run:
        return
    with learning.TrainingDisplay(recipe.train.steps, console, quiet=quiet) as display:
        if workers == 1 and address is None:
            trained = training.train(shards, out, recipe, device, [display])
        else:
            together = distributed.WorkersConfig(workers=workers)
            trained = distributed.train(shards, out, recipe, together, address, device, [display])
    if not learning.print_trained(trained, out, console, quiet=quiet):
        sys.exit(130)


@app.command()
def transcribe(
    files: Annotated[list[str], typer.Argument(help="Audio or video files of any format, or URLs that fsspec knows.")],
    model: ModelOption,
    budget: BudgetOption = None,
    tasks: Annotated[str | None, typer.Option(help="`asr,lid,emotion`; default: all that it was trained for.")] = None,
    decode: Annotated[
        str, typer.Option(help="`greedy`, `beam`, `rescore`, `attention` or `transducer`: quick to thorough.")
    ] = "rescore",
    chunk: Annotated[int | None, typer.Option(min=1, help="Hear as a stream would: chunks of this many 40 ms.")] = None,
    to: Annotated[str | None, typer.Option(help="Translate into this language, where the model learnt it.")] = None,
    device: Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda`, `cuda:1`, …")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each file.")] = False,
) -> None:
    """What a trained model hears in files. Long files are cut at their pauses.

    A file that holds no audio is said so and the others go on; the command then exits with 1.

    Examples:

        voxmill transcribe talk.mp3 --model models/one

        voxmill transcribe *.wav --model models/one --budget 6 --decode greedy --json
    """
    from voxmill.models.inference.opening import choose_device, open_bundle, open_listener
    from voxmill.pipeline.modelling import transcribing
    from voxmill.pipeline.modelling.hearing import Hearing

    bundle = open_bundle(model, budget, choose_device(device))
    wanted = tuple(part.strip() for part in tasks.split(",")) if tasks else None
    listener = open_listener(bundle, method=decode, chunk=chunk, tasks=wanted, translate_to=to)
    failed = 0
    for outcome in transcribing.transcribe(files, listener, Hearing()):
        transcribing.print_outcome(outcome, Console(), as_json=as_json)
        failed += outcome.error is not None
    sys.exit(1 if failed else 0)


@app.command()
def evaluate(
    model: ModelOption,
    shards: Annotated[str, typer.Option(help="Shards with the truth: `RUN/shards`.")],
    split: Annotated[str | None, typer.Option(help="`test`, `dev` or `train`; default: the first of these there is.")] = None,
    where: Annotated[str | None, typer.Option(help="Only these samples, as in `language='en'`.")] = None,
    budgets: Annotated[
        str | None, typer.Option(help="`all` that it was trained for, or some, as in `6,15`; default: the whole model.")
    ] = None,
    decode: Annotated[
        str, typer.Option(help="`greedy`, `beam`, `rescore`, `attention` or `transducer`: quick to thorough.")
    ] = "rescore",
    chunk: Annotated[int | None, typer.Option(min=1, help="Hear as a stream would: chunks of this many 40 ms.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many samples at most.")] = None,
    device: Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda`, `cuda:1`, …")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Word and character errors, labels, events, translation, size and speed of a model, for each budget and language.

    Examples:

        voxmill evaluate --model models/one --shards runs/one/shards --budgets all

        voxmill evaluate --model models/one --shards runs/one/shards --where "language='en'" --budgets 6,15 --json
    """
    from voxmill.models.data.plan import PlanConfig
    from voxmill.models.inference.opening import budgets_of, choose_device, open_bundle
    from voxmill.models.inference.trial import Shards, first_split, try_model
    from voxmill.pipeline.modelling import learning

    bundle = open_bundle(model, device=choose_device(device))
    plan = PlanConfig.model_validate({"split": split or first_split(shards), "where": where, "batch_seconds": 60.0})
    samples = Shards(shards, plan, limit)
    wanted = budgets_of(bundle, budgets)
    trials = []
    with learning.counting(len(samples) * len(wanted), "heard", quiet=as_json) as count:
        for budget in wanted:
            part = bundle.extract(budget) if budget else bundle
            trials.append(try_model(part, str(budget or "whole"), samples, {"method": decode, "chunk": chunk}, count))
    learning.print_trials(trials, plan.split, as_json=as_json)


@app.command()
def export(
    model: ModelOption,
    out: Annotated[str, typer.Option("--out", "-o", help="Folder to write.")],
    budget: BudgetOption = None,
    form: Annotated[
        str, typer.Option("--format", help="`safetensors` (to use or train with voxmill) or `onnx`.")
    ] = "safetensors",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """The model of one budget as a smaller model of its own, refused where it does not compute the same.

    Examples:

        voxmill export --model models/one --budget 6 --out models/one-6

        voxmill export --model models/one --budget 6 --format onnx --out models/one-6-onnx
    """
    from voxmill.models.inference.delivery import deliver
    from voxmill.models.inference.opening import open_bundle
    from voxmill.pipeline.modelling import learning

    learning.print_delivered(deliver(open_bundle(model), budget, learning.export_format(form), out), as_json=as_json)


@app.command()
def replay(
    run: RunArgument,
    stage: Annotated[str, typer.Option(help="Stage to repeat, as in `transcribe:whisperx`.")],
    unit: Annotated[str, typer.Option(help="Unit, as a rejection's detail names it.")],
    only: Annotated[str | None, typer.Option(help="One member of the unit.")] = None,
) -> None:
    """Repeat one stage on one unit, or one member of it, in this process, writing nothing: to see why it failed."""
    from voxmill.pipeline.commands import replay_command

    replay_command(run, stage, unit, only)


@config_app.command("init")
def config_init(
    recipe: Annotated[str, typer.Argument(help="demo, english, mandarin, vote or cluster.")] = "english",
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("voxmill.yaml"),
) -> None:
    """Write a recipe to start from. Example: `voxmill config init mandarin -o mine.yaml`"""
    from voxmill.pipeline.commands import config_init_command

    config_init_command(recipe, out)


@config_app.command("show")
def config_show(config: ConfigOption) -> None:
    """Print the resolved config, every default written out."""
    from voxmill.pipeline.commands import config_show_command

    config_show_command(config)


@config_app.command("check")
def config_check(config: ConfigOption) -> None:
    """Check a config: unknown keys, wrong values, missing weights."""
    from voxmill.pipeline.commands import config_check_command

    config_check_command(config)


@models_app.command("list")
def models_list() -> None:
    """Which weights voxmill knows, and which are here."""
    from voxmill.pipeline.commands import models_list_command

    models_list_command()


@models_app.command("fetch")
def models_fetch(names: Annotated[list[str], typer.Argument(help="Names from `voxmill models list`.")]) -> None:
    """Fetch weights into the cache and verify them. Example: `voxmill models fetch whisper-base moonshine-tiny-en`"""
    from voxmill.pipeline.commands import models_fetch_command

    models_fetch_command(names)


@models_app.command("verify")
def models_verify(names: Annotated[list[str], typer.Argument(help="Names or directories.")]) -> None:
    """Compare weights with their known hashes. Exits with 1 where they differ."""
    from voxmill.pipeline.commands import models_verify_command

    models_verify_command(names)


def main() -> None:
    """Errors that a user can mend are one line that names the cause and the fix; bugs keep their traceback."""
    from voxmill.pipeline.errors import USER_ERRORS, missing_extra, warn_plainly
    from voxmill.pipeline.execution.faults import machine_fault

    console = Console(stderr=True)
    warn_plainly(lambda text: console.print(Text.assemble(("warning: ", "yellow"), text), soft_wrap=True))
    try:
        app()
    except USER_ERRORS as error:
        console.print(Text.assemble(("error: ", "red"), str(error)), soft_wrap=True)
        sys.exit(2)
    except Exception as error:
        fix = missing_extra(error) if isinstance(error, ImportError) else machine_fault(error)
        if fix is None:
            raise
        console.print(Text.assemble(("error: ", "red"), fix), soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
