"""Marks of attempts at single members of a unit, which exist only while such a unit is taken apart (`execution/bisect.py`).

    ledger/suspects/<stage>/<fingerprint>/<unit>/<member>.try-<n>   an attempt at one member alone began
    ledger/suspects/<stage>/<fingerprint>/<unit>/<member>.ended     one has ended well

They must outlive the worker that one of the members may kill. Once the unit is done they are removed.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxmill.manifests.storage import commit_bytes, remove
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.run_dir import RunDir, exists, names_in, read_bytes

FOLDER = ("ledger", "suspects")


@dataclass(frozen=True, slots=True)
class MemberMarks:
    """The marks of one unit (or of one shard that is being packed) in one stage."""

    run: RunDir
    stage: Stage
    unit: str
    session: str
    """One driver's pass over a chain of stages: what its attempts are marked with."""

    def strikes(self, member: str) -> int:
        """How many attempts count against a member: those of this session, whose driver outlived them.

        An attempt of another session may have ended because its driver was killed; a quarter of those are counted, so that
        a member that takes its whole machine down is found in the end.
        """
        total = self._attempts(member)
        own = sum(read_bytes(self._attempt(member, n)) == self.session.encode() for n in range(1, total + 1))
        return own + (total - own) // 4

    def begin(self, member: str) -> None:
        """Marks an attempt before it starts, so that a death leaves a trace."""
        commit_bytes(self._attempt(member, self._attempts(member) + 1), self.session.encode(), replace=True)

    def withdraw(self, member: str) -> None:
        """Takes the last attempt back."""
        remove(self._attempt(member, self._attempts(member)))

    def end(self, member: str) -> None:
        """Notes that an attempt ended well."""
        commit_bytes(self._uri(f"{member}.ended"), b"", replace=True)

    def ended(self, member: str) -> bool:
        """Whether an attempt has ended well."""
        return exists(self._uri(f"{member}.ended"))

    def clear(self) -> None:
        """Removes all marks of the unit."""
        for name in sorted(names_in(self._uri())):
            remove(self._uri(name))

    def _attempts(self, member: str) -> int:
        number = 0
        while exists(self._attempt(member, number + 1)):
            number += 1
        return number

    def _attempt(self, member: str, number: int) -> str:
        return self._uri(f"{member}.try-{number}")

    def _uri(self, *name: str) -> str:
        return self.run.uri(*FOLDER, self.stage.key, self.unit, *name)
