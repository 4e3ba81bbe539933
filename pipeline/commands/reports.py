"""Commands that report on a run: `stats`, `verify`, `calibrate`, `audit` and `retention`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxmill.pipeline.commands import options
from voxmill.pipeline.terminal.output import amount, console, print_json
from voxmill.pipeline.terminal.table import Column, number, print_table, prose

if TYPE_CHECKING:
    from voxmill.pipeline.reports.audit import Audit
    from voxmill.pipeline.reports.calibrate import Calibrated, Point
    from voxmill.pipeline.reports.proof import Report
    from voxmill.pipeline.reports.retention import Retention

WARNINGS_SHOWN = 10


def stats(
    run: options.RunRoot,
    by: Annotated[
        str | None, typer.Option(help="Break down by language, domain, host, source, licence, tier, reason or bandwidth.")
    ] = None,
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            help="KEY=VALUE under `select`: what another threshold would keep, as in `select.weak=0.9`. Computed from the run, nothing runs again.",
        ),
    ] = None,
    sql: Annotated[str | None, typer.Option(help="Any SELECT over the run's views.")] = None,
    as_json: options.Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Show what was kept, what was rejected, and why.

    Examples:

        voxmill stats runs/demo

        voxmill stats runs/demo --by host --json

        voxmill stats runs/demo --what-if select.weak=0.9

        voxmill stats runs/demo --sql "SELECT reason, sum(seconds) FROM outcomes GROUP BY 1"
    """
    from voxmill.manifests.errors import UserError
    from voxmill.pipeline.reports.stats import print_stats

    if as_json and as_csv:
        raise UserError("--json and --csv: leave one of them out")
    asked = [name for name, value in (("--by", by), ("--what-if", what_if), ("--sql", sql)) if value]
    if len(asked) > 1:
        raise UserError(f"{' and '.join(asked)} ask for different tables: ask for one at a time")
    print_stats(run, by=by, what_if=_thresholds(what_if or []), sql=sql, as_json=as_json, as_csv=as_csv)


def verify(run: options.RunRoot, as_json: options.Json = False) -> None:
    """Prove that nothing was lost: ledger = index = shard members, and in = kept + rejected everywhere.

    Exits with 1 and names what is missing where the proof fails.

    Example:

        voxmill verify runs/demo
    """
    from voxmill.manifests.errors import DamagedError
    from voxmill.manifests.schema import SchemaError
    from voxmill.pipeline.build import as_written
    from voxmill.pipeline.reports import proof
    from voxmill.pipeline.reports.verify_run import verify as prove
    from voxmill.pipeline.state.run import Run
    from voxmill.sharding.sidecar import ShardError

    opened = Run(run)
    opened.written()
    try:
        report = prove(opened, as_written(opened)[1])
    except (SchemaError, ShardError, DamagedError) as error:  # unreadable data: the proof fails
        report = proof.Report(problems=[f"damaged: {error}"])
    if as_json:
        print_json({"ok": report.ok, **asdict(report)})
    else:
        _print_proof(report)
    sys.exit(0 if report.ok else 1)


