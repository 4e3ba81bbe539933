"""`CorpusOptions`: what the config states of how a corpus is to be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CorpusOptions:
    """What the config states of a corpus, beside its address. None: what the layout usually has."""

    glob: str | None = None
    """Which of its manifests, tables or archives are read."""
    text: str | None = None
    """Field or column of the transcript."""
    audio: str | None = None
    """Column of the audio."""
