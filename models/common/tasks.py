"""The tasks a model can be trained for and asked for, and the tokens that some of them write inside the text."""

from __future__ import annotations

from typing import Literal

from voxmill.models.common.tokenizer import CLASSES, ENDPOINT, ENTITY, ENTITY_END, SPEAKER_CHANGE

IGNORE = -1
"""Target id of a position that takes no part in the loss."""
STAR = -2
"""Target id, for CTC alone, of words that are not known: any number of tokens, or none."""

Task = Literal["asr", "language", "gender", "age", "emotion", "sound_events", "speaker_change", "named_entities", "endpoint"]
INLINE_TOKENS: dict[Task, tuple[str, ...]] = {
    "speaker_change": (SPEAKER_CHANGE,), "named_entities": (ENTITY, ENTITY_END), "endpoint": (ENDPOINT,),
}  # fmt: skip
"""The tasks whose tokens stand inside the text, as TokenVerse writes them."""
TASKS: tuple[Task, ...] = ("asr", *CLASSES, *INLINE_TOKENS)
"""Every task. All but `asr` are named as the fields of `Labels`."""
