"""What follows from a worker's death: who is struck, who is tried again and how, and what the screen says."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from voxmill.pipeline.execution.crew import Died
from voxmill.pipeline.execution.executor import MAX_DEATHS, Books, WorkerDied
from voxmill.pipeline.execution.team import Team, TeamMember

MAX_LOSSES = 100
"""Machines that one key may cost. Rented ones go when their owner wants; so many hardly do with the same key."""

TOGETHER_S = 1.0
"""Workers that die within so many seconds have most likely died of the same."""


def bury(team: Team, member: TeamMember, event: Died, books: Books) -> None:
    """Takes a worker out of its pool; what it had in its hands or held is to be done again.

    Raises WorkerDied where that has happened too often.
    """
    items, held = team.take_back(member), list(member.held.values())
    team.remove(member)
    if event.node_lost:
        for item in items:
            item.losses += 1
    else:
        for item in items:
            item.deaths += 1
            item.alone = True
        if len(items) == 1:
            names = [job.name for job in team.pool.jobs]
            step = 0 if len(names) == 1 else member.step
            items[0].blamed |= set() if step is None else {step}
            books.struck(names if step is None else [names[step]], [items[0].key])
    team.flow.put_back([*items, *held])
    for item in items:
        if item.deaths >= MAX_DEATHS or item.losses >= MAX_LOSSES:
            often = item.deaths + item.losses
            raise WorkerDied(f"stage {team.pool.name}: the worker died {often} times on {item.key}: {event.why}")
    if not member.ready and not event.node_lost:
        team.stillborn += 1
        if team.stillborn >= MAX_DEATHS:
            raise WorkerDied(f"stage {team.pool.name}: {team.stillborn} workers died while they started: {event.why}")


@dataclass(frozen=True, slots=True)
class _Death:
    pool: str
    node: str | None
    why: str
    again: int
    """Keys that are to be done again."""


class DeathLines:
    """What the screen says of deaths: a line for a fault, not for each worker that it ends, nor each time that one key does it."""

    def __init__(self) -> None:
        self._lost_nodes: set[str] = set()
        self._deaths: list[_Death] = []
        self._since = 0.0

    def placed(self, node: str) -> None:
        """A machine has a worker: if it was gone, it has come back."""
        self._lost_nodes.discard(node)

    def note(self, team: Team, member: TeamMember, event: Died, now: float) -> str | None:
        """A worker has died. A line on its machine, if that is gone, is to be said at once. To be asked before `bury`."""
        if event.node_lost:
            if member.node is None or member.node in self._lost_nodes:
                return None
            self._lost_nodes.add(member.node)
            return f"machine {member.node} is gone: its work is done again elsewhere"
        if not (team.stillborn or any(item.deaths for item in member.items)):
            self._since = self._since if self._deaths else now
            self._deaths.append(_Death(team.pool.name, member.node, event.why, len(member.items) + len(member.held)))
        return None

    def due(self, now: float = inf) -> str | None:
        """The line on those that died together, once all have had the time to."""
        if not self._deaths or now - self._since < TOGETHER_S:
            return None
        deaths, self._deaths = self._deaths, []
        again = sum(one.again for one in deaths)
        names, nodes, whys = (
            list(dict.fromkeys(str(getattr(one, name)) for one in deaths)) for name in ("pool", "node", "why")
        )
        who = (
            f"a worker of {names[0]} has died" if len(deaths) == 1 else f"{len(deaths)} workers of {', '.join(names)} have died"
        )
        return f"{who} on {', '.join(nodes)}: {' / '.join(whys)}" + (f"; to be done again: {again}" if again else "")
