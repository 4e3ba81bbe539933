"""The subcommands, one file per group. A command parses its options, calls the code that does the work, and prints the result.

A command's docstring is its `--help`. Everything but typer is imported inside the command, so that `--help` is fast.
To add a command, write a function here and register it in `pipeline/cli.py`.
"""
