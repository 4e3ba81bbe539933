"""What follows from a worker's death: who is struck, who is tried again and how, and what the screen says."""

from __future__ import annotations

from voxmill.pipeline.execution.crew import Died
from voxmill.pipeline.execution.executor import MAX_DEATHS, Books, WorkerDied
from voxmill.pipeline.execution.team import Team, TeamMember

MAX_LOSSES = 100
"""Machines that one key may cost. Rented ones go when their owner wants; so many hardly do with the same key."""


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


def say_death(team: Team, member: TeamMember, event: Died, again: int, lost_nodes: set[str]) -> str | None:
    """One line for a fault: not for each worker of a machine, nor each time that one key does it. To be asked before `bury`."""
    if event.node_lost:
        if member.node is None or member.node in lost_nodes:
            return None
        lost_nodes.add(member.node)
        return f"machine {member.node} is gone: its work is done again elsewhere"
    if team.stillborn or any(item.deaths for item in member.items):
        return None
    what = f"; to be done again: {again}" if again else ""
    return f"a worker of {team.pool.name} has died on {member.node}: {event.why}{what}"
