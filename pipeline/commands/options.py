"""Options and arguments that several commands share, in the same words."""

from __future__ import annotations

from typing import Annotated

import typer

from voxmill.pipeline.commands import complete

Config = Annotated[
    str, typer.Option("--config", "-c", help="A YAML file, or the name of a shipped recipe.", autocompletion=complete.configs)
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE: one key of the config for this time, as in `select.high=0.9`; repeatable."),
]
Out = Annotated[str, typer.Option("--out", "-o", help="The run: a directory, or a bucket prefix (`s3://…`).")]
RunRoot = Annotated[
    str,
    typer.Argument(help="The run: a directory, or a bucket prefix.", show_default=False, autocompletion=complete.runs),
]
Executor = Annotated[str | None, typer.Option(help="`local` or `ray`; default: as the config says.")]
Retry = Annotated[
    list[str] | None,
    typer.Option(help="Fetch items with this reason once more, e.g. `crawl.network`.", autocompletion=complete.reasons),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]

Model = Annotated[str, typer.Option("--model", "-m", help="A training's folder (its last checkpoint), or a checkpoint.")]
Budget = Annotated[
    str | None, typer.Option(help="How much of an elastic model: EXPERTS[:TOP_K[:WIDTH]], as in `6`; default: all.")
]
Decode = Annotated[str, typer.Option(help="`greedy`, `beam`, `rescore`, `attention` or `transducer`: quick to thorough.")]
Chunk = Annotated[int | None, typer.Option(min=1, help="Hear as a stream would: chunks of this many 40 ms.")]
Device = Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda`, `cuda:1`, …")]
