"""What state of very many units costs its driver, without their audio: one part of `bench_scale.py`.

    python tests/benchmarks/scale_state.py FOLDER UNITS SEGMENTS SOURCES

writes a run through the product's writers (`made_state.py`) and prints what it used, as a line of JSON; SOURCES is how many
the run has already.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.made_state import MadeState
from benchmarks.scale_line import Used, run, voxmill


@dataclass(frozen=True, slots=True)
class StateCost:
    """Of a run of so many units, one command each."""

    written: Used
    compacted: Used
    """The rest of the fragments folded, and the tables written."""
    nothing_new: Used
    one_more: Used
    """One per cent more: written, folded and added to the tables, in CPU seconds and the larger memory of both commands."""
    verified: Used

    @property
    def rss_mb(self) -> dict[str, float]:
        """By step."""
        steps = ("written", "compacted", "nothing_new", "one_more", "verified")
        return {name: getattr(self, name).rss_mb for name in steps}


def state_cost(root: Path, units: int, segments: int) -> StateCost:
    """Makes a run at `root` and measures it. Ends the bench where a command fails."""
    written = _grow(root, units, segments, 0)
    compacted = _run(root, 1)
    nothing_new = min((_run(root, 1) for _ in range(3)), key=lambda used: used.cpu_s)
    grown, added = _grow(root, units // 100, segments, 1), _run(root, 2)
    one_more = Used(
        added.pid, grown.wall_s + added.wall_s, grown.cpu_s + added.cpu_s, max(grown.rss_mb, added.rss_mb), 0.0, 0.0
    )
    return StateCost(written, compacted, nothing_new, one_more, voxmill("verify", str(root)))


def _run(root: Path, sources: int) -> Used:
    made = MadeState(root, 1, sources)
    return run(str(root), root.with_suffix(".yaml"), made.settings)


def _grow(root: Path, units: int, segments: int, sources: int) -> Used:
    """In a process of its own: its memory is what counts."""
    done = subprocess.run(
        [sys.executable, __file__, str(root), str(units), str(segments), str(sources)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"state of {units} units could not be written:\n{done.stderr[-2000:]}")
    return Used(*json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    began = time.monotonic()
    MadeState(Path(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])).grow(int(sys.argv[2]))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([0, time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, 0.0, 0.0]))


if __name__ == "__main__":
    main()
