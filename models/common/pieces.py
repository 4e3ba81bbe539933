"""Subwords as two libraries keep them: SentencePiece, which we train, and the byte-level BPE of a pretrained model's `tokenizer.json`.

Id 0 is CTC's blank in both. SentencePiece keeps it for the unknown piece; the ids of a `tokenizer.json` are moved up by one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from voxmill.manifests.errors import Unavailable

_UNKNOWN = "<unk>"


class Pieces(Protocol):
    """Subwords with ids from 1 to `size` - 1."""

    size: int
    """Number of subwords, the blank included."""
    special: tuple[str, ...]
    """Special tokens that came with them; their ids follow, from `size` on."""

    def encode(self, text: str) -> list[int]:
        """The subwords of a text, which begins with a space where it begins a word."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of subwords. Bytes that are no UTF-8 become U+FFFD."""
        ...

    def piece(self, number: int) -> str:
        """The spelling of a subword."""
        ...


def read_pieces(blob: bytes) -> Pieces:
    """The subwords of a file's content. Raises ValueError or RuntimeError if it is neither of the two kinds."""
    return BytePieces(blob) if blob[:1] == b"{" else SentencePieces(blob)


class SentencePieces:
    """A SentencePiece model. Control pieces at its end are special tokens: no text contains them. See `Pieces`."""

    def __init__(self, blob: bytes) -> None:
        """`blob`: a serialised model."""
        import sentencepiece

        self._model: Any = sentencepiece.SentencePieceProcessor(model_proto=blob)
        total = self.size = self._model.get_piece_size()
        while self.size > 1 and self._model.is_control(self.size - 1):
            self.size -= 1
        self.special = tuple(self._model.id_to_piece(number) for number in range(self.size, total))
        self._unknown = self.size + self.special.index(_UNKNOWN) if _UNKNOWN in self.special else 0

    def encode(self, text: str) -> list[int]:
        """The subwords of a text; of a model that has no bytes, `<unk>` for what it cannot spell."""
        return [number or self._unknown for number in self._model.encode(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of subwords."""
        text: str = self._model.decode(list(ids))
        return text

    def piece(self, number: int) -> str:
        """The spelling of a subword."""
        spelling: str = self._model.id_to_piece(number)
        return spelling


class BytePieces:
    """The subwords of a `tokenizer.json`. Its special tokens are never read out of text. See `Pieces`."""

    def __init__(self, blob: bytes) -> None:
        """Raises ValueError if ids are missing between the first subword and the last special token."""
        try:
            import tokenizers
        except ImportError:
            raise Unavailable(
                "the tokeniser of a pretrained model needs tokenizers: pip install 'voxmill[pretrained]'"
            ) from None
        document = json.loads(blob)
        try:
            added = {entry["content"]: entry["id"] for entry in document["added_tokens"]}
            text = {piece: number for piece, number in document["model"]["vocab"].items() if piece not in added}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is no tokenizer.json: {error!r}") from error
        self.size = 1 + len(text)
        self.special = tuple(sorted(added, key=lambda name: added[name]))
        if sorted([*text.values(), *added.values()]) != list(range(len(text) + len(added))) or max(text.values()) >= len(text):
            raise ValueError("its ids are not those of all subwords and then all special tokens, as Whisper's are")
        plain = {**document, "added_tokens": [], "post_processor": None, "model": {**document["model"], "vocab": text}}
        try:
            self._model: Any = tokenizers.Tokenizer.from_str(json.dumps(plain))
        except Exception as error:
            raise ValueError(f"it cannot be loaded: {error}") from error

    def encode(self, text: str) -> list[int]:
        """The subwords of a text."""
        return [number + 1 for number in self._model.encode(text, add_special_tokens=False).ids]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of subwords."""
        text: str = self._model.decode([number - 1 for number in ids], skip_special_tokens=False)
        return text

    def piece(self, number: int) -> str:
        """The spelling of a subword."""
        spelling: str = self._model.id_to_token(number - 1)
        return spelling
