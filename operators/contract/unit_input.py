"""`UnitInput`, what an operator is given, and `Operator`, what a stage calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from voxmill.manifests.duplicate_records import Duplicate
from voxmill.manifests.records import Consensus, Hypothesis, Item, Labels, Opinion, Part, Recording, Segment
from voxmill.manifests.redaction_records import Redaction


@dataclass(frozen=True, slots=True)
class UnitInput:
    """One unit of work. Only the fields that a stage `reads` are filled, always in the order of the unit."""

    unit: str
    items: tuple[Item, ...] = ()
    recordings: tuple[Recording, ...] = ()
    """The recordings of the unit's parts, with `audio` as a URI that can be opened."""
    parts: tuple[Part, ...] = ()
    segments: tuple[Segment, ...] = ()
    """Segments that are not rejected."""
    hypotheses: tuple[Hypothesis, ...] = ()
    consensus: tuple[Consensus, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    labels: tuple[Labels, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    """Stretches of these recordings that duplicate others."""
    redactions: tuple[Redaction, ...] = ()
    other: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Rows of the user's own stages, by name of the stage. Each row has a `segment_id`."""
    by_part: bool = False
    """The stage has a row for each part, though it reads segments: parts are the members."""

    def recording(self, recording_id: str) -> Recording:
        """The recording with this id. Raises StopIteration where it is not in the unit."""
        return next(r for r in self.recordings if r.id == recording_id)

    def members(self) -> tuple[str, ...]:
        """Ids of what the unit consists of: its segments, else parts, else recordings, else items, as the stage sees it."""
        if self.segments and not self.by_part:
            return tuple(s.id for s in self.segments)
        if self.parts:
            return tuple(p.recording_id for p in self.parts)
        return tuple(r.item_id for r in self.recordings) or tuple(i.id for i in self.items)

    def without(self, keys: Collection[str]) -> UnitInput:
        """This unit without the named members (to step around one that makes the stage fail)."""
        return replace(
            self,
            items=tuple(i for i in self.items if i.id not in keys),
            recordings=tuple(r for r in self.recordings if r.item_id not in keys),
            parts=tuple(p for p in self.parts if p.recording_id not in keys),
            segments=tuple(s for s in self.segments if s.id not in keys and s.recording_id not in keys),
            hypotheses=tuple(h for h in self.hypotheses if h.segment_id not in keys),
            consensus=tuple(c for c in self.consensus if c.segment_id not in keys),
            opinions=tuple(o for o in self.opinions if o.segment_id not in keys),
            labels=tuple(x for x in self.labels if x.segment_id not in keys),
            other={name: tuple(r for r in rows if r.segment_id not in keys) for name, rows in self.other.items()},
        )

    def only(self, key: str) -> UnitInput:
        """This unit with a single member."""
        return self.without(set(self.members()) - {key})


class Operator(Protocol):
    """A stage's work: one unit in, its records out. State that is costly to build is built in `__init__`, once per worker.

    >>> class Lengths:
    ...     def __call__(self, work: UnitInput) -> list[int]:
    ...         return [part.num_samples for part in work.parts]
    >>> operator: Operator = Lengths()
    >>> operator(UnitInput("unit-0", parts=(Part("recording-1", 0, 16000),)))
    [16000]
    """

    def __call__(self, work: UnitInput, /) -> Sequence[Any]:
        """The records of the unit, in its order."""
