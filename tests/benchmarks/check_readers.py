"""`make check-readers`: programs that know nothing of us read what we write, and count the same.

Plain `webdataset`, Hugging Face's `datasets` (streaming, and not), GNU tar and the duckdb command line (another version than the library we write with) read the shards of
a made-up pack with many parts, and of a real run with its `catalog.sql`: the one of `make demo` where it is there, the one
given with `--run DIR`, or else a short one that is made now.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

import soundfile

import samples
from benchmarks.report import Target, finish, full_form, heading, table
from voxmill.manifests.records import SAMPLE_RATE
from voxmill.sharding.index import read_index, write_index
from voxmill.sharding.layout import plan_shards
from voxmill.sharding.reader import read_run
from voxmill.sharding.sidecar import committed
from voxmill.sharding.writer import pack_shard

CLI = str(Path(sys.executable).with_name("duckdb"))
DEMO = Path("runs/demo")


@dataclass(frozen=True, slots=True)
class Count:
    """What one reader found. `keys` in its own order; None where it counts only."""

    samples: int
    seconds: float | None = None
    keys: tuple[str, ...] | None = None


def by_commits(root: Path) -> Count:
    shards = list(committed(str(root)))
    return Count(sum(s.num_shard_samples for s in shards), sum(s.num_samples for s in shards) / SAMPLE_RATE)


def by_index(root: Path) -> Count:
    shards = read_index(str(root))
    return Count(sum(s.num_shard_samples for s in shards), sum(s.num_samples for s in shards) / SAMPLE_RATE)


def by_voxmill(root: Path) -> Count:
    read = [(s.key, len(s.audio)) for s in read_run(str(root))]
    return Count(len(read), sum(n for _, n in read) / SAMPLE_RATE, tuple(key for key, _ in read))


def by_webdataset(root: Path) -> Count:
    import webdataset

    keys, frames = [], 0
    for sample in webdataset.WebDataset(_tars(root), shardshuffle=False).decode():
        keys.append(sample["__key__"])
        frames += soundfile.info(io.BytesIO(sample["flac"])).frames
        if sample["json"]["key"] != keys[-1]:
            raise ValueError(f"{keys[-1]} came with the JSON of {sample['json']['key']}")
    return Count(len(keys), frames / SAMPLE_RATE, tuple(keys))


def by_datasets(root: Path, streaming: bool, given: str = "files") -> Count:
    """`given`: the tars by name, or the folder, in which `datasets` has to tell samples from sidecars itself."""
    import datasets

    keys, frames = [], 0
    with tempfile.TemporaryDirectory(prefix="voxmill-datasets-") as cache:
        how: dict[str, Any] = {"streaming": streaming, "cache_dir": cache}
        if given == "folder":
            opened = datasets.load_dataset(str(root), **how)
            splits = [opened[name] for name in sorted(opened, key=["test", "train", "validation"].index)]  # as the tars' names
        else:
            splits = [datasets.load_dataset("webdataset", data_files=_tars(root), split="train", **how)]
        for row in (row for split in splits for row in split.cast_column("flac", datasets.Audio(decode=False))):
            keys.append(row["__key__"])
            frames += soundfile.info(io.BytesIO(row["flac"]["bytes"])).frames
            if row["json"]["key"] != keys[-1] or json.loads(row["json"]["segment"])["id"] != keys[-1]:
                raise ValueError(f"{keys[-1]} came with the JSON of {row['json']['key']}")
    return Count(len(keys), frames / SAMPLE_RATE, tuple(keys) if given == "files" or len(splits) == 1 else None)


def by_tar(root: Path) -> Count:
    names = [n for tar in _tars(root) for n in _lines("tar", "--list", "--file", tar)]
    keys = tuple(name.removesuffix(".flac") for name in names if name.endswith(".flac"))
    if names != [f"{key}.{suffix}" for key in keys for suffix in ("flac", "json")]:
        raise ValueError("a tar does not hold pairs of .flac and .json")
    return Count(len(keys), keys=keys)


def by_duckdb(root: Path) -> Count:
    """The Parquet sidecars, in the order of the tars."""
    rows = ask(
        "SELECT key, num_samples FROM read_parquet('__metadata__/*.parquet', filename=true) ORDER BY filename, flac_offset",
        root,
    )
    return Count(len(rows), sum(r["num_samples"] for r in rows) / SAMPLE_RATE, tuple(r["key"] for r in rows))


def by_catalog(run: Path) -> Count:
    (row,) = ask(
        "SELECT count(*) AS n, coalesce(sum(num_samples), 0)::BIGINT AS num_samples FROM samples", run, ".read catalog.sql"
    )
    return Count(row["n"], row["num_samples"] / SAMPLE_RATE)


READERS: dict[str, Callable[[Path], Count]] = {
    "commits": by_commits, "index": by_index, "voxmill": by_voxmill, "webdataset": by_webdataset, "GNU tar": by_tar,
    "datasets": partial(by_datasets, streaming=False), "datasets, streaming": partial(by_datasets, streaming=True),
    "datasets, folder": partial(by_datasets, streaming=False, given="folder"),
    "datasets, folder, streaming": partial(by_datasets, streaming=True, given="folder"),
    "duckdb CLI": by_duckdb,
}  # fmt: skip


def ask(sql: str, folder: Path, *before: str) -> list[dict[str, Any]]:
    """A query in the duckdb command line, started in `folder`."""
    steps = [argument for step in before for argument in ("-cmd", step)]
    command = [CLI, "-json", "-bail", *steps, "-c", sql]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode or done.stderr:
        raise RuntimeError(f"the duckdb CLI says {done.stderr}")
    rows: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return rows


def made_up(root: Path) -> None:
    """A pack of several licences, generations and parts."""
    packed = [
        sample
        for first, (licence, generation) in enumerate((("cc-by-4.0", 0), ("cc0-1.0", 0), ("cc-by-4.0", 1)))
        for sample in samples.several(8, 6, generation=generation, first=10 * first, licence=licence)
    ]
    for plan in plan_shards((s.entry for s in packed), 4, 400_000):
        pack_shard(plan, packed, samples.read_audio, str(root))
    write_index(str(root))


def real_run(root: Path, recordings: int) -> None:
    from benchmarks.runs import MOONSHINE, SPHINX, config, files, run_or_exit
    from speech.joined import joined

    paths = [r.path for r in joined("en", recordings, 30, seed=11)]
    keep = {"high": 0.3, "weak": 0.2, "unlabelled": 0.1, "languages": []}
    run_or_exit(
        root,
        config(
            files(paths, language="en"), [MOONSHINE, SPHINX], select=keep,
            units={"seconds": 30}, pack={"buckets": 2, "shard_mb": 1}, executor={"kind": "local"},
        ),
    )  # fmt: skip


def check(name: str, root: Path, targets: dict[str, Target]) -> dict[str, Count]:
    """Counts the shards below `root` with every reader."""
    counts = {reader: read(root) for reader, read in READERS.items()}
    agree(f"{name}: samples agree", [c.samples for c in counts.values()], targets)
    agree(f"{name}: seconds agree", [c.seconds for c in counts.values() if c.seconds is not None], targets)
    agree(f"{name}: keys and their order agree", [c.keys for c in counts.values() if c.keys is not None], targets)
    return counts


def agree(what: str, values: list[Any], targets: dict[str, Target]) -> None:
    same = len(set(values)) == 1
    shown = values[0] if same and not isinstance(values[0], tuple) else f"{len(set(values))} answer(s)"
    targets[what] = {"value": shown, "target": f"{len(values)} readers, one answer", "met": same and bool(values[0])}


def check_catalog(run: Path, packed: Count, targets: dict[str, Target]) -> Count:
    """The run's own catalog, opened by the command line: it counts the same, and its books balance."""
    count = by_catalog(run)
    agree("run: catalog.sql counts the same", [(packed.samples, packed.seconds), (count.samples, count.seconds)], targets)
    broken = ask("FROM conservation", run, ".read catalog.sql")
    targets["run: conservation"] = {"value": len(broken), "target": "no rows in the CLI", "met": not broken}
    return count


