"""Ray on machines out of namespaces, before an S3 store: head and workers that come, go and come back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cluster.namespaces import SWITCH, Machine, switch_on
from stores.faulty_proxy import FaultyProxy
from stores.store_environment import reaching, s3_environment
from stores.store_server import seaweedfs

BIN = Path(sys.executable).parent
TESTS = Path(__file__).resolve().parents[1]
HEAD, WEB, HERMIT, WORKERS = 2, 20, 30, 100
"""Numbers of machines: the head, the web server, one that is in no cluster, and the first of the workers."""

_MEMORY = ["--memory=4000000000", "--object-store-memory=100000000"]
_BEGINS = "Local node IP"
"""What `ray start` says first."""

_KEEP_STARTING = 'while :; do "$@"; sleep 1; done'
"""As a service manager or Kubernetes does: Ray that has ended is started again."""


@dataclass
class RayCluster:
    """Machines by name. Only the head and workers run Ray; `hosts` are names of the web server."""

    folder: Path
    proxy: FaultyProxy
    hosts: tuple[str, ...] = ()
    machines: dict[str, Machine] = field(default_factory=dict)

    def switch_on(self, name: str, number: int) -> Machine:
        """A machine without Ray."""
        names = dict.fromkeys(self.hosts, f"10.77.0.{WEB}") | {"head": f"10.77.0.{HEAD}", name: f"10.77.0.{number}"}
        machine = switch_on(name, number, self.folder / name, names, self._environment())
        self.machines[name] = machine
        return machine

    def head(self) -> Machine:
        """The head, with Ray, on which no worker has a place."""
        machine = self.switch_on("head", HEAD)
        self._ray(machine, "--head", "--port=6379", "--temp-dir=/tmp/ray", "--num-cpus=0", "--include-dashboard=false")
        return machine

    def worker(self, number: int, cpus: int = 1, environment: Mapping[str, str] | None = None) -> Machine:
        """The worker `w<number>`, with Ray, which joins as soon as it is up."""
        machine = self.switch_on(f"w{number}", WORKERS + number)
        machine.environment |= environment or {}
        self._ray(machine, f"--address=10.77.0.{HEAD}:6379", f"--num-cpus={cpus}")
        return machine

    def wait_for(self, *names: str, seconds: float = 600) -> None:
        """Until Ray is up on these machines. Raises TimeoutError."""
        until = time.monotonic() + seconds
        for name in names:
            log = self.machines[name].folder / "ray.log"
            while "Ray runtime started" not in log.read_text().rpartition(_BEGINS)[2]:
                if time.monotonic() > until:
                    raise TimeoutError(f"Ray does not start on {name}: {log.read_text()[-1000:]}")
                time.sleep(0.3)

    def ray_starts(self, name: str) -> int:
        """How often Ray was started on a machine since it is on."""
        return (self.machines[name].folder / "ray.log").read_text().count(_BEGINS)

    def voxmill(
        self, *words: str, on: str = "head", log: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts the command on a machine."""
        return self.machines[on].start(str(BIN / "voxmill"), *words, log=log, environment=environment)

    def _ray(self, machine: Machine, *words: str) -> None:
        start = [sys.executable, "-m", "cluster.patient_ray", "start", f"--node-ip-address={machine.address}"]
        start += [*words, *_MEMORY, "--disable-usage-stats", "--block"]
        (machine.folder / "ray.log").write_text("")
        machine.start("bash", "-c", _KEEP_STARTING, "ray", *start, log=machine.folder / "ray.log")

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(TESTS),
            "OMP_NUM_THREADS": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DISABLE_IMPORT_WARNING": "1",
            # a busy machine starts a node slowly
            "RAY_agent_register_timeout_ms": "300000",
            "RAY_worker_register_timeout_seconds": "300",
            # noticed sooner than by default, so that a check takes minutes: a node that is silent for so long is dead
            "RAY_health_check_timeout_ms": "5000",
            "RAY_health_check_failure_threshold": "3",
            "RAY_gcs_rpc_server_reconnect_timeout_s": "20",
            "VOXMILL_ON_COMMIT": "cluster.events:on_event",
            "VOXMILL_EVENTS": str(self.folder / "events"),
            **s3_environment(self.proxy.url),
        }


@contextmanager
def ray_cluster(folder: Path, hosts: tuple[str, ...] = (), seed: int = 7) -> Iterator[RayCluster]:
    """The network's store, behind a proxy in this process, with a bucket named `bucket`; no machine is on yet."""
    (folder / "events").mkdir()
    with (
        seaweedfs(folder / "store", SWITCH) as url,
        FaultyProxy(url, SWITCH, 9000, seed) as proxy,
        reaching(s3_environment(proxy.url)),
    ):
        from voxmill.manifests.storage import locate

        locate("s3://bucket")[0].mkdir("bucket")
        cluster = RayCluster(folder, proxy, hosts)
        try:
            yield cluster
        finally:
            for machine in cluster.machines.values():
                machine.kill()
