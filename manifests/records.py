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
"""The language label of a segment in which nobody speaks."""

Bandwidth = Literal["narrow", "wide"]
Tier = Literal["high", "weak", "unlabelled", "event", "rejected"]
"""How far the text is to be trusted; `event`: nobody speaks, and the sample is kept for its sounds."""
Split = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why something was not kept."""

    reason: str
    """A name from `voxmill.manifests.reasons`, as in `select.low_agreement`."""
    detail: str = ""
    """What it was in this case, for people."""


@dataclass(frozen=True, slots=True)
class Licence:
    """What may be done with a recording, and what says so."""

    name: str = "unknown"
    """SPDX identifier in lower case (`cc-by-4.0`, `cc0-1.0`), `public-domain`, `proprietary`, or `unknown`."""
    evidence: str | None = None
    """The text or URL that says so."""
    source: str = "none"
    """Where it was found: `page`, `feed`, `media`, `config`, or `none`."""
    attribution: str | None = None
    """Who has to be named."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a recording came from. Deterministic facts only: times of retrieval live in the run's evidence log."""

    source: str
    """Name of the source in the config."""
    url: str
    """The address that was asked for: a URL, or the path of a local file."""
    final_url: str | None = None
    """The address after redirects, if there were any."""
    page_url: str | None = None
    """The page, feed or playlist that led to `url`."""
    host: str = ""
    """Host of `url`; `local` for files."""
    title: str | None = None
    """As the source states it."""
    author: str | None = None
    """As the source states it."""
    published: str | None = None
    """Date of publication, as the source states it."""
    content_type: str | None = None
    """Content-Type of the answer."""
    etag: str | None = None
    """HTTP validator of the answer."""
    last_modified: str | None = None
    """HTTP validator of the answer."""
    permission: str | None = None
    """The robots.txt or opt-out rule that allowed the fetch, as text."""


@dataclass(frozen=True, slots=True)
class GivenSpan:
    """What a corpus says of one stretch of a recording: an opinion, as a recogniser's is, and a unit to be heard by itself."""

    start: int
    """First sample in the recording."""
    num_samples: int | None
    """Length in samples; None: up to the end, whose place only decoding tells."""
    text: str | None
    """Its transcript; None: the corpus has none for it."""
    key: str | None = None
    """How the corpus names it."""
    speaker: str | None = None
    """Who speaks, as the corpus names them."""
    language: str | None = None
    """Its language (BCP 47), as the corpus says it."""
    rejection: Rejection | None = None
    """Why it is not heard as the corpus has it; set in decoding."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the listing: something to fetch."""

    id: str
    """Hash of the address, so the same in every run, in whatever order."""
    provenance: Provenance
    """Which source led to it, by which address."""
    licence: Licence
    """As far as listing knows it."""
    kind: Literal["http", "hls", "file", "manifest", "member"] = "http"
    """How it is fetched: over HTTP, as an HLS stream, as a file or object, from a table of recordings, or out of an archive or table that
    holds it."""
    language: str | None = None
    """Language hint (BCP 47) from the source, if any."""
    domain: str | None = None
    """Free name of the kind of speech: `podcast`, `audiobook`, `broadcast`, …"""
    rejection: Rejection | None = None
    """Set where listing itself failed: the item stands for the source that could not be read."""
    given: tuple[GivenSpan, ...] | None = None
    """What the corpus that names it says of it, in order of time; None: it comes from no corpus."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One fetched file, or an item that could not be fetched."""

    id: str
    """sha256 of the original bytes; where nothing was fetched, the id of the item."""
    item_id: str
    """The item that it was fetched for."""
    provenance: Provenance
    """Where it came from."""
    licence: Licence
    """What may be done with it."""
    audio: str | None = None
    """URI of the original bytes: relative to the run, or absolute where a local file is used in place."""
    num_bytes: int = 0
    """Size of the original."""
    num_samples: int = 0
    """Decoded length at `SAMPLE_RATE`."""
    sampling_rate: int | None = None
    """Original rate in Hz, as the stream says."""
    num_channels: int | None = None
    """Channels of the original."""
    codec: str | None = None
    """Codec of the track that is heard."""
    container: str | None = None
    """Container format of the original."""
    bandwidth: Bandwidth | None = None
    """Measured, never read from the header."""
    cutoff_hz: int | None = None
    """Measured spectral cutoff."""
    pcm_sha256: str | None = None
    """Hash of the decoded 16 kHz samples and the decoder's version: finds re-wrapped duplicates."""
    language: str | None = None
    """Language hint (BCP 47) from the source, if any."""
    domain: str | None = None
    """Kind of speech, as the source says it."""
    frames: str | None = None
    """URI of video frames or their embeddings, if any."""
    rejection: Rejection | None = None
    """Why it was not fetched or not decoded; None: it was."""
    lost_samples: int = 0
    """Audio that the file holds or promises and that was not decoded, at `SAMPLE_RATE`: `decode.lost` in the books. What the file
    holds is `num_samples - silent_samples + lost_samples`."""
    silent_samples: int = 0
    """How much of the lost audio stands in the timeline as silence, so that what follows keeps its place."""
    lost_why: str | None = None
    """Why audio was lost, for people."""
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
    given: tuple[GivenSpan, ...] | None = None
    """What a corpus says of it, in order of time; None: it comes from no corpus."""

    @property
    def seconds(self) -> float:
        """Decoded length in seconds."""
        return self.num_samples / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of a recording: speech to transcribe, sounds to keep, or, with a rejection, what was put aside of the timeline.

    The segments of a recording tile it exactly: every sample belongs to one of them.
    """

    id: str
    """Recording id (shortened), start and end."""
    recording_id: str
    """The recording that it is a span of."""
    start: int
    """First sample in the recording."""
    num_samples: int
    """Length in samples."""
    speech: float | None = None
    """Mean speech probability over the span."""
    rejection: Rejection | None = None
    """Why the span is no segment; None: it is one."""
    kind: Literal["speech", "event"] = "speech"
    """`event`: a span without speech that is kept as it is, for what else can be heard in it."""

    @property
    def end(self) -> int:
        """One past the last sample."""
        return self.start + self.num_samples

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.num_samples / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its span in samples from the start of the recording."""

    text: str
    """As the engine wrote it."""
    start: int | None = None
    """First sample; None: not known."""
    end: int | None = None
    """One past the last sample."""
    confidence: float | None = None
    """Probability in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What one engine heard in one segment."""

    segment_id: str
    """The segment that was heard."""
    engine: str
    """Name of the engine in the config."""
    model: str
    """Which weights: name and revision or hash."""
    text: str
    """What it heard; empty: nothing."""
    words: tuple[Word, ...] | None = None
    """With their times; None: the engine gives none."""
    confidence: float | None = None
    """In [0, 1]; for Whisper exp(mean log-probability)."""
    language: str | None = None
    """Language that the engine detected or was told."""
    language_confidence: float | None = None
    """Probability of the detected language, in [0, 1]."""
    no_speech: float | None = None
    """Probability that nobody speaks, as Whisper states it."""
    rejection: Rejection | None = None
    """Why there is no hypothesis."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One correspondence set of the word transition network: what each engine has here (None = nothing)."""

    words: tuple[str | None, ...]
    """One per engine, in the order of `Consensus.engines`; None: it has nothing here."""
    choice: str | None
    """The word of the label; None: none."""
    tie: bool
    """Another choice scored the same; with two engines: they differ."""
    share: float | None = None
    """Of the engines that voted, those that said `choice`; None where there was no vote."""