def calibrate(
    run: options.RunRoot,
    reference: Annotated[Path, typer.Option(help="The labelled sample: JSON lines with the true words.")],
    error: Annotated[
        float | None,
        typer.Option(min=0, callback=options.finite, help="Find the threshold for this expected error, e.g. 0.05."),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(min=0, callback=options.finite, help="Find the threshold that keeps this many hours.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Estimate the error rate of the labels in every tier and at every threshold, from a small labelled sample, with intervals.

    Examples:

        voxmill calibrate runs/one --reference labelled.jsonl --error 0.05

        voxmill revote runs/one --set select.score=expected_error --set select.calibration=runs/one/calibration.json
    """
    from voxmill.pipeline.build import as_written
    from voxmill.pipeline.reports import calibrate as calibration
    from voxmill.pipeline.state.run import Run

    opened = Run(run)
    config, _ = as_written(opened)
    found = calibration.calibrate(opened, reference, config.reconcile.normalise)
    asked_threshold = error is not None or hours is not None
    chosen = calibration.threshold(found.points, error=error, hours=hours) if asked_threshold else None
    if as_json:
        rows = {"tiers": [asdict(t) for t in found.tiers], "warnings": found.calibration.warnings}
        print_json(rows | {"threshold": asdict(chosen) if chosen else None})
        return
    _print_calibrated(found)
    out = console()
    if asked_threshold:
        out.print(_threshold_line(chosen), soft_wrap=True)
    file = opened.uri(calibration.FILE)
    out.print(
        f"written: {file}; to select by it: --set select.score=expected_error --set select.calibration={file}", soft_wrap=True
    )


def audit(
    run: options.RunRoot,
    top: Annotated[int, typer.Option(min=1, help="How many suspects are printed; the file has all of them.")] = 20,
    reference: Annotated[
        Path | None, typer.Option(help="Calibrate first, by a labelled sample: JSON lines as `voxmill calibrate` reads them.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Rank the transcripts of a corpus that the recognisers contradict, the most suspicious first.

    The run needs a corpus as a source, the engine `given`, and at least one recogniser. RUN/suspects.jsonl has all suspects.

    Examples:

        voxmill audit runs/corpus

        voxmill audit runs/corpus --reference listened.jsonl --top 50
    """
    from voxmill.pipeline.build import as_written
    from voxmill.pipeline.reports.audit import audit as rank
    from voxmill.pipeline.state.run import Run

    opened = Run(run)
    found = rank(opened, as_written(opened)[0], top, reference)
    if as_json:
        print_json(asdict(found))
    else:
        _print_audit(found)


def retention(
    run: options.RunRoot,
    by: Annotated[list[str] | None, typer.Option(help="Only these factors (`language`, `domain`, `bandwidth`, …).")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the bars into this file (.png, .svg, .pdf).")] = None,
    as_json: options.Json = False,
) -> None:
    """Show the share of speech that is kept by language, domain and more, and the effect of each factor alone, with intervals.

    Examples:

        voxmill retention runs/one --plot retention.png

        voxmill retention runs/one --by language --by domain
    """
    from voxmill.manifests.user_input import new_file
    from voxmill.pipeline.load_config import ConfigError
    from voxmill.pipeline.reports import retention as report

    for factor in by or ():
        if factor not in report.FACTORS:
            raise ConfigError(f"--by: no factor `{factor}`; there are {', '.join(report.FACTORS)}")
    if plot:
        new_file(plot, report.FORMATS)
    found = report.retention(run, by or report.FACTORS)
    if plot:
        report.plot(found, str(plot))
    if as_json:
        print_json(asdict(found))
    else:
        _print_retention(found)
        if plot:
            console().print(f"written: {plot}", soft_wrap=True)


def _thresholds(pairs: list[str]) -> dict[str, Any]:
    """Parses `--what-if KEY=VALUE`; a value that is not JSON is taken as a string. Raises ConfigError."""
    from voxmill.pipeline.load_config import ConfigError

    thresholds: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--what-if needs `name=value`, as in `select.weak=0.9`, not `{pair}`")
        try:
            thresholds[name] = json.loads(value)
        except json.JSONDecodeError:
            thresholds[name] = value
    return thresholds


def _print_proof(report: Report) -> None:
    out, rows = console(), []
    for b in report.balances:
        cells = [str(v) for v in (b.rows_in, b.kept, b.rejected)]
        cells += [f"{v / 16000:.1f}" for v in (b.samples_in, b.samples_kept, b.samples_rejected)]
        rows.append((b.stage, *cells, "=" if b.holds else "≠"))
    heads = [number(name) for name in ("in", "kept", "rejected", "seconds in", "kept", "rejected")]
    print_table(out, ("stage", *heads, " "), rows)
    for problem in report.problems:
        out.print(problem, style="red", soft_wrap=True)
    for waiting in report.pending:
        out.print(f"not there yet: {waiting}; `voxmill run` continues", style="yellow", soft_wrap=True)
    for warning in report.warnings[:WARNINGS_SHOWN]:
        out.print(f"warning: {warning}", style="yellow", soft_wrap=True)
    if len(report.warnings) > WARNINGS_SHOWN:
        more = len(report.warnings) - WARNINGS_SHOWN
        out.print(f"warning: and {more} more; --json has all", style="yellow", soft_wrap=True)
    verdict = (
        ("holds for what there is" if report.pending else "holds")
        if report.ok
        else f"fails with {amount(len(report.problems), 'problem')}"
    )
    out.print(
        f"{amount(report.shards, 'shard')}, {amount(report.shard_samples, 'sample')}: the proof {verdict}", soft_wrap=True
    )


def _print_calibrated(found: Calibrated) -> None:
    from voxmill.operators.select.calibration import LEVEL

    out, rows = console(), []
    for tier in found.tiers:
        cells = f"{tier.hours:.2f}", f"{tier.expected:.1%}", f"{tier.low:.1%} to {tier.high:.1%}"
        rows.append((tier.name, str(tier.segments), *cells))
    heads = (number("segments"), number("hours"), number("expected error"), number(f"{LEVEL:.0%}"))
    print_table(out, ("tier", *heads), rows)
    for curve in found.calibration.curves:
        seen = f"{amount(curve.words, 'word')}, {amount(curve.segments, 'segment')}, {amount(curve.recordings, 'recording')}"
        seen += f", {curve.speakers or 'unknown'} speakers, {curve.conditions or 'unknown'} conditions"
        out.print(f"curve for {curve.language or 'all languages'}: {seen}", soft_wrap=True)
    for warning in found.calibration.warnings:
        out.print(f"warning: {warning}", style="yellow", soft_wrap=True)


def _print_audit(found: Audit) -> None:
    out = console()
    rows = []
    for one in found.first:
        heard = "; ".join(f"{engine}: {text or '(nothing)'}" for engine, text in one.heard.items())
        place = f"{one.recording.rsplit('/', 1)[-1]} at {one.start:.1f} s"
        cells = f"{one.wrong:.0%}", f"{one.expected_precision:.0%}"
        rows.append((str(one.rank), *cells, one.given or "(empty)", heard, place, one.segment_id))
    heads = (number("rank"), number("wrong"), number("precision"), prose("given"), prose("heard"), prose("where", 1))
    print_table(out, (*heads, Column("segment", spare=2)), rows)
    left_out = ", ".join(f"{reason} {count}" for reason, count in found.not_compared.items())
    out.print(
        f"{amount(found.compared, 'given transcript')} compared, {found.expected_wrong:.1f} of them expected to be wrong"
        + (f"; not compared: {left_out}" if left_out else ""),
        soft_wrap=True,
    )
    basis = (
        f"probabilities are calibrated by {amount(found.listened, 'transcript')} that somebody has listened to"
        if found.calibrated
        else "probabilities are not calibrated: they are those of a model of recognisers' errors; "
        "listen to some suspects and give what is said by --reference"
    )
    out.print(basis, soft_wrap=True)
    out.print(f"written: {found.file} ({amount(found.suspects, 'suspect')})", soft_wrap=True)


def _threshold_line(chosen: Point | None) -> str:
    if chosen is None:
        return "no threshold does that"
    kept = f"{chosen.hours:.2f} h ({chosen.share:.1%})"
    return f"keep scores of at least {chosen.least:.4f}: {kept}, expected error {chosen.expected:.1%}"


def _print_retention(found: Retention) -> None:
    out, rows = console(), []
    for one in found.shares:
        cells = str(one.segments), f"{one.hours:.2f}", f"{one.kept:.1%}", f"{one.low:.1%} to {one.high:.1%}"
        rows.append((one.factor, one.value, *cells))
    print_table(out, ("factor", "class", number("segments"), number("hours", 1), number("kept"), number("95 %")), rows)
    out.print()
    effects = []
    for effect in found.effects:
        interval = f"{100 * effect.low:+.1f} to {100 * effect.high:+.1f}"
        effects.append((effect.factor, effect.value, effect.against, f"{100 * effect.change:+.1f}", interval))
    if effects:
        print_table(out, ("factor", "class", "against", number("points"), number("95 %")), effects)
    if found.sampled < 1:
        out.print(f"a sample: {found.sampled:.1%} of the segments, those of recordings drawn by a hash", soft_wrap=True)
    out.print(f"{amount(found.recordings, 'recording')}; effects: {found.model}", soft_wrap=True)
