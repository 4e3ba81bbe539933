"""What goes wrong in the middle of a run on a cluster: each fault is a function that starts the run, lets it happen, and has it mended.

When it happens, and to which machine, is drawn. What a run that ended on the way takes is the same command once more; all else is the run's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from cluster.cluster_run import SLEEPER, ClusterRun
from cluster.events import Seen
from cluster.namespaces import Machine, signal_to
from cluster.ray_cluster import RayCluster
from cluster.wrong_clock import DAY_S, clock_of, set_clock
from stores.faulty_proxy import Faults

EARLY, WORK, ANY = ("crawl", "decode"), ("crawl", "decode", "transcribe"), ("crawl", "decode", "transcribe", "pack")
"""Stages in which a fault can come."""

GONE_S = 60.0
SHORT_CUT_S, LONG_CUT_S = 6.0, 35.0
"""A node that is off the network for the longer time is given up by Ray, for the shorter one it is not."""


@dataclass
class Scene:
    """A run in the middle of which something goes wrong."""

    cluster: RayCluster
    run: ClusterRun
    poisoned: Path
    """The config with one recording more, which kills its worker."""
    random: Random
    what: list[str] = field(default_factory=list)
    """What was drawn, for people."""
    problems: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    """Machines on which Ray ends and is started again."""

    @property
    def workers(self) -> list[str]:
        """Names of the machines with workers."""
        return [name for name in self.cluster.machines if name.startswith("w") and name != "web"]

    def moment(self, stages: Sequence[str] = ANY) -> Seen:
        """Waits for a drawn moment of the run: the event before it."""
        stage, after = self.random.choice(stages), self.random.uniform(0, 1.5)
        number = self.random.randint(1, 2 if stage != "transcribe" else 16)
        self.what.append(f"{stage} {number}")
        about = {"transcribe": SLEEPER, "pack": f"{self.run.root.removeprefix('s3://')}/shards/"}.get(stage, f"{stage}/")
        event = "staged" if stage == "pack" else "began"

        def come() -> list[Seen]:
            its = self.run.seen(about, event)
            its = [one for one in its if one.what.startswith(about) or one.what.endswith(".tar")]
            return its if len(its) >= number else []

        found = self.run.until(f"{stage} {number}", come)
        if stage != "pack":
            time.sleep(after)
        return found[-1]

    def machine(self, one: Seen) -> Machine:
        """The machine of an event."""
        return self.cluster.machines[one.machine]

    def kill(self, one: Seen) -> None:
        """Kills the process of an event."""
        code, said = self.machine(one).ask("kill", "-9", one.process.split()[0])
        if code:
            self.problems.append(f"the worker had gone before it was killed: {said.strip()}")

    def mended(self, action: Callable[[], None], *names: str) -> None:
        """Does something after which Ray starts again on some machines, and waits until it has."""
        before = {name: self.cluster.ray_starts(name) for name in names}
        action()
        until = time.monotonic() + 120
        while any(self.cluster.ray_starts(name) <= before[name] for name in names):
            if time.monotonic() > until:
                self.problems.append(f"Ray did not start again on {', '.join(names)}")
                break
            time.sleep(0.3)
        self.cluster.wait_for(*names)


def worker_killed(scene: Scene) -> None:
    """A process that is at work, with SIGKILL, as the kernel does when memory ends."""
    scene.run.start()
    scene.kill(scene.moment())


def two_workers_killed(scene: Scene) -> None:
    """One that is at work, and another one of any machine that was at work before, at once."""
    scene.run.start()
    one = scene.moment(("transcribe",))
    its = scene.run.seen(SLEEPER)
    scene.kill(one)
    for other in reversed(its):
        if (other.machine, other.process) != (one.machine, one.process):
            scene.kill(other)
            return
    scene.problems.append("there was only one worker")


def head_killed(scene: Scene) -> None:
    """The machine with Ray's head and the driver loses its power, and comes back."""
    scene.run.start()
    scene.moment()

    def lost() -> None:
        scene.cluster.machines["head"].kill()
        scene.run.process.wait()
        scene.cluster.head()
        scene.cluster.wait_for("head")

    scene.mended(lost, *scene.workers)
    scene.run.start()


def driver_killed(scene: Scene) -> None:
    """The command that runs the run, with SIGKILL."""
    scene.run.start()
    scene.moment()
    signal_to(scene.run.process)
    scene.run.process.wait()
    scene.run.start()


