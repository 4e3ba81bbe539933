"""A live display while something runs. Where the output is no terminal (a log, CI, `ray job logs`) it prints a plain line now and then."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread, current_thread, main_thread

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text
from typing_extensions import Self

from voxmill.pipeline.terminal.output import console as standard
from voxmill.pipeline.terminal.output import plain

LINE_EVERY_S = 15.0
"""Least seconds between two lines on one subject in a log."""

LINE_EVERY_SHARE, LINE_EVERY_MAX_S = 0.02, 600.0
"""Later it is this share of the time that has passed, up to so many seconds: a log of a week is read as well."""

STOPPING = "stopping: what is finished is kept"

SILENCE_S = 8.0
"""Seconds without a line after which a log gets one on what is going on."""


class Display:
    """A context manager that shows `table()` and below it `now()`, redrawn four times a second. Subclasses override both."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self._console = console or standard(stderr=True)
        self._quiet = quiet
        self._shown = self._console.is_terminal and not self._console.is_dumb_terminal and not quiet
        self._live: Live | None = None
        self._phase, self._since = "", time.monotonic()
        self._told: dict[str, float] = {}
        """When each subject was last in the log."""
        self._begun = self._last_line = time.monotonic()
        self._over = Event()

    def table(self) -> RenderableType | None:
        """The table of what is done so far; None for no table."""
        return None

    def now(self) -> Sequence[str]:
        """Lines on what is being done at this moment."""
        return ()

    def __enter__(self) -> Self:
        from voxmill.manifests.storage import outage_listeners  # not for `voxmill --help`, which has no display either

        self._over.clear()
        outage_listeners.append(self.say)
        if self._shown:  # only now: `Live` asks for its first picture at once, when a subclass must have all its fields
            self._live = Live(
                console=self._console,
                refresh_per_second=4,
                get_renderable=self._picture,
                redirect_stdout=sys.stdout.isatty(),  # else what a file should get would be drawn here
                redirect_stderr=sys.stderr.isatty(),
            )
            self._live.start()
        elif not self._quiet:
            Thread(target=self._break_silence, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        from voxmill.manifests.storage import outage_listeners

        outage_listeners.remove(self.say)
        self._phase = ""
        self._over.set()
        if self._live:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """A line that stays, above the table."""
        if not self._quiet:
            self._last_line = time.monotonic()
            self._console.print(Text(plain(text)), soft_wrap=True)

    def results(self) -> Console:
        """The console for results: above the live display if both are on the terminal, else standard output."""
        return self._console if self._live and sys.stdout.isatty() else standard()

    def phase(self, text: str) -> None:
        """Sets the line that says what the driver itself is doing; an empty text removes it."""
        self._phase, self._since = text, time.monotonic()
        if text and not self._shown:
            self.say(text)

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """While the block runs, the first Ctrl-C shows at once that the command is stopping, which may take a while."""
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.default_int_handler or current_thread() is not main_thread():
            yield
            return

        def stop(*_: object) -> None:
            signal.signal(signal.SIGINT, before)
            self._phase, self._since = (
                STOPPING,
                time.monotonic(),
            )  # drawn by another thread: a signal may come in the middle of a print
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def tell(self, subject: str, cells: Callable[[], Iterable[str]], *, at_once: bool) -> None:
        """A line in a log: `at_once`, or if the last one on this subject is older than `_pause`. Nothing on a terminal."""
        now = time.monotonic()
        if not self._shown and (at_once or now - self._told.setdefault(subject, now) > self._pause(LINE_EVERY_S)):
            self._told[subject] = now
            self.say(" · ".join(cells()))

    @property
    def over(self) -> bool:
        """Whether the last frame is being drawn, which stays on the terminal."""
        return self._over.is_set()

    def _pause(self, least: float) -> float:
        """Seconds between two lines of a log, by how long it is already."""
        return max(least, min(LINE_EVERY_MAX_S, LINE_EVERY_SHARE * (time.monotonic() - self._begun)))

    def _picture(self) -> RenderableType:
        parts: list[RenderableType] = []
        if (table := self.table()) is not None:
            parts.append(table)
        if not self.over:
            parts += [Text(plain(line), style="dim", no_wrap=True, overflow="ellipsis") for line in self.now()]
            if self._phase:
                parts.append(Spinner("line", Text(f"{plain(self._phase)} · {clock(time.monotonic() - self._since)}")))
        return Group(*parts)

    def _break_silence(self) -> None:
        while not self._over.wait(1.0):
            if time.monotonic() - self._last_line > self._pause(SILENCE_S):
                waiting = f"{self._phase} · {clock(time.monotonic() - self._since)}" if self._phase else ""
                if lines := [*self.now(), *([waiting] if waiting else [])]:
                    self.say(" | ".join(lines))
                self._last_line = time.monotonic()


@contextmanager
def working(on: str, *, quiet: bool = False) -> Iterator[None]:
    """Shows one line with a spinner while the block runs."""
    with Display(quiet=quiet) as display:
        display.phase(on)
        yield


def clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> clock(61), clock(3661)
    ('1:01', '1:01:01')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
