"""OWSM's tokens as a SentencePiece model in our order: blank, subwords, special tokens; those that mean what ours do are spelt as ours.

OWSM lists languages by ISO 639-3 (`<eng>`), tasks (`<asr>`, `<st_deu>`), times (`<0.00>`) and frame tokens (`<sos>`) among the subwords, and its
SentencePiece model reads them out of text. Here they are control pieces behind the subwords, which no text contains.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from voxmill.models.common.tokenizer import EOT, NO_TIMESTAMPS, SOT, TRANSCRIBE, class_token, translate_token

_BLANK, _UNKNOWN = "<blank>", "<unk>"
_OURS = {"<sos>": SOT, "<eos>": EOT, "<asr>": TRANSCRIBE, "<notimestamps>": NO_TIMESTAMPS}
_FRAME = (*_OURS, "<sop>", _UNKNOWN)
_LANGUAGE, _TRANSLATION, _SPECIAL = re.compile(r"<([a-z]{3})>"), re.compile(r"<st_([a-z]{3})>"), re.compile(r"<.+>")


@dataclass(frozen=True, slots=True)
class OwsmTokens:
    """The vocabulary in our order."""

    subwords: bytes
    """The SentencePiece model."""
    order: tuple[int, ...]
    """For each of our ids its place in OWSM's list."""


def owsm_tokens(listed: Sequence[str], given: bytes) -> OwsmTokens:
    """The tokens of a model. `listed`: its `token_list`; `given`: its SentencePiece model. Raises ValueError if they do not belong together."""
    description = _description()
    try:
        model = description.ModelProto.FromString(given)
    except Exception as error:  # what protobuf raises is of no public class
        raise ValueError(f"its SentencePiece model cannot be read: {error}") from error
    piece = description.ModelProto.SentencePiece
    kinds = {one.piece: one for one in model.pieces if one.type in (piece.NORMAL, piece.BYTE, piece.USER_DEFINED)}
    place = {name: index for index, name in enumerate(listed)}
    if _BLANK not in place or len(place) != len(listed):
        raise ValueError(f"its token_list has no {_BLANK}, or names a token twice")
    if lost := sorted(kinds.keys() - place.keys()):
        raise ValueError(f"its token_list lacks {lost[0]!r} and {len(lost) - 1} more pieces of its SentencePiece model")
    words = [
        name for name in listed if name in kinds and not (kinds[name].type == piece.USER_DEFINED and _SPECIAL.fullmatch(name))
    ]
    special = [name for name in listed if name != _BLANK and name not in set(words)]
    spelt = _spelt(special)
    pieces = [piece(piece=_BLANK, score=0, type=piece.UNKNOWN), *(kinds[name] for name in words)]
    pieces += [piece(piece=name, score=0, type=piece.CONTROL) for name in spelt]
    del model.pieces[:]
    model.pieces.extend(pieces)
    model.trainer_spec.unk_piece = _BLANK
    model.normalizer_spec.add_dummy_prefix = False  # `Tokenizer` puts the space before the first word itself
    model.normalizer_spec.remove_extra_whitespaces = False
    order = (place[_BLANK], *(place[name] for name in words), *(place[name] for name in special))
    return OwsmTokens(model.SerializeToString(deterministic=True), order)


def _spelt(special: Sequence[str]) -> list[str]:
    """Special tokens in our spelling, where one of ours means the same."""
    spelt: dict[str, str] = {}
    for name in special:
        said = _OURS.get(name, name)
        if match := _TRANSLATION.fullmatch(name):
            said = translate_token(_tag(match[1]))
        elif name not in _FRAME and (match := _LANGUAGE.fullmatch(name)):
            said = class_token(_tag(match[1]))
        spelt[name] = said if said not in spelt.values() else name
    return list(spelt.values())


def _tag(code: str) -> str:
    """The shortest tag of a language of ISO 639-3: `eng` is `en`."""
    import langcodes

    tag: str = langcodes.standardize_tag(code)
    return tag


def _description() -> Any:
    """SentencePiece's own description of its file."""
    from sentencepiece import sentencepiece_model_pb2

    return sentencepiece_model_pb2
