"""The last net before a log: whatever a process of ours, or a library in it, says of an address is said without its secrets."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import warnings
from functools import cache
from types import TracebackType
from typing import Any

from voxmill.manifests.public_form import public_text


@cache
def be_discreet() -> None:
    """Holds from now on for the log records, warnings and tracebacks of this process."""
    make = logging.getLogRecordFactory()

    def record(*args: Any, **more: Any) -> logging.LogRecord:
        return _public(make(*args, **more))

    logging.setLogRecordFactory(record)
    word = warnings.formatwarning
    warnings.formatwarning = lambda *args, **more: public_text(word(*args, **more))
    sys.excepthook = _say
    threading.excepthook = lambda error: _say(error.exc_type, error.exc_value, error.exc_traceback)


def _public(record: logging.LogRecord) -> logging.LogRecord:
    try:
        said = record.getMessage()
    except Exception:  # noqa: BLE001 - logging itself says what is wrong with a record
        return record
    if (public := public_text(said)) != said:
        record.msg, record.args = public, ()
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = public_text("".join(traceback.format_exception(*record.exc_info))).rstrip()
    return record


def _say(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if kind is not SystemExit:
        sys.stderr.write(public_text("".join(traceback.format_exception(kind, error, trace))))
