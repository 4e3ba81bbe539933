"""The records of a run: frozen, typed, and the only thing that travels between stages.

Time is counted in integer samples at `SAMPLE_RATE`, whatever the rate of the original file; `.seconds` properties are for people.
Audio travels by reference: a record holds a URI and a span, never a waveform.
`None` means *not known* or *not labelled*; an empty tuple means *looked, and found nothing*. The two never mix.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SAMPLE_RATE = 16_000
"""Samples per second of every span in every record (Hz)."""

NO_SPEECH = "nospeech"
"""What stands for a language where nobody speaks."""

Bandwidth = Literal["narrow", "wide"]
Tier = Literal["high", "weak", "unlabelled", "event", "rejected"]
"""How far the text is to be trusted; `event`: nobody speaks, and the sample is kept for its sounds."""
Split = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why something was not kept. `reason` is a name from `voxmill.manifests.reasons`; `detail` is for people."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Licence:
    """What may be done with a recording, and what says so.

    `name` is an SPDX identifier in lower case (`cc-by-4.0`, `cc0-1.0`), `proprietary`, or `unknown`.
    `evidence` is the text or URL found; `source` tells where: `page`, `feed`, `media`, `config`, or `none`.
    """

    name: str = "unknown"
    evidence: str | None = None
    source: str = "none"
    attribution: str | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a recording came from. Deterministic facts only: times of retrieval live in the run's evidence log."""

    source: str
    """Name of the source in the config."""
    url: str
    """The address that was asked for: a URL, or the path of a local file."""
    final_url: str | None = None
    page_url: str | None = None
    """The page, feed or playlist that led to `url`."""
    host: str = ""
    """Host of `url`; `local` for files."""
    title: str | None = None
    author: str | None = None
    published: str | None = None
    content_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    permission: str | None = None
    """The robots.txt or opt-out rule that allowed the fetch, as text."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the persisted listing: something to fetch. `id` derives from the archive key, never from arrival."""

    id: str
    provenance: Provenance
    licence: Licence
    kind: Literal["http", "hls", "file", "manifest"] = "http"
    language: str | None = None
    """Language hint (BCP 47) from the source, if any."""
    domain: str | None = None
    """Free name of the kind of speech: `podcast`, `audiobook`, `broadcast`, …"""
    rejection: Rejection | None = None
    """Set where listing itself failed: the item stands for the source that could not be read."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One fetched file. `id` is the sha256 of its bytes; where nothing was fetched, the id of its listing item."""

    id: str
    item_id: str
    provenance: Provenance
    licence: Licence
    audio: str | None = None
    """URI of the original bytes: relative to the run, or absolute where a local file is used in place."""
    num_bytes: int = 0
    num_samples: int = 0
    """Decoded length at `SAMPLE_RATE`."""
    sampling_rate: int | None = None
    """Original rate in Hz, as the stream says."""
    num_channels: int | None = None
    codec: str | None = None
    container: str | None = None
    bandwidth: Bandwidth | None = None
    """Measured, never read from the header."""
    cutoff_hz: int | None = None
    """Measured spectral cutoff."""
    pcm_sha256: str | None = None
    """Hash of the decoded 16 kHz samples and the decoder's version: finds re-wrapped duplicates."""
    language: str | None = None
    domain: str | None = None
    frames: str | None = None
    """URI of video frames or their embeddings, if any."""
    rejection: Rejection | None = None
    lost_samples: int = 0
    """Audio that the file holds or promises and that was not decoded, at `SAMPLE_RATE`: `decode.lost` in the books. What the file
    holds is `num_samples - silent_samples + lost_samples`."""
    silent_samples: int = 0
    """How much of the lost audio stands in the timeline as silence, so that what follows keeps its place."""
    lost_why: str | None = None
    track: int | None = None
    """Which of several sound streams is heard, counted from 1; None: there is only one, or nobody chose."""
    tracks: tuple[str, ...] | None = None
    """All of them as the file describes them (`ger default`, `eng comment`); None where there is only one."""
    channels: tuple[float, ...] | None = None
    """Weight of each channel in what is heard: (1, 0) is the first alone, (0.5, -0.5) what antiphase channels share. None: the mean."""
    turns: bool | None = None
    """Its two channels speak in turns: most likely one talker on each."""
    apart: int | None = None
    """So many channels are kept apart, those with a weight: in the recording's time they follow one another, each whole, and sample
    `s` of the file is sample `s + k * num_samples / apart` for the one after `k` others. None: they are heard together."""
    dc: float | None = None
    """Offset, of full scale, that is taken off, also where it drifts; None: there was none to speak of."""
    gain_db: float | None = None
    """How much louder it is heard, and packed, than it was decoded; None: as it was."""
    promised_samples: int | None = None
    """What the playlist of a stream says of its length at the least, at `SAMPLE_RATE`; None: nothing but the file says it."""

    @property
    def seconds(self) -> float:
        return self.num_samples / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of a recording: speech to transcribe, sounds to keep, or, with a rejection, what was put aside of the timeline.

    The segments of a recording tile it exactly: every sample belongs to one of them.
    """

    id: str
    recording_id: str
    start: int
    num_samples: int
    speech: float | None = None
    """Mean speech probability over the span."""
    rejection: Rejection | None = None
    kind: Literal["speech", "event"] = "speech"
    """`event`: a span without speech that is kept as it is, for what else can be heard in it."""

    @property
    def end(self) -> int:
        return self.start + self.num_samples

    @property
    def seconds(self) -> float:
        return self.num_samples / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its span in samples from the start of the recording."""

    text: str
    start: int | None = None
    end: int | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What one engine heard in one segment."""

    segment_id: str
    engine: str
    model: str
    """Which weights: name and revision or hash."""
    text: str
    words: tuple[Word, ...] | None = None
    confidence: float | None = None
    """In [0, 1]; for Whisper exp(mean log-probability)."""
    language: str | None = None
    language_confidence: float | None = None
    no_speech: float | None = None
    rejection: Rejection | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """One correspondence set of the word transition network: what each engine has here (None = nothing)."""

    words: tuple[str | None, ...]
    choice: str | None
    tie: bool
    share: float | None = None
    """Of the engines that voted, those that said `choice`; None where there was no vote."""


@dataclass(frozen=True, slots=True)
class Consensus:
    """What the engines together say of one segment: the agreement is the signal, the text follows a named rule."""

    segment_id: str
    text: str
    """The label, with its original case and punctuation."""
    rule: str
    """Name of the rule that chose `text`."""
    language: str | None
    language_confidence: float | None
    agreement: float | None
    """1 - normalised edit distance, mean over pairs; None with a single engine."""
    vote: float | None
    """Mean vote fraction of the winning slots, with three or more engines."""
    unit: Literal["char", "word", "mixed"]
    engines: tuple[str, ...]
    normalised: tuple[str, ...]
    """Each engine's text as it was compared, in the order of `engines`."""
    normaliser: str
    """Rules and libraries; ends in `+digits-as-written` where a text has digits and no library says how the language reads them."""
    slots: tuple[Slot, ...]
    num_ties: int
    confidence: float | None
    """Confidence of the engine whose text was chosen."""
    chars_per_second: float
    compression_ratio: float
    repeated_ngrams: int
    """Longest run of one repeated n-gram; see `operators/reconcile/hallucination.py`."""
    rejection: Rejection | None = None


