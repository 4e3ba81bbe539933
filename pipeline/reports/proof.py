"""What a proof consists of: the books of each stage, and what was found to be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Balance:
    """One stage's books: what went in, what was kept, what was rejected; in rows and in audio samples at 16 kHz."""

    stage: str
    rows_in: int = 0
    kept: int = 0
    rejected: int = 0
    samples_in: int = 0
    samples_kept: int = 0
    samples_rejected: int = 0

    @property
    def holds(self) -> bool:
        """in = kept + rejected, in rows and in samples."""
        return self.rows_in == self.kept + self.rejected and self.samples_in == self.samples_kept + self.samples_rejected

    def __str__(self) -> str:
        return (
            f"{self.stage}: {self.rows_in:,} in, {self.kept:,} kept, {self.rejected:,} rejected; in audio samples {self.samples_in:,}, "
            f"{self.samples_kept:,}, {self.samples_rejected:,}"
        )


@dataclass(slots=True)
class Report:
    """What `verify` found: the books of every stage, what is wrong, and what is not there yet."""

    balances: list[Balance] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    shards: int = 0
    shard_samples: int = 0
    pending: list[str] = field(default_factory=list)
    """What is not there yet, and was never begun: nothing is said of it."""
    warnings: list[str] = field(default_factory=list)
    """What is no problem, and should be known: units that came out otherwise on another type of CPU."""

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems
