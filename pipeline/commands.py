"""What each command does: opens what it needs, calls the one function that does the work, prints the result."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from voxmill.manifests.reasons import REASONS
from voxmill.manifests.schema import plain
from voxmill.manifests.tombstones import is_scrubbed
from voxmill.operators import weights
from voxmill.operators.crawl.gate import HostGate
from voxmill.operators.label.merge import asked
from voxmill.pipeline.build import build
from voxmill.pipeline.config import RECIPES, ConfigError, RunConfig, dump_config, load_config, parse_config, recipe_names
from voxmill.pipeline.execution.executor import Executor
from voxmill.pipeline.execution.gates import no_gate, open_gate
from voxmill.pipeline.execution.worker import Worker
from voxmill.pipeline.line import Until, run_line
from voxmill.pipeline.pack import Packer
from voxmill.pipeline.progress import Progress
from voxmill.pipeline.reports.verify import verify
from voxmill.pipeline.rights.revocation import Request, denied
from voxmill.pipeline.rights.revoke import revoke
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.listing import Listing
from voxmill.pipeline.state.run import Run, RunError

out = Console()


def run_command(
    config: str,
    root: str,
    executor: str | None,
    address: str | None,
    until: str,
    *,
    retry: Sequence[str],
    dry_run: bool,
    quiet: bool,
) -> None:
    settings = load_config(config)
    run = Run(root)
    kind = executor or settings.executor.kind
    if kind not in ("local", "ray"):
        raise ConfigError(f"--executor is `local` or `ray`, not `{kind}`")
    if until not in ("list", "crawl", "select", "pack"):
        raise ConfigError(f"--until is `list`, `crawl`, `select` or `pack`, not `{until}`")
    for reason in retry:
        if reason not in REASONS:
            near = difflib.get_close_matches(reason, REASONS, n=1)
            raise ConfigError(f"--retry: no reason `{reason}`" + (f"; did you mean `{near[0]}`?" if near else ""))
    if dry_run:
        _dry_run(settings, run)
        return
    stop_at: Until = until  # type: ignore[assignment]
    cluster = (address or settings.executor.address) if kind == "ray" else None
    if cluster and run.is_local:
        run = run.absolute()  # workers have working directories of their own
        _say_shared(run)
    engine = _executor(kind, cluster, settings.executor.workers)
    try:
        with open_gate(kind, run, settings.crawl) as gate:
            run_line(settings, run, engine, gate, Progress(quiet=quiet), until=stop_at, retry=retry)
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; the same command continues", style="yellow")
        sys.exit(130)
    if not quiet and until == "pack":
        from voxmill.pipeline.reports.stats import print_summary

        print_summary(root)


def stats_command(root: str, by: str | None, what_if: list[str], sql: str | None, *, as_json: bool, as_csv: bool) -> None:
    from voxmill.pipeline.reports.stats import print_stats

    print_stats(root, by=by, what_if=_thresholds(what_if), sql=sql, as_json=as_json, as_csv=as_csv)


def verify_command(root: str, *, as_json: bool) -> None:
    run, _, stages = _open(root)
    report = verify(run, stages)
    if as_json:
        print(json.dumps({"ok": report.ok, **asdict(report)}))
    else:
        table = Table("stage", "in", "kept", "rejected", "seconds in", "seconds kept", "seconds rejected", "", box=None)
        for b in report.balances:
            cells = [str(v) for v in (b.rows_in, b.kept, b.rejected)]
            cells += [f"{v / 16000:.1f}" for v in (b.samples_in, b.samples_kept, b.samples_rejected)]
            table.add_row(b.stage, *cells, "=" if b.holds else "≠")
        out.print(table)
        for problem in report.problems:
            out.print(problem, style="red", highlight=False, soft_wrap=True)
        verdict = "holds" if report.ok else f"fails with {len(report.problems)} problems"
        out.print(f"{report.shards} shards, {report.shard_samples} samples: the proof {verdict}", highlight=False)
    sys.exit(0 if report.ok else 1)


def revoke_command(root: str, request: Request, *, denied_too: bool, dry_run: bool, as_json: bool) -> None:
    run, config, stages = _open(root)
    if denied_too:
        request = replace(request, ids=(*request.ids, *denied(run, config.crawl).ids))
    done = revoke(run, config, stages, request, dry_run=dry_run)
    lives = [r for r in done.found.kept if not is_scrubbed(r)]
    outside = sorted({r.audio for r in done.found.recordings if r.audio and r.audio.startswith("/")})
    state = run.load()["config"]["sources"]
    addresses = {r.provenance.url.removeprefix("file://") for r in done.found.recordings}
    named = [s["name"] for s in state if any(address in json.dumps(s, ensure_ascii=False) for address in addresses)]
    if as_json:
        facts: dict[str, Any] = {
            "recordings": len(lives),
            "items": len(done.found.items),
            "seconds": sum(r.seconds for r in lives),
        }
        facts |= {
            "shards": done.shards,
            "report": done.report,
            "problems": done.problems,
            "outside": outside,
            "sources": named,
            "near": done.near,
        }
        print(json.dumps({"ok": not done.problems, "dry_run": dry_run, "new": done.stone is not None, **facts}))
    else:
        verb = "would be revoked" if dry_run else "revoked"
        out.print(f"{len(lives)} recordings ({sum(r.seconds for r in lives):.1f} s) {verb}; {len(done.shards)} shards change")
        if done.stone is None:
            out.print("all of it was revoked before: tombstones and shards are as they were")
        for path in outside:
            out.print(f"[yellow]outside the run, and left there:[/yellow] {path}", highlight=False, soft_wrap=True)
        for ident in done.near:
            out.print(
                f"[yellow]a near duplicate stays:[/yellow] voxmill revoke {root} --id {ident}", highlight=False, soft_wrap=True
            )
        for name in named:
            out.print(f"[yellow]source {name} of the config names it:[/yellow] take it out there too", highlight=False)
        for problem in done.problems:
            out.print(problem, style="red", highlight=False, soft_wrap=True)
        if done.report:
            out.print(f"absence proven; report: {done.report}", highlight=False, soft_wrap=True)
    sys.exit(1 if done.problems else 0)


def duplicates_command(
    root: str,
    by: Sequence[str],
    against: Sequence[str],
    evaluation: Sequence[str],
    *,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    from voxmill.pipeline.settle import overlaps, settle, with_duplicates

    run = Run(root)
    config = with_duplicates(run, by, against, evaluation)
    if dry_run:
        _dry_run(config, run)
        return
    executor = _executor("local", None, config.executor.workers)
    found = settle(run, config, executor, Progress(quiet=quiet or as_json)) if config.duplicates else overlaps(run)
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
        return
    table = Table("reason", "where", "by", "recordings", "stretches", "seconds", "best match", box=None)
    for one in found:
        cells = (str(one.recordings), str(one.stretches), f"{one.seconds:.1f}", one.example)
        table.add_row(one.reason, one.of or "this run", one.by, *cells)
    out.print(table if found else "nothing is there twice, and nothing is in the evaluation sets")
    if config.duplicates:
        settings = json.dumps(config.duplicates.model_dump(mode="json", exclude_defaults=True))
        out.print(f"to keep it so, put this into the config: duplicates: {settings}", highlight=False, soft_wrap=True)


def replay_command(root: str, stage: str, unit: str, only: str | None) -> None:
    run, config, stages = _open(root)
    runnable = [name for name, s in stages.items() if s.reads]
    if stage == "pack":
        _show(Packer(run.root, stages, {}).replay(only or ""), unit, only)
        return
    if stage not in runnable:
        raise RunError(f"no stage `{stage}` to repeat; this run has {', '.join(runnable)}, pack")
    reads = [stages[name] for name in stages[stage].reads]
    if unit not in Ledger(run).done(reads[0]):
        raise RunError(f"stage {stage} of {run.root} has no unit `{unit}`")
    with open_gate("local", run, config.crawl) as gate:
        made = stages[stage] if stage != "crawl" else build(config, run, gate)[stage]  # a fetch is repeated as politely
        rows = Worker(run.root, made, reads).replay(unit, only)
    _show(rows, unit, only)


def _show(rows: Sequence[Any], unit: str, only: str | None) -> None:
    if not rows:
        raise RunError(f"unit `{unit}` has no member `{only}`")
    for row in rows:
        out.print_json(json.dumps(plain(row), ensure_ascii=False))


def config_init_command(recipe: str, path: Path) -> None:
    if recipe not in recipe_names():
        raise ConfigError(f"no recipe `{recipe}`; there are {', '.join(recipe_names())}")
    if path.exists():
        raise ConfigError(f"{path} exists: give another name with --out")
    path.write_text((RECIPES / f"{recipe}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    out.print(f"{path}: now edit `sources` and `crawl.contact`, then `voxmill config check -c {path}`", highlight=False)


def config_show_command(config: str) -> None:
    print(dump_config(load_config(config)), end="")


def config_check_command(config: str) -> None:
    settings = load_config(config)
    missing = _missing_weights(settings)
    for name, fix in missing:
        out.print(f"[yellow]weights {name} are not here[/yellow]: {fix}", highlight=False)
    if settings.crawl.contact == "you@example.org":
        out.print("[yellow]crawl.contact is the recipe's placeholder[/yellow]: put your own address there before you crawl")
    out.print(f"{config}: valid, {len(settings.sources)} sources, engines {', '.join(e.name for e in settings.transcribe)}")
    sys.exit(1 if missing else 0)


def models_list_command() -> None:
    table = Table("name", "engine", "here", "what", "source", box=None)
    for row in weights.status():
        here = f"yes, {(row.num_bytes or 0) / 1e6:.0f} MB" if row.ready else "no"
        table.add_row(row.name, row.engine, here, row.about, row.source)
    out.print(table)


def models_fetch_command(names: list[str]) -> None:
    for name in names:
        with out.status(f"fetching {name}"):
            folder = weights.fetch(name)
        problems = weights.verify(name)
        out.print(f"{name}: {folder}" + "".join(f"\n  {p}" for p in problems), highlight=False)


def models_verify_command(names: list[str]) -> None:
    bad = False
    for name in names:
        problems = weights.verify(name)
        bad |= any(not p.startswith("unpinned") for p in problems)
        out.print(f"{name}: {'; '.join(problems) or 'every byte is what it should be'}", highlight=False, soft_wrap=True)
    sys.exit(1 if bad else 0)


def doctor_command(config: str | None) -> None:
    from voxmill.pipeline.reports.doctor import examine

    sys.exit(0 if examine(load_config(config) if config else None, out) else 1)


def calibrate_command(root: str, reference: Path, error: float | None, hours: float | None, *, as_json: bool) -> None:
    from voxmill.pipeline.reports.calibrate import FILE, calibrate, threshold

    run, config, _ = _open(root)
    found = calibrate(run, reference, config.reconcile.normalise)
    chosen = threshold(found.points, error=error, hours=hours) if error is not None or hours is not None else None
    if as_json:
        rows = {"tiers": [asdict(t) for t in found.tiers], "warnings": found.calibration.warnings}
        print(json.dumps(rows | {"threshold": asdict(chosen) if chosen else None}))
        return
    table = Table("tier", "segments", "hours", "expected error", "95 %", box=None)
    for tier in found.tiers:
        cells = f"{tier.hours:.2f}", f"{tier.expected:.1%}", f"{tier.low:.1%} to {tier.high:.1%}"
        table.add_row(tier.name, str(tier.segments), *cells)
    out.print(table)
    for curve in found.calibration.curves:
        seen = f"{curve.words} words, {curve.segments} segments, {curve.recordings} recordings"
        seen += f", {curve.speakers or 'unknown'} speakers, {curve.conditions or 'unknown'} conditions"
        out.print(f"curve for {curve.language or 'all languages'}: {seen}", highlight=False)
    for warning in found.calibration.warnings:
        out.print(f"warning: {warning}", style="yellow", highlight=False, soft_wrap=True)
    if error is not None or hours is not None:
        said = (
            "no threshold does that"
            if chosen is None
            else (
                f"keep scores of at least {chosen.least:.4f}: {chosen.hours:.2f} h ({chosen.share:.1%}), expected error {chosen.expected:.1%}"
            )
        )
        out.print(said, highlight=False)
    out.print(
        f"written: {run.uri(FILE)}; to select by it: --set select.score=expected_error --set select.calibration={run.uri(FILE)}",
        highlight=False,
        soft_wrap=True,
    )


def retention_command(root: str, by: Sequence[str] | None, path: Path | None, *, as_json: bool) -> None:
    from voxmill.pipeline.reports.retention import FACTORS, plot, retention

    for factor in by or ():
        if factor not in FACTORS:
            raise ConfigError(f"--by: no factor `{factor}`; there are {', '.join(FACTORS)}")
    found = retention(root, by or FACTORS)
    if path:
        plot(found, str(path))
    if as_json:
        print(json.dumps(asdict(found)))
        return
    table = Table("factor", "class", "segments", "hours", "kept", "95 %", box=None)
    for one in found.shares:
        cells = str(one.segments), f"{one.hours:.2f}", f"{one.kept:.1%}", f"{one.low:.1%} to {one.high:.1%}"
        table.add_row(one.factor, one.value, *cells)
    out.print(table)
    table = Table("factor", "class", "against", "points", "95 %", box=None)
    for effect in found.effects:
        interval = f"{100 * effect.low:+.1f} to {100 * effect.high:+.1f}"
        table.add_row(effect.factor, effect.value, effect.against, f"{100 * effect.change:+.1f}", interval)
    out.print(table)
    out.print(f"{found.recordings} recordings; effects: {found.model}", highlight=False, soft_wrap=True)


def revote_command(root: str, changes: Sequence[str], *, dry_run: bool, quiet: bool, as_json: bool) -> None:
    from voxmill.pipeline.revote import changed, revote

    run = Run(root)
    settings = changed(run.load(), changes, run.uri("run.json"))
    if dry_run:
        _dry_run(settings, run)
        return
    found = revote(run, changes, _executor("local", None, settings.executor.workers), Progress(quiet=quiet))
    if as_json:
        print(json.dumps(vars(found)))
        return
    table = Table("tier", "segments before", "after", box=None)
    for tier in ("high", "weak", "unlabelled", "rejected"):
        table.add_row(tier, str(found.before[tier]), str(found.after[tier]))
    out.print(table)
    out.print(f"{found.segments} segments: {found.texts} texts and {found.tiers} tiers are others; no engine ran")


def plan_command(config: str, sample: int, root: str | None) -> None:
    from voxmill.pipeline.reports.plan import predict

    predict(load_config(config), sample, root, out)


def _say_shared(run: Run) -> None:
    Console(stderr=True).print(
        f"{run.root} is a folder: every machine of the cluster must see it under this name (shared storage); "
        "where they do not, give a bucket prefix as --out (s3://…, gs://…)",
        style="yellow",
        highlight=False,
        soft_wrap=True,
    )


def _executor(kind: str, address: str | None, workers: int | None) -> Executor:
    if kind == "ray":
        from voxmill.pipeline.execution.ray import RayExecutor

        return RayExecutor(address, workers=workers)
    from voxmill.pipeline.execution.local import LocalExecutor

    return LocalExecutor(workers=workers)


def _open(root: str) -> tuple[Run, RunConfig, dict[str, Stage]]:
    """A run with the config and the fingerprints that it was last brought up to: a newer voxmill may give stages others."""
    run = Run(root)
    state = run.load()
    config = parse_config(state["config"], run.uri("run.json"))
    stages = build(config, run, no_gate())
    written: dict[str, str] = state.get("fingerprints", {})
    return run, config, {n: replace(s, fingerprint=written.get(n, s.fingerprint)) for n, s in stages.items()}


def _dry_run(config: RunConfig, run: Run) -> None:
    gate: HostGate = no_gate()
    stages = build(config, run, gate)
    table = Table("source", "kind", "what", "licence", box=None)
    for source in config.sources:
        table.add_row(source.name, source.kind, ", ".join(source.addresses)[:80], source.licence or "as the source says")
    out.print(table)
    listing, ledger = Listing(run), Ledger(run)
    units = {u.id for u in listing.units()}
    steps = Table("stage", "fingerprint", "reads", "done", "to do", box=None)
    for stage in stages.values():
        if stage.kind in ("segment", "transcribe", "reconcile", "label", "select"):
            done = len(units & ledger.done(stage))
            steps.add_row(stage.name, stage.fingerprint, ", ".join(stage.reads), str(done), str(len(units) - done))
    out.print(steps)
    out.print(f"nothing was fetched or written; run again without --dry-run to fill {run.root}", highlight=False)


def _missing_weights(config: RunConfig) -> list[tuple[str, str]]:
    known = {row.name: row for row in weights.status()}
    wanted = [str(getattr(e, "model", "")) for e in (*config.transcribe, *asked(config.label, config.labels))]
    return [(name, known[name].fix) for name in wanted if name in known and not known[name].ready]


def _thresholds(pairs: list[str]) -> dict[str, Any]:
    thresholds: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--what-if needs `name=value`, as in `select.agreement=0.9`, not `{pair}`")
        try:
            thresholds[name] = json.loads(value)
        except json.JSONDecodeError:
            thresholds[name] = value
    return thresholds
