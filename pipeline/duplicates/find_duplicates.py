"""The driver's step before `select`: which stretches are there already. In listing order, append-only, over the whole run.

A part is compared with what was listed before it, with other runs and with evaluation sets, so what a later `voxmill run` brings
never changes an earlier verdict. `select` reads the verdicts and gives the reason. What is compared are rows that workers wrote (the stages
`fingerprint` and `shingle`); they are read in order, and nothing here grows with the run but files in the folder for temporary files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

from voxmill.manifests.duplicate_records import Duplicate
from voxmill.operators.dedup.evaluation_sets import clips
from voxmill.operators.dedup.fingerprint import DuplicatesConfig
from voxmill.pipeline.duplicates.by_bytes import ByBytes
from voxmill.pipeline.duplicates.by_sound import BySound
from voxmill.pipeline.duplicates.by_text import ByText
from voxmill.pipeline.duplicates.comparison import Comparison, PartKey, PartVerdict
from voxmill.pipeline.duplicates.sources import ComparedRun, other_run
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.listing import UNITS
from voxmill.pipeline.state.positions import position_of
from voxmill.pipeline.state.run import Run


class FindDuplicates:
    """`FindDuplicates(run, stages, config)()` writes the verdicts of each unit that has none."""

    def __init__(self, run: Run, stages: Mapping[str, Stage], config: DuplicatesConfig) -> None:
        self._run, self._stages, self._config = run, stages, config

    def __call__(self) -> int:
        """Returns the number of units that were compared with the rest anew."""
        ledger, stage = self._run.ledger, self._stages["duplicates"]
        fresh = list(ledger.done(stage).missing(0, self._run.listing.num_units))
        if not fresh:
            return 0
        size, others = self._config.shingle, self._config.against
        own = ComparedRun(len(others), self._run, dict(self._stages), "", size)
        runs = (*(other_run(number, root, size) for number, root in enumerate(others)), own)
        with tempfile.TemporaryDirectory(prefix="voxmill-duplicates-") as folder, ExitStack() as ending:
            comparisons = self._comparisons(folder)
            for one in comparisons:
                ending.callback(one.close)
                one.look_for(runs, fresh)
            units = ledger.ids(UNITS, fresh)
            return ledger.write(stage, ((unit, _rows(comparisons, position_of(unit))) for unit in units))

    def _comparisons(self, folder: str) -> list[Comparison]:
        """In the order in which they name a partner."""
        sets = [(source, clip) for source in self._config.evaluation for clip in clips(source)]
        found: list[Comparison] = [ByBytes(folder, self._config)] if self._config.against else []
        if "acoustic" in self._config.by:
            found.append(BySound(folder, self._config, sets))
        if "text" in self._config.by:
            found.append(ByText(folder, self._config, sets))
        return found


def _rows(comparisons: Sequence[Comparison], position: int) -> list[Duplicate]:
    """All that is found of a unit: what evaluation sets hold, and of each part the first partner."""
    verdicts = [one.judge(position) for one in comparisons]
    return [row for part in sorted({part for found in verdicts for part in found}) for row in _of_part(verdicts, part)]


def _of_part(verdicts: Sequence[Mapping[PartKey, PartVerdict]], part: PartKey) -> Iterator[Duplicate]:
    mine = [found[part] for found in verdicts if part in found]
    for verdict in mine:
        yield from verdict.contaminated
    yield from next((verdict.copies for verdict in mine if verdict.copies), [])
