"""`make check-rerun`: what runs again after a change, counted from the ledger's attempts, not from what stages claim.

A changed threshold runs no recogniser; a changed engine runs that engine and what reads it; new sources only append shards.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import finish, full_form, heading, table
from benchmarks.runs import MOONSHINE, SPHINX, Calls, calls, config, counting, files, run_or_exit, verified
from speech.joined import joined


def said(calls: Calls) -> str:
    return ", ".join(f"{stage} {number}" for stage, number in sorted(calls.items())) or "0 calls"


def shards(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "shards").glob("*.tar"))}


def main() -> None:
    full = full_form(sys.argv)
    count = 12 if full else 4
    paths = [r.path for r in joined("en", count, 30, seed=7)]
    heading("check-rerun", full, f"{count} real recordings of 30 s", ["onnxruntime", "pocketsphinx"])
    keep_all = {"high": 0.3, "weak": 0.2, "unlabelled": 0.1, "languages": []}
    common = {"units": {"seconds": 40}, "pack": {"buckets": 2, "shard_mb": 1}, "executor": {"kind": "local"}}
    base = config(files(paths[:-1], language="en"), [MOONSHINE, SPHINX], select=keep_all, **common)
    rows: list[tuple[str, Calls]] = []
    with tempfile.TemporaryDirectory(prefix="voxmill-rerun-") as folder:
        root = Path(folder) / "run"
        before = Calls()

        def step(name: str, settings: dict[str, object]) -> Calls:
            nonlocal before
            run_or_exit(root, settings, env=counting(root))
            now = calls(root)
            rows.append((name, now - before))
            before = now
            return rows[-1][1]

        first = step("first run", base)
        again = step("the same again", base)
        stricter = step("a threshold changed", {**base, "select": {**keep_all, "weak": 0.25}})
        back = step("the threshold changed back", base)
        packed = shards(root)
        engine = step("an engine changed", {**base, "transcribe": [MOONSHINE, {**SPHINX, "languages": ["en"]}]})
        step("the engine changed back", base)
        grown = step("a new source", {**base, "sources": files(paths, language="en")})
        kept = {name: blob for name, blob in shards(root).items() if name in packed}
        appended = len(shards(root)) - len(packed)
        sound = verified(root)
    stages = sorted(set().union(*(c for _, c in rows)))
    table(("step", *stages), [(name, *(str(c[s]) for s in stages)) for name, c in rows])
    asr = {"transcribe-moonshine", "transcribe-sphinx"}
    finish(
        "check-rerun",
        {name: dict(c) for name, c in rows} | {"shards": len(packed), "appended": appended},
        {
            "first run": {"value": said(first), "target": "every stage runs", "met": len(first) >= 7},
            "no change": {"value": sum(again.values()), "target": "0 calls", "met": not again},
            "threshold": {"value": said(stricter), "target": "select only", "met": set(stricter) == {"select"}},
            "threshold back": {"value": said(back), "target": "0 calls", "met": not back},
            "engine": {
                "value": dict(engine),
                "target": "that engine, reconcile, select",
                "met": set(engine) == {"transcribe-sphinx", "reconcile", "select"},
            },
            "new source": {
                "value": dict(grown),
                "target": "one unit a stage",
                "met": all(grown[s] == 1 for s in (*asr, "segment", "reconcile", "select")),
            },
            "old shards": {
                "value": f"{len(kept)} of {len(packed)} there, {appended} appended",
                "target": "all there, the same bytes",
                "met": kept == packed and len(packed) > 0,
            },
            "verify": {"value": sound, "target": "holds", "met": sound},
        },
        full,
    )


if __name__ == "__main__":
    main()
