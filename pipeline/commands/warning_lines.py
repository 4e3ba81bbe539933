"""Prints voxmill's own warnings as one line each."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def warn_plainly(say: Callable[[str], None]) -> None:
    """Sends every UserWarning raised in this package to `say`; warnings of other packages are shown as usual."""
    home, show = str(Path(__file__).resolve().parents[2]), warnings.showwarning

    def shown(message: Warning | str, category: type[Warning], filename: str, lineno: int, *more: Any) -> None:
        if category is UserWarning and str(Path(filename).resolve()).startswith(home):
            say(str(message))
        else:
            show(message, category, filename, lineno, *more)

    warnings.showwarning = shown  # type: ignore[assignment]
