"""What goes into a shard: one kept segment, with everything that is known of it, as the files `<key>.flac` and `<key>.json`.

Where frames of videos were taken, `<key>.mjpeg` follows in every sample: its JPEGs one after the other, none where it has none. A member
for each picture would give samples of several kinds, which `datasets` refuses.
"""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from voxmill.manifests.public_form import public_recording
from voxmill.manifests.records import (
    SAMPLE_RATE,
    Consensus,
    Hypothesis,
    Labels,
    Picture,
    Pictures,
    Recording,
    Segment,
    Selection,
)
from voxmill.manifests.schema import SCHEMA_VERSION, plain

PACKER = "3"
"""Version of everything in this folder that decides bytes: the plan, the JSON, the FLAC settings, the tar headers."""

RECORDS = (
    "recording", "provenance", "licence", "segment", "hypotheses", "consensus", "labels", "selection", "pictures",
)  # fmt: skip
"""What is kept as JSON text inside a sample's JSON."""

UNKNOWN_AGREEMENT = -1.0
"""Where a single engine was asked."""

_KEY = re.compile(r"[A-Za-z0-9_-]{1,90}")


@dataclass(frozen=True, slots=True)
class Entry:
    """What decides the shard of a sample and its order in it: so planning needs no transcripts in memory. Raises ValueError on a bad key."""

    key: str
    recording_id: str
    start: int
    num_samples: int
    split: str
    licence: str
    unit: int
    """Position of the unit in the run."""
    order: int
    """Position of the recording in its unit."""
    generation: int
    """Which `voxmill run` brought the unit."""

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"sample key {self.key!r} needs letters, digits, - and _ only: WebDataset splits names at a dot")


@dataclass(frozen=True, slots=True)
class Sample:
    """One kept segment with all its records. The audio is read when the shard is written.

    Raises ValueError where the records belong to different segments, or the segment was rejected.
    """

    recording: Recording
    segment: Segment
    hypotheses: tuple[Hypothesis, ...]
    consensus: Consensus
    labels: Labels | None
    selection: Selection
    unit: int
    order: int
    generation: int
    pictures: Pictures | None = None
    """Its video frames; None where none were asked for."""

    def __post_init__(self) -> None:
        key = self.segment.id
        about = [h.segment_id for h in self.hypotheses] + [self.consensus.segment_id, self.selection.segment_id]
        about += [one.segment_id for one in (self.labels, self.pictures) if one]
        if strangers := set(about) - {key}:
            raise ValueError(f"sample {key} was given records of other segments: {sorted(strangers)}")
        if self.segment.recording_id != self.recording.id:
            raise ValueError(f"sample {key} belongs to recording {self.segment.recording_id}, not {self.recording.id}")
        if self.selection.rejection or self.selection.tier == "rejected":
            raise ValueError(f"sample {key} was rejected ({self.selection.rejection}): it must not be packed")

    @property
    def key(self) -> str:
        """Its name in the shard: the id of its segment."""
        return self.segment.id

    @property
    def text(self) -> str | None:
        """The label; None for the unlabelled tier, whose text nobody vouches for (it is still in `consensus`)."""
        return None if self.selection.tier == "unlabelled" else self.consensus.text

    @property
    def seen(self) -> tuple[Picture, ...] | None:
        """The video frames to pack. None: not asked for, or not readable; empty: the video shows nothing there."""
        return None if self.pictures is None or self.pictures.rejection else self.pictures.pictures

    @property
    def entry(self) -> Entry:
        """Its place among the samples of the run, from which shards are planned."""
        return Entry(
            self.key, self.recording.id, self.segment.start, self.segment.num_samples, self.selection.split,
            self.recording.licence.name, self.unit, self.order, self.generation,
        )  # fmt: skip


