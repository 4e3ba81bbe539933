"""Maps every error to an exit code and one line for the user. A UserError carries its code; what is not handled here is a bug (code 70).

0 done · 1 the proof or the check fails · 2 wrong use · 3 something outside fails: a store, the disk, the network, what is installed
"""

from __future__ import annotations

import errno
import os
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

from voxmill.manifests.errors import Unavailable, UserError
from voxmill.manifests.public_form import public_text
from voxmill.pipeline import extras
from voxmill.pipeline.execution.infra_errors import machine_fault

WRONG_USE, UNAVAILABLE, BUG = UserError.exit_code, Unavailable.exit_code, 70

DEBUG = "VOXMILL_DEBUG"
"""Environment variable: if set, the traceback of a bug is printed instead of written to a file."""

_PLACES: dict[int, str] = {
    errno.ENOENT: "there is no such file or folder: check the name",
    errno.ENOTDIR: "a file stands where a folder is wanted: give another place",
    errno.EISDIR: "it is a folder, and a file is wanted: give a file",
    errno.EEXIST: "it is there already, and is no folder: give another place",
    errno.ENAMETOOLONG: "the name is too long for this file system: give a shorter one",
    errno.ELOOP: "its links lead in a circle: give another place",
}
"""Error numbers that a path given by the user causes, with cause and fix."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The exit code and the message of a command that failed."""

    code: int
    message: str


def failure_of(error: BaseException) -> Failure | None:
    """Exit code and message of an expected error; None for a bug."""
    if isinstance(error, UserError):
        return Failure(error.exit_code, str(error))
    if isinstance(error, ImportError):
        if (error.name or "").startswith("voxmill"):
            return None
        return Failure(UNAVAILABLE, extras.missing(error) or machine_fault(error) or str(error))
    if isinstance(error, MemoryError):
        return Failure(UNAVAILABLE, "the machine is out of memory: fewer workers, or a larger machine")
    if fault := machine_fault(error):
        return Failure(UNAVAILABLE, fault)
    if isinstance(error, OSError) and error.errno in _PLACES and error.filename is not None:
        return Failure(WRONG_USE, f"{os.fsdecode(error.filename)}: {_PLACES[error.errno]}")
    return None


def bug(error: BaseException) -> Failure:
    """Exit code 70 and a short message; the traceback is written to a temporary file that the user can attach to a report."""
    whole = public_text("".join(traceback.format_exception(error)))
    what = public_text(f"{type(error).__name__}: {error}".splitlines()[0])
    if os.environ.get(DEBUG):
        return Failure(BUG, f"{whole}this is a bug of voxmill: {what}")
    try:
        with tempfile.NamedTemporaryFile("w", prefix="voxmill-bug-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace") as log:  # fmt: skip
            log.write(whole)
        where = f"the traceback is in {Path(log.name)}: please report it"
    except OSError:
        where = f"{DEBUG}=1 shows the traceback: please report it"
    return Failure(BUG, f"this is a bug of voxmill, not your mistake: {what}; {where}")
