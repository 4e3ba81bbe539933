"""A pool at work: its keys, and its workers with what is in their hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from voxmill.pipeline.execution.executor import Books, Keys
from voxmill.pipeline.execution.key_flow import BATCH_S, FlowItem, KeyFlow
from voxmill.pipeline.execution.pool_size import START_S
from voxmill.pipeline.execution.pools import Pool


@dataclass(slots=True, eq=False)
class TeamMember:
    """A worker of a pool."""

    id: int
    since: float
    """When it came into its state (s)."""
    node: str | None = None
    """Where it has its place; None: it waits for one."""
    ready: bool = False
    busy: bool = False
    items: list[FlowItem] = field(default_factory=list)
    """In its hands."""
    step: int | None = None
    """The only job that it is to do of its item, which is suspected; None: all."""
    held: dict[str, FlowItem] = field(default_factory=dict)
    """Finished, and not committed."""
    held_since: float = 0.0

    @property
    def idle(self) -> bool:
        """Whether it can be handed something."""
        return self.ready and not self.busy


class Team:
    """A pool with its keys and workers. `following` is the pool that gets its keys next."""

    def __init__(self, pool: Pool, flow: KeyFlow, first: int | None) -> None:
        self.pool, self.flow, self.first = pool, flow, first
        self.following: Team | None = None
        self.members: dict[int, TeamMember] = {}
        self.on_the_way = 0
        """Items in the hands of workers that the next pool does not have."""
        self.began = False
        """Whether it has ever had a worker."""
        self.since: float | None = None
        """When a worker was first handed something (s)."""
        self.start_s = START_S
        """What the start of a worker takes, as measured."""
        self.stillborn = 0
        """Workers in a row that died before they were ready."""
        self._idle: dict[int, TeamMember] = {}

    @property
    def over(self) -> bool:
        """Whether every key is committed."""
        flow = self.flow
        return not (flow.comes or flow.unforwarded or flow.waiting) and not any(
            m.items or m.held for m in self.members.values()
        )

    @property
    def ends(self) -> bool:
        """Whether there is nothing more to hand out, unless a worker dies."""
        return not (self.flow.comes or self.flow.has_some)

    @property
    def open(self) -> int:
        """How many keys it may begin before the next pool has enough of them."""
        if self.following is None:
            return 2**31
        flow = self.following.flow
        return flow.ahead(len(self.following.members)) - len(flow.waiting) - self.on_the_way

    def idle(self) -> list[TeamMember]:
        """Who can be handed something; who was at work last comes first, so that those too many are seen."""
        return list(reversed(self._idle.values()))

    def rest(self, member: TeamMember, now: float) -> None:
        """It has nothing to do from now on."""
        member.busy, member.since = False, now
        self._idle[member.id] = member

    def hand(self, member: TeamMember, items: Sequence[FlowItem], step: int | None, now: float) -> None:
        """It is at work from now on."""
        self._idle.pop(member.id, None)
        self.since = now if self.since is None else self.since
        member.busy, member.since, member.items, member.step = True, now, list(items), step
        self.on_the_way += sum(not item.forwarded for item in items)

    def take_back(self, member: TeamMember) -> list[FlowItem]:
        """What was in its hands."""
        items, member.items = member.items, []
        self.on_the_way -= sum(not item.forwarded for item in items)
        return items

    def remove(self, member: TeamMember) -> None:
        """It is gone, or is to go."""
        self._idle.pop(member.id, None)
        del self.members[member.id]


def teams_of(pools: Sequence[Pool], keys: Keys, books: Books, commit_seconds: float) -> list[Team]:
    """The pools of a chain, before anything has begun. One that has the machines to itself begins with all the workers that they hold."""
    teams: list[Team] = []
    for pool in pools:
        before = teams[-1] if teams else None
        upstream = before.flow if before else None
        flow = KeyFlow(len(pool.jobs), keys, upstream, books.strikes_of, min(BATCH_S, commit_seconds / 4))
        alone = len(pools) == 1 and pool.jobs[0].shares
        teams.append(Team(pool, flow, None if alone else pool.resources.min_workers))
        if before:
            before.following = teams[-1]
    return teams