@dataclass(frozen=True, slots=True)
class Consensus:
    """What the engines together say of one segment: the agreement is the signal, the text follows a named rule."""

    segment_id: str
    """The segment that was compared."""
    text: str
    """The label, with its original case and punctuation."""
    rule: str
    """Name of the rule that chose `text`."""
    language: str | None
    """Language of the text: the hint, or what engines detected."""
    language_confidence: float | None
    """Probability of a detected language; None for a hint."""
    agreement: float | None
    """1 - normalised edit distance, mean over pairs; None with a single engine."""
    vote: float | None
    """Mean vote fraction of the winning slots, with three or more engines."""
    unit: Literal["char", "word", "mixed"]
    """What texts were compared in: characters (Han), words, or both."""
    engines: tuple[str, ...]
    """Names of the engines, in the order of `normalised`."""
    normalised: tuple[str, ...]
    """Each engine's text as it was compared, in the order of `engines`."""
    normaliser: str
    """Rules and libraries; ends in `+digits-as-written` where a text has digits and no library says how the language reads them."""
    slots: tuple[Slot, ...]
    """The alignment of all texts."""
    num_ties: int
    """Slots that are ties."""
    confidence: float | None
    """Confidence of the engine whose text was chosen."""
    chars_per_second: float
    """Characters of the normalised label per second."""
    compression_ratio: float
    """Bytes of the label over bytes of its zlib output: high for loops."""
    repeated_ngrams: int
    """Longest run of one repeated n-gram; see `operators/reconcile/hallucination.py`."""
    rejection: Rejection | None = None
    """Why there is no label."""