LabelTask = Literal[
    "language", "gender", "age", "emotion", "sound_events", "translation",
    "speaker_change", "named_entities", "endpoint", "speaker_turns", "quality",
]  # fmt: skip
"""What can be labelled: the fields of `Labels`."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One value of an annotation: a class, a text, a measure, or an event with its span."""

    value: str
    start: int | None = None
    end: int | None = None
    confidence: float | None = None
    language: str | None = None
    score: float | None = None
    """What was measured, on the scale of `value` (MOS of 1 to 5 for quality)."""
    kind: str | None = None
    """What sort of thing it is: `PER`, `LOC`, … for an entity."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A label with its source. `marks == ()` says: looked, and there is none."""

    marks: tuple[Mark, ...]
    source: str
    """The labeller; of a merged label all that say so, joined by `+`."""
    confidence: float | None = None
    model: str | None = None
    """Which weights or rules: name and revision or hash; joined like `source`."""
    against: tuple[str, ...] = ()
    """Labellers that say otherwise; what they say is in their opinions."""


@dataclass(frozen=True, slots=True)
class Labels:
    """More than a transcript. `None` = unlabelled; an annotation without marks = labelled, and empty."""

    segment_id: str
    language: Annotation | None = None
    gender: Annotation | None = None
    age: Annotation | None = None
    emotion: Annotation | None = None
    sound_events: Annotation | None = None
    translation: Annotation | None = None
    speaker_change: Annotation | None = None
    named_entities: Annotation | None = None
    endpoint: Annotation | None = None
    speaker_turns: Annotation | None = None
    """Who speaks when, as far as one can tell inside this segment: `A`, `B`, … in order of appearance."""
    quality: Annotation | None = None
    """Estimated opinion scores: `overall`, `signal`, `background`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A labeller's answer to one question."""

    task: LabelTask
    annotation: Annotation | None
    """None: it was asked, and is not sure."""
    reason: str | None = None
    """Why there is no label, where a gate refused one: a name from `voxmill.manifests.reasons`."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one labeller says of one segment. All opinions are kept; `Labels` are what is made of them."""

    segment_id: str
    labeller: str
    findings: tuple[Finding, ...]
    """One per task that it was asked. A task that is absent was not: it does not apply here."""
    rejection: Rejection | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One video frame of a segment, as a JPEG in the file that its `Pictures` name."""

    position: int
    """Sample of the recording at which it is to be seen."""
    width: int
    height: int
    offset: int
    """Of its first byte in the file."""
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is to be seen during one segment, in order of time. `pictures == ()`: looked, and the video shows nothing there.

    A rejection says why there are none; the segment and its sound are not concerned.
    """

    segment_id: str
    pictures: tuple[Picture, ...] = ()
    file: str | None = None
    """URI of the JPEGs, one after the other: relative to the run. Named by its content."""
    rejection: Rejection | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The verdict on one segment: its tier and where it goes, or why not."""

    segment_id: str
    tier: Tier
    split: Split
    weight: float
    """Loss weight suggested to a trainer: 1 for `high`, less for `weak`."""
    rejection: Rejection | None = None
    expected_error: float | None = None
    """Share of the label's words (characters) that are expected to be wrong; None where the run has no calibration."""


@dataclass(frozen=True, slots=True)
class Part:
    """The share of one recording that belongs to one unit: `[start, start + num_samples)` of its decoded samples."""

    recording_id: str
    start: int
    num_samples: int

    @property
    def end(self) -> int:
        return self.start + self.num_samples


@dataclass(frozen=True, slots=True)
class Unit:
    """The grain of work, of retry and of resume: an ordered group of recording parts, bounded by audio duration."""

    id: str
    position: int
    generation: int
    """Which `voxmill run` appended it; shard parts never span two generations."""
    parts: tuple[Part, ...] = field(default=())

    @property
    def num_samples(self) -> int:
        return sum(part.num_samples for part in self.parts)
