"""A table that lives on a terminal; where output is none (a log, CI), a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from typing_extensions import Self

LINE_EVERY_S = 15.0
"""Between two lines on one subject in a log."""


class Display:
    """`with` it, a terminal shows `table()`, drawn anew four times a second."""

    def __init__(self, table: Callable[[], Table], console: Console | None = None, *, quiet: bool = False) -> None:
        self._console = console or Console(stderr=True)
        self._quiet = quiet
        self._draw = table
        self._shown = self._console.is_terminal and not quiet
        self._live: Live | None = None
        """Made when the display is entered: it asks for its first picture at once, when a subclass has all its fields."""
        self._told: dict[str, float] = {}
        """When each subject was last in the log."""

    def __enter__(self) -> Self:
        if self._shown:
            self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._draw)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, highlight=False, soft_wrap=True)

    def tell(self, subject: str, cells: Callable[[], Iterable[str]], *, at_once: bool) -> None:
        """A line in a log, `at_once` or where the last one on this subject is long ago. On a terminal the table says it."""
        now = time.monotonic()
        if not self._shown and (at_once or now - self._told.setdefault(subject, now) > LINE_EVERY_S):
            self._told[subject] = now
            self.say(" · ".join(cells()))


def clock(seconds: float) -> str:
    """Of what is left, as hours, minutes and seconds.

    >>> clock(61), clock(3661)
    ('1:01', '1:01:01')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
