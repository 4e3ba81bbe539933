"""From sources to units: the listing is persisted in generations, so that a run grows without ever being regrouped.

ledger/list/<source>.parquet             what a source listed: expanded once, without secrets (those: operators/crawl/facts/private_addresses.py)
ledger/generations/<g>.json              which sources a generation added; committed when all of them are listed
ledger/items/v1/<group>.parquet          its items in groups: the unit of fetching and decoding
ledger/generations/<g>.recordings.parquet   every recording's verdict, duplicates settled
ledger/recordings|units/v1/<unit>.parquet   what the later stages read of one unit
ledger/generations/<g>.units.parquet     its units; committed last: the generation is ready for the models
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from voxmill.manifests.errors import DamagedError
from voxmill.manifests.ids import digest
from voxmill.manifests.parquet import Record, read_batches, read_records, records_bytes
from voxmill.manifests.public_form import secrets_of
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Item, Recording, Unit
from voxmill.manifests.storage import commit_bytes, remove
from voxmill.manifests.tombstones import refused
from voxmill.manifests.user_input import json_object
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.pipeline.stage import Stage, StageKind, by_driver
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.run_dir import RunDir, exists, names_in, read_bytes
from voxmill.pipeline.state.units import UnitConfig, form_units, reject_duplicates

ITEMS_PER_GROUP = 8
"""Items that one worker fetches before it commits: small, because a fetch is slow and a kill redoes the group."""


ITEMS = by_driver(StageKind.of("items", Item, "items"))
RECORDINGS = by_driver(StageKind.of("recordings", Recording, "recordings"))
UNITS = by_driver(StageKind.of("units", Unit, "units"))
"""Not run by workers: fragments that the driver writes and the stages read."""

Expand = Callable[[SourceConfig], Iterable[Item]]


@dataclass(frozen=True, slots=True)
class Listing:
    """The sources of a run as they were listed, and the units made of them."""

    ledger: Ledger

    @property
    def run(self) -> RunDir:
        """The run whose listing this is."""
        return self.ledger.run

    def extend(self, sources: Sequence[SourceConfig], expand: Expand) -> int:
        """Lists the sources that no generation holds yet, as a new generation. Returns the number of generations."""
        known = self.keys()
        fresh = {source_key(s): s for s in sources if source_key(s) not in known}
        number = self.num_generations()
        if not fresh:
            return number
        for key, source in fresh.items():
            if not exists(self._listed(key)):
                secrets = [secret for address in source.addresses for secret in secrets_of(address)]
                items = self.run.private.keep(f"list/{key}", expand(source), secrets)
                commit_bytes(self._listed(key), records_bytes(items, Item))
        self._write_groups(number, list(fresh))
        self._commit_state(number, list(fresh), fresh.values())
        return number + 1

    def retry(self, reasons: Collection[str], sources: Sequence[SourceConfig], expand: Expand) -> int:
        """Lists once more, as a new generation, what ended with one of these reasons. Returns how many items there are to fetch.

        An item that was not fetched is a new line of the listing; the outcome of the first attempt stays in the books. A page, feed
        or list that could not be read is no audio: its source is listed anew, and what nobody has listed yet is added. What a killed
        run has listed again and not fetched yet is not listed a third time; a repeated address says nothing of how its fetch ended.
        """
        number, items = self.num_generations(), {item.id: item for item in self._whole_items()}
        last = {_from(items, r): r for r in self.recordings() if not _repeated(r)}
        failed = [r for r in last.values() if r.rejection and r.rejection.reason in reasons]
        unread = {r.provenance.source for r in failed if items[r.item_id].rejection}
        unsettled = self._unsettled()
        again = {r.item_id for r in failed if not items[r.item_id].rejection and _from(items, r) not in unsettled}
        lines = [replace(item, id=digest(["retry", str(number), key])) for key, item in items.items() if key in again]
        relisted = [source for source in sources if source.name in unread]
        for source in relisted:
            fresh = {item.id: item for item in expand(source) if item.id not in items}
            items |= fresh
            lines += fresh.values()
        if lines:
            self._commit_groups(number, lines)
            self._commit_state(number, (), relisted)
        return len(lines)

    def keys(self) -> set[str]:
        """The sources that are listed (see `source_key`)."""
        return {key for g in range(self.num_generations()) for key in self._sources(g)}

    def num_generations(self) -> int:
        """How often something was listed: every `voxmill run` with new sources adds a generation."""
        return sum(name.endswith(".json") for name in names_in(self.run.uri("ledger", "generations")))

    def groups(self, generation: int) -> list[str]:
        """Ids of the item groups of a generation, in listing order."""
        return sorted(g for g in self.ledger.done(ITEMS) if g.startswith(f"g{generation:04d}-"))

    def has_units(self, generation: int) -> bool:
        """Whether all of a generation is fetched and decoded, and its units are written."""
        return exists(self._generation(generation, "units.parquet"))

    def units(self) -> list[Unit]:
        """Every unit of the run, in order."""
        return [unit for batch in self.batches(Unit) for unit in batch]

    def recordings(self) -> list[Recording]:
        """Every recording of the run with its verdict, in listing order."""
        return [recording for batch in self.batches(Recording) for recording in batch]

    def items(self) -> list[Item]:
        """Every listed item of the run, in order, without secrets in its address."""
        return [item for batch in self.batches(Item) for item in batch]

    def batches(self, record: type[Record]) -> Iterator[list[Record]]:
        """All items, recordings or units of the run, in order, some at a time: a run may hold millions."""
        for g in range(self.num_generations()):
            if record is Item:
                yield from (self.ledger.read(ITEMS, group) for group in self.groups(g))
            elif self.has_units(g):
                yield from read_batches(self._generation(g, f"{record.__name__.lower()}s.parquet"), record)

    def _unsettled(self) -> set[str]:
        """Addresses of generations that have no units yet: their fetch is still to come."""
        pending = [g for g in range(self.num_generations()) if not self.has_units(g)]
        groups = [group for g in pending for group in self.groups(g)]
        items = [i for group in groups for i in self.run.private.whole(f"items/{group}", self.ledger.read(ITEMS, group))]
        return {i.provenance.url for i in items if i.rejection is None}

    def _whole_items(self) -> list[Item]:
        """Every item with its whole address."""
        private = self.run.private
        groups = [group for g in range(self.num_generations()) for group in self.groups(g)]
        return [item for group in groups for item in private.whole(f"items/{group}", self.ledger.read(ITEMS, group))]

    def make_units(self, generation: int, crawl: Stage, decode: Stage, config: UnitConfig) -> None:
        """Settles duplicates and writes the units of a generation whose items are all fetched and decoded."""
        before = [r for g in range(generation) for r in self._recordings(g)]
        recordings = reject_duplicates(self._outcomes(generation, crawl, decode), before)
        units = form_units(recordings, config, position=len(self.units()), generation=generation)
        by_id = {r.id: r for r in recordings if r.rejection is None}
        for unit in units:
            commit_bytes(self.ledger.fragment(UNITS, unit.id), records_bytes([unit], Unit))
            mine = [by_id[part.recording_id] for part in unit.parts]
            commit_bytes(self.ledger.fragment(RECORDINGS, unit.id), records_bytes(mine, Recording))
        commit_bytes(self._generation(generation, "recordings.parquet"), records_bytes(recordings, Recording))
        commit_bytes(self._generation(generation, "units.parquet"), records_bytes(units, Unit))

    def _write_groups(self, generation: int, sources: Sequence[str]) -> None:
        """Items in groups; an address that was listed before is kept as a rejected duplicate, and never fetched twice.

        What could not be read before and cannot be read now is a line of its own as well, with its own reason.
        """
        seen = {item.id for item in self.items()}
        items = []
        for key in sources:
            for item in self.run.private.whole(f"list/{key}", read_records(self._listed(key), Item)):
                if item.id in seen:
                    again = digest(["again", str(generation), key, item.id])
                    item = replace(item, id=again, rejection=item.rejection or reject("list.duplicate", item.id))
                seen.add(item.id)
                items.append(item)
        self._commit_groups(generation, items)

    def _commit_groups(self, generation: int, items: Sequence[Item]) -> None:
        """The groups of a generation that nobody reads yet, of items with whole addresses. What a killed attempt left of it may be of another config: it goes."""
        starts = range(0, len(items), ITEMS_PER_GROUP)
        groups = {f"g{generation:04d}-{n:06d}": items[start : start + ITEMS_PER_GROUP] for n, start in enumerate(starts)}
        for stale in sorted(set(self.groups(generation)) - groups.keys()):
            remove(self.ledger.fragment(ITEMS, stale))
            self.run.private.write(f"items/{stale}", {})
        for group, members in groups.items():
            public = self.run.private.keep(f"items/{group}", members)
            commit_bytes(self.ledger.fragment(ITEMS, group), records_bytes(public, Item), replace=True)

    def _commit_state(self, generation: int, keys: Sequence[str], listed: Iterable[SourceConfig]) -> None:
        """Commits a generation: the sources that are new in it, and what the config states of those that were listed for it."""
        facts = {source.name: {"licence": source.licence, "domain": source.domain} for source in listed}
        state = {"sources": list(keys), "facts": facts}
        commit_bytes(self._generation(generation, "json"), json.dumps(state, sort_keys=True).encode())

    def _outcomes(self, generation: int, crawl: Stage, decode: Stage) -> list[Recording]:
        outcomes = list[Recording]()
        for group in self.groups(generation):
            decoded = {r.item_id: r for r in self.ledger.read(decode, group)}
            outcomes += [refused(decoded.get(r.item_id, r)) for r in self.ledger.read(crawl, group)]
        return outcomes

    def _recordings(self, generation: int) -> list[Recording]:
        return read_records(self._generation(generation, "recordings.parquet"), Recording)

    def _sources(self, generation: int) -> list[str]:
        return list(self._state(generation)["sources"])

    def facts(self) -> dict[str, list[dict[str, str | None]]]:
        """What the config stated of each source whenever it was listed (see `metadata_overrides.py`), in the order of the generations."""
        stated: dict[str, list[dict[str, str | None]]] = {}
        for generation in range(self.num_generations()):
            for name, facts in self._state(generation)["facts"].items():
                stated.setdefault(name, []).append(facts)
        return stated

    def _state(self, generation: int) -> dict[str, Any]:
        uri = self._generation(generation, "json")
        return json_object(read_bytes(uri), uri, "restore it: it says what was listed", DamagedError)

    def _listed(self, key: str) -> str:
        return self.run.uri("ledger", "list", f"{key}.parquet")

    def _generation(self, number: int, suffix: str) -> str:
        return self.run.uri("ledger", "generations", f"{number:04d}.{suffix}")


def _from(items: Mapping[str, Item], recording: Recording) -> str:
    """The whole address that a recording was asked for at."""
    return items[recording.item_id].provenance.url


def _repeated(recording: Recording) -> bool:
    return recording.rejection is not None and recording.rejection.reason == "list.duplicate"


def source_key(source: SourceConfig) -> str:
    """What makes a source a new one: its name and everything that decides what it lists. Licence and domain may be amended."""
    own = set() if source.code else {"call", "version", "options"}
    identity = source.model_dump_json(exclude={"licence", "domain", *own})
    return f"{_slug(source.name)}-{digest([identity])[:12]}"


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:40]