def node_cut_off(scene: Scene) -> None:
    """A machine with a worker is off the network for a while; everything on it runs on, and it comes back."""
    scene.run.start()
    machine, seconds = scene.machine(scene.moment(WORK)), scene.random.choice((SHORT_CUT_S, LONG_CUT_S))
    scene.what.append(f"{machine.name} for {seconds:g} s")

    def cut() -> None:
        machine.cut()
        time.sleep(seconds)
        machine.join()

    if seconds == LONG_CUT_S:
        scene.mended(cut, machine.name)
    else:
        cut()


def clock_wrong(scene: Scene) -> None:
    """The date of a worker's machine jumps by a day, or that of the driver is off by a day from the start."""
    days, whose = scene.random.choice((1, -1)), scene.random.choice(("w1", "driver"))
    scene.what.append(f"{whose} {days:+d} day")
    if whose == "driver":
        scene.run.start(environment=clock_of(scene.cluster.folder / "driver.clock", days * DAY_S))
    else:
        scene.run.start()
        scene.moment()
        set_clock(scene.cluster.folder / "w1.clock", days * DAY_S)


def two_drivers(scene: Scene) -> None:
    """Somebody starts the same run on another machine, while it runs: that start has to be refused."""
    scene.run.start()
    scene.moment(EARLY)
    screen = scene.cluster.folder / f"{scene.run.root.rpartition('/')[2]}.other.log"
    code = scene.run.command(scene.random.choice(scene.workers), screen).wait(scene.run.patience_s)
    if scene.run.process.poll() is None and (code != 2 or "is in use by" not in screen.read_text()):
        scene.problems.append(f"the second driver ended with {code}: {screen.read_text()[-300:]}")


def store_gone(scene: Scene) -> None:
    """The store closes every connection without an answer."""
    scene.run.start()
    scene.moment()
    scene.what.append(f"for {GONE_S:g} s")
    scene.cluster.proxy.gone_for(GONE_S)


def store_refuses(scene: Scene) -> None:
    """5 % of all requests are answered 500 or 503."""
    scene.cluster.proxy.faults = Faults(refused=0.05)
    scene.run.start()


def answers_lost(scene: Scene) -> None:
    """5 % of all writes are carried out, and answered 500."""
    scene.cluster.proxy.faults = Faults(lost_answers=0.05)
    scene.run.start()


def late_copies(scene: Scene) -> None:
    """A fifth of all PUTs arrive at the store once more, seconds later."""
    seconds = scene.random.choice((1.0, 5.0, 20.0))
    scene.what.append(f"after {seconds:g} s")
    scene.cluster.proxy.faults = Faults(late_copies=0.2, late=seconds)
    scene.run.start()


def store_slow(scene: Scene) -> None:
    """The store takes a quarter of a second longer for each request."""
    scene.cluster.proxy.faults = Faults(delay=0.25)
    scene.run.start()


def disk_full(scene: Scene) -> None:
    """The disk for temporary files of a machine fills up: a run that cannot go on says so, and does when there is room again."""
    name = scene.random.choice(scene.workers)
    machine, filler = scene.cluster.machines[name], "/var/tmp/filler"
    machine.ask("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", "/var/tmp")
    scene.run.start()
    scene.moment(EARLY)
    scene.what.append(name)
    machine.ask("bash", "-c", f"cat /dev/zero > {filler}")
    code = scene.run.ended()
    machine.ask("rm", filler)
    if code:
        scene.what.append(f"ended with {code}")
        if not any("No space left" in line and machine.address in line for line in scene.run.lines):
            scene.problems.append(f"nothing says that the disk of {name} is full: {scene.run.lines[-1:]}")
        scene.run.start()
    scene.run.end()
    machine.ask("umount", "-l", "/var/tmp")


def poison(scene: Scene) -> None:
    """One recording kills whatever process hears it."""
    scene.run.settings = scene.poisoned
    scene.run.start()


FAULTS: dict[str, Callable[[Scene], None]] = {
    "worker killed": worker_killed,
    "two workers killed": two_workers_killed,
    "head killed": head_killed,
    "driver killed": driver_killed,
    "node cut off": node_cut_off,
    "clock a day off": clock_wrong,
    "two drivers": two_drivers,
    "store gone": store_gone,
    "5 % refused": store_refuses,
    "5 % committed, then 500": answers_lost,
    "late and duplicate PUT": late_copies,
    "slow store": store_slow,
    "full disk": disk_full,
    "poison input": poison,
}
