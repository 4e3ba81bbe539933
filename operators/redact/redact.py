"""The stage `redact`: personal data in the label of every segment, and when it is spoken. Off unless the config asks for it.

Its records say what is masked and silenced in shards. The run itself keeps the original text and audio as evidence: do not
release it.
"""

from __future__ import annotations

from collections.abc import Sequence

from voxmill.manifests.records import SAMPLE_RATE, Consensus, Hypothesis, Segment, Word
from voxmill.manifests.redaction_records import Masked, Redaction
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.redact.pii_finder import PiiFinder, PiiSpan, RedactConfig


class Redact:
    """One `Redaction` per segment: the masked text, and the time of each mask."""

    def __init__(self, config: RedactConfig, finder: PiiFinder | None = None) -> None:
        self.config = config
        self._find = finder or PiiFinder(config)

    def __call__(self, work: UnitInput) -> list[Redaction]:
        heard: dict[str, list[Hypothesis]] = {}
        for hypothesis in work.hypotheses:
            heard.setdefault(hypothesis.segment_id, []).append(hypothesis)
        consensus = {one.segment_id: one for one in work.consensus}
        return [self._redact(s, consensus[s.id], heard.get(s.id, [])) for s in work.segments]

    def _redact(self, segment: Segment, consensus: Consensus, heard: Sequence[Hypothesis]) -> Redaction:
        other = consensus.language is not None and consensus.language != self.config.language
        if consensus.rejection is not None or other:
            return Redaction(segment.id, "", ())
        found = self._find(consensus.text)
        text, places = mask(consensus.text, found)
        words = timed_words(consensus.text, heard)
        masked = []
        for finding, at in zip(found, places, strict=True):
            span = spoken_span(finding, consensus.text, words) if words else None
            start, end = self._widened(span, segment) if span else (None, None)
            masked.append(Masked(finding.entity, at, finding.score, start, end))
        return Redaction(segment.id, text, tuple(masked))

    def _widened(self, span: tuple[int, int], segment: Segment) -> tuple[int, int]:
        margin = round(self.config.margin * SAMPLE_RATE)
        return max(segment.start, span[0] - margin), min(segment.end, span[1] + margin)


def mask(text: str, found: Sequence[PiiSpan]) -> tuple[str, list[int]]:
    """The text with `[ENTITY]` in place of every finding, and the offset of each.

    >>> mask("call Ann at 5", [PiiSpan(5, 8, "NAME", 1.0), PiiSpan(12, 13, "NUMBER", 1.0)])
    ('call [NAME] at [NUMBER]', [5, 15])
    """
    parts, places, at, length = [], [], 0, 0
    for one in found:
        parts += [text[at : one.start], f"[{one.entity}]"]
        length += one.start - at
        places.append(length)
        length += len(one.entity) + 2
        at = one.end
    return "".join([*parts, text[at:]]), places


def timed_words(text: str, heard: Sequence[Hypothesis]) -> list[tuple[int, int, Word]]:
    """`(first, last character, word)` from an engine with exactly this text and word times; empty where no engine has both."""
    for hypothesis in heard:
        if hypothesis.text.split() == text.split() and hypothesis.words:
            placed = _placed(text, hypothesis.words)
            if placed and all(word.start is not None and word.end is not None for _, _, word in placed):
                return placed
    return []


def _placed(text: str, words: Sequence[Word]) -> list[tuple[int, int, Word]]:
    placed, at = [], 0
    for word in words:
        bare = word.text.strip()
        found = text.find(bare, at)
        if found < 0:
            return []
        at = found + len(bare)
        placed.append((found, at, word))
    return placed


def spoken_span(finding: PiiSpan, text: str, words: Sequence[tuple[int, int, Word]]) -> tuple[int, int] | None:
    """Samples from the first to the last word that a finding touches; None where it touches none."""
    mine = [word for first, last, word in words if first < finding.end and finding.start < last]
    if not mine:
        return None
    return min(int(w.start or 0) for w in mine), max(int(w.end or 0) for w in mine)
