"""The README says what the code does: its tables are generated, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_generated_tables_are_current() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "cogapp", "-P", "--check", "-I", str(ROOT / "tests"), "README.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, f"run `make readme`:\n{check.stdout}{check.stderr}"


def test_links_to_files_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (ROOT / target).exists(), target


def test_every_make_target_in_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", text, re.MULTILINE)):
        kind, _, name = target.partition("-")
        script = ROOT / "tests" / "benchmarks" / f"{kind}_{name.replace('-', '_')}.py"
        assert re.search(rf"^{target}:", makefile, re.MULTILINE) or script.exists() or target.endswith("-"), target
