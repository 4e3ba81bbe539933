"""A run, opened: its folder, its ledger, its listing and its tombstones. Opened once and handed down."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from voxmill.manifests.tombstones import Tombstone, Tombstones
from voxmill.pipeline.state import tombstone_store
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.listing import Listing
from voxmill.pipeline.state.run_dir import RunDir


@dataclass(frozen=True)
class Run(RunDir):
    """Opening reads nothing: what is asked for is read when it is asked for."""

    session: str = field(default="", compare=False)
    """One driver's pass over a chain of stages: what the attempts of its workers are marked with."""

    def __getstate__(self) -> dict[str, str]:
        """What was read stays behind: another process reads for itself."""
        return {"root": self.root, "session": self.session}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__dict__.update(state)

    @cached_property
    def ledger(self) -> Ledger:
        """Which stage has done which unit, and the rows that it made."""
        return Ledger(self)

    @cached_property
    def listing(self) -> Listing:
        """Sources, items, recordings and units."""
        return Listing(self.ledger)

    @cached_property
    def tombstones(self) -> Tombstones:
        """What was revoked. Read once: `bury` is the only way to add to it."""
        return Tombstones(tombstone_store.stones_of(self))

    def bury(self, stone: Tombstone) -> None:
        """Commits a tombstone."""
        tombstone_store.commit_stone(self, stone)
        self.__dict__.pop("tombstones", None)
