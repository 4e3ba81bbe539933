"""Loads FunASR's `AutoModel` from a local folder, safely: no download, no code of the folder, pickles with weights only."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voxmill.operators.vendors.funasr_registry import import_funasr


def auto_model(folder: Path, device: str = "cpu", threads: int = 1) -> Any:
    """The model in a folder, on `cpu` or `cuda`, with so many CPU threads."""
    with warnings.catch_warnings(), _weights_only(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        import_funasr()
        from funasr import AutoModel

        return AutoModel(
            model=str(folder),
            device="cuda:0" if device == "cuda" else "cpu",
            ncpu=threads,
            frontend_conf={"dither": 0.0},  # random dither would change results from run to run
            trust_remote_code=False,
            disable_update=True,
            disable_pbar=True,
            disable_log=True,
            log_level="ERROR",
        )


@contextlib.contextmanager
def _weights_only() -> Iterator[None]:
    """While FunASR reads its checkpoint: `torch.load` refuses anything but tensors, whatever its caller says."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