LabelTask = Literal[
    "language", "gender", "age", "emotion", "sound_events", "translation",
    "speaker_change", "named_entities", "endpoint", "speaker_turns", "quality",
]  # fmt: skip
"""What can be labelled: the fields of `Labels`."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One value of an annotation: a class, a text, a measure, or an event with its span."""

    value: str
    """The class, text, or name of what was measured."""
    start: int | None = None
    """First sample of an event in the recording; None: the whole segment."""
    end: int | None = None
    """One past its last sample."""
    confidence: float | None = None
    """In [0, 1]."""
    language: str | None = None
    """Language of a text (a translation)."""
    score: float | None = None
    """What was measured, on the scale of `value` (MOS of 1 to 5 for quality)."""
    kind: str | None = None
    """What sort of thing it is: `PER`, `LOC`, … for an entity."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A label with its source. `marks == ()` says: looked, and there is none."""

    marks: tuple[Mark, ...]
    """What is labelled; empty: there is none."""
    source: str
    """The labeller; of a merged label all that say so, joined by `+`."""
    confidence: float | None = None
    """In [0, 1]; None: not stated."""
    model: str | None = None
    """Which weights or rules: name and revision or hash; joined like `source`."""
    against: tuple[str, ...] = ()
    """Labellers that say otherwise; what they say is in their opinions."""


@dataclass(frozen=True, slots=True)
class Labels:
    """More than a transcript. `None` = unlabelled; an annotation without marks = labelled, and empty."""

    segment_id: str
    """The segment that is labelled."""
    language: Annotation | None = None
    """Language or dialect spoken."""
    gender: Annotation | None = None
    """Guessed from the voice."""
    age: Annotation | None = None
    """Guessed from the voice: a class such as `child`."""
    emotion: Annotation | None = None
    """Guessed from the voice."""
    sound_events: Annotation | None = None
    """What else is heard: music, applause, laughter, …"""
    translation: Annotation | None = None
    """The text in another language."""
    speaker_change: Annotation | None = None
    """Places where another speaker begins."""
    named_entities: Annotation | None = None
    """Persons, places, organisations in the text."""
    endpoint: Annotation | None = None
    """Where the utterance ends."""
    speaker_turns: Annotation | None = None
    """Who speaks when, as far as one can tell inside this segment: `A`, `B`, … in order of appearance."""
    quality: Annotation | None = None
    """Estimated opinion scores: `overall`, `signal`, `background`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A labeller's answer to one question."""

    task: LabelTask
    """What was asked."""
    annotation: Annotation | None
    """None: it was asked, and is not sure."""
    reason: str | None = None
    """Why there is no label, where a gate refused one: a name from `voxmill.manifests.reasons`."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one labeller says of one segment. All opinions are kept; `Labels` are what is made of them."""

    segment_id: str
    """The segment that was asked about."""
    labeller: str
    """Name of the labeller in the config."""
    findings: tuple[Finding, ...]
    """One per task that it was asked. A task that is absent was not: it does not apply here."""
    rejection: Rejection | None = None
    """Why it has none: it failed."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One video frame of a segment, as a JPEG in the file that its `Pictures` name."""

    position: int
    """Sample of the recording at which it is to be seen."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    offset: int
    """Of its first byte in the file."""
    num_bytes: int
    """Size of the JPEG."""
    sha256: str
    """Hash of the JPEG."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is to be seen during one segment, in order of time. `pictures == ()`: looked, and the video shows nothing there.

    A rejection says why there are none; the segment and its sound are not concerned.
    """

    segment_id: str
    """The segment that was looked at."""
    pictures: tuple[Picture, ...] = ()
    """In order of time."""
    file: str | None = None
    """URI of the JPEGs, one after the other: relative to the run. Named by its content."""
    rejection: Rejection | None = None
    """Why there are none."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The verdict on one segment: its tier and where it goes, or why not."""

    segment_id: str
    """The segment that was judged."""
    tier: Tier
    """How far its text is to be trusted."""
    split: Split
    """`train`, `dev` or `test`, by a hash of the recording."""
    weight: float
    """Loss weight suggested to a trainer: 1 for `high`, less for `weak`."""
    rejection: Rejection | None = None
    """Why it is not kept; None: it is."""
    expected_error: float | None = None
    """Share of the label's words (characters) that are expected to be wrong; None where the run has no calibration."""


@dataclass(frozen=True, slots=True)
class Part:
    """The share of one recording that belongs to one unit: `[start, start + num_samples)` of its decoded samples."""

    recording_id: str
    """The recording."""
    start: int
    """First sample of the part."""
    num_samples: int
    """Length in samples."""

    @property
    def end(self) -> int:
        """One past the last sample."""
        return self.start + self.num_samples


@dataclass(frozen=True, slots=True)
class Unit:
    """The grain of work, of retry and of resume: an ordered group of recording parts, bounded by audio duration."""

    id: str
    """Position and hash of its parts."""
    position: int
    """Place in the run, counted from 0."""
    generation: int
    """Which `voxmill run` appended it; shard parts never span two generations."""
    parts: tuple[Part, ...] = field(default=())
    """In listing order."""

    @property
    def num_samples(self) -> int:
        """Samples of all its parts."""
        return sum(part.num_samples for part in self.parts)
