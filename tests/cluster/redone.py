"""How much work was done twice, from the events of workers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

from cluster.events import Seen


def redone(events: Iterable[Seen], about: str) -> dict[str, int]:
    """For each process that lost some, how many units it had finished in vain: somebody did them again.

    `about`: how the subjects of the stage begin. A unit counts as finished where its process went on to something else; what a
    process had in its hands when it was killed is not finished. Whoever did a unit last did it for good.
    """
    of_process = defaultdict[str, list[Seen]](list)
    for one in events:
        of_process[f"{one.machine} {one.process}"].append(one)
    finished = defaultdict[str, list[tuple[float, str]]](list)
    for process, its in of_process.items():
        for one, _ in pairwise(its):
            if one.event == "began" and one.what.startswith(about):
                finished[one.what].append((one.at, process))
    return dict(Counter(process for times in finished.values() for _, process in sorted(times)[:-1]))
