"""The plain `duckdb` command with its httpfs extension, both from wheels of one version.

They are no requirements of ours: the extension's wheel asks for the Python package of exactly its version, and we write with a newer one.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

VERSION = "1.5.5"
_MARK = "the answer:"


class NoWheels(Exception):
    """They cannot be had here: no network."""


@dataclass(frozen=True)
class DuckDBCommand:
    """The command line, and the file of the extension that `LOAD` takes."""

    program: Path
    httpfs: Path

    def ask(self, prepare: str, select: str, folder: Path) -> str:
        """The answer to a SELECT as CSV, after a script, in a process that begins in `folder`. Raises RuntimeError with its complaint."""
        command = [str(self.program), "-csv", "-bail"]
        typed = f"LOAD '{self.httpfs}';\n{prepare}\n.print {_MARK}\n{select};\n"
        done = subprocess.run(command, cwd=folder, input=typed, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode or done.stderr:
            raise RuntimeError(f"duckdb says: {done.stderr}")
        return done.stdout.partition(f"{_MARK}\n")[2]


def duckdb_command(folder: Path) -> DuckDBCommand:
    """Downloads both wheels into `folder`. Raises NoWheels."""
    wheels = [f"duckdb-cli=={VERSION}", f"duckdb-extension-httpfs=={VERSION}"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    got = subprocess.run([*pip, *wheels], capture_output=True, text=True, check=False)
    if got.returncode:
        raise NoWheels(f"{' and '.join(wheels)} cannot be downloaded: {got.stderr.strip()[-300:]}")
    return downloaded(folder)


def downloaded(folder: Path) -> DuckDBCommand:
    """From the wheels that are in `folder`. Raises NoWheels where they are not."""
    if not any(folder.glob("*.whl")):
        raise NoWheels(f"no wheels of duckdb are in {folder}")
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(folder)
    (program,) = [path for path in folder.rglob("duckdb") if path.is_file()]
    program.chmod(0o755)
    (httpfs,) = folder.rglob("httpfs.duckdb_extension")
    return DuckDBCommand(program, httpfs)
