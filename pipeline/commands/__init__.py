"""The commands, a file for each group: what can be asked for, which function does the work, how its answer is printed.

A command's docstring is its help. Everything but typer is imported when a command runs, so that help costs nothing.
A new command is a function here and a line in `pipeline/cli.py`.
"""
