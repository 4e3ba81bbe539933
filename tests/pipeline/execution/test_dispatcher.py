"""The dispatcher on virtual time, with workers that die, hang, are cut off and lose what they handed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulated_crew import SimulatedCrew, World
from voxmill.pipeline.execution import deaths
from voxmill.pipeline.execution.crew import Died
from voxmill.pipeline.execution.dispatcher import Dispatcher
from voxmill.pipeline.execution.executor import MAX_HELD, Books, Job, LazyKeys, PoolStep, WorkerDied
from voxmill.pipeline.execution.key_flow import MAX_TASKS
from voxmill.pipeline.execution.pools import Pool
from voxmill.pipeline.execution.resize import homeless
from voxmill.pipeline.execution.team import teams_of
from voxmill.pipeline.stage import Done, Resources

TURNS = 400_000
"""More than any of these chains takes."""


def nothing() -> PoolStep:
    raise AssertionError("no worker is real here")


class Trial:
    """One chain in one world, from its first key to its last."""

    def __init__(self, world: World, count: int, known: dict[str, int] | None = None) -> None:
        self.world, self.count, self.crew = world, count, SimulatedCrew(world)
        self.reports: Counter[tuple[str, str]] = Counter()
        self.known = Counter(known or {})
        self.struck: list[tuple[tuple[str, ...], str]] = []
        self.said: list[str] = []
        self.taken = 0
        self.most_open = 0
        self.committed = 0
        keys = LazyKeys(self._keys, count)
        pools = [Pool(tuple(Job(name, nothing, keys, Resources()) for name in names), Resources()) for names in world.jobs]
        books = Books(committed=self._commit, struck=self._strike, strikes_of=self.known.__getitem__, say=self.said.append)
        self.teams = teams_of(pools, keys, books, world.commit_seconds)
        self.dispatcher = Dispatcher(self.teams, self._report, books, world.commit_seconds)

    def run(self) -> Trial:
        crew = self.crew
        for _ in range(TURNS):
            if self.dispatcher.over:
                self.dispatcher.end(())
                return self
            for action in self.dispatcher.act(crew.now, crew.rooms()):
                crew.carry_out(action)
            for event in crew.wait(0.5):
                for action in self.dispatcher.take(event, crew.now):
                    crew.carry_out(action)
            last = len(crew.committed[-1])
            self.most_open = max(self.most_open, self.taken - last)
        raise AssertionError(f"never ends: {[len(one) for one in crew.committed]} of {self.count} after {crew.now:.0f} s")

    def check(self) -> None:
        keys = {f"k{n}" for n in range(self.count)}
        assert not self.crew.problems
        assert self.crew.committed == [keys for _ in self.world.jobs]
        names = [name for pool in self.world.jobs for name in pool]
        assert self.reports == Counter({(name, key): 1 for name in names for key in keys})
        assert self.struck == self.crew.single_deaths

    def _keys(self) -> Iterator[str]:
        for n in range(self.count):
            self.taken += 1
            yield f"k{n}"

    def _commit(self, commits: Sequence[str]) -> None:
        self.committed += len(commits)

    def _strike(self, jobs: Sequence[str], keys: Sequence[str]) -> None:
        self.struck += [(tuple(jobs), key) for key in keys]
        self.known.update(keys)

    def _report(self, done: Done) -> None:
        self.reports[done.stage, done.unit] += 1


CHAINS = st.sampled_from([[["a"]], [["a", "b", "c"]], [["a"], ["b"]], [["a"], ["b", "c"], ["d"]], [["a"], ["b"], ["c"], ["d"]]])

WORLDS = st.builds(
    World,
    seed=st.integers(0, 2**32),
    jobs=CHAINS,
    places=st.integers(1, 9),
    nodes=st.integers(1, 4),
    key_s=st.sampled_from([0.0, 0.01, 0.5, 20.0]),
    commit_seconds=st.sampled_from([0.5, 10.0, 60.0]),
    buffered=st.booleans(),
    payloads=st.sampled_from([0.0, 0.5, 1.0]),
    stillborn=st.sampled_from([0.0, 0.2]),
    random_death=st.sampled_from([0.0, 0.05]),
    cut_off=st.sampled_from([0.0, 0.05]),
    node_death=st.sampled_from([0.0, 0.05]),
    poison=st.dictionaries(st.sampled_from(["k0", "k3", "k7", "k39"]), st.sampled_from(["a", "b", "c", "d"])),
)


@settings(max_examples=150)
@given(world=WORLDS, count=st.sampled_from([1, 3, 40, 300]))
def test_every_key_is_committed_once_and_reported_once_whatever_dies(world: World, count: int) -> None:
    with patch.object(
        deaths, "MAX_LOSSES", 100_000
    ):  # here machines go by the key, not by the hour: one key may well cost a hundred
        Trial(world, count).run().check()


def test_only_a_key_that_is_alone_is_struck_and_in_the_job_that_it_kills() -> None:
    world = World(1, [["a", "b", "c"]], key_s=0.01, poison={"k200": "b", "k77": "c"})
    trial = Trial(world, 400).run()
    trial.check()
    assert sorted(trial.struck) == [(("b",), "k200")] * 2 + [(("c",), "k77")] * 2


def test_strikes_that_earlier_drivers_recorded_count() -> None:
    world = World(1, [["a", "b"]], poison={"k5": "b"})
    trial = Trial(world, 40, {"k5": 2}).run()
    trial.check()
    assert trial.struck == []
    trial = Trial(world, 40, {"k5": 1}).run()
    assert trial.struck == [(("b",), "k5")]


def test_a_lost_node_strikes_nobody_and_is_one_line() -> None:
    world = World(3, [["a"]], places=8, key_s=20.0, node_death=0.02)
    trial = Trial(world, 300).run()
    trial.check()
    assert trial.struck == []
    assert trial.crew.lost
    assert len(trial.said) == len(trial.crew.lost)
    assert all("is gone: its work is done again elsewhere" in line for line in trial.said)


def test_a_poisoned_key_is_one_line() -> None:
    trial = Trial(World(1, [["a", "b"]], poison={"k5": "b"}), 40).run()
    (line,) = trial.said
    assert line.startswith("a worker of a + b has died on n")


def test_workers_that_die_together_are_one_line() -> None:
    """Three of them; the first one's line waits for the others."""
    trial = Trial(World(1, [["a"], ["b"]], places=4), 400)
    crew, dead = trial.crew, list[int]()
    while not trial.dispatcher.over:
        for action in trial.dispatcher.act(crew.now, crew.rooms()):
            crew.carry_out(action)
        for event in crew.wait(0.5):
            for action in trial.dispatcher.take(event, crew.now):
                crew.carry_out(action)
        ready = [member.id for team in trial.teams for member in team.members.values() if member.ready]
        if len(ready) > 2 and not dead:
            dead = ready[:3]
            for worker in dead:
                trial.dispatcher.take(Died(worker, "killed"), crew.now)
    trial.dispatcher.end(())
    (line,) = trial.said
    assert line.startswith("3 workers of ")
    assert ": killed; to be done again: " in line


