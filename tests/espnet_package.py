"""ESPnet's own modules, from its wheel: unpacked into the cache, not installed, and run by another process, since they bring packages of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from speech.cache import cache_root, made_once

VERSION = "202511"
WITH = ("humanfriendly==10.0",)
"""What its modules import and the tests do not have."""


Audio = np.ndarray[Any, Any]


def waves(seed: int, seconds: int) -> list[Audio]:
    """Noise that grows louder, whole numbers of 16 bits: a fifth of a window, most of it, all of it."""
    drawn = np.random.default_rng(seed)
    found = []
    for share in (0.2, 0.83, 1.0):
        size = round(share * seconds * 16_000)
        loud = (drawn.integers(-9000, 9000, size) * np.linspace(0, 1, size)).astype(np.int16)
        found.append(loud.astype(np.float32) / 32768)
    return found


def espnet_writes(folder: Path, *, seed: int = 0, seconds: int = 30, tiny: bool = False) -> None:
    """A folder as `espnet_reference.py` writes it. Raises OSError where the wheel cannot be had or does not run."""
    home = made_once(cache_root() / f"espnet-{VERSION}", _make)
    script = Path(__file__).parent / "espnet_reference.py"
    command = [sys.executable, str(script), str(folder), str(seed), str(seconds), *(["--tiny"] if tiny else [])]
    done = subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": str(home)}, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ESPnet's modules do not run: {done.stderr[-600:]}")


def _make(work: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(work), f"espnet=={VERSION}", *WITH]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        raise OSError(error.stderr.decode()[-300:]) from error
