"""Who is handed which key: a chain of pools, all at work at the same time. Pure logic; processes and clusters are a `Crew`'s.

Driver memory is bounded: keys are taken from their source when a worker can have them, and a pool pauses when enough of its keys wait for
the next one. What is remembered of a key is forgotten when it is committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxmill.pipeline.execution import crew
from voxmill.pipeline.execution.deaths import DeathLines, bury
from voxmill.pipeline.execution.executor import SETTLE_S, Books, Report
from voxmill.pipeline.execution.key_flow import FlowItem
from voxmill.pipeline.execution.pool_worker import Handled
from voxmill.pipeline.execution.resize import growth, surplus
from voxmill.pipeline.execution.team import Team, TeamMember

RESIZE_S = 0.2
"""How often pools are asked whether they have the right size (s)."""


class Dispatcher:
    """`act` says what is to be done now, `take` is told what has happened; in between the driver waits."""

    def __init__(self, teams: Sequence[Team], report: Report, books: Books, commit_seconds: float) -> None:
        self._teams, self._report, self._books, self._commit_seconds = teams, report, books, commit_seconds
        self._team_of: dict[int, int] = {}
        self._started = 0
        self._now, self._resized, self._settled = 0.0, float("-inf"), float("-inf")
        self._flushed: list[Any] = []
        self._unsettled: list[tuple[Team, FlowItem]] = []
        """What workers have flushed, and the driver has not been told."""
        self._deaths = DeathLines()

    @property
    def over(self) -> bool:
        """Whether every key is committed in every pool."""
        return not self._unsettled and all(team.over for team in self._teams)

    def in_flight(self) -> list[str]:
        """Keys in the hands of workers."""
        return [item.key for team in self._teams for member in team.members.values() for item in member.items]

    def act(self, now: float, rooms: Sequence[crew.Room]) -> list[crew.Action]:
        """What is to be done now. The last pool comes first: what is begun is finished before more is begun."""
        self._now = now
        actions: list[crew.Action] = []
        for team in reversed(self._teams):
            actions += self._hand_out(team)
            actions += self._flush_idle(team)
        if now - self._resized >= RESIZE_S:
            self._resized = now
            for n, team in enumerate(self._teams):
                actions += [self._let_go(team, member) for member in surplus(team, self._teams, now)]
                actions += [self._start(n) for _ in range(growth(team, rooms[n], now))]
        if now - self._settled >= SETTLE_S or not any(m.busy for team in self._teams for m in team.members.values()):
            self.settle()
        self._say(self._deaths.due(now))
        return actions

    def end(self, more: Sequence[Any]) -> None:
        """Tells the driver what was flushed, `more` to the last, and says what is still to be said."""
        self._say(self._deaths.due())
        self.settle(more)

    def settle(self, more: Sequence[Any] = ()) -> None:
        """Tells the driver what was flushed, and `more`; from now on that is committed."""
        self._settled = self._now
        flushed, unsettled = [*self._flushed, *more], self._unsettled
        self._flushed, self._unsettled = [], []
        if flushed:
            self._books.committed(flushed)
        for team, item in unsettled:
            self._forward(team, item, None)

    def take(self, event: crew.Event, now: float) -> list[crew.Action]:
        """What has happened, and what is to be done at once. Events of workers that were stopped or given up are late, and count for nothing.

        Raises WorkerDied.
        """
        self._now = now
        if event.worker not in self._team_of:
            return []
        n = self._team_of[event.worker]
        team, member = self._teams[n], self._teams[n].members[event.worker]
        if isinstance(event, crew.Placed):
            member.node, member.since = event.node, now
            self._deaths.placed(event.node)
        elif isinstance(event, crew.Ready):
            team.start_s, team.stillborn = (team.start_s + now - member.since) / 2, 0
            member.ready = True
            team.rest(member, now)
        elif isinstance(event, crew.TasksHandled):
            return self._handled(team, member, event.handled)
        elif isinstance(event, crew.CarriedLost):
            self._fetch_again(n, member)
        else:
            del self._team_of[member.id]
            self._say(self._deaths.note(team, member, event, now))
            bury(team, member, event, self._books)
        return []

    def _say(self, line: str | None) -> None:
        if line:
            self._books.say(line)

    def _hand_out(self, team: Team) -> list[crew.Action]:
        actions = list[crew.Action]()
        for member in team.idle():
            if not team.flow.has_some or (most := team.open) <= 0:
                break
            items = team.flow.take(len(team.members), most)
            items[0].step = 0
            actions.append(self._hand(team, member, items, 0 if items[0].alone else None))
        return actions

    def _hand(self, team: Team, member: TeamMember, items: list[FlowItem], step: int | None) -> crew.Action:
        team.hand(member, items, step, self._now)
        return crew.Hand(member.id, tuple(item.task(self._books.strikes_of) for item in items), step)

    def _handled(self, team: Team, member: TeamMember, handled: Handled) -> list[crew.Action]:
        items, finished, flow = team.take_back(member), list[FlowItem](), team.flow
        self._flushed += handled.flushed
        if handled.done:
            flow.measured(handled.seconds, len(handled.done))
        for item, done, carried in zip(items, handled.done, handled.carried, strict=False):
            for number, one in enumerate(done, item.step):
                if number >= item.told:
                    self._report(one)
            item.told = max(item.told, item.step + len(done))
            if member.step is not None and member.step + 1 < flow.steps:
                item.step += 1
                return [self._hand(team, member, [item], item.step)]
            flow.finish(item)
            finished.append(item)
            if carried is not None:
                self._forward(team, item, carried)
        flow.put_back(items[len(handled.done) :])
        self._note_flushed(team, member, finished, handled.covered)
        team.rest(member, self._now)
        return []

    def _note_flushed(self, team: Team, member: TeamMember, finished: list[FlowItem], covered: int | None) -> None:
        """The first `covered` of what it has finished now are flushed, with all that it held; the rest it holds."""
        if covered is not None:
            self._unsettled += [(team, item) for item in [*member.held.values(), *finished[:covered]]]
            member.held = {}
            if not self._flushed:  # its steps have committed them
                self.settle()
        if not member.held:
            member.held_since = self._now
        member.held.update({item.key: item for item in finished[covered or 0 :]})

    def _forward(self, team: Team, item: FlowItem, carried: Any) -> None:
        """A key is the next pool's, once."""
        if not item.forwarded:
            item.forwarded = True
            team.flow.unforwarded -= 1
            if team.following:
                team.following.flow.put(item.key, carried)

    def _flush_idle(self, team: Team) -> list[crew.Action]:
        """Workers that have nothing to do commit what they hold, when it is time or when nothing more comes; then they go."""
        actions, ends = list[crew.Action](), team.ends
        for member in team.idle():
            if ends or (member.held and self._now - member.held_since >= self._commit_seconds):
                actions.append(self._let_go(team, member))
        return actions

    def _let_go(self, team: Team, member: TeamMember) -> crew.Action:
        """A worker that holds something commits it first; it goes when it is asked again."""
        if member.held:
            team.hand(member, (), None, self._now)
            return crew.Flush(member.id)
        del self._team_of[member.id]
        team.remove(member)
        return crew.Stop(member.id)

    def _fetch_again(self, n: int, member: TeamMember) -> None:
        """What the pool before has committed is read from there; what it has not comes from there once more."""
        before, team = self._teams[n - 1], self._teams[n]
        items = team.take_back(member)
        unsafe = {item.key: (item, False) for item in [*before.flow.waiting, *before.flow.parked.values()]}
        unsafe |= {item.key: (item, False) for owner, item in self._unsettled if owner is before}
        for one in before.members.values():
            unsafe |= {item.key: (item, True) for item in one.items} | {key: (item, False) for key, item in one.held.items()}
        for item in reversed(items):
            if item.key not in unsafe:
                item.carried = None
                team.flow.put_back([item])
                continue
            earlier, in_hand = unsafe[item.key]
            team.flow.parked[item.key] = item
            if earlier.forwarded:
                earlier.forwarded = False
                before.flow.unforwarded += 1
                before.on_the_way += in_hand
        team.rest(member, self._now)

    def _start(self, n: int) -> crew.Action:
        self._started += 1
        team = self._teams[n]
        team.began = True
        team.members[self._started] = TeamMember(self._started, self._now)
        self._team_of[self._started] = n
        return crew.Start(self._started, n)
