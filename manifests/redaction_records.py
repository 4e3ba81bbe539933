"""Records of personal data in a text: what was masked, and which part of the sound is silenced. The data itself is not in them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Masked:
    """One piece of personal data in the label of a segment."""

    entity: str
    """`NAME`, `EMAIL`, `PHONE`, `NUMBER`, … : what stands in its place, in brackets."""
    at: int
    """Where its mark begins in the masked text (characters)."""
    score: float
    """The recogniser's confidence, in [0, 1]."""
    start: int | None = None
    """The silenced stretch, in samples from the start of the recording; None: its place is not known."""
    end: int | None = None
    """One past the last silenced sample."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is masked in one segment. `masked == ()`: looked, and found nothing."""

    segment_id: str
    """The segment that was searched."""
    text: str
    """The label with its masks."""
    masked: tuple[Masked, ...]
    """What was found."""

    @property
    def untimed(self) -> tuple[str, ...]:
        """What stands in the text and cannot be silenced, for no engine says when it was spoken."""
        return tuple(one.entity for one in self.masked if one.start is None)
