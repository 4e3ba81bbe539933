"""Hugging Face's `datasets`, where it can open audio: it does so by torchcodec, which loads FFmpeg's libraries."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest


def datasets_or_skip() -> Any:
    """The package; skips the test where it, or FFmpeg's libraries, are not installed."""
    found = pytest.importorskip("datasets")
    try:
        import_module("torchcodec")
    except (ImportError, OSError, RuntimeError):
        pytest.skip("torchcodec finds no libraries of FFmpeg: apt-get install ffmpeg", allow_module_level=True)
    return found
