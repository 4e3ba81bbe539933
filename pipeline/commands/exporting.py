"""`voxmill export-data`: the shards of a run in the layout of another toolkit; `rebuild-data`: its audio again from addresses."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from voxmill.pipeline.commands import options
from voxmill.pipeline.terminal.display import Display
from voxmill.pipeline.terminal.output import amount, console, print_json
from voxmill.pipeline.terminal.table import number, print_table

PROBLEMS_SHOWN = 10


def export_data(
    run: options.RunRoot,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="`hf`, `hf-webdataset`, `nemo`, `nemo-files`, `lhotse`, `lhotse-files`, `kaldi`, `espnet`, `jsonl` or `urls`.",
        ),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", help="The folder of the export, new or to be continued; or a bucket prefix.")
    ],
    tier: Annotated[list[str] | None, typer.Option(help="Only these tiers: `high`, `weak`, `unlabelled`, `event`.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="Only these splits: `train`, `dev`, `test`.")] = None,
    licence: Annotated[list[str] | None, typer.Option(help="Only these licences.")] = None,
    where: Annotated[
        str | None, typer.Option(help="Only samples with this SQL condition, as in `language = 'en' AND seconds < 20`.")
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="Goes before the paths of audio files, where a format's readers want them from the root.")
    ] = "",
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Write the shards of a run in the layout of another toolkit. FLAC files are copied; the same command continues a stopped export.

    Every licence and split has a folder of its own. Labels, word times and provenance go along.

    Examples:

        voxmill export-data runs/one --to nemo -o exports/nemo

        voxmill export-data runs/one --to lhotse -o exports/shar --split train --tier high --where "language = 'en' AND seconds < 20"
    """
    from voxmill.manifests.errors import UserError, nearest
    from voxmill.manifests.user_input import new_folder
    from voxmill.pipeline.state.run import Run
    from voxmill.sharding.exports.data_export import export_data as export
    from voxmill.sharding.exports.export_plan import ExportChoice
    from voxmill.sharding.exports.format_table import FORMATS

    if to not in FORMATS:
        raise UserError(f"--to: no format `{to}`{nearest(to, set(FORMATS))}")
    opened = Run(run)
    opened.written()
    if not opened.ledger.state.packed or opened.ledger.state.packed_units < opened.listing.num_units:
        raise UserError(
            f"{run} is not packed to its end, and a part of it would be exported as the whole: `voxmill run` goes on with it"
        )
    new_folder(out)
    choice = ExportChoice(tuple(tier or ()), tuple(split or ()), tuple(licence or ()), where)
    with Display(quiet=quiet or as_json) as display:
        tell = lambda done, parts: display.phase(f"exporting: {done} of {amount(parts, 'part')}")
        made = export(opened.shards_dir, out, FORMATS[to], choice, prefix=prefix, on_part=tell)
    if as_json:
        print_json(asdict(made))
        return
    rows = [(s.folder, str(s.parts), str(s.samples), f"{s.seconds / 3600:.3f}") for s in made.sets]
    print_table(console(), ("folder", number("parts"), number("samples"), number("hours")), rows)
    console().print(f"{out} holds it whole; fingerprint {made.fingerprint[:16]}", soft_wrap=True)


def rebuild_data(
    export: Annotated[str, typer.Argument(metavar="FOLDER", help="One folder of an export of addresses.", show_default=False)],
    originals: Annotated[str, typer.Option(help="A run that has fetched the recordings, as with `voxmill crawl`.")],
    out: Annotated[str, typer.Option("--out", "-o", help="The folder for the FLAC files.")],
    as_json: options.Json = False,
) -> None:
    """Make the audio of an export of addresses again from the originals, and prove each sample equal. Exits with 1 where one is not.

    Examples:

        voxmill crawl exports/urls/cc0-1_0/train/recordings.jsonl -o runs/again --contact me@example.org

        voxmill rebuild-data exports/urls/cc0-1_0/train --originals runs/again -o audio
    """
    from voxmill.manifests.user_input import new_folder
    from voxmill.pipeline.rebuild_data import originals_of, rebuild
    from voxmill.pipeline.state.run import Run

    opened = Run(originals)
    opened.load()
    new_folder(out)
    made = rebuild(export, originals_of(opened), out)
    if as_json:
        print_json({"ok": not made.problems, **asdict(made)})
    else:
        for key, problem in list(made.problems.items())[:PROBLEMS_SHOWN]:
            console().print(f"{key}: {problem}", style="red", soft_wrap=True)
        lacking = f"; {len(made.problems)} are not there" if made.problems else ""
        console().print(
            f"{amount(made.samples, 'sample')} ({made.seconds:.1f} s) made and proven equal{lacking}", soft_wrap=True
        )
    sys.exit(1 if made.problems else 0)
