"""Taking a unit found: which of its members fail alone, and which kill their worker.

What must outlive a worker is kept in the run (`state/member_marks.py`): that an attempt at a member began, and that one ended well. An error is not noted: it
comes again with the same text, unless its cause was mended, and then it should not.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from voxmill.pipeline.execution.infra_errors import StageError
from voxmill.pipeline.state.member_marks import MemberMarks

MAX_ATTEMPTS = 2
"""Attempts at a unit (then at each member alone) before it is suspected (then quarantined)."""

MAX_DEADLY = 6
"""Members of one unit that may kill their worker before its other members are given up untried: each costs two workers."""


@dataclass(slots=True)
class Isolated:
    """How the members of one unit fared alone."""

    bad: dict[str, str] = field(default_factory=dict)
    """Members that killed their worker, raised, or were given up, with why: the detail of their rejection."""
    errors: dict[str, Exception] = field(default_factory=dict)
    """What was raised, by member."""
    worked: str | None = None
    """A member that was tried just now and worked."""

    @property
    def alike(self) -> bool:
        """Whether several errors are of one type and nothing worked: then it is hardly the members that are at fault."""
        return self.worked is None and len(self.errors) > 1 and len({type(e) for e in self.errors.values()}) == 1


def isolate(
    marks: MemberMarks,
    members: Sequence[str],
    attempt: Callable[[str], object],
    kin: Callable[[str], str] = str,
) -> Isolated:
    """Tries each member alone; what comes of it is thrown away.

    A member is bad when it raises, or when two attempts at it alone began and none ended. After one of the second kind the
    members of the same `kin` that come after it are bad untried, after `MAX_DEADLY` of them all that come after.
    Errors that stop a run pass, and leave no mark.
    """
    found, deadly = Isolated(), dict[str, str]()
    for key in members:
        repeat = f"reproduce: voxmill replay RUN --stage {marks.stage.name} --unit {marks.unit} --only {key}"
        if marks.ended(key):
            continue
        if marks.strikes(key) >= MAX_ATTEMPTS:
            found.bad[key] = f"the worker died on this {MAX_ATTEMPTS} times; {repeat}"
            deadly[kin(key)] = key
        elif kin(key) in deadly:
            found.bad[key] = f"not tried: the worker died on {deadly[kin(key)]}, which comes before it; {repeat}"
        elif len(deadly) >= MAX_DEADLY:
            found.bad[key] = f"not tried: the worker died on {len(deadly)} others of unit {marks.unit}; {repeat}"
        else:
            marks.begin(key)
            try:
                attempt(key)
            except (KeyboardInterrupt, SystemExit, StageError):
                marks.withdraw(key)
                raise
            except Exception as error:  # noqa: BLE001 - an operator's error becomes an outcome
                marks.withdraw(key)
                found.errors[key] = error
                found.bad[key] = f"{describe(error, marks.run.root)}; {repeat}"
            else:
                marks.end(key)
                found.worked = key
    return found


def describe(error: BaseException, root: str) -> str:
    """An error as a line that is the same for every copy of a run: without the run's place and addresses in memory."""
    text = f"{type(error).__name__}: {error}"
    for place in (os.path.abspath(root), root.rstrip("/")):
        text = re.sub(rf"(?<![\w./-]){re.escape(place)}(?![\w.-])", "RUN", text)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = re.sub(r"\b0x[0-9a-f]{6,}\b", "0x…", " ".join(text.split()))
    return f"{text[:_LONGEST]} ({os.path.basename(frame.filename)}:{frame.lineno} {frame.name})"


_LONGEST = 240
"""Characters of an error's text: the way to repeat it must still fit into the detail."""
