"""Text in every locale: nothing that is printed ends in an error, and JSON stays JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from voxmill.pipeline.terminal import output
output.never_fail_to_print()
output.console().print("█ ≠ … · Übung 谢谢 " + os.fsdecode(b"caf\\xe9"), soft_wrap=True)
output.print_json({"text": "Übung 谢谢 😀"})
"""


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii", "cp1252"])
def test_every_locale_prints_something_for_every_character(encoding: str) -> None:
    env = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    first, second = done.stdout.splitlines()
    assert json.loads(second.decode(encoding)) == {"text": "Übung 谢谢 😀"}
    if encoding == "utf-8":
        assert first.startswith("█ ≠ … · Übung 谢谢".encode())
    else:
        assert first.startswith(b"# != ")
        assert rb"\u8c22" in first
    assert first.endswith(b"caf\xe9")
