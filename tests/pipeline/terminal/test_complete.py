"""What a shell offers at TAB, asked as bash asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("voxmill ver", {"verify"}),
        ("voxmill run -c ma", {"mandarin", "mad.yaml"}),
        ("voxmill verify ru", {"run1", "rubbish/"}),
        ("voxmill run --retry crawl.net", {"crawl.network"}),
        ("voxmill models verify moon", {"moonshine-tiny-en"}),
        ("voxmill config init de", {"demo"}),
    ],
)
def test_tab(words: str, offered: set[str], tmp_path: Path) -> None:
    for folder in ("run1", "rubbish"):
        (tmp_path / folder).mkdir()
    (tmp_path / "run1" / "run.json").write_text("{}")
    (tmp_path / "mad.yaml").write_text("")
    asked = {"_VOXMILL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    script = "import sys; from voxmill.pipeline.cli import app; sys.argv = ['voxmill']; app(prog_name='voxmill')"
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | asked, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert set(done.stdout.split()) == offered, done.stderr
