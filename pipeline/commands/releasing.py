"""`voxmill release`: whether the shards of a run may be handed on, and the cards that go with them."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from voxmill.pipeline.commands import options
from voxmill.pipeline.terminal.display import Display
from voxmill.pipeline.terminal.output import amount, console, print_json

SHOWN = 10
"""Hindrances of one kind that are printed."""


def release(
    run: options.RunRoot,
    check: Annotated[bool, typer.Option("--check", help="Only say whether it may be handed on; write nothing.")] = False,
    name: Annotated[str | None, typer.Option(help="What the data is called; without it, as the run's folder is.")] = None,
    url: Annotated[str | None, typer.Option(help="Where the data will be found, for the Croissant description.")] = None,
    creator: Annotated[str | None, typer.Option(help="Who made the data, for the Croissant description.")] = None,
    as_json: options.Json = False,
) -> None:
    """Prove that the shards of a run may be handed on, and write their cards: a dataset card, a datasheet and a Croissant description.

    Every byte of the shards is read. Whatever is not proven, has no known licence, is on the deny-list or looks like a secret is named; then
    nothing is written, and the exit code is 1. Each figure of the cards is asked of the run's tables.

    Examples:

        voxmill release runs/one --check

        voxmill release runs/one --name evening-talks --url https://example.org/evening-talks
    """
    from voxmill.manifests.errors import DamagedError
    from voxmill.manifests.schema import SchemaError
    from voxmill.pipeline.build import as_written
    from voxmill.pipeline.release.cards import write_cards
    from voxmill.pipeline.release.release_gate import Hindrance, hindrances
    from voxmill.pipeline.state.run import Run
    from voxmill.sharding.sidecar import ShardError

    if url is not None:
        _check_address(url)
    opened = Run(run)
    opened.written()
    written: list[str] = []
    facts = None
    try:
        config, stages = as_written(opened)
        with Display(quiet=as_json) as display:
            display.phase("proving the run, and reading every byte of its shards")
            found = list(hindrances(opened, config, stages))
        if not found and not check:
            facts, written = write_cards(opened, config, name, url, creator)
    except (SchemaError, ShardError, DamagedError) as error:  # what cannot be read cannot be handed on
        found = [Hindrance("proof", f"damaged: {error}")]
    if as_json:
        print_json({"ok": not found, "hindrances": [asdict(one) for one in found], "written": written})
        sys.exit(1 if found else 0)
    out, seen = console(), Counter[str]()
    for one in found:
        seen[one.kind] += 1
        if seen[one.kind] <= SHOWN:
            out.print(f"{one.kind}: {one.what}", style="red", soft_wrap=True)
    for kind, count in seen.items():
        if count > SHOWN:
            out.print(f"{kind}: {count - SHOWN} more", soft_wrap=True)
    if found:
        out.print(f"{run} must not be handed on as it is: {amount(len(found), 'hindrance')}", soft_wrap=True)
    elif facts is None:
        out.print(f"{run} may be handed on", soft_wrap=True)
    else:
        out.print(f"{run} may be handed on: {amount(facts.samples, 'sample')}, {facts.hours:.3f} h", soft_wrap=True)
        for file in written:
            out.print(f"  {file}", soft_wrap=True)
    sys.exit(1 if found else 0)


def _check_address(url: str) -> None:
    """Raises UserError for what no card should hold as an address."""
    from urllib.parse import urlsplit

    from voxmill.manifests.errors import UserError
    from voxmill.manifests.public_form import public_address

    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url)
    except ValueError:
        right = False
    if not right:
        raise UserError(f"--url {url}: a web address is wanted, as in https://example.org/evening-talks")
    if public_address(url) != url:
        raise UserError(
            f"--url {public_address(url)}: the address that was given has a password or key in it: give the one that is public"
        )