def test_workers_that_die_while_they_start_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkerDied, match="stage a: 16 workers died while they started: killed while it started"):
        Trial(World(1, [["a"]], stillborn=1.0), 40).run()


def test_a_key_that_no_strikes_stop_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deaths, "MAX_DEATHS", 2)
    with pytest.raises(WorkerDied, match="stage a: the worker died 2 times on k5: poison"):
        Trial(World(1, [["a"]], poison={"k5": "a"}), 40).run()


@pytest.mark.parametrize("jobs", [[["a"]], [["a"], ["b"], ["c"]]])
@pytest.mark.parametrize("buffered", [True, False])
def test_the_driver_remembers_as_much_as_its_workers_have_in_hand(jobs: list[list[str]], buffered: bool) -> None:
    world = World(1, jobs, places=6, key_s=0.01, buffered=buffered, commit_seconds=10.0)
    trial = Trial(world, 20_000).run()
    trial.check()
    waiting = 2 * MAX_TASKS
    assert trial.most_open <= world.places * len(jobs) * (MAX_TASKS + waiting + (MAX_HELD if buffered else 0))
    assert buffered or trial.most_open < 2000


def test_pools_work_at_the_same_time() -> None:
    """Three pools with as much to do each: hardly longer than one of them alone with a third of the places."""
    world = World(1, [["a"], ["b"], ["c"]], places=6, key_s=1.0)
    trial = Trial(world, 600).run()
    trial.check()
    assert trial.crew.now < 1.5 * 3 * 600 / 6


def test_a_pool_grows_to_what_there_is() -> None:
    trial = Trial(World(1, [["a"]], places=50, key_s=10.0), 5000).run()
    trial.check()
    assert trial.crew.most_workers == 50
    assert trial.crew.now < 1.3 * 5000 * 10 / 50


def test_few_short_keys_start_few_workers() -> None:
    trial = Trial(World(1, [["a"]], places=50, key_s=0.01), 60).run()
    assert trial.crew.most_workers == 1


def test_who_waits_for_a_place_is_known() -> None:
    trial = Trial(World(1, [["a"], ["b"]], places=0), 10)
    for _ in range(30):
        for action in trial.dispatcher.act(trial.crew.now, trial.crew.rooms()):
            trial.crew.carry_out(action)
        list(trial.crew.wait(0.5))
        assert homeless(trial.teams, 5.0, trial.crew.now) == (0 if trial.crew.now > 5.0 else None)
    assert trial.dispatcher.in_flight() == []
