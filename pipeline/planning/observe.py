"""What a run says of itself that a plan needs: its recordings, what of them was kept, what each unit cost, how much it stores.

Read from the run's catalog, so it is the same for a sample and for a run of any size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from voxmill.manifests.catalog import open_catalog
from voxmill.manifests.storage import locate
from voxmill.operators.crawl.facts.urls import is_web
from voxmill.operators.crawl.policy.permission import origin_of
from voxmill.pipeline.state.run import Run

BY_SPEECH = ("segment", "fingerprint", "decode", "crawl")
"""Stages whose work goes with all of the audio; that of the others goes with the speech in it."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One listed item and what became of it."""

    item: str
    source: str
    host: str
    """As the gate of the crawl names it, with its port; empty where it is none of the web."""
    num_bytes: int
    """Of the original; 0 where it was not fetched."""
    stored: bool
    """The original lies in the run; else it is read where it is."""
    hours: float
    """Decoded; 0 where it was rejected before."""
    speech_hours: float
    """What the recognisers hear."""
    kept_hours: float
    kept_segments: int
    cluster: str
    """What was worked on together: recordings that share a unit. One cluster is one draw of the sample."""
    lost: tuple[tuple[str, float], ...]
    """Hours not kept, by reason."""
    refused: str | None
    """Why it was not fetched or not decoded."""


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What one stage spent on one unit."""

    stage: str
    cluster: str
    seconds: float
    """Audio that entered the stage."""
    wall_s: float
    cpu_s: float

    def core_s(self, contended: bool) -> float:
        """Seconds for which it holds a core: with the time that it waits, unless it waited for other processes."""
        return self.cpu_s if contended else max(self.wall_s, self.cpu_s)


@dataclass(frozen=True, slots=True)
class WholeCost:
    """What one stage spent in all, where nobody knows on which recordings (fetching, decoding and packing work on other groups)."""

    stage: str
    wall_s: float
    cpu_s: float

    def core_s(self, contended: bool) -> float:
        """As of `UnitCost`; a crawler that waits for a host holds no core."""
        return self.cpu_s if contended or self.stage == "crawl" else max(self.wall_s, self.cpu_s)


@dataclass(frozen=True, slots=True)
class StoreUse:
    """What a run stores, in bytes."""

    shards: int = 0
    frames: int = 0
    state: int = 0
    """Tables, fragments and all else but originals."""
    objects: int = 0
    """Files other than originals."""


@dataclass(frozen=True)
class Observed:
    """One run, or several samples of the same sources taken together."""

    items: list[Tried]
    units: list[UnitCost]
    wholes: list[WholeCost]
    num_units: int
    worker_gb: float
    """Largest memory that a worker had (GiB)."""
    store: StoreUse | None
    """None: not looked at."""
    writes: int | None = None
    """Files written or removed, each of which is one request to an object store; None: not counted."""
    start_s: float = 0.0
    """Wall seconds of the run in which no stage worked: starting workers, loading models, tables."""
    start_cpu_s: float = 0.0
    """CPU seconds outside the stages."""
    contended: bool = False
    """Other processes took a good part of the machine, so that wall times say more of them than of the work."""
    requests: dict[str, float] = field(default_factory=dict)
    """Requests to each host for one item of it."""
    delays: dict[str, float] = field(default_factory=dict)
    """Seconds between requests that the robots.txt of a host asks for."""
    listed: dict[str, int] = field(default_factory=dict)
    """Everything that the run lists and that was not rejected then, by host; the empty host stands for files."""

    @property
    def hours(self) -> float:
        """Hours of audio that were decoded."""
        return sum(one.hours for one in self.items)


def observe(run: Run) -> Observed:
    """Reads a run that has its tables. Raises CatalogError where it has none, or they are damaged."""
    con = open_catalog(run.root, _SPANS, _ITEMS, _UNITS, _COSTS, _LISTED)
    spans: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in con.execute(_SPANS).fetchall():
        spans[row[0]].append(row)
    members: dict[str, set[str]] = defaultdict(set)
    for recording, rows in spans.items():
        for row in rows:
            members[row[1]].add(recording)
    cluster = _clusters(members.values())
    items = [_tried(row, spans.get(row[4], []) if row[7] is None else [], cluster) for row in con.execute(_ITEMS).fetchall()]
    audio = {unit: (total, speech) for unit, total, speech in con.execute(_UNITS).fetchall()}
    units, wholes = [], []
    for stage, unit, wall_s, cpu_s in con.execute(_COSTS).fetchall():
        if unit in audio:
            total, speech = audio[unit]
            seconds = total if stage in BY_SPEECH else speech
            units.append(UnitCost(stage, cluster[min(members[unit])], seconds, wall_s, cpu_s))
        else:
            wholes.append(WholeCost(stage, wall_s, cpu_s))
    (memory,) = con.execute("SELECT coalesce(max(max_rss_bytes), 0) FROM costs").fetchone()
    listed = dict(con.execute(_LISTED).fetchall())
    use = store_use(run) if run.is_local else None
    return Observed(items, units, _summed(wholes), len(audio), memory / 2**30, use, listed=listed)


def host_of(url: str) -> str:
    """The host of an address of the web, as the gate of the crawl names it; empty for all else."""
    return urlsplit(origin_of(url)).netloc if is_web(url) else ""


def store_use(run: Run) -> StoreUse:
    """Sizes of what lies in the run, by folder."""
    fs, root = locate(run.root)
    sizes: dict[str, int] = defaultdict(int)
    objects = 0
    for path, info in fs.find(root, detail=True).items():
        folder = path.removeprefix(root).lstrip("/").partition("/")[0]
        sizes[folder] += int(info["size"] or 0)
        objects += folder != "audio"
    rest = sum(size for folder, size in sizes.items() if folder not in ("audio", "shards", "frames"))
    return StoreUse(sizes["shards"], sizes["frames"], rest, objects)


def together(parts: list[Observed]) -> Observed:
    """Several samples as one. Units and clusters of different samples stay apart."""
    first, *others = parts
    if not others:
        return first
    uses = [part.store or StoreUse() for part in parts]
    return Observed(
        [replace(one, cluster=f"{n} {one.cluster}") for n, part in enumerate(parts) for one in part.items],
        [replace(one, cluster=f"{n} {one.cluster}") for n, part in enumerate(parts) for one in part.units],
        _summed(one for part in parts for one in part.wholes),
        sum(part.num_units for part in parts),
        max(part.worker_gb for part in parts),
        StoreUse(*(sum(getattr(use, name) for use in uses) for name in StoreUse.__dataclass_fields__)),
        None if any(part.writes is None for part in parts) else sum(part.writes or 0 for part in parts),
        max(part.start_s for part in parts),
        max(part.start_cpu_s for part in parts),
        any(part.contended for part in parts),
        {host: value for part in parts for host, value in part.requests.items()},
        {host: value for part in parts for host, value in part.delays.items()},
    )


def _tried(row: tuple[Any, ...], spans: list[tuple[Any, ...]], cluster: dict[str, str]) -> Tried:
    item, source, url, num_bytes, recording, audio, num_samples, refused = row
    lost: dict[str, float] = defaultdict(float)
    for _, _, seconds, _, kept, why, _ in spans:
        if not kept:
            lost[why or "unfinished"] += seconds / 3600
    return Tried(
        item, source, host_of(url), num_bytes or 0, bool(audio) and "://" not in audio and not audio.startswith("/"),
        0.0 if refused else num_samples / 16000 / 3600,
        sum(s[2] for s in spans if s[3]) / 3600, sum(s[2] for s in spans if s[4]) / 3600, sum(s[6] for s in spans if s[4]),
        cluster.get(recording, item) if spans else item, tuple(sorted(lost.items())), refused,
    )  # fmt: skip


def _clusters(groups: Iterable[set[str]]) -> dict[str, str]:
    """For each recording the name of its group, where groups that share a recording are one."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for group in groups:
        first, *others = sorted(group)
        root(first)
        for other in others:
            parent[root(other)] = root(first)
    return {name: root(name) for name in parent}


