"""`make check-exports`: every format of `voxmill export-data` is opened by the other project's own reader, and holds what the ledger says.

A part of the demo's site is crawled; two recognisers answer at once, since what they hear does not matter here. Each export is made once, made
again by a command that is killed half-way and continued, and compared byte by byte. What `urls` leaves out is fetched from the site again.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.runs import TESTS, VOXMILL, run_or_exit
from demo.site import build, serve
from speech.cache import cache_root
from toolkit_readers import READERS
from voxmill.manifests.catalog import open_catalog, query
from voxmill.manifests.storage import events
from voxmill.sharding.exports.data_export import export_data
from voxmill.sharding.exports.export_plan import ExportChoice
from voxmill.sharding.exports.format_table import FORMATS
from voxmill.sharding.flac import decode
from voxmill.sharding.reader import read_run

PAGES = {
    "reading": ("files/reading.flac", "cc0-1.0"),
    "market": ("files/market.mp3", "cc-by-sa-3.0"),
    "telephone": ("files/telephone.wav", "cc-by-sa-3.0"),
}
LEDGER = "SELECT key, num_samples, text, tier, licence, split, to_json(labels) AS labels FROM samples ORDER BY key"


def settings(site: str) -> dict[str, Any]:
    sources = [
        {"name": name, "url": f"{site}/{path}", "language": "en", "licence": licence} for name, (path, licence) in PAGES.items()
    ]
    crawl = {
        "contact": "https://example.org/contact",
        "allow_private": [site.removeprefix("http://")],
        "requests_per_second": 20,
    }
    engines = [
        {"kind": "python", "name": name, "call": "benchmarks.instant:Instant", "version": "1"} for name in ("one", "two")
    ]
    return {
        "sources": sources, "crawl": crawl, "transcribe": engines, "units": {"seconds": 60},
        "select": {"languages": [], "rate_fence": None}, "pack": {"buckets": 2, "shard_mb": 1}, "executor": {"kind": "local"},
    }  # fmt: skip


def tree(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def command(*arguments: str, **env: str) -> int:
    full_env = {**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1", **env}
    return subprocess.run([VOXMILL, *arguments], env=full_env, check=False, capture_output=True).returncode


def killed_and_continued(run: Path, name: str, out: Path, steps: int) -> tuple[bool, bool]:
    """Whether the command was killed at half of its commit events, and whether the same one then ended well."""
    log = out.with_suffix(".events")
    log.write_text("")
    Path(f"{log}.kill-{steps // 2:06d}").write_text("self")
    arguments = ("export-data", str(run), "--to", name, "-o", str(out), "--quiet")
    killed = command(*arguments, VOXMILL_ON_COMMIT="killer:on_event", VOXMILL_EVENTS=str(log)) == -9
    return killed, command(*arguments) == 0


def same_as_ledger(name: str, out: Path, folders: list[str], ledger: dict[str, Any]) -> tuple[bool, int, float]:
    """Whether its own reader finds the samples, lengths, texts, tiers and labels of the ledger, and no others; how many and how long."""
    wanted = {key: row for key, row in ledger.items() if not FORMATS[name].labelled_only or row["tier"] in ("high", "weak")}
    seen, length, same = set[str](), 0, True
    for folder in folders:
        for found in READERS[name](out / folder):
            row = wanted[found.key]
            same &= (
                len(found.audio) == row["num_samples"]
                and (found.text or None) == row["text"]
                and found.facts["tier"] == row["tier"]
            )
            same &= _labelled(found.facts["labels"]) == _labelled(json.loads(row["labels"] or "null"))
            seen.add(found.key)
            length += len(found.audio)
    return same and seen == wanted.keys(), len(seen), length / 16_000


def _note(counted: list[str], event: str, _uri: str) -> None:
    counted.append(event)


def _labelled(labels: Any) -> set[str]:
    """Tasks that have an answer."""
    return {task for task, answer in (labels or {}).items() if answer and task != "segment_id"}


def rebuilt(run: Path, out: Path, folders: list[str], site: str) -> tuple[int, int]:
    """How many samples of the shards there are, and how many were made again from the site with the same sound."""
    originals, lists = out.parent / "again", [str(out / folder / "recordings.jsonl") for folder in folders]
    ours = f"crawl.allow_private=[{json.dumps(site.removeprefix('http://'))}]"
    if command("crawl", *lists, "-o", str(originals), "--contact", "https://example.org/contact", "--set", ours, "--quiet"):
        sys.exit("the site could not be crawled again")
    for folder in folders:
        command("rebuild-data", str(out / folder), "--originals", str(originals), "-o", str(out.parent / "rebuilt"))
    packed = list(read_run(str(run / "shards")))
    files = {path.stem: path for path in (out.parent / "rebuilt").glob("*.flac")}
    same = sum(one.key in files and bool((decode(files[one.key].read_bytes()) == one.audio).all()) for one in packed)
    return len(packed), same


def main() -> None:
    full = full_form(sys.argv)
    packages = ["datasets", "webdataset", "lhotse", "pyarrow", "soundfile"]
    heading(
        "check-exports",
        full,
        f"{len(PAGES)} recordings of the demo's site, {len(FORMATS)} formats; NeMo's readers from its wheel",
        packages,
    )
    targets: dict[str, Target] = {}
    figures: dict[str, Any] = {}
    rows = []
    with tempfile.TemporaryDirectory(prefix="voxmill-exports-") as scratch, serve(build(cache_root() / "demo-site")) as served:
        folder, run = Path(scratch), Path(scratch) / "run"
        run_or_exit(run, settings(served.url))
        ledger = {row["key"]: row for row in query(open_catalog(str(run)), LEDGER).to_pylist()}
        for name, layout in FORMATS.items():
            began, counted = time.monotonic(), list[str]()
            events.append(partial(_note, counted))
            done = export_data(str(run / "shards"), str(folder / name), layout, ExportChoice())
            events.pop()
            took, folders = time.monotonic() - began, [one.folder for one in done.sets]
            export_data(str(run / "shards"), str(folder / "twice" / name), layout, ExportChoice())
            whole = tree(folder / name)
            killed, ended = killed_and_continued(run, name, folder / f"killed-{name}", len(counted))
            same = [tree(folder / "twice" / name) == whole, killed and ended and tree(folder / f"killed-{name}") == whole]
            targets[f"{name}: bytes"] = {
                "value": f"{sum(same)} of 2 the same",
                "target": "again, and killed and continued",
                "met": all(same),
            }
            if name in READERS:
                agrees, samples, seconds = same_as_ledger(name, folder / name, folders, ledger)
                targets[f"{name}: its reader"] = {
                    "value": samples,
                    "target": "samples, lengths, texts, labels of the ledger",
                    "met": agrees and samples > 0,
                }
            else:
                samples, same_sound = rebuilt(run, folder / name, folders, served.url)
                seconds = sum(one.seconds for one in done.sets)
                targets["urls: rebuilt from the site"] = {
                    "value": f"{same_sound} of {samples}",
                    "target": "same sound",
                    "met": samples == same_sound > 0,
                }
            size = sum(path.stat().st_size for path in (folder / name).rglob("*") if path.is_file())
            figures[name] = {
                "samples": samples,
                "seconds": seconds,
                "sets": len(folders),
                "files": len(whole),
                "bytes": size,
                "took_s": round(took, 2),
            }
            rows.append(
                (name, str(samples), f"{seconds:.2f}", str(len(folders)), str(len(whole)), f"{size / 1e6:.2f}", f"{took:.2f}")
            )
    table(("format", "samples", "seconds", "folders", "files", "MB", "s"), rows)
    finish("check-exports", figures | {"ledger": len(ledger)}, targets, full)


if __name__ == "__main__":
    main()
