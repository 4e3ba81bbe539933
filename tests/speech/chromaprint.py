"""Where the C library Chromaprint lies: installed, or unpacked from Debian packages into the cache (nothing is installed)."""

from __future__ import annotations

import ctypes.util
import os
import re
import subprocess
from pathlib import Path

from speech.cache import cache_root, made_once
from speech.debian import PackagesUnavailable, unpack

PACKAGE = "libchromaprint1"


def library_path() -> str | None:
    """For LD_LIBRARY_PATH of a new process: empty where it is installed, None where it cannot be had."""
    if ctypes.util.find_library("chromaprint"):
        return os.environ.get("LD_LIBRARY_PATH", "")
    home = cache_root() / "chromaprint-1"
    try:
        made_once(home, _make)
    except (OSError, subprocess.CalledProcessError, PackagesUnavailable):
        return None
    folders = {str(path.parent) for path in home.rglob("*.so*")}
    return os.pathsep.join([*sorted(folders), os.environ.get("LD_LIBRARY_PATH", "")])


def _make(work: Path) -> None:
    """The package and what it needs and is not installed, as apt would choose."""
    said = subprocess.run(
        ["apt-get", "install", "-s", "--no-install-recommends", PACKAGE], capture_output=True, text=True, check=True
    ).stdout
    names = re.findall(r"^Inst (\S+)", said, re.MULTILINE)
    unpack(names, work)


if __name__ == "__main__":
    print(library_path())
