"""Options and arguments that several commands share, so that their help is the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import typer

from voxmill.pipeline.commands import complete


def finite(value: float | None) -> float | None:
    """Typer callback that refuses `nan` and `inf`, which Python parses as floats."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number")
    return value


_CONFIG = typer.Option("--config", "-c", help="A YAML file, or the name of a shipped recipe.", autocompletion=complete.configs)
Config = Annotated[str, _CONFIG]
ConfigIfAny = Annotated[str | None, _CONFIG]
Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FOLDER|FILE|URL|LIST",
        help="Sources, if no config names them: folders, files, web addresses, buckets, lists of addresses.",
        show_default=False,
    ),
]
Language = Annotated[str | None, typer.Option(help="Language of these sources, as in `en`, `zh`, `pt-BR`.")]
Licence = Annotated[
    str | None,
    typer.Option(
        help="Licence of these sources, as in `cc-by-4.0`; you answer for it. What has no known licence is not packed."
    ),
]
Contact = Annotated[
    str | None,
    typer.Option(
        envvar="VOXMILL_CONTACT",
        help="Who crawls: a web page or an e-mail address that site owners can contact. Needed for web addresses.",
        show_envvar=True,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="KEY=VALUE: set one key of the config, as in `select.high=0.9`; repeatable. Saved if the run has a config.yaml.",
    ),
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
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="A training's folder (its average, else its best checkpoint, else its last), or a checkpoint."
    ),
]
Budget = Annotated[
    str | None, typer.Option(help="How much of an elastic model: EXPERTS[:TOP_K[:WIDTH]], as in `6`; default: all.")
]
Decode = Annotated[
    str | None,
    typer.Option(
        help="`greedy`, `beam`, `rescore` (CTC), `attention`, `attention-beam`, `transducer` or `transducer-beam`; default: `rescore`, or "
        "`attention` for a model without CTC.",
        autocompletion=complete.decoding_methods,
    ),
]
Beam = Annotated[int | None, typer.Option(min=1, max=10_000, help="Hypotheses of a beam search; default: 10.")]
Hotword = Annotated[
    list[str] | None, typer.Option(help="A phrase that is likely to be said, such as a name; repeatable. With a beam.")
]
Boost = Annotated[
    float | None, typer.Option(help="What each token of a hotword adds to the log probability; default: 1.5.", callback=finite)
]
Lm = Annotated[str | None, typer.Option(help="An n-gram language model of words: an ARPA text file, or .gz. With a beam.")]
LmWeight = Annotated[float | None, typer.Option(help="Weight of the language model; default: 0.5.", callback=finite)]
Chunk = Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Streaming: read chunks of this many frames of 40 ms.")]
Device = Annotated[str, typer.Option(help="`auto`, `cpu`, `cuda`, `cuda:1`, …")]


def check_words(words: Sequence[str]) -> None:
    """Raises UserError for empty arguments (often a shell variable that is not set) and for bytes that the locale cannot decode."""
    for word in words:
        if wrong := _wrong(word):
            from voxmill.manifests.errors import UserError  # with pydantic: a right command loads it when it needs it

            raise UserError(wrong)


def _wrong(word: str) -> str:
    """What is wrong with an argument, and the fix; empty where nothing is."""
    if not word.strip() or (word.startswith("--") and word.endswith("=")):
        before = f" (in `{word}`)" if word.strip() else ""
        return f"an argument is empty{before}: give a value, or leave the option out"
    try:
        word.encode()
    except UnicodeEncodeError:
        return f"the argument {word!a} is no text in this locale: rename the file, or set LC_ALL to the locale of its name"
    return ""
