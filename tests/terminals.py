"""A command in a terminal: what a person at a pty of so many columns sees of it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from select import select


@dataclass(frozen=True, slots=True)
class Seen:
    """What came out of a terminal."""

    code: int
    text: str
    """Everything written to the terminal, with its control sequences."""
    times: tuple[float, ...]
    """When something was written, in seconds since the start."""


def in_terminal(
    command: Sequence[str],
    *,
    columns: int = 80,
    rows: int = 24,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 300.0,
) -> Seen:
    """Runs a command with a terminal as its standard input, output and error."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    surroundings = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    begin = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=cwd,
        env=surroundings | {"TERM": "xterm-256color"} | dict(env or {}),
        start_new_session=True,
    )
    os.close(follower)
    parts, times = [], []
    while True:
        if not select([leader], [], [], max(0.0, begin + timeout - time.monotonic()))[0]:
            process.kill()
            break
        try:
            part = os.read(leader, 1 << 16)
        except OSError:  # Linux says so where everybody has closed the terminal
            break
        if not part:
            break
        parts.append(part)
        times.append(time.monotonic() - begin)
    code = process.wait()
    os.close(leader)
    return Seen(code, b"".join(parts).decode(errors="replace"), tuple(times))
