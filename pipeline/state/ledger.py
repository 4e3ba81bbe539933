"""The ledger: one committed fragment per (stage, fingerprint, unit), and a marker for every attempt at one.

    ledger/<stage>/<fingerprint>/<unit>.parquet      the fragment: present = done, its bytes are deterministic
    ledger/<stage>/<fingerprint>/<unit>.cost.json    what it cost: written after the fragment, never compared
    ledger/<stage>/<fingerprint>/<unit>.try-<n>      an attempt began; two without a fragment mean poison
    ledger/<stage>/<fingerprint>/<unit>.twice.json   it was made once more, with other bytes, on another type of CPU

A fragment is never overwritten. The same key with other bytes raises `NondeterministicError`, unless they were made on another type of CPU,
where numerical libraries compute otherwise: then the first stays, and that it happened is kept (see `executor.same_results`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from voxmill.manifests.errors import DamagedError
from voxmill.manifests.parquet import read_records, records_bytes
from voxmill.manifests.storage import NondeterministicError, commit_bytes, remove
from voxmill.manifests.user_input import json_object
from voxmill.pipeline.stage import Stage
from voxmill.pipeline.state.run_dir import RunDir, exists, names_in, read_bytes

TWICE = "twice.json"


@dataclass(frozen=True, slots=True)
class Ledger:
    """The fragments of a run. Reading asks the store each time: another process may have written meanwhile."""

    run: RunDir
    session: str = ""
    """One driver's pass over a chain of stages: what its attempts are marked with."""

    def fragment(self, stage: Stage, unit: str) -> str:
        """URI of the fragment of a unit."""
        return self.run.uri("ledger", stage.key, f"{unit}.parquet")

    def is_done(self, stage: Stage, unit: str) -> bool:
        """Whether the fragment of a unit is committed."""
        return exists(self.fragment(stage, unit))

    def done(self, stage: Stage) -> set[str]:
        """Units of a stage whose fragment is committed."""
        suffix = ".parquet"
        return {n[: -len(suffix)] for n in names_in(self.run.uri("ledger", stage.key)) if n.endswith(suffix)}

    def read(self, stage: Stage, unit: str) -> list[Any]:
        """A unit's rows, as records of the type that the stage writes. Raises FileNotFoundError where there are none, SchemaError where they are damaged."""
        return read_records(self.fragment(stage, unit), stage.writes)

    def commit(self, stage: Stage, unit: str, rows: list[Any], cost: dict[str, Any]) -> None:
        """Writes a unit's fragment, then its cost. Raises NondeterministicError where it is there with other bytes, made on the same type of CPU."""
        try:
            commit_bytes(self.fragment(stage, unit), records_bytes(rows, stage.writes))
        except NondeterministicError as error:
            first = self.cost(stage, unit)
            if _machine(first) == _machine(cost) or not all(_machine(first)):
                raise
            note = {"kept": _machine(first), "other": _machine(cost), "kept_sha256": error.old, "other_sha256": error.new}
            commit_bytes(self._beside(stage, unit, TWICE), json.dumps(note, sort_keys=True).encode(), replace=True)
            return
        commit_bytes(self._beside(stage, unit, "cost.json"), json.dumps(cost, sort_keys=True).encode(), replace=True)

    def twice(self, stage: Stage) -> Iterator[str]:
        """A line for each unit that was made twice, with other bytes, on different types of CPU."""
        for name in sorted(names_in(self.run.uri("ledger", stage.key))):
            if name.endswith(f".{TWICE}"):
                uri = self.run.uri("ledger", stage.key, name)
                note = json_object(read_bytes(uri), uri, "delete it: it is a note")
                kept, other = (" with ".join(map(str, note.get(key, ()))) for key in ("kept", "other"))
                yield f"{stage.name} {name.removesuffix(f'.{TWICE}')}: made on {kept}, and again otherwise on {other}; the first is kept"

    def cost(self, stage: Stage, unit: str) -> dict[str, Any]:
        """What a unit cost; empty where the worker died between the fragment and this note."""
        uri = self._beside(stage, unit, "cost.json")
        if not exists(uri):
            return {}
        return json_object(read_bytes(uri), uri, "delete it: it says only what a unit cost", DamagedError)

    def attempts(self, stage: Stage, unit: str, item: str = "") -> int:
        """How many attempts at a unit, or at one item of it in isolation, have begun."""
        number = 0
        while exists(self._attempt(stage, unit, item, number + 1)):
            number += 1
        return number

    def begin(self, stage: Stage, unit: str, item: str = "") -> int:
        """Marks an attempt before it starts, so that a death leaves a trace. Returns its number."""
        number = self.attempts(stage, unit, item) + 1
        commit_bytes(self._attempt(stage, unit, item, number), self.session.encode(), replace=True)
        return number

    def strikes(self, stage: Stage, unit: str, item: str = "") -> int:
        """How many attempts count against a unit or an item: those of this session, whose driver outlived them.

        An attempt of another session may have ended because its driver was killed; a quarter of those are counted, so that
        an input that takes its whole machine down is found in the end.
        """
        total = self.attempts(stage, unit, item)
        own = sum(read_bytes(self._attempt(stage, unit, item, n)) == self.session.encode() for n in range(1, total + 1))
        return own + (total - own) // 4

    def withdraw(self, stage: Stage, unit: str, item: str = "") -> None:
        """Takes the last attempt at a unit, or at one item of it, back."""
        remove(self._attempt(stage, unit, item, self.attempts(stage, unit, item)))

    def end(self, stage: Stage, unit: str, item: str) -> None:
        """Notes that an attempt at one item alone ended well."""
        commit_bytes(self._beside(stage, unit, f"{item}.ended"), b"", replace=True)

    def ended(self, stage: Stage, unit: str, item: str) -> bool:
        """Whether an attempt at an item alone has ended well."""
        return exists(self._beside(stage, unit, f"{item}.ended"))

    def _attempt(self, stage: Stage, unit: str, item: str, number: int) -> str:
        return self._beside(stage, unit, f"{item}.try-{number}" if item else f"try-{number}")

    def _beside(self, stage: Stage, unit: str, suffix: str) -> str:
        return self.run.uri("ledger", stage.key, f"{unit}.{suffix}")


def _machine(cost: Mapping[str, Any]) -> list[Any]:
    """The type of CPU that made a fragment, as its cost says."""
    return [cost.get("cpu"), cost.get("isa")]
