"""Loads the classes of Qwen3-ASR from the package qwen-asr without the rest of it.

The package imports its aligner as a whole: tokenisers for Japanese and Korean, a user interface and a web server stand among its
requirements. The network itself needs `transformers` alone, so `pip install --no-deps qwen-asr` is enough.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any

PACKAGE = "qwen_asr"


def backend() -> Any:
    """The module with `Qwen3ASRForConditionalGeneration` and `Qwen3ASRProcessor`. Raises ModuleNotFoundError where there is none."""
    if PACKAGE in sys.modules:
        return importlib.import_module(f"{PACKAGE}.core.transformers_backend")
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'qwen_asr'", name=PACKAGE)
    package = types.ModuleType(PACKAGE)
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules[PACKAGE] = package
    try:
        return importlib.import_module(f"{PACKAGE}.core.transformers_backend")
    finally:
        del sys.modules[PACKAGE]  # who imports the package later gets the whole
