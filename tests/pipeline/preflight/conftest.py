"""A config that has nothing wrong with it, to be spoilt in one way at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from voxmill.pipeline.config import RunConfig
from voxmill.pipeline.load_config import parse_config

Make = Callable[..., RunConfig]


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """A folder with a file of sound."""
    folder = tmp_path / "talks"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.zeros(16000, np.float32), 16000)
    return folder


@pytest.fixture
def make(talks: Path) -> Make:
    """`make(select={…}, source={…})`: the good config with other parts, and another source."""

    def made(*, source: dict[str, Any] | None = None, **parts: Any) -> RunConfig:
        first = {"name": "talks", "path": str(talks), "language": "en", "licence": "cc-by-4.0"}
        given = {key: value for key, value in (first | (source or {})).items() if value is not None}
        engine = {"kind": "moonshine", "name": "moonshine", "model": str(talks)}
        data = {"sources": [given], "transcribe": [engine], "segment": {"model": str(talks)}, "executor": {"kind": "local"}}
        return parse_config(data | parts)

    return made
