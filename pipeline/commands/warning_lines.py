"""Warnings as one plain line."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def warn_plainly(say: Callable[[str], None]) -> None:
    """Warnings of this package are for its user and go to `say`; those of other packages stay as they are."""
    home, show = str(Path(__file__).resolve().parents[1]), warnings.showwarning

    def shown(message: Warning | str, category: type[Warning], filename: str, lineno: int, *more: Any) -> None:
        if category is UserWarning and str(Path(filename).resolve()).startswith(home):
            say(str(message))
        else:
            show(message, category, filename, lineno, *more)

    warnings.showwarning = shown  # type: ignore[assignment]
