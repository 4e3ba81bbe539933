"""Every reason for which something is not kept: the single source for code, documentation and statistics.

A reason is a stable public name `<stage>.<what>`. Adding one is one line here; renaming one is a schema change.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxmill.manifests.public_form import public_text
from voxmill.manifests.records import Rejection

NOT_GIVEN = "transcribe.not_given"
"""The reason of a hypothesis whose engine has no opinion of the segment: the others are compared without it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A name `<stage>.<what>`, what it means, and what one can do about it."""

    name: str
    meaning: str
    advice: str

    @property
    def stage(self) -> str:
        """The part of the name before the dot."""
        return self.name.split(".", 1)[0]


_TABLE = """
list.unreadable        | a source (page, feed, playlist, list file, folder) could not be read or holds no media | check the address in `sources`
list.truncated         | a document is cut off or broken: what could be read of it is listed (detail: what is missing) | list it anew with `--retry list.truncated`
list.no_media          | an entry of a feed or a line of a list that leads to nothing to hear | none
list.limit             | listing a source took more time, depth or memory than it may; what was found by then is listed | raise `crawl.list_seconds` or `crawl.read_seconds`
list.bad_entry         | a line, member or row of a corpus cannot be used (detail: which one, and why) | mend it, or leave it out
list.command           | a corpus names a command instead of a file, as a Kaldi folder may: no command of a corpus is ever run | make the audio files with it yourself, and name those
list.duplicate         | the address was listed before (detail: the item that stands for it) | none
crawl.robots           | robots.txt disallows the address for our user agent | none: honoured always
crawl.opt_out          | X-Robots-Tag, TDMRep or a meta tag reserves the content | none: honoured always
crawl.denied           | the address is on the run's deny-list | remove it from `crawl.deny` if that was a mistake
crawl.revoked          | the address or its content was revoked: a tombstone of the run refuses it | none: honoured always
crawl.private_address  | the host resolves to a private, loopback or link-local address | list the host in `crawl.allow_private` if it is yours
crawl.blocked          | the host refused us (403, 429, or a bot page) and its breaker is open | wait, lower `crawl.requests_per_second`, ask the site
crawl.not_found        | the server says 404 or 410 | fix the source
crawl.http_error       | another HTTP error that retries did not mend | retry later with `--retry crawl.http_error`
crawl.network          | no connection, time-out, or a broken transfer | retry later with `--retry crawl.network`
crawl.redirects        | too many redirects, or a redirect without an address | fix the source
crawl.too_large        | more bytes than `crawl.max_bytes` | raise the limit
crawl.too_long         | longer than `crawl.max_seconds` | raise the limit
crawl.budget           | the run's total byte budget is spent | raise `crawl.byte_budget`
crawl.unsupported      | nothing we may extract: protected, live, or an unknown scheme | none
crawl.duplicate        | the same bytes were already fetched (detail: the recording kept) | none
crawl.failed           | the fetcher died or failed on this item twice; quarantined | see the detail and its reproduce command
decode.not_audio       | no decodable audio stream | none
decode.corrupt         | the stream breaks before any usable audio | none
decode.empty           | zero bytes, or zero samples after decoding | none
decode.too_short       | shorter than `decode.min_seconds` | none
decode.bomb            | decodes to far more than its size allows | raise `decode.max_expansion` if you trust the source
decode.duplicate       | the same samples in another wrapping (detail: the recording kept) | none
decode.given_outside   | a span that a corpus names lies outside of its recording, whole or in part; the others are heard | mend the corpus
decode.given_overlap   | a span that a corpus names overlaps the one before it (detail: by how much); that one is heard | none
decode.given_too_long  | a span that a corpus names is longer than `decode.max_given_seconds` | raise the limit, or cut it
decode.lost            | audio that the file holds or promises and that could not be decoded; the rest of the recording goes on (seconds and why stand with the recording) | fetch the file again if it was cut short
decode.failed          | the decoder died or failed on this item twice; quarantined | see the detail and its reproduce command
segment.revoked        | the recording was revoked; its length stays in the books, its content is gone | none
segment.no_speech      | no speech in this span | lower `segment.threshold`
segment.not_given      | the corpus that the recording comes from says nothing of this stretch | none
segment.too_short      | speech shorter than `segment.min_seconds`, with no neighbour to merge with | lower `segment.min_seconds`
segment.failed         | the detector died or failed on this item twice, or its file is not what was fetched; quarantined | see the detail and its reproduce command
transcribe.language    | the recording's stated language is none of this engine's `languages`: the others decide | drop `skip_other_languages`, or add the language
transcribe.not_asked   | the engines that are always asked agree (detail: how far), so that this one was not needed | raise the bound of its `when`
transcribe.not_given   | no corpus gives a transcript for this segment, or no captions are shown: the others decide | none
transcribe.event       | nobody speaks in this span: it is kept for its sounds, no engine is asked | none
transcribe.no_answer   | the service gave no transcript for this segment (detail: what it answered, or that it did not in time) | raise the engine's `timeout` or `retries`, or mend the service
transcribe.failed      | the engine died or failed on this segment twice, or its file is not what was fetched; quarantined | see the detail and its reproduce command
reconcile.no_text      | every engine heard nothing: no speech, or an event | none
reconcile.one_empty    | one engine heard nothing where another heard words | none
reconcile.no_hypothesis| an engine gave no hypothesis for this segment | see that engine's rejection
reconcile.failed       | reconciling died or failed on this segment twice; quarantined | see the detail and its reproduce command
frames.no_video        | the recording has no moving pictures (detail: what it has) | none: the sound is kept
frames.corrupt         | the video stream breaks and shows nothing during the segment | none: the sound is kept
frames.too_large       | pictures of more than `frames.max_pixels` | raise the limit
frames.failed          | the video decoder died or failed on this segment twice, or its file is not what was fetched; quarantined | see the detail and its reproduce command
label.translation_length   | the translation is far longer or shorter than the text | check the model, or widen `length_ratio`
label.translation_language | the translation is in another language than asked for | check `to` and the model
label.translation_repetition | the translation repeats itself: a loop | none
label.failed           | a labeller died or failed on this segment twice, or its file is not what was fetched; quarantined | see the detail and its reproduce command
select.low_agreement   | agreement below `select.unlabelled` | lower the threshold
select.unlabelled      | agreement between `select.unlabelled` and `select.weak`: audio worth keeping, text not | pack it with `select.keep_unlabelled`
select.low_confidence  | the chosen engine's confidence is below `select.min_confidence` | lower the threshold
select.language        | not one of `select.languages` | add the language
select.language_unsure | language probability below `select.language_confidence` | lower the threshold
select.repetition      | an n-gram repeats more than `select.max_repeats` times: a loop | none
select.compression     | the text compresses more than `select.max_compression`: a loop | none
select.speech_rate     | characters per second outside the recording's fence | widen `select.rate_fence`
select.too_few_chars   | fewer characters than `select.min_chars` | lower the threshold
select.licence         | licence unknown or not in `select.licences` | state the licence of the source in the config
select.duplicate       | the stretch is (nearly) in a recording that was listed before, here or in a run of `duplicates.against` (detail: by what, how much of it) | see the table `duplicates`; raise `duplicates.min_score` or `min_shared`
select.contaminated    | the stretch overlaps an evaluation set (detail: by what, how much of it) | none: it would spoil the evaluation
select.personal_data   | personal data in the text, and no engine says when it was spoken (detail: what) | add an engine that times its words (whisperx, paraformer)
select.failed          | selecting died or failed on this segment twice; quarantined | see the detail and its reproduce command
pack.failed            | packing died or failed on this sample alone, or its file is not what was fetched; left out of the shards | see the detail and its reproduce command
"""


def _parse(table: str) -> dict[str, Reason]:
    rows = (tuple(cell.strip() for cell in line.split("|", 2)) for line in table.strip().splitlines())
    return {name: Reason(name, meaning, advice) for name, meaning, advice in rows}


REASONS: dict[str, Reason] = _parse(_TABLE)


def register(reason: Reason) -> None:
    """Makes a reason of a user's own stage known to this process. Raises ValueError where Voxmill has one of that name with another meaning."""
    if REASONS.setdefault(reason.name, reason) != reason:
        raise ValueError(f"the reason `{reason.name}` is taken: {REASONS[reason.name].meaning}")


def reject(reason: str, detail: str = "") -> Rejection:
    """A rejection with a known reason; an unknown name is a bug, found at once. Of addresses the detail holds the public form.

    Raises KeyError.
    """
    return Rejection(REASONS[reason].name, public_text(detail.encode("utf-8", "replace").decode())[:500])
