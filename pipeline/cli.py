"""The `voxmill` command: registers every subcommand in the order of `--help`. What they do is in `pipeline/commands`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.text import Text

from voxmill import __version__
from voxmill.pipeline.commands import (
    changes,
    exporting,
    modelling,
    options,
    releasing,
    reporting,
    reports,
    running,
    status_command,
    viewing,
)
from voxmill.pipeline.commands import config_commands as config
from voxmill.pipeline.commands import rights_commands as rights
from voxmill.pipeline.commands import weights_commands as weights
from voxmill.pipeline.commands.strict_command import StrictCommand
from voxmill.pipeline.commands.warning_lines import warn_plainly
from voxmill.pipeline.execution.log_redaction import be_discreet
from voxmill.pipeline.terminal import output

CODES = (
    "Exit codes: 0 done; 1 the proof or the check fails; 2 wrong use; "
    "3 something outside fails or is missing (a store, the disk, the network, a package, weights); 130 stopped by Ctrl-C."
)

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(no_args_is_help=True, help="Write, show and check configs.")
models_app = typer.Typer(no_args_is_help=True, help="List, fetch and verify model weights.")


@app.callback(invoke_without_command=True, epilog=CODES)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Turns the audio of the web into training data for speech models.

    `voxmill run talks/ -o runs/talks --language en --licence cc-by-4.0` goes from a folder of speech to shards; the same
    command continues a stopped run.
    """
    if version:
        print(__version__)
        raise typer.Exit


app.command(cls=StrictCommand)(running.run)
app.command(cls=StrictCommand)(running.crawl)
app.command(cls=StrictCommand)(reports.stats)
app.command(cls=StrictCommand)(status_command.status)
app.command(cls=StrictCommand)(viewing.view)
app.command(cls=StrictCommand)(reports.verify)
app.command(cls=StrictCommand)(rights.revoke)
app.command(cls=StrictCommand)(changes.duplicates)
app.command(cls=StrictCommand)(reports.calibrate)
app.command(cls=StrictCommand)(reports.audit)
app.command(cls=StrictCommand)(reports.retention)
app.command(cls=StrictCommand)(reporting.report)
app.command(cls=StrictCommand)(changes.revote)
app.command(cls=StrictCommand)(changes.migrate)
app.command(cls=StrictCommand)(running.plan)
app.command(cls=StrictCommand)(weights.doctor)
app.command(cls=StrictCommand)(exporting.export_data)
app.command(cls=StrictCommand)(exporting.rebuild_data)
app.command(cls=StrictCommand)(releasing.release)
app.command(cls=StrictCommand)(modelling.train)
app.command(cls=StrictCommand)(modelling.transcribe)
app.command(cls=StrictCommand)(modelling.evaluate)
app.command(cls=StrictCommand)(modelling.export)
app.command(cls=StrictCommand)(running.replay)

app.add_typer(config_app, name="config")
config_app.command(cls=StrictCommand)(config.init)
config_app.command(cls=StrictCommand)(config.show)
config_app.command(cls=StrictCommand)(config.schema)
config_app.command(cls=StrictCommand)(config.check)

app.add_typer(models_app, name="models")
models_app.command("list", cls=StrictCommand)(weights.list_)
models_app.command(cls=StrictCommand)(weights.fetch)
models_app.command(cls=StrictCommand)(weights.verify)


def main() -> None:
    """Runs one command and exits with its code (see `pipeline/commands/exit_codes.py`).

    An error that the user can fix is one line on standard error (the thing, the cause, the fix), without a traceback.
    """
    output.use_utf8_names()
    output.never_fail_to_print()
    be_discreet()
    console = output.console(stderr=True)
    warn_plainly(lambda text: console.print(Text.assemble(("warning: ", "yellow"), text), soft_wrap=True))
    try:
        options.check_words(sys.argv[1:])
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as stopped:
        if isinstance(stopped.__context__, BrokenPipeError):  # the reader closed the pipe (`| head`)
            sys.exit(141)
        raise
    except Exception as error:  # noqa: BLE001 - the outermost handler
        from voxmill.pipeline.commands.exit_codes import bug, failure_of

        failure = failure_of(error) or bug(error)
        console.print(Text.assemble(("error: ", "red"), failure.message), soft_wrap=True)
        sys.exit(failure.code)
