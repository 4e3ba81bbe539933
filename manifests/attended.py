"""Whether somebody waits for this process: the command that a person started, as opposed to its workers. Imports nothing."""

from __future__ import annotations

_attended = False


def attend() -> None:
    """Says that this process is a command that somebody started and waits for."""
    global _attended
    _attended = True


def is_attended() -> bool:
    """Whether `attend` was called here."""
    return _attended
