"""Odd and damaged files of audio: what they end as, how much of them is decoded, and that ffmpeg does not hear more.

The operator hears every file in one process; then `voxmill crawl` takes all of them as one folder, and ten bad ones alone.
"""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pyarrow.parquet as pq

from benchmarks.runs import SPHINX, VOXMILL, config, files, verified, write
from benchmarks.wild.decoding import Decoded, decoded
from benchmarks.wild.encode import Maker, played, there
from benchmarks.wild.made import KEPT, Made, made
from benchmarks.wild.mutate import mutations, originals
from benchmarks.wild.result import Result

COUNT, FULL_COUNT = 3120, 15_600
HEARD = 0.1
"""Seconds by which we may decode less than ffmpeg, without a row that says why."""
LOST = 0.2
MEMORY = 1000.0
"""MB that the process that decodes may come to need."""
TENS = 3
"""Sources of ten bad files."""


def run(folder: Path, full: bool) -> Result:
    if not there():
        return Result("media", 0, 0, ("ffmpeg is not installed: it makes the files, and is the oracle",))
    make, log = Maker(folder / "made"), folder / "decode.log"
    cases = list(made(make))
    mutated = list(mutations(originals(make), FULL_COUNT if full else COUNT, folder / "mutated", 13))
    heard = decoded([*(case.path for case in cases), *mutated], log)
    wrong = [f"{case.what}: {said}" for case, got in zip(cases, heard, strict=False) if (said := _otherwise(case, got))]
    damaged = heard[len(cases) :]
    asked = list(range(0, len(mutated), 1 if full else 4))
    with ThreadPoolExecutor(2) as pool:
        oracle = dict(zip(asked, pool.map(played, [mutated[n] for n in asked]), strict=True))
    wrong += [f"{mutated[n].name}: {said}" for n, got in enumerate(damaged) if (said := _unheard(got, oracle.get(n)))]
    if said := log.read_text(errors="replace").strip():
        wrong.append(f"the decoder says on the terminal: {said[:500]}")
    peak = max(got.peak_mb for got in heard)
    if peak > MEMORY:
        wrong.append(f"the decoder came to need {peak:.0f} MB")
    wrong += _crawled(folder, mutated, damaged)
    table = _table(mutated, damaged, oracle)
    table.append(
        ("made inputs", str(len(cases)), str(sum(got.reason == KEPT for got in heard[: len(cases)])), "", "", f"{peak:.0f} MB")
    )
    return Result("media", len(cases), len(mutated), tuple(wrong), tuple(table))


def _otherwise(case: Made, got: Decoded) -> str:
    """What is wrong with what became of a made input; empty: nothing."""
    expected = (case.expected,) if isinstance(case.expected, str) else case.expected
    if got.reason not in expected:
        return f"{got.reason} ({got.why}), not {' or '.join(expected)}"
    if got.reason != KEPT:
        return ""
    wanted = played(case.path) if case.seconds is None else case.seconds
    if case.total is None and abs(got.lost - case.lost) > LOST:
        return f"{got.lost:.2f} s lost of {case.lost:.2f} s ({got.why})"
    if case.total is not None and abs(got.seconds + got.lost - case.total) > LOST:
        return f"{got.seconds:.2f} s decoded and {got.lost:.2f} s lost of {case.total:.2f} s ({got.why})"
    return f"{got.seconds:.2f} s decoded of {wanted:.2f} s" if abs(got.seconds - wanted) > HEARD else ""


def _unheard(got: Decoded, oracle: float | None) -> str:
    """The same of a mutation: it may end as anything that has a name, and loses nothing unseen."""
    if not (got.reason == KEPT or "." in got.reason) or got.reason.endswith(".failed"):
        return f"{got.reason} {got.why}"
    if got.reason == KEPT and oracle is not None and oracle - got.seconds > HEARD + got.lost:
        return f"{got.seconds:.2f} s decoded and {got.lost:.2f} s lost, ffmpeg hears {oracle:.2f} s"
    return ""


def _crawled(folder: Path, mutated: Sequence[Path], damaged: Sequence[Decoded]) -> list[str]:
    """`voxmill crawl` on all of them, and on ten at a time that are refused."""
    wrong = _crawl(folder / "all", mutated[0].parent, len(mutated))
    refused = [path for path, got in zip(mutated, damaged, strict=True) if got.reason != KEPT]
    for number in range(TENS):
        place = folder / f"ten-{number}"
        place.mkdir()
        for path in Random(number).sample(refused, 10):
            (place / path.name).write_bytes(path.read_bytes())
        wrong += _crawl(folder / f"run-{number}", place, 10)
    return wrong


def _crawl(root: Path, source: Path, count: int) -> list[str]:
    settings = config(files({"wild": source}), [SPHINX], executor={"resources": {"decode": {"workers": 2, "min_workers": 2}}})
    done = subprocess.run(
        [VOXMILL, "crawl", "-c", str(write(root, settings)), "-o", str(root), "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    wrong = [f"crawl of {source.name}: rc {done.returncode}: {said[-300:]}"] if done.returncode else []
    wrong += [f"crawl of {source.name} says {said[-300:]}"] if "Traceback" in said or "PyAV" in said else []
    rows = [
        row
        for path in (root / "manifests/decode/v1").glob("00000-????????????.parquet")
        for row in pq.read_table(path).to_pylist()
    ]
    wrong += [] if len(rows) == count else [f"crawl of {source.name}: {len(rows)} rows of {count}"]
    wrong += [
        f"crawl of {source.name}: {row['provenance']['url']}: {row['rejection']}"
        for row in rows
        if row["rejection"] and row["rejection"]["reason"].endswith(".failed")
    ]
    return wrong + ([] if verified(root) else [f"crawl of {source.name}: verify does not hold"])


def _table(mutated: Sequence[Path], damaged: Sequence[Decoded], oracle: dict[int, float]) -> list[tuple[str, ...]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for number, path in enumerate(mutated):
        rows[path.name.split(".", 1)[1]].append(number)
    table: list[tuple[str, ...]] = [("mutations of", "files", "kept", "refused", "s decoded / ffmpeg", "s lost")]
    for name, numbers in sorted(rows.items()):
        compared = [n for n in numbers if n in oracle]
        table.append(
            (
                name,
                str(len(numbers)),
                str(sum(damaged[n].reason == KEPT for n in numbers)),
                str(sum(damaged[n].reason != KEPT for n in numbers)),
                f"{sum(damaged[n].seconds for n in compared):.0f} / {sum(oracle[n] for n in compared):.0f}",
                f"{sum(damaged[n].lost for n in numbers):.0f}",
            )
        )
    return table
