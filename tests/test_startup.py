"""What the start of the command loads: a list of packages is held, not a time. `make bench-startup` measures the time."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMAND = {
    "annotated_doc",
    "attr",
    "attrs",
    "click",
    "markdown_it",
    "mdurl",
    "pygments",
    "rich",
    "shellingham",
    "typer",
    "typing_extensions",
}
"""Third-party packages that a help page may need: typer, and what draws its pages."""

PARAMETERS = {"annotated_types", "pydantic", "pydantic_core", "typing_inspection"}
"""What typer adds where it reads parameters."""

LOADED = """
import sys
before = set(sys.modules)
{code}
found = {{name.partition(".")[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names
print(*sorted(name for name in found if not name.startswith(("_", "voxmill"))))
"""


def loaded(code: str) -> set[str]:
    """Third-party packages in a fresh process after some code."""
    done = subprocess.run([sys.executable, "-c", LOADED.format(code=code)], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


def test_importing_the_package_imports_no_other() -> None:
    assert loaded("import voxmill") == set()


@pytest.mark.parametrize(
    ("words", "allowed"),
    [("--help", COMMAND), *((words, COMMAND | PARAMETERS) for words in ("--version", "models --help", "run --help"))],
)
def test_a_help_page_needs_what_draws_it_and_nothing_else(words: str, allowed: set[str]) -> None:
    code = f"import sys\nfrom voxmill.pipeline.cli import main\nsys.argv = ['voxmill', *{words.split()!r}]\n"
    assert loaded(f"{code}try:\n    main()\nexcept SystemExit as stopped:\n    assert not stopped.code") <= allowed
