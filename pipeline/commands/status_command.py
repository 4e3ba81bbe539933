"""`voxmill status`: how far a run is."""

from __future__ import annotations

from dataclasses import asdict

from voxmill.pipeline.commands import options
from voxmill.pipeline.terminal.output import amount, console, print_json
from voxmill.pipeline.terminal.table import number, print_table


def status(run: options.RunRoot, as_json: options.Json = False) -> None:
    """Say how far a run is, from its journal: while another process works on it, on any machine, and when none does. Changes nothing.

    Examples:

        voxmill status runs/talks

        watch voxmill status s3://bucket/runs/talks
    """
    from voxmill.pipeline.reports import status as reports
    from voxmill.pipeline.state.run import Run
    from voxmill.pipeline.terminal.display import clock

    found, out = reports.status(Run(run)), console()
    if as_json:
        print_json({**asdict(found), "stages": [asdict(one) for one in found.stages]})
        return
    last = "" if found.idle_s is None else f", last entry {clock(found.idle_s)} ago"
    who = f"{found.driver} works on it" if found.driver else "nobody works on it"
    out.print(f"{found.run}: {who}; {found.entries:,} entries in its journal{last}", soft_wrap=True)
    out.print(f"{amount(found.sources, 'source')} listed in {amount(found.generations, 'generation')}", soft_wrap=True)
    rows = [
        (one.stage, f"{one.done}/{one.total}", f"{100 * one.done / one.total:.1f}" if one.total else "–", str(one.struck))
        for one in found.stages
    ]
    if rows:
        print_table(out, ("stage", number("done"), number("%"), number("worker died", 1)), rows)
    if found.in_flight:
        some = ", ".join(found.in_flight[:4]) + (", …" if len(found.in_flight) > 4 else "")
        out.print(f"in work when it was last told: {some}", soft_wrap=True)
    if found.to_fetch:
        out.print("more units are to come: not all that is listed has been fetched", soft_wrap=True)
    for note in found.notes:
        out.print(f"note: {note}", soft_wrap=True)
    shards = "shards and tables are written" if found.packed else "shards and tables are not written yet"
    out.print(shards, soft_wrap=True)
