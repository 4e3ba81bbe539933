"""How long `voxmill stats` takes on 10 M and 100 M outcome rows, and in how much memory; bare DuckDB over the same Parquet beside it.

An outcome is what one stage says of one item, recording or segment. Stage tables are made chunk by chunk (see `outcome_rows.py`) and put
through the product's own `derive` and writer, 4096 units a file. 10 M rows are made so, and the other 90 M of the full form by copying each
file nine times under other ids. Every query runs in a process of its own; its time is from opening the
run to the last line of the answer, without starting Python. Files are in the page cache.

Seconds are those of the clock; where the machine has more to do than cores, they are CPU seconds divided by the cores, and it says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.outcome_rows import UNITS, MadeUpChunks
from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.runs import VOXMILL

CHUNKS = 30
"""As many make 10 M outcome rows."""
COPIES = 9
HOSTS = 3000
REPEATS = 3
CORES = 2

ASK = """
import io, json, os, resource, sys, time
from contextlib import redirect_stdout
from voxmill.pipeline.reports.stats import print_stats
from voxmill.pipeline.terminal import output
root, arguments = sys.argv[1], json.loads(sys.argv[2])
wall, cpu = time.perf_counter(), time.process_time()
with redirect_stdout(io.StringIO()) as said:
    print_stats(root, **arguments)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"wall": wall, "cpu": cpu, "rss_mb": rss, "said": said.getvalue()[:4000]}))
"""
BARE = """
import json, resource, sys, time
import duckdb
wall, cpu = time.perf_counter(), time.process_time()
rows = duckdb.sql(sys.argv[2].replace("FILES", f"'{sys.argv[1]}/manifests/spans-*.parquet'")).fetchall()
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"wall": wall, "cpu": cpu, "rss_mb": rss, "said": str(len(rows))}))
"""
QUERIES: dict[str, dict[str, Any]] = {
    "funnel": {"as_csv": True},
    "stats": {},
    "--by host": {"by": "host"},
    "--by language": {"by": "language"},
    "--by reason": {"by": "reason"},
    "--what-if select.weak=0.9": {"what_if": {"select.weak": 0.9}},
}
BARE_QUERIES = {
    "bare: count(*), sum": "SELECT count(*), sum(num_samples) FROM read_parquet(FILES)",
    "bare: the same by fate": "SELECT fate, count(*), sum(num_samples) FROM read_parquet(FILES) GROUP BY fate",
}
FUNNEL_S = {"10 M": 1.0, "100 M": 5.0}
OTHERS = 3
"""How many times as long as the funnel's target the others may take."""
RSS_MB = 2000


def asked(script: str, *arguments: str) -> dict[str, Any]:
    """The best of three runs of a script in processes of their own; the largest memory of them."""
    found = []
    for _ in range(REPEATS):
        done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    best: dict[str, Any] = min(found, key=lambda one: one["wall"])
    return best | {"cpu": min(one["cpu"] for one in found), "rss_mb": max(one["rss_mb"] for one in found)}


def outcomes(root: Path) -> tuple[int, bool]:
    """(rows that entered the stages, whether the funnel is balanced at each), as the product says."""
    rows = json.loads(
        subprocess.run(
            [VOXMILL, "stats", str(root), "--json", "--sql", "FROM funnel"],
            capture_output=True, text=True, check=True,
        ).stdout
    )  # fmt: skip
    return sum(row["rows_in"] for row in rows), all(row["balanced"] for row in rows)


def measure(root: Path, name: str, busy: bool) -> tuple[list[list[str]], dict[str, Any], dict[str, Target]]:
    """Lines of the table, figures and targets for a run."""
    figures: dict[str, Any] = {}
    for query, arguments in QUERIES.items():
        figures[query] = asked(ASK, str(root), json.dumps(arguments))
    for query, sql in BARE_QUERIES.items():
        figures[query] = asked(BARE, str(root), sql)
    lines, targets = [], dict[str, Target]()
    for query, one in figures.items():
        one.pop("said")
        one["s"] = one["cpu"] / CORES if busy else one["wall"]
        lines.append([query, *(f"{one[key]:.2f}" for key in ("wall", "cpu", "s")), f"{one['rss_mb']:.0f}"])
        if query in QUERIES:
            most = FUNNEL_S[name] * (1 if query == "funnel" else OTHERS)
            targets[f"{query}, {name} rows"] = {
                "value": f"{one['s']:.2f} s",
                "target": f"< {most:.0f} s",
                "met": one["s"] < most,
            }
    peak = max(figures[query]["rss_mb"] for query in QUERIES)
    targets[f"peak memory, {name} rows"] = {"value": f"{peak:.0f} MB", "target": f"< {RSS_MB} MB", "met": peak < RSS_MB}
    return lines, {query: {k: round(v, 3) for k, v in one.items()} for query, one in figures.items()}, targets


def main() -> None:
    full = full_form(sys.argv)
    heading("stats", full, f"hashes of row numbers; chunks of {UNITS} units, {HOSTS} hosts", ("voxmill", "duckdb", "pyarrow"))
    figures: dict[str, Any] = {}
    targets: dict[str, Target] = {}
    with tempfile.TemporaryDirectory() as folder:
        run = MadeUpChunks(Path(folder) / "run", HOSTS)
        for name, chunks in (("10 M", CHUNKS), ("100 M", CHUNKS * (COPIES + 1)))[: 2 if full else 1]:
            began, cpu, before = time.monotonic(), time.process_time(), run.segments
            for number in range(len(run.files.get("spans", ())), chunks):
                if number < CHUNKS:
                    run.add(number)
                else:
                    run.copy(number, number % CHUNKS)
            run.close()
            spent = time.process_time() - cpu
            made = run.segments - before
            rows, balanced = outcomes(run.root)
            size = sum(path.stat().st_size for path in (run.root / "manifests").iterdir()) / 1e6
            print(
                f"{name}: {rows:,} outcome rows of {run.segments:,} segments, {size:,.0f} MB in {chunks} chunks; "
                f"{made:,} made in {time.monotonic() - began:.0f} s, {spent / made * 1e6:.0f} µs of CPU each\n"
            )
            busy = os.getloadavg()[0] > CORES
            lines, figures[name], of_this = measure(run.root, name, busy)
            print(f"seconds ({'CPU / cores: the machine is busy' if busy else 'of the clock'}); the best of {REPEATS}")
            table((f"{name} rows", "wall", "CPU", "s", "peak MB"), lines)
            enough = rows >= int(name[:-2]) * 10**6
            targets[f"rows, {name}"] = {"value": f"{rows:,}", "target": f">= {name}", "met": enough}
            targets |= of_this
            targets[f"funnel balanced, {name}"] = {"value": str(balanced), "target": "at every stage", "met": balanced}
    finish("stats", figures, targets, full)


if __name__ == "__main__":
    main()