def main() -> None:
    full = full_form(sys.argv)
    given = Path(sys.argv[sys.argv.index("--run") + 1]) if "--run" in sys.argv else None
    cli, library = re.findall(r"\d+\.\d+\.\d+", _lines(CLI, "--version")[0])[0], version("duckdb")
    targets: dict[str, Target] = {
        "duckdb CLI is another version": {"value": f"{cli}, library {library}", "target": "differ", "met": cli != library}
    }
    counts: dict[str, dict[str, Count]] = {}
    with tempfile.TemporaryDirectory(prefix="voxmill-readers-") as folder:
        pack, run = (
            Path(folder) / "shards",
            given or (DEMO if (DEMO / "shards" / "__metadata__").exists() else Path(folder) / "run"),
        )
        source = "given" if given else "of make demo" if run == DEMO else "made now"
        packages = ["webdataset", "datasets", "duckdb", "duckdb-cli", "pyarrow"]
        heading("check-readers", full, f"a made-up pack; the run {source}: {run.name}", packages)
        print(f"  readers   {_lines('tar', '--version')[0]}; duckdb CLI {cli}\n", flush=True)
        made_up(pack)
        counts["made up"] = check("made up", pack, targets)
        try:
            if source == "made now":
                real_run(run, 12 if full else 3)
            counts["run"] = check("run", run / "shards", targets)
            counts["run"]["catalog.sql in the CLI"] = check_catalog(run, counts["run"]["commits"], targets)
        except (SystemExit, Exception) as error:  # noqa: BLE001  a run that fails is a result of this check
            print(f"{error}\n", file=sys.stderr)
            targets["run: can be read"] = {"value": f"{type(error).__name__}: {error}"[:60], "target": "no error", "met": False}
        shards = {"made up": len(_tars(pack)), "run": len(_tars(run / "shards"))}
    table(
        ("shards", "reader", "samples", "seconds"),
        [
            (name, reader, str(count.samples), "-" if count.seconds is None else f"{count.seconds:.3f}")
            for name, readers in counts.items()
            for reader, count in readers.items()
        ],
    )
    figures: dict[str, Any] = {
        name: {reader: {"samples": count.samples, "seconds": count.seconds} for reader, count in readers.items()}
        for name, readers in counts.items()
    }
    finish("check-readers", figures | {"shards": shards, "duckdb_cli": cli, "duckdb": library}, targets, full)


def _tars(root: Path) -> list[str]:
    return sorted(str(path) for path in root.glob("*.tar"))


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


if __name__ == "__main__":
    main()
