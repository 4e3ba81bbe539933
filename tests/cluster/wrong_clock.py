"""A machine whose date is wrong, and can be set while it runs: a small library under every Python process of it (`wrong_clock.c`).

Only the date is false: what counts seconds (CLOCK_MONOTONIC) runs on, as on a machine whose clock somebody has set. libfaketime (0.9.10) would be the
usual way; under it Python's `time.sleep` fails where the monotonic clock is left alone, and Ray's C++ parts sleep for a day.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

RIGHT, DAY_S = 0, 86_400
_SOURCE = Path(__file__).with_suffix(".c")


def missing_compiler() -> str:
    """Why there is no C compiler, after trying to install one; empty where there is one."""
    if not shutil.which("cc"):
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "gcc", "libc6-dev"],
        ):
            subprocess.run(command, capture_output=True, check=False)
    return "" if shutil.which("cc") else "there is no C compiler: apt-get install gcc libc6-dev"


def set_clock(file: Path, seconds: int = RIGHT) -> None:
    """From now on the dates of processes with this clock are off by so many seconds."""
    new = file.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(file)


def clock_of(file: Path, seconds: int = RIGHT) -> dict[str, str]:
    """Environment of processes whose date is off by what `file` says."""
    library = file.parent / "wrong_clock.so"
    if not library.exists():
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"], check=True)
    set_clock(file, seconds)
    return {"LD_PRELOAD": str(library), "VOXMILL_WRONG_CLOCK": str(file)}
