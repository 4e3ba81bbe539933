"""Guide ids of S-MoE: which expert an utterance takes is its measured bandwidth in the encoder, its task in the decoder."""

from __future__ import annotations

from voxmill.manifests.records import Bandwidth

BANDWIDTHS: tuple[Bandwidth, ...] = ("narrow", "wide")
"""Guides of the encoder; the id is the position in this tuple."""
PROMPT_TASKS = ("transcribe", "translate")
"""Guides of the decoder; the id is the position in this tuple."""
