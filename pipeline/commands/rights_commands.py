"""`voxmill revoke`: remove recordings from a run for good, on request of their owners."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from voxmill.pipeline.commands import options
from voxmill.pipeline.terminal.output import amount, console, print_json

if TYPE_CHECKING:
    from voxmill.pipeline.rights.revoke import Revocation
    from voxmill.pipeline.state.run import Run


def revoke(
    run: options.RunRoot,
    url: Annotated[
        list[str] | None, typer.Option(help="Address of a recording, or of the page or feed that led to it.")
    ] = None,
    host: Annotated[list[str] | None, typer.Option(help="Everything from this host and its subdomains.")] = None,
    ident: Annotated[list[str] | None, typer.Option("--id", help="A recording, a listed item, or a segment of one.")] = None,
    sha256: Annotated[
        list[str] | None, typer.Option("--hash", help="sha256 of an original, of decoded samples, or of a FLAC in a shard.")
    ] = None,
    denied: Annotated[bool, typer.Option("--denied", help="Everything that the config's deny-list names now.")] = False,
    reason: Annotated[str, typer.Option(help="Kept in the tombstone; put no name there.")] = "",
    ahead: Annotated[
        bool, typer.Option("--ahead", help="Also refuse what is not in the run yet; without it, that is an error.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    as_json: options.Json = False,
) -> None:
    """Remove recordings from a run for good, prove that they are gone, and refuse them from now on.

    Only the shards that held them are written again. With a key in VOXMILL_SIGNING_KEY the report is signed.

    Examples:

        voxmill revoke runs/one --url https://example.org/talk.mp3 --reason "request 17" --dry-run

        voxmill revoke runs/one --host example.org

        voxmill revoke runs/one --hash sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    """
    from voxmill.pipeline.build import as_written
    from voxmill.pipeline.rights import request as requests
    from voxmill.pipeline.rights import revoke as revocations
    from voxmill.pipeline.state.run import Run

    opened = Run(run)
    config, stages = as_written(opened)
    request = requests.Request(tuple(url or ()), tuple(host or ()), tuple(ident or ()), tuple(sha256 or ()), reason)
    if denied:
        on_list = requests.denied(opened, config.crawl).ids
        if not on_list and not (url or host or ident or sha256):
            print(
                json.dumps({"ok": True, "dry_run": dry_run, "new": False})
                if as_json
                else "nothing of the run is on its deny-list"
            )
            return
        request = replace(request, ids=(*request.ids, *on_list))
    done = revocations.revoke(opened, config, stages, request, dry_run=dry_run, ahead=ahead)
    facts = _facts(opened, done)
    if as_json:
        print_json({"ok": not done.problems, "dry_run": dry_run, "new": done.stone is not None, **facts})
    else:
        _print_revoked(run, facts, dry_run=dry_run, new=done.stone is not None)
    sys.exit(1 if done.problems else 0)


def _facts(run: Run, done: Revocation) -> dict[str, Any]:
    """What a revocation did, and what is left to the user: originals outside the run, sources of the config that name it."""
    from voxmill.manifests.tombstones import is_scrubbed
    from voxmill.pipeline.state.config_secrets import apart

    lives = [r for r in done.found.kept if not is_scrubbed(r)]
    addresses = {r.provenance.url.removeprefix("file://") for r in done.found.recordings}
    sources = {s["name"]: json.dumps(apart(s)[0], ensure_ascii=False) for s in run.load()["config"]["sources"]}
    return {
        "recordings": len(lives),
        "items": len(done.found.items),
        "seconds": sum(r.seconds for r in lives),
        "shards": done.shards,
        "report": done.report,
        "problems": done.problems,
        "outside": sorted({r.audio for r in done.found.recordings if r.audio and r.audio.startswith("/")}),
        "sources": [name for name, text in sources.items() if any(address in text for address in addresses)],
        "near": done.near,
    }


def _print_revoked(root: str, facts: dict[str, Any], *, dry_run: bool, new: bool) -> None:
    verb = "would be revoked" if dry_run else "revoked"
    count = f"{amount(facts['recordings'], 'recording')} ({facts['seconds']:.1f} s) {verb}"
    out = console()
    out.print(f"{count}; {amount(len(facts['shards']), 'shard')} to change", soft_wrap=True)
    if not new:
        out.print("all of it was revoked before: tombstones and shards are as they were", soft_wrap=True)
    for path in facts["outside"]:
        _warn("outside the run, and left there:", path)
    for ident in facts["near"]:
        _warn("a near duplicate stays:", f"voxmill revoke {root} --id {ident}")
    for name in facts["sources"]:
        _warn(f"source {name} of the config names it:", "take it out there too")
    for problem in facts["problems"]:
        out.print(problem, style="red", soft_wrap=True)
    if facts["report"]:
        out.print(f"absence proven; report: {facts['report']}", soft_wrap=True)


def _warn(what: str, more: str) -> None:
    console().print(Text.assemble((what, "yellow"), f" {more}"), soft_wrap=True)