def _summed(wholes: Iterable[WholeCost]) -> list[WholeCost]:
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one in wholes:
        sums[one.stage][0] += one.wall_s
        sums[one.stage][1] += one.cpu_s
    return [WholeCost(stage, wall_s, cpu_s) for stage, (wall_s, cpu_s) in sums.items()]


_ITEMS = """
SELECT i.id, i.provenance.source, i.provenance.url, r.num_bytes, r.id, r.audio, r.num_samples, r.rejection.reason
FROM items AS i JOIN recordings AS r ON r.item_id = i.id WHERE i.rejection IS NULL ORDER BY i.id
"""
_LISTED = r"""
SELECT lower(regexp_extract(provenance.url, '^[hH][tT][tT][pP][sS]?://([^/?#]*@)?([^/?#]*)', 2)), count(*)
FROM items WHERE rejection IS NULL GROUP BY ALL ORDER BY ALL
"""
_SPANS = """
SELECT recording_id, unit, sum(seconds), speech, kept, reason, count(*) FROM timeline GROUP BY ALL ORDER BY ALL
"""
_UNITS = "SELECT unit, sum(seconds), coalesce(sum(seconds) FILTER (speech), 0) FROM timeline GROUP BY unit"
_COSTS = """
SELECT CASE WHEN engine IS NULL THEN stage ELSE stage || ':' || engine END AS stage, unit, sum(wall_s), sum(cpu_s)
FROM costs GROUP BY ALL ORDER BY ALL
"""
