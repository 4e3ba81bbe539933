"""Time on machines: more machines never take longer, no machine outruns a host, and hours of work add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.pipeline.planning.advise import advise, missing_speeds
from voxmill.pipeline.planning.fleet_time import FleetTime, StageWork, fleet_time
from voxmill.pipeline.planning.machines import Speed, parse_machines
from voxmill.pipeline.planning.politeness import SlowestHost

HOURS = 1000.0
AUDIO = np.array([HOURS * 3600])


def works(gpu_times: float | None = 100.0, kinds: tuple[str, ...] = ("h100", "l4")) -> list[StageWork]:
    speeds = {kind: Speed(gpu_times, "given") for kind in kinds}
    return [
        StageWork("decode", "fetch", AUDIO / 500, AUDIO / 500, AUDIO),
        StageWork("segment", "models", AUDIO / 300, AUDIO / 300, AUDIO),
        StageWork("transcribe:a", "models", AUDIO / 10, AUDIO / 10, AUDIO, speeds),
        StageWork("pack", "pack", AUDIO / 200, AUDIO / 200, AUDIO),
    ]


def time(*texts: str, hosts_s: float = 0.0, gpu_times: float | None = 100.0) -> FleetTime:
    return fleet_time(works(gpu_times), parse_machines(texts), worker_gb=2.0, hosts_s=hosts_s, num_units=np.array([6000.0]))


def wall(found: FleetTime) -> float:
    assert found.wall is not None
    return float(found.wall[0])


@given(st.integers(1, 200), st.integers(1, 200), st.floats(0, 1e6))
def test_more_machines_never_take_longer_and_none_outruns_a_host(few: int, more: int, hosts_s: float) -> None:
    for kind in ("h100", "cpu16"):
        slow, fast = (wall(time(f"{kind}:{count}", hosts_s=hosts_s)) for count in (few, few + more))
        assert fast <= slow + 1e-9
        assert fast >= hosts_s / 3600


def test_work_on_cores_is_divided_among_them() -> None:
    found = time("cpu50:2")
    assert wall(found) * 100 == pytest.approx(HOURS / 500 + HOURS / 300 + HOURS / 10 + HOURS / 200, rel=0.01)
    assert found.gpu_hours is not None
    assert found.gpu_hours[0] == 0


def test_gpus_take_the_recognisers_off_the_cores() -> None:
    found = time("h100:4")
    assert found.gpu_hours is not None
    assert found.gpu_hours[0] == pytest.approx(HOURS / 100)
    assert found.busy["models", "GPUs"][0] == pytest.approx(HOURS / 100 / 4)
    assert found.busy["models", "cores"][0] == pytest.approx(HOURS / 300 / 96, rel=0.05)
    assert found.bottleneck == ("models", "GPUs")


def test_unlike_gpus_share_the_work_by_their_pace() -> None:
    machines = parse_machines(["h100:1", "l4:1"])
    speeds = {"h100": Speed(300.0, "given"), "l4": Speed(100.0, "given")}
    found = fleet_time([StageWork("a", "models", AUDIO, AUDIO, AUDIO, speeds)], machines, worker_gb=2.0)
    assert wall(found) == pytest.approx(HOURS / 400)


def test_a_speed_that_nobody_knows_makes_the_time_unknown_and_is_asked_for() -> None:
    found = time("h100:4", gpu_times=None)
    assert found.wall is None
    assert found.gpu_hours is None
    assert "--speed transcribe:a@h100=X" in missing_speeds(found)[0]


def test_a_few_units_do_not_go_faster_than_one_of_them() -> None:
    found = fleet_time(works(), parse_machines(["cpu64:100"]), worker_gb=2.0, num_units=np.array([2.0]))
    assert found.busy["models", "cores"][0] == pytest.approx(HOURS * (1 / 300 + 1 / 10) / 2)


@pytest.mark.parametrize(
    ("texts", "hosts_s", "what", "helps"),
    [
        (("h100:1",), 0.0, "the GPUs, while", "more GPUs (h100)"),
        (("cpu4:1",), 0.0, "the cores, while", "more cores, or GPUs"),
        (("cpu64:8",), 1e8, "the hosts, while", "no machine helps: a.org"),
    ],
)
def test_the_bottleneck_is_named_with_what_helps(texts: tuple[str, ...], hosts_s: float, what: str, helps: str) -> None:
    host = SlowestHost("a.org", 100_000_001, 1.0, 1e8, 1e8) if hosts_s else None
    said, advice = advise(time(*texts, hosts_s=hosts_s), parse_machines(texts), host)
    assert said.startswith(what)
    assert advice.startswith(helps)


def test_a_run_so_small_that_it_mostly_starts_is_said_to_be_one() -> None:
    found = fleet_time(works(), parse_machines(["cpu64:100"]), worker_gb=2.0, start_s=1e6)
    said, advice = advise(found, parse_machines(["cpu64:100"]), None)
    assert said.startswith("starting workers")
    assert "11.6 days" in said
    assert advice.startswith("nothing")
