"""Where text goes: consoles that print data as it is, on any terminal, in any pipe, in any locale.

In a pipe or a log nothing is ever wrapped or cut, because who reads it there is a program, a file or a search. Text is data, never markup: `[laughter]`
and `:x:` are printed as they are, and control characters, which could drive the terminal, are printed as escapes.
"""

from __future__ import annotations

import codecs
import json
import locale
import os
import re
import sys
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from voxmill.manifests.public_form import public_text

PIPE_COLUMNS = 100_000
"""Width of what is no terminal: wide enough that nothing is ever wrapped."""

ASCII = {
    "█": "#", "▉": "#", "▊": "#", "▋": "#", "▌": "=", "▍": "-", "▎": "-", "▏": "-", "≠": "!=", "≤": "<=", "≥": ">=", "…": "...",
    "–": "-", "—": "-", "·": "|", "−": "-", "→": "->", "⏎": "\\n", "‘": "'", "’": "'", "“": '"', "”": '"',
}  # fmt: skip
"""What stands for a sign of ours where the locale does not have it."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class PublicConsole(Console):
    """What it prints as text holds no secret of an address, whoever said it."""

    def print(self, *objects: Any, **how: Any) -> None:
        super().print(*map(_public, objects), **how)


def _public(value: Any) -> Any:
    if isinstance(value, str):
        return public_text(value)
    if isinstance(value, Text) and (public := public_text(value.plain)) != value.plain:
        return Text(public)
    return value


def console(*, stderr: bool = False) -> Console:
    """A console for standard output or standard error. Colours and wrapping only where it is a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return console_on(stream, stderr=stderr)


def console_on(stream: TextIO, *, stderr: bool = False, width: int | None = None) -> Console:
    """`width` None: as wide as the terminal is, and without end where there is none."""
    terminal = stream.isatty()
    return PublicConsole(
        stderr=stderr,
        file=None if stream in (sys.stdout, sys.stderr) else stream,
        force_terminal=terminal,
        width=width if terminal or width else PIPE_COLUMNS,
        markup=False,
        emoji=False,
        highlight=False,
    )


def plain(text: str) -> str:
    r"""Without secrets of addresses, control characters as escapes: text from the web must not drive a terminal, and a cell is one line.

    >>> plain("two\nlines, \x1b[31mred")
    'two\\nlines, \\x1b[31mred'
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), public_text(text))


def amount(number: int, noun: str) -> str:
    """A count and what is counted.

    >>> amount(1, "shard"), amount(0, "shard"), amount(1234, "sample")
    ('1 shard', '0 shards', '1,234 samples')
    >>> amount(2, "batch"), amount(2, "address")
    ('2 batches', '2 addresses')
    """
    plural = "es" if noun.endswith(("ch", "s")) else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def print_json(value: Any) -> None:
    """One line of JSON on standard output: as it is where that is UTF-8, with escapes elsewhere, so that every parser reads the same."""
    print(json.dumps(value, ensure_ascii=not _speaks_utf8(sys.stdout)), flush=True)


def use_utf8() -> None:
    """For CSV, which has no escapes: standard output in UTF-8, whatever the locale."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def use_utf8_names() -> None:
    """Starts this program once more, in Python's UTF-8 mode, where the locale has another encoding.

    Names of files are bytes. In a Latin-1 locale Python would look for a file that a config names by other bytes than those on the disk, and could
    not even ask for most of the world's names. What is printed keeps the locale's encoding.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name != "utf-8":
        os.environ.setdefault("PYTHONIOENCODING", f"{locale.getpreferredencoding(False)}:backslashreplace")
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def never_fail_to_print() -> None:
    """Standard output and error write something for every character, also where the locale has no sign for it."""
    codecs.register_error("voxmill", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="voxmill")


def _stand_in(error: UnicodeError) -> tuple[str | bytes, int]:
    """For one character: the byte that it stands for (a file's name of another encoding), a sign of ASCII, or an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign = error.object[error.start]
    if "\udc80" <= sign <= "\udcff":
        return bytes([ord(sign) - 0xDC00]), error.start + 1
    return ASCII.get(sign) or sign.encode("ascii", "backslashreplace").decode(), error.start + 1


def _speaks_utf8(stream: TextIO) -> bool:
    try:
        return codecs.lookup(stream.encoding or "ascii").name == "utf-8"
    except LookupError:
        return False
