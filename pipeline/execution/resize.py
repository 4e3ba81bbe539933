"""When pools grow and shrink: what `pool_size.py` computes, asked of every pool of a chain, and who makes place for whom."""

from __future__ import annotations

from collections.abc import Sequence

from voxmill.pipeline.execution.crew import Room
from voxmill.pipeline.execution.pool_size import IDLE_S, RELEASE_S, STARVED_S, Load, additional
from voxmill.pipeline.execution.team import Team, TeamMember


def growth(team: Team, room: Room, now: float) -> int:
    """How many workers a pool should start now."""
    flow, members = team.flow, team.members.values()
    if team.began and (not flow.has_some or team.open <= 0):
        return 0
    pending = sum(member.node is None for member in members)
    load = Load(
        ready=flow.has_some and all(member.busy or member.node is None for member in members),
        left=flow.left,
        seconds_per_key=flow.seconds_per_key,
        waited_s=now - team.since if team.since is not None else 0.0,
        start_s=team.start_s,
        placed=len(members) - pending,
        pending=pending,
    )
    return additional(load, room.most if team.first is None else team.first, room.most, room.more)


def surplus(team: Team, teams: Sequence[Team], now: float) -> list[TeamMember]:
    """Workers of a pool that should go: at once for a pool whose keys wait for a worker without a place, else after a while."""
    if team.flow.has_some and team.open > 0:
        return []
    starved = any(other is not team and _starved(other, now) for other in teams)
    spare = len(team.members) - team.pool.resources.min_workers
    found = list[TeamMember]()
    for member in team.members.values():
        waited = now - member.since
        if member.node is None:
            goes = starved or (spare > 0 and waited > IDLE_S)
        else:
            goes = member.idle and ((starved and waited > IDLE_S) or (spare > 0 and waited > RELEASE_S))
        if goes:
            found.append(member)
            spare -= 1
    return found


def homeless(teams: Sequence[Team], seconds: float, now: float) -> int | None:
    """The number of a pool whose keys wait for a place of its first worker for longer than so many seconds, while nobody works."""
    if any(member.busy for team in teams for member in team.members.values()):
        return None
    for n, team in enumerate(teams):
        members = team.members.values()
        if team.flow.has_some and members and all(m.node is None and now - m.since > seconds for m in members):
            return n
    return None


def _starved(team: Team, now: float) -> bool:
    return team.flow.has_some and any(m.node is None and now - m.since > STARVED_S for m in team.members.values())
