"""`make check-cards`: the cards of a release are read by others' readers, say what the tables say, and the gate stops what must not go out.

A part of the demo's site is crawled; two recognisers answer at once, since what they hear does not matter here. `mlcroissant`, in an environment
of its own, validates the Croissant description and loads its records; `datasets` finds configs, splits and features in the card. The figures of
card and datasheet are compared with SQL over the sidecars of the shards and the run's outcomes. Then one fault after the other is planted in a
copy of the run: the gate must name it by its kind, write nothing and exit with 1.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import datasets
import duckdb
import pyarrow.parquet as pq
import yaml

from benchmarks.check_exports import settings
from benchmarks.report import Target, finish, full_form, heading, table
from benchmarks.runs import TESTS, VOXMILL
from demo.site import build, serve
from speech.cache import cache_root
from voxmill.manifests.catalog import open_catalog
from voxmill.sharding.shard_files import CARD, CARDS, CROISSANT, DATASHEET

UV = str(Path(sys.executable).with_name("uv"))
MLCROISSANT = "mlcroissant[parquet]==1.1.1"
LOAD = """
import json, sys
import mlcroissant as mlc

found = mlc.Dataset(jsonld=sys.argv[1])
plain = lambda value: value.decode() if isinstance(value, bytes) else value
rows = [{name.split("/")[1]: plain(value) for name, value in row.items()} for row in found.records("samples")]
print(json.dumps({"errors": sorted(found.metadata.ctx.issues.errors), "rows": rows}))
"""
COLUMNS = (
    "key",
    "text",
    "language",
    "tier",
    "agreement",
    "weight",
    "split",
    "licence",
    "recording_id",
    "start",
    "num_samples",
    "audio_sha256",
)
SECRET = "https://files.example.org/a.mp3?X-Amz-Signature=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
ROW = re.compile(r"^\| (\S+) \| ([\d,]+) \| ([\d.]+) \|", re.MULTILINE)
LOSS = re.compile(r"^\| (\w+) \| ([\w.]+) \| ([\d,]+) \| ([\d.]+) \|", re.MULTILINE)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    return subprocess.run([VOXMILL, *arguments], env=env, check=False, capture_output=True, text=True)


def make_run(folder: Path, name: str, **changes: Any) -> Path:
    """Ends the check where the run fails."""
    with serve(build(cache_root() / "demo-site"), 0, folder / f"{name}.requests.jsonl") as served:
        made = settings(served.url)
        made["select"] |= changes.pop("select", {})
        for source in made["sources"]:
            source |= changes
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(made))
        done = command("run", "-c", str(path), "-o", str(folder / name), "-q")
    if done.returncode:
        sys.exit(f"the run failed:\n{done.stderr[-2000:]}")
    return folder / name


def by_mlcroissant(home: Path, described: Path) -> dict[str, Any]:
    """What its own reader finds, in an environment of its own."""
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(home)], check=True)
        subprocess.run([UV, "pip", "install", "--quiet", "--python", str(python), MLCROISSANT], check=True)
    done = subprocess.run([str(python), "-c", LOAD, str(described)], check=False, capture_output=True, text=True)
    if done.returncode:
        return {"errors": done.stderr.splitlines()[-3:], "rows": []}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def by_datasets(shards: Path, cache: Path) -> Iterator[tuple[str, list[str]]]:
    """(config, keys) of the data set as `load_dataset` finds it in the card."""
    names = yaml.safe_load((shards / CARD).read_text().split("---")[1])["configs"]
    for name in (one["config_name"] for one in names):
        rows = datasets.load_dataset(str(shards), name, split="train", streaming=True, cache_dir=str(cache))
        yield name, sorted(row["json"]["key"] for row in rows.remove_columns("flac"))


def of_sidecars(shards: Path, column: str) -> dict[str, tuple[int, str]]:
    rows = duckdb.sql(
        f"SELECT {column}, count(*), round(sum(num_samples) / 57.6e6, 3) FROM read_parquet('{shards}/__metadata__/*-???.parquet') GROUP BY 1"
    ).fetchall()
    return {value: (count, f"{hours:.3f}") for value, count, hours in rows}


def wrong_figures(run: Path) -> list[str]:
    """Figures of the card and the datasheet that the tables do not have, and the other way round."""
    shards, found = run / "shards", []
    for file in (CARD, DATASHEET):
        said = {value: (int(count.replace(",", "")), hours) for value, count, hours in ROW.findall((shards / file).read_text())}
        for column in ("licence", "language", "tier"):
            found += [
                f"{file}: {v}: {said.get(v)} for {one}" for v, one in of_sidecars(shards, column).items() if said.get(v) != one
            ]
    rows = open_catalog(str(run)).execute(
        "SELECT stage, reason, count(*), round(coalesce(sum(seconds), 0) / 3600, 3) FROM outcomes WHERE NOT kept GROUP BY 1, 2"
    )
    losses = {(stage, reason): (count, f"{hours:.3f}") for stage, reason, count, hours in rows.fetchall()}
    sheet = LOSS.findall((shards / DATASHEET).read_text())
    said_losses = {
        (stage, reason): (int(count.replace(",", "")), hours) for stage, reason, count, hours in sheet if "." in reason
    }
    return found + [
        f"{key}: {said_losses.get(key)} for {losses.get(key)}"
        for key in losses.keys() | said_losses.keys()
        if losses.get(key) != said_losses.get(key)
    ]


def flip_a_byte(run: Path) -> None:
    tar = min((run / "shards").glob("*.tar"))
    blob = bytearray(tar.read_bytes())
    blob[len(blob) // 2] ^= 1
    tar.write_bytes(blob)


def add_to_tables(run: Path) -> None:
    """A sidecar that says more than its shard holds."""
    sidecar = min((run / "shards" / "__metadata__").glob("*-???.parquet"))
    rows = pq.read_table(sidecar)
    pq.write_table(rows.slice(0, len(rows) - 1), sidecar)


def deny(run: Path) -> None:
    written = json.loads((run / "run.json").read_text())
    written["config"]["crawl"]["deny"] = ["**/reading.flac", "127.0.0.1"]
    (run / "run.json").write_text(json.dumps(written))


def put_back(run: Path) -> None:
    """After a revocation the old shards come back from a copy."""
    kept = run.with_name(f"{run.name}-kept")
    shutil.copytree(run / "shards", kept)
    ((url,),) = open_catalog(str(run)).execute("SELECT provenance.url FROM recordings ORDER BY 1 LIMIT 1").fetchall()
    done = command("revoke", str(run), "--url", url, "--reason", "asked")
    if done.returncode:
        sys.exit(f"the revocation failed:\n{done.stderr[-2000:]}")
    shutil.copytree(kept, run / "shards", dirs_exist_ok=True)


def tell_a_secret(run: Path) -> None:
    sheet = min((run / "shards" / "__metadata__" / "attribution").iterdir())
    sheet.write_text(f"{sheet.read_text()}{SECRET}\n")


def tell_a_secret_in_a_note(run: Path) -> None:
    (run / "shards" / "__metadata__" / "notes.txt").write_text(
        "curl -H 'Authorization: Bearer 6fJ2kLq9ZrT4vXw8' https://a.example.org/x\n"
    )


FAULTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a byte of a shard is another": ("proof", flip_a_byte),
    "a shard is gone": ("proof", lambda run: min((run / "shards").glob("*.tar")).unlink()),
    "a sidecar has a row less": ("proof", add_to_tables),
    "the sidecars are gone": ("proof", lambda run: shutil.rmtree(run / "shards" / "__metadata__")),
    "the deny-list names a recording now": ("revocation", deny),
    "revoked shards are back": ("proof", put_back),
    "a signed address in the attribution": ("secret", tell_a_secret),
    "a token in a note beside the shards": ("secret", tell_a_secret_in_a_note),
}


def gate(run: Path) -> tuple[int, set[str], bool]:
    """(exit code, kinds of hindrances, whether anything was written)."""
    before = set((run / "shards").rglob("*"))
    done = command("release", str(run), "--json")
    kinds = {one["kind"] for one in json.loads(done.stdout)["hindrances"]} if done.stdout.startswith("{") else set()
    return done.returncode, kinds, set((run / "shards").rglob("*")) != before


def main() -> None:
    full = full_form(sys.argv)
    heading("check-cards", full, "three files of the demo's site", ["datasets", "duckdb", "pyarrow"])
    with tempfile.TemporaryDirectory(prefix="voxmill-cards-") as name:
        folder = Path(name)
        run = make_run(folder, "run")
        faulty = {
            what: (kind, Path(shutil.copytree(run, folder / f"faulty-{n}")), spoil)
            for n, (what, (kind, spoil)) in enumerate(FAULTS.items())
        }
        released = command("release", str(run), "--creator", "A laboratory", "--url", "https://example.org/talks")
        ledger = open_catalog(str(run)).execute(f"SELECT {', '.join(COLUMNS)} FROM samples ORDER BY key").fetchall()
        samples = [dict(zip(COLUMNS, row, strict=True)) for row in ledger]
        loaded = by_mlcroissant(folder / "mlcroissant", run / "shards" / CROISSANT)
        same = sorted(loaded["rows"], key=lambda row: row["key"]) == samples
        by_config = dict(by_datasets(run / "shards", folder / "cache"))
        keys = [row["key"] for row in samples]
        parts = sorted(key for config, mine in by_config.items() if config != "all" for key in mine)
        figures_wrong = wrong_figures(run)
        again = {card: (run / "shards" / card).read_bytes() for card in CARDS}
        command("release", str(run), "--creator", "A laboratory", "--url", "https://example.org/talks")
        twice = all((run / "shards" / file).read_bytes() == blob for file, blob in again.items())
        outcomes = []
        for what, (kind, copy, spoil) in faulty.items():
            spoil(copy)
            outcomes.append((what, kind, *gate(copy)))
        unlicensed = make_run(folder, "unlicensed", licence="unknown", select={"allow_unknown_licence": True})
        outcomes.append(("nobody knows the licence", "licence", *gate(unlicensed)))
    table(
        ("planted", "wanted", "exit code", "named", "written"),
        [
            (what, kind, str(code), " ".join(sorted(kinds)) or "-", "yes" if wrote else "no")
            for what, kind, code, kinds, wrote in outcomes
        ],
    )
    for line in [*figures_wrong, *map(str, loaded["errors"])]:
        print(f"  WRONG: {line}")
    missed = [what for what, kind, code, kinds, wrote in outcomes if code != 1 or kind not in kinds or wrote]
    targets: dict[str, Target] = {
        "a sound run is released": {"value": released.returncode, "target": "0", "met": released.returncode == 0},
        "mlcroissant: errors": {"value": len(loaded["errors"]), "target": "0", "met": not loaded["errors"]},
        "mlcroissant: records that equal the ledger's": {
            "value": f"{len(loaded['rows'])} of {len(samples)}{'' if same else ', not equal'}", "target": "all", "met": same and len(samples) > 0,
        },
        "datasets: samples by config": {"value": str({name: len(mine) for name, mine in by_config.items()}), "target": "all, and each once", "met": by_config.get("all") == keys == parts},
        "figures that differ from SQL": {"value": len(figures_wrong), "target": "0", "met": not figures_wrong},
        "the same cards twice": {"value": twice, "target": "yes", "met": twice},
        "planted faults that the gate lets through": {"value": ", ".join(missed) or "none", "target": f"none of {len(outcomes)}", "met": not missed},
    }  # fmt: skip
    finish(
        "check-cards",
        {"samples": len(samples), "faults": [[what, code, sorted(kinds)] for what, _, code, kinds, _ in outcomes]},
        targets,
        full,
    )


if __name__ == "__main__":
    main()
