"""From sources to units: the listing is persisted in generations, so that a run grows without ever being regrouped.

    ledger/list/<source>.parquet   what a source listed: expanded once, without secrets (those: operators/crawl/facts/private_addresses.py)
    `items`                        its items in groups: the unit of fetching and decoding (a stage of the driver's own, as all of these)
    `outcomes`                     every recording's verdict by group, duplicates settled
    `units`, `recordings`          what the later stages read of one unit

A generation begins with the entry of the journal that adds its groups, and is ready for the models with the one that adds its units.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from voxmill.manifests.ids import digest
from voxmill.manifests.known_ids import KnownIds
from voxmill.manifests.parquet import Record, read_batches, write_records
from voxmill.manifests.public_form import public_item, secrets_of
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Item, Recording, Unit
from voxmill.manifests.storage import commit_file, staged
from voxmill.manifests.tombstones import refused
from voxmill.operators.crawl.facts.source_config import SourceConfig
from voxmill.pipeline.stage import Stage, StageKind, by_driver
from voxmill.pipeline.state.journal import Generation
from voxmill.pipeline.state.ledger import Ledger
from voxmill.pipeline.state.positions import position_of
from voxmill.pipeline.state.repeats import repeats
from voxmill.pipeline.state.run_dir import RunDir, exists
from voxmill.pipeline.state.units import UnitConfig, form_units

SMALL_GROUP, LARGE_GROUP = 2, 32
"""Items that one worker fetches side by side. A short list is shared by many workers; of a long one each has many hosts in flight."""
SLOWER = 4
"""A group has one item more than the one so many groups before it, until it is a large one: some 2,000 items are listed by then."""


ITEMS = by_driver(StageKind.of("items", Item, "items"))
OUTCOMES = by_driver(StageKind.of("outcomes", Recording, "items"))
RECORDINGS = by_driver(StageKind("recordings", Recording, "recordings"))
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

    @property
    def generations(self) -> list[Generation]:
        """What was listed when: every `voxmill run` with new sources adds one."""
        return self.ledger.state.generations

    def extend(self, sources: Sequence[SourceConfig], expand: Expand) -> int:
        """Lists the sources that no generation holds yet, as a new generation. Returns the number of generations."""
        known = self.keys()
        fresh = {source_key(s): s for s in sources if source_key(s) not in known}
        if fresh:
            for key, source in fresh.items():
                if not exists(self._listed(key)):
                    self._list(key, source, expand(source))
            self._commit_groups(self._new_lines(list(fresh)), list(fresh), fresh.values())
        return self.num_generations()

    def _list(self, key: str, source: SourceConfig, items: Iterable[Item]) -> None:
        """Commits what a source lists, in public form, one item after the other; its whole addresses are written first, apart."""
        secrets = [secret for address in source.addresses for secret in secrets_of(address)]
        whole: dict[str, str] = {}

        def public() -> Iterator[Item]:
            for item in items:
                shown = public_item(item, secrets)
                if shown.provenance.url != item.provenance.url:
                    whole[item.id] = item.provenance.url
                yield shown

        with staged(self._listed(key)) as file:
            write_records(file, public(), Item)
            self.run.private.write(f"list/{key}", whole)
            commit_file(file, self._listed(key))

    def retry(self, reasons: Collection[str], sources: Sequence[SourceConfig], expand: Expand) -> int:
        """Lists once more, as a new generation, what ended with one of these reasons. Returns how many items there are to fetch.

        An item that was not fetched is a new line of the listing; the outcome of the first attempt stays in the books. A page, feed
        or list that could not be read is no audio: its source is listed anew, and what nobody has listed yet is added. What a killed
        run has listed again and not fetched yet is not listed a third time; a repeated address says nothing of how its fetch ended.
        """
        number, failed = self.num_generations(), dict[str, Item]()
        for item, recording in self._settled_items():  # of every address the last outcome counts
            if _repeated(recording):
                continue
            failed.pop(item.provenance.url, None)
            if recording.rejection and recording.rejection.reason in reasons:
                failed[item.provenance.url] = item
        unread = {item.provenance.source for item in failed.values() if item.rejection}
        unsettled = self._unsettled() if failed else ()
        again = [item for address, item in failed.items() if item.rejection is None and address not in unsettled]
        lines = [replace(item, id=digest(["retry", str(number), item.id])) for item in again]
        relisted = [source for source in sources if source.name in unread]
        known = KnownIds(self._ids() if relisted else ())
        for source in relisted:
            lines += (item for item in expand(source) if known.add(item.id))
        if lines:
            self._commit_groups(lines, (), relisted)
        return len(lines)

    def keys(self) -> set[str]:
        """The sources that are listed (see `source_key`)."""
        return {key for generation in self.generations for key in generation.sources}

    def num_generations(self) -> int:
        """How often something was listed."""
        return len(self.generations)

    def groups(self, generation: int) -> list[str]:
        """Ids of the item groups of a generation, in listing order."""
        return list(map(group_id, range(*self.generations[generation].groups)))

    def has_units(self, generation: int) -> bool:
        """Whether all of a generation is fetched and decoded, and its units are written."""
        return self.generations[generation].units is not None

    @property
    def num_units(self) -> int:
        """Units of all generations that have any; their positions are `range(num_units)`."""
        return max((g.units[1] for g in self.generations if g.units), default=0)

    def each_unit(self) -> Iterator[Unit]:
        """Every unit of the run, in order, one at a time."""
        return (unit for batch in self.batches(Unit) for unit in batch)

    def each_recording(self, first: int = 0) -> Iterator[Recording]:
        """Every recording with its verdict, in listing order, one at a time: of generation `first` and those after it."""
        return (recording for batch in self.batches(Recording, first) for recording in batch)

    def batches(self, record: type[Record], first: int = 0) -> Iterator[list[Record]]:
        """All items, recordings or units of generation `first` and those after it, in order, some at a time: a run may hold millions."""
        stage = {Item: ITEMS, Recording: OUTCOMES, Unit: UNITS}[record]
        for generation in self.generations[first:]:
            span = generation.groups if stage is ITEMS or generation.units else (0, 0)
            span = (generation.units or (0, 0)) if stage is UNITS else span
            for _, rows in self.ledger.scan(stage, *span) if span[0] < span[1] else ():
                yield rows

    def make_units(self, generation: int, crawl: Stage, decode: Stage, config: UnitConfig) -> int:
        """Settles duplicates and writes the units of a generation whose items are all fetched and decoded. Returns how many are rejected as duplicates now."""
        ledger, span, again = self.ledger, self.generations[generation].groups, dict[int, str]()
        if not ledger.done(OUTCOMES).holds(*span):
            again = repeats(ledger, OUTCOMES, crawl, decode, span)
            ledger.write(OUTCOMES, self._settled(crawl, decode, span, again))
        first, fresh = self.num_units, list[Unit]()

        def units() -> Iterator[tuple[str, list[Unit]]]:
            recordings = (r for _, rows in ledger.scan(OUTCOMES, *span) for r in rows)
            for unit, _ in form_units(recordings, config, position=first, generation=generation):
                fresh[:] = [unit]
                yield unit.id, [unit]

        def recordings() -> Iterator[tuple[str, list[Recording]]]:
            outcomes = (r for _, rows in ledger.scan(OUTCOMES, *span) for r in rows)
            for unit, mine in form_units(outcomes, config, position=first, generation=generation):
                yield unit.id, mine

        # One entry for both: another division of the units, after a kill in between, would not fit the recordings.
        prepared = ledger.prepare(RECORDINGS, recordings()) | ledger.prepare(UNITS, units())
        end = fresh[0].position + 1 if fresh else first
        ledger.append({"chunks": prepared, "formed": {"generation": generation, "units": [first, end]}})
        return len(again)

    def _settled(
        self, crawl: Stage, decode: Stage, span: tuple[int, int], again: Mapping[int, str]
    ) -> Iterator[tuple[str, list[Recording]]]:
        """The outcomes of a generation by group, with repeats rejected."""
        number = 0
        for position, fetched in self.ledger.scan(crawl, *span):
            decoded = {r.item_id: r for r in self.ledger.read(decode, position)}
            rows = []
            for row in fetched:
                recording = refused(decoded.get(row.item_id, row))
                if first := again.get(number):
                    reason = "crawl.duplicate" if first == recording.id else "decode.duplicate"
                    recording = replace(recording, rejection=reject(reason, first))
                rows.append(recording)
                number += 1
            yield group_id(position), rows

    def _unsettled(self) -> set[str]:
        """Addresses of generations that have no units yet: their fetch is still to come."""
        pending = (g.groups for g in self.generations if g.units is None)
        return {
            i.provenance.url for groups in pending for _, items in self._whole(*groups) for i in items if i.rejection is None
        }

    def _settled_items(self) -> Iterator[tuple[Item, Recording]]:
        """Every item whose generation has its units, with its whole address and its outcome, in listing order."""
        for generation in (g for g in self.generations if g.units is not None):
            for position, items in self._whole(*generation.groups):
                outcomes = {r.item_id: r for r in self.ledger.read(OUTCOMES, position)}
                yield from ((item, outcomes[item.id]) for item in items if item.id in outcomes)

    def _whole(self, first: int, end: int) -> Iterator[tuple[int, list[Item]]]:
        """Groups of items by position, with whole addresses."""
        private = self.run.private
        kept = set(private.names("items"))
        for position, items in self.ledger.scan(ITEMS, first, end):
            name = f"items/{group_id(position)}"
            yield position, private.whole(name, items) if name in kept else items

    def _ids(self) -> Iterator[str]:
        return self.ledger.ids(ITEMS, self.ledger.done(ITEMS).runs)

    def _new_lines(self, sources: Sequence[str]) -> Iterator[Item]:
        """What sources listed; an address that was listed before is kept as a rejected duplicate, and never fetched twice.

        What could not be read before and cannot be read now is a line of its own as well, with its own reason.
        """
        known = KnownIds(self._ids())
        generation = self.num_generations()
        for key in sources:
            secrets = self.run.private.read(f"list/{key}")
            for batch in read_batches(self._listed(key), Item):
                for listed in batch:
                    item = listed
                    if listed.id in secrets:
                        item = replace(item, provenance=replace(item.provenance, url=secrets[listed.id]))
                    if not known.add(item.id):
                        again = digest(["again", str(generation), key, item.id])
                        item = replace(item, id=again, rejection=item.rejection or reject("list.duplicate", item.id))
                        known.add(item.id)
                    yield item

    def _commit_groups(self, items: Iterable[Item], keys: Sequence[str], listed: Iterable[SourceConfig]) -> None:
        """A generation: items with whole addresses in groups, the sources that are new in it, and what the config states of those listed.

        What a killed attempt left under the same names may be of another config: it goes.
        """
        private, first = self.run.private, self.ledger.done(ITEMS).end
        end = first

        def groups() -> Iterator[tuple[str, list[Item]]]:
            nonlocal end
            lines = iter(items)
            while members := list(islice(lines, min(LARGE_GROUP, SMALL_GROUP + (end - first) // SLOWER))):
                yield group_id(end), private.keep(f"items/{group_id(end)}", members)
                end += 1

        prepared = self.ledger.prepare(ITEMS, groups())
        for stale in private.names("items"):
            if position_of(stale.rpartition("/")[2]) >= end:
                private.write(stale, {})
        facts = {source.name: {"licence": source.licence, "domain": source.domain} for source in listed}
        self.ledger.append(
            {"chunks": prepared, "generation": {"sources": list(keys), "facts": facts, "groups": [first, end], "units": None}}
        )

    def facts(self) -> dict[str, list[dict[str, str | None]]]:
        """What the config stated of each source whenever it was listed (see `metadata_overrides.py`), in the order of the generations."""
        stated: dict[str, list[dict[str, str | None]]] = {}
        for generation in self.generations:
            for name, facts in generation.facts.items():
                stated.setdefault(name, []).append(facts)
        return stated

    def _listed(self, key: str) -> str:
        return self.run.uri("ledger", "list", f"{key}.parquet")


def group_id(position: int) -> str:
    """The id of a group of items.

    >>> group_id(3)
    'g0000003'
    """
    return f"g{position:07d}"


def _repeated(recording: Recording) -> bool:
    return recording.rejection is not None and recording.rejection.reason == "list.duplicate"


def source_key(source: SourceConfig) -> str:
    """What makes a source a new one: its name and everything that decides what it lists. Licence and domain may be amended."""
    own = set() if source.code else {"call", "version", *(() if source.options else ("options",))}
    identity = source.model_dump_json(exclude={"licence", "domain", *own})
    return f"{_slug(source.name)}-{digest([identity])[:12]}"


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:40]
