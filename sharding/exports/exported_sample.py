"""One sample on its way into another toolkit, and what of it every format carries beside the sound and the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.sharding.sample import read_document
from voxmill.sharding.sidecar import Member


@dataclass(frozen=True)
class ExportedSample:
    """A sample as its shard holds it: its FLAC is copied, never encoded again."""

    row: Member
    flac: bytes
    json: bytes

    @cached_property
    def document(self) -> dict[str, Any]:
        """Everything that is known of it; see `sample.document`."""
        return read_document(self.json)

    @property
    def seconds(self) -> float:
        """Its length (s)."""
        return self.row.num_samples / SAMPLE_RATE

    @cached_property
    def words(self) -> list[dict[str, Any]] | None:
        """The words of the label with `start` and `end` in seconds from the beginning of the sample, where an engine timed them.

        They are those of the first hypothesis whose text is exactly the label. None where there is none, or a word has no time.
        """
        if self.row.text is None:
            return None
        for heard in self.document["hypotheses"]:
            if heard["text"] == self.row.text and heard["words"]:
                return _timed(heard["words"], self.row.start)
        return None

    @property
    def facts(self) -> dict[str, Any]:
        """What a manifest says of it beside sound, text and language, as JSON: the same keys in every sample."""
        return {
            "tier": self.row.tier,
            "weight": self.row.weight,
            "agreement": self.row.agreement,
            "split": self.row.split,
            "recording_id": self.row.recording_id,
            "start": self.row.start / SAMPLE_RATE,
            "words": self.words,
            "labels": self.document["labels"],
            "licence": self.document["licence"],
            "provenance": self.document["provenance"],
        }


def _timed(words: Sequence[Mapping[str, Any]], start: int) -> list[dict[str, Any]] | None:
    timed = []
    for word in words:
        if word["start"] is None or word["end"] is None:
            return None
        span = {"start": (word["start"] - start) / SAMPLE_RATE, "end": (word["end"] - start) / SAMPLE_RATE}
        timed.append({"word": word["text"], **span, "confidence": word["confidence"]})
    return timed
