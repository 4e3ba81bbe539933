"""whisperX's model is its own, without the rest of whisperX."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

HEAVY = (
    "torch",
    "torchaudio",
    "transformers",
    "pyannote",
    "pandas",
    "nltk",
    "lightning",
    "sklearn",
    "matplotlib",
    "whisperx.asr",
)

ALONE = f"""
import sys
from voxmill.operators.transcribe.whisperx import WhisperX, WhisperXConfig
model = WhisperX(WhisperXConfig())._whisper._whisper
print(type(model).__module__, *(name for name in {HEAVY!r} if name in sys.modules))
"""

BOTH = """
import whisperx.asr
from voxmill.operators.vendors.one_class import load_class
whole = sys.modules.pop("whisperx.asr")
alone = load_class("whisperx.asr", "WhisperModel")
assert alone is not whole.WhisperModel and alone.__bases__ == whole.WhisperModel.__bases__
methods = {name for name, value in vars(whole.WhisperModel).items() if callable(value)}
assert methods == {name for name, value in vars(alone).items() if callable(value)} >= {"encode"}, methods
for name in methods:
    assert getattr(alone, name).__code__ == getattr(whole.WhisperModel, name).__code__, name
"""


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import sys\n{code}"], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_a_worker_loads_it_without_torch() -> None:
    assert python(ALONE) == "whisperx.asr"


def test_its_code_is_that_of_the_whole_module_byte_for_byte() -> None:
    """Code objects are equal only where bytecode, constants, names and lines are."""
    python(BOTH)
