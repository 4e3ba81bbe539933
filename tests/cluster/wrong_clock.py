"""A machine whose date is wrong, and can be set while it runs: libfaketime under every process of it (`apt-get install libfaketime`).

Only the date is false: what counts seconds (CLOCK_MONOTONIC) runs on, as on a machine whose clock somebody has set.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

RIGHT = "+0"
"""What the file of a clock says of one that is right; `+1d` is a day ahead."""


def _library() -> Path | None:
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


def missing_faketime() -> str:
    """Why there is none, after trying to install it; empty where there is one."""
    if _library() is None:
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "libfaketime"],
        ):
            subprocess.run(command, capture_output=True, check=False)
    return "" if _library() else "libfaketime is not installed: apt-get install libfaketime"


def clock_of(file: Path, date: str = RIGHT) -> dict[str, str]:
    """Environment of processes whose date is off by what `file` says, which is looked at once a second."""
    file.write_text(date)
    return {
        "LD_PRELOAD": str(_library()),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
