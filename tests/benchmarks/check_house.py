"""`make check-house`: whether the code is in order, in figures that a reader feels.

Circles of imports, arrows between the top folders, names used twice and docstrings come from the source (`tests/house.py`); the files that one
recording enters from a run of it (`entered.py`). Lines are those of the product, blank ones and comments among them. The figures are signs and
not ends.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading, table
from house import FOLDERS, ROOT, House

BEFORE, LINES_BEFORE = "0568480", 37926
"""The commit before the rebuilding, and its lines of product code for checkouts that do not hold it."""
MAX_FILES, MAX_BUILT, MAX_README, MAX_P90 = 60, 3, 8 * 1024, 220
PACKAGES = ("ctranslate2", "faster-whisper", "moonshine-voice", "onnxruntime")


def entered() -> dict[str, Any]:
    """The line of figures that `entered.py` prints, of a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("entered.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"entered.py ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def lines_before() -> tuple[int, str]:
    """Lines of product code at `BEFORE`, and whence they are known."""
    archive = subprocess.run(["git", "archive", BEFORE, *FOLDERS], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        return LINES_BEFORE, "as counted then"
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(archive.stdout)) as content:
        content.extractall(folder, filter="data")
        return sum(House(Path(folder)).lines().values()), f"counted in {BEFORE}"


def sizes(lines: dict[str, int]) -> list[int]:
    """Lines of each file, ascending; an `__init__.py` is no file to read."""
    return sorted(count for file, count in lines.items() if not file.endswith("__init__.py"))


def none(found: Iterable[Any]) -> Target:
    """A target of nothing found."""
    count = len(list(found))
    return {"value": count, "target": "0", "met": not count}


def most(value: int, limit: int) -> Target:
    """A target of at most `limit`."""
    return {"value": value, "target": f"<= {limit}", "met": value <= limit}


def main(arguments: Sequence[str]) -> int:
    full, house = full_form(arguments), House(ROOT)
    lines = house.lines()
    ascending, total = sizes(lines), sum(lines.values())
    before, whence = lines_before()
    traced = entered()
    heading("check-house", full, f"{len(lines)} product files; one recording of 44 s, from its address to shards", PACKAGES)
    table(
        ("folder", "files", "lines", "median", "p90", "no docstring"),
        (
            (
                folder,
                str(len(own)),
                str(sum(own.values())),
                str(sizes(own)[len(sizes(own)) // 2]),
                str(sizes(own)[len(sizes(own)) * 9 // 10]),
                str(sum(one.startswith(f"{folder}/") for one in house.without_docstring())),
            )
            for folder in FOLDERS
            for own in [{file: count for file, count in lines.items() if file.startswith(f"{folder}/")}]
        ),
    )
    for name, found in {
        "circle of files": [" ".join(one) for one in house.circles()],
        "circle of rooms": [" ".join(one) for one in house.room_circles()],
        "upward": house.upward(),
        "class": [f"{name} in {', '.join(files)}" for name, files in house.classes_twice().items()],
        "file": [f"{name} in {', '.join(files)}" for name, files in house.basenames_twice().items()],
    }.items():
        for one in found:
            print(f"  {name}: {one}")
    readme = len((ROOT / "README.md").read_bytes())
    targets: dict[str, Target] = {
        "circles of files": none(house.circles()),
        "circles of rooms": none(house.room_circles()),
        "upward arrows between the folders": none(house.upward()),
        "files entered by one recording": most(traced["files"], MAX_FILES),
        "places that build a Ledger": most(len(house.built("Ledger")), MAX_BUILT),
        "places that build a Listing": most(len(house.built("Listing")), MAX_BUILT),
        "public definitions without docstring": none(house.without_docstring()),
        "public class names used twice": none(house.classes_twice()),
        "file names used twice": none(house.basenames_twice()),
        "bytes of README": most(readme, MAX_README),
        "lines of a file, p90": most(ascending[len(ascending) * 9 // 10], MAX_P90),
        f"lines of product code, before {before}": {"value": total, "target": f"< {before}", "met": total < before},
    }
    figures = {
        "entered": traced,
        "lines": total,
        "lines_before": before,
        "before": whence,
        "files": len(lines),
        "median": ascending[len(ascending) // 2],
    }
    finish("check-house", figures, targets, full)
    return 0 if all(target["met"] for target in targets.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