def document(sample: Sample) -> dict[str, Any]:
    """All that is known of a sample: the short form on top, the records behind it below. Equal on every machine and in every run.

    So it holds no times of the run, no absolute paths, and nothing that differs between two fetches of the same file: etag, last-modified,
    the path of the copy and the item's id stay in the run's manifests, where `recording_id` finds them.
    """
    recording = plain(public_recording(sample.recording))  # an older version may have listed it
    licence, provenance = recording.pop("licence"), recording.pop("provenance")
    for accident in ("audio", "item_id", "rejection"):
        del recording[accident]
    del provenance["etag"], provenance["last_modified"]
    for address in ("url", "final_url", "page_url"):
        provenance[address] = portable(provenance[address])
    licence["evidence"] = portable(licence["evidence"])
    recording["frames"] = portable(recording["frames"])
    return {
        "key": sample.key,
        "schema_version": SCHEMA_VERSION,
        "packer": PACKER,
        "text": sample.text,
        "language": sample.consensus.language or sample.recording.language,
        "tier": sample.selection.tier,
        "weight": sample.selection.weight,
        "split": sample.selection.split,
        "agreement": sample.consensus.agreement,
        "duration": sample.segment.seconds,
        "num_samples": sample.segment.num_samples,
        "sampling_rate": SAMPLE_RATE,
        "recording_id": sample.recording.id,
        "recording": recording,
        "provenance": provenance,
        "licence": licence,
        "segment": plain(sample.segment),
        "hypotheses": [plain(h) for h in sample.hypotheses],
        "consensus": plain(sample.consensus),
        "labels": plain(sample.labels) if sample.labels else None,
        "selection": plain(sample.selection),
        "pictures": _pictures(sample),
    }


def pictures_name(key: str) -> str:
    """The tar member that holds a sample's video frames: `<key>.mjpeg`, which `webdataset` reads as the field `mjpeg`."""
    return f"{key}.mjpeg"


def old_picture_name(key: str, index: int) -> str:
    """The tar member of one video frame in shards of packers before 3, which had one for each."""
    return f"{key}.{index:03d}.jpg"


def _pictures(sample: Sample) -> list[dict[str, Any]] | None:
    """The pictures in order, without their offsets in the run's own file."""
    if sample.seen is None:
        return None
    return [{k: v for k, v in plain(picture).items() if k != "offset"} for picture in sample.seen]


def document_bytes(sample: Sample) -> bytes:
    """The JSON of a sample's `document`, with the same keys and types in every sample: `datasets` takes them from the first few.

    So nothing in it is null or nested: each record is JSON in a string, in which null and empty stay apart, and of the short form
    an unknown text or language is empty, an unknown agreement negative (`UNKNOWN_AGREEMENT`). `read_document` is the way back.
    Raises ValueError on a NaN or an infinity, which JSON has no word for.
    """
    words = document(sample)
    for key in RECORDS:
        words[key] = _json(words[key])
    agreement = words["agreement"]
    words |= {key: words[key] or "" for key in ("text", "language")}
    words |= {"agreement": UNKNOWN_AGREEMENT if agreement is None else float(agreement), "weight": float(words["weight"])}
    return _json(words).encode()


def read_document(blob: bytes) -> dict[str, Any]:
    """The `document` behind the JSON of a sample, also of one that an older packer wrote, where nothing was in strings.

    Raises json.JSONDecodeError.
    """
    words: dict[str, Any] = json.loads(blob)
    try:
        if int(words["packer"]) < 3:
            return words
        words |= {key: json.loads(words[key]) for key in RECORDS}
        words["text"] = None if words["tier"] == "unlabelled" else words["text"]
        words["language"] = words["language"] or None
        words["agreement"] = words["consensus"]["agreement"]
    except (KeyError, TypeError, AttributeError) as error:
        raise json.JSONDecodeError(f"not the JSON of a sample ({error!r})", "", 0) from error
    return words


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def portable(address: str | None) -> str | None:
    """A web or bucket address as it is; of a local path only the last part, which is the same on every machine.

    >>> portable("https://example.org/a.mp3"), portable("/home/me/talks/a.mp3"), portable("file:///srv/b.wav")
    ('https://example.org/a.mp3', 'file:a.mp3', 'file:b.wav')
    >>> portable("CC BY 4.0 stated on the page")
    'CC BY 4.0 stated on the page'
    """
    if address is None:
        return None
    if address.startswith(("/", "./", "../", "~")) or urlsplit(address).scheme == "file":
        return "file:" + posixpath.basename(address.rstrip("/"))
    return address
