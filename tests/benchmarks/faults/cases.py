"""What a bad input is to this benchmark: a source of a run, and the outcome that it must end as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from speech.prompts import prompts
from speech.waves import Pcm, read_wave

KEPT = "kept"
"""The outcome of what is odd and yet good: it was decoded and went on to the models."""


@dataclass(frozen=True, slots=True)
class Case:
    """One input. `what` is for people; `source` is a source's config without its name."""

    what: str
    source: dict[str, Any]
    expected: str
    """A reason from `voxmill.manifests.reasons`, or `kept`."""
    seconds: float | None = None
    """How much audio must come of it, to a tenth (s); None: not checked."""
    among: str = ""
    """Cases with the same words here have their expected outcomes between them: which of them is asked first, nobody says."""


def speech() -> Iterator[Pcm]:
    """Real prompts of three to nine seconds, each one once: two inputs with the same samples would be duplicates."""
    for prompt in prompts("en"):
        if 3 <= prompt.seconds <= 9:
            yield read_wave(prompt.path)
