"""What `voxmill doctor` says of installs: which is for whom, what it lacks, and whether sources become shards with what is here."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

from voxmill.pipeline.reports import doctor, installs
from voxmill.pipeline.reports.installs import INSTALLS

README = Path(__file__).resolve().parents[3] / "README.md"


def examined(monkeypatch: pytest.MonkeyPatch, *absent: str) -> tuple[bool, str]:
    """As on a machine where these packages are not installed."""
    real = installs.here
    if "torch" in absent:
        monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails
    for module in (installs, doctor):
        monkeypatch.setattr(module, "here", lambda name: None if name in absent else real(name))
    out = Console(width=300, record=True, file=io.StringIO())
    ok = doctor.examine(None, out)
    return ok, out.export_text()


def row(text: str, command: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith(command)]
    return line.rstrip()


def test_a_light_install_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    ok, text = examined(monkeypatch, "torch", "torchaudio", "whisperx", "silero-vad", "pyannote-audio", "funasr", "ray")
    assert ok, "sources become shards with it"
    assert text.rstrip().endswith("ready to make shards")
    assert row(text, "pip install 'voxmill[light]'").endswith("yes")
    assert re.search(r"lacks \d+ of its packages$", row(text, "pip install 'voxmill[all]'"))
    assert "pip install 'voxmill[cluster]'" in text


def test_without_any_that_makes_shards_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ok, text = examined(monkeypatch, "yt-dlp", "torch")
    assert not ok
    assert "not ready: no install that makes shards is complete" in text
    assert "lacks 1 of its packages" in row(text, "pip install 'voxmill[light]'")


@pytest.mark.parametrize("install", INSTALLS, ids=lambda one: "+".join(one.extras))
def test_the_readme_says_the_same(install: installs.Install) -> None:
    (line,) = [
        line
        for line in README.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `.[{','.join(install.extras)}]`")
    ]
    assert line.endswith(f"| {install.gigabytes:.1f} GB |")
