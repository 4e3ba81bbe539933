"""Consoles and JSON output that work on any terminal, in any pipe and in any locale.

In a pipe or a log nothing is wrapped or cut, because programs read it. Text is never markup: `[laughter]` and `:x:` are printed as they are.
Control characters, which could drive the terminal, are printed as escapes.
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
"""Width of a console that is no terminal: nothing is wrapped."""

ASCII = {
    "█": "#", "▉": "#", "▊": "#", "▋": "#", "▌": "=", "▍": "-", "▎": "-", "▏": "-", "≠": "!=", "≤": "<=", "≥": ">=", "…": "...",
    "–": "-", "—": "-", "·": "|", "−": "-", "→": "->", "⏎": "\\n", "‘": "'", "’": "'", "“": '"', "”": '"',
}  # fmt: skip
"""ASCII for characters that the locale of the output lacks."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class PublicConsole(Console):
    """A console that masks secrets in addresses (passwords, tokens) in everything it prints."""

    def print(self, *objects: Any, **how: Any) -> None:
        """`rich.console.Console.print` with secrets masked in strings and `Text`."""
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
    """A console on any stream. Without `width` it is as wide as the terminal, or `PIPE_COLUMNS`."""
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
    r"""Text on one line, secrets in addresses masked and control characters escaped: text from the web must not drive a terminal.

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
    """Prints one line of JSON; non-ASCII characters are escaped where the output is not UTF-8, so that every parser reads the same."""
    print(json.dumps(value, ensure_ascii=not _speaks_utf8(sys.stdout)), flush=True)


def use_utf8() -> None:
    """Switches standard output to UTF-8 in any locale; for CSV, which has no escapes."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def use_utf8_names() -> None:
    """Restarts this process in Python's UTF-8 mode if the locale has another encoding.

    File names are bytes. In a Latin-1 locale Python would encode the name of a file differently than it is on the disk, and could not encode most
    scripts at all. What is printed keeps the locale's encoding.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name != "utf-8":
        os.environ.setdefault("PYTHONIOENCODING", f"{locale.getpreferredencoding(False)}:backslashreplace")
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def never_fail_to_print() -> None:
    """Makes standard output and error replace characters that the locale cannot encode, instead of raising."""
    codecs.register_error("voxmill", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="voxmill")


def _stand_in(error: UnicodeError) -> tuple[str | bytes, int]:
    """Error handler for one character: the raw byte of a surrogate escape (a file name in another encoding), ASCII, or an escape."""
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
