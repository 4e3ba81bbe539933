"""The tokeniser: text as subwords, and labels and tasks as special tokens.

Id 0 is the CTC blank; then come the subwords (SentencePiece BPE with byte fallback, so no text is unknown), then the special
tokens. A special token is never read out of text: `<|en|>` in a transcript is encoded as letters and punctuation. The set and
its spellings are ours; the classes follow TouchASP (arXiv 2412.15622), SenseVoice and WenetSpeech-Chuan, the inline tokens
TokenVerse (arXiv 2407.04444). The tokeniser of a pretrained model is used as it is: where one of its special tokens means what one of ours
does, it is that one, and ours that it lacks come after its own.

SentencePiece is in the extra `train` and is imported when a tokeniser is trained or loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Literal

from pydantic import Field

from voxmill.manifests.config_base import Settings
from voxmill.manifests.errors import UserError
from voxmill.models.common.pieces import read_pieces

BLANK = 0
"""CTC's blank."""

SOT, EOT, NOT_KNOWN, NONE = "<|sot|>", "<|eot|>", "<|na|>", "<|none|>"
"""Start, end, \"not labelled\", and \"labelled: there is none\"."""
TRANSCRIBE = "<|transcribe|>"
SPEAKER_CHANGE, ENTITY, ENTITY_END, ENDPOINT = "[SCD]", "[NE]", "[/NE]", "[ENDP]"
_FRAME = (SOT, EOT, NOT_KNOWN, NONE, TRANSCRIBE, SPEAKER_CHANGE, ENTITY, ENTITY_END, ENDPOINT)

SPELLINGS = {
    SOT: ("<|startoftranscript|>",), EOT: ("<|endoftext|>",), "<|nospeech|>": ("<|nocaptions|>",), "<|st_en|>": ("<|translate|>",),
}  # fmt: skip
"""Our special tokens that a pretrained model spells in another way: its `translate` is always into English."""
NO_TIMESTAMPS = "<|notimestamps|>"
"""Of a pretrained model: said after the task where times are not wanted."""
_LANGUAGE, _TRANSLATION = re.compile(r"<\|([a-z]{2,3})\|>"), re.compile(r"<\|st_([a-z]{2,3})\|>")

Class = Literal["language", "gender", "age", "emotion", "sound_events"]
CLASSES: tuple[Class, ...] = ("language", "gender", "age", "emotion", "sound_events")
"""The labels whose values are names from a list, in the order in which the decoder says them. Named as the fields of
`Labels`."""


class UnknownTokenError(UserError):
    """A label, task or translation language that this tokeniser has no token for."""

    def __init__(self, kind: str, value: str, known: Sequence[str]) -> None:
        super().__init__(f"no {kind} token for {value!r}: this tokeniser was made with {', '.join(known)}")
        self.kind, self.value = kind, value


class TokenizerConfig(Settings):
    """The vocabulary. Names are those that labels carry; they are lower-cased before they are looked up."""

    num_subwords: int = 4096
    """Largest size of the subword vocabulary, its 257 byte pieces included; a small corpus fills less."""
    coverage: float = 0.9995
    """Share of the corpus's characters that get a piece of their own; rarer ones are spelt in bytes."""
    language: tuple[str, ...] = (
        "zh", "en", "yue", "sichuan", "minnan", "ja", "ko", "es", "fr", "de", "it", "pt", "ru", "ar", "hi", "id", "th", "vi",
        "nospeech",
    )  # fmt: skip
    """Languages and dialects that have a token; others are not learnt as a label."""
    gender: tuple[str, ...] = ("male", "female")
    """Classes of the speaker's gender that have a token."""
    age: tuple[str, ...] = ("child", "teenager", "young", "middle", "old")
    """Classes of the speaker's age that have a token."""
    emotion: tuple[str, ...] = (
        "happy", "sad", "angry", "neutral", "fearful", "disgusted", "surprised", "emotion_unknown",
    )  # fmt: skip
    """Emotions that have a token."""
    sound_events: tuple[str, ...] = (
        "bgm", "speech", "applause", "laughter", "cry", "sneeze", "breath", "cough", "sing", "speech_noise", "event_unknown",
    )  # fmt: skip
    """Sound events that have a token."""
    translate_to: tuple[str, ...] = ("en", "es", "fr", "it", "de", "zh")
    """Target languages of speech translation: one task token each."""
    longest: int | None = Field(default=None, ge=1)
    """Most tokens of an utterance, prompt included; null: any number. Filled in where a pretrained decoder has so many places."""

    def task_tokens(self) -> Iterator[str]:
        """Every special token, in the order of their ids."""
        yield from _FRAME
        for kind in CLASSES:
            yield from (class_token(name) for name in getattr(self, kind))
        yield from map(translate_token, self.translate_to)


def class_token(name: str) -> str:
    """The token of a label value: `en` is `<|en|>`."""
    return f"<|{name}|>"


def translate_token(language: str) -> str:
    """The token of the task "translate into this language": `en` is `<|st_en|>`."""
    return f"<|st_{language}|>"


class Tokenizer:
    """A trained tokeniser: subwords and a list of special tokens. Immutable; `len()` is the size of the vocabulary."""

    def __init__(self, subwords: bytes, config: TokenizerConfig) -> None:
        """`subwords`: a serialised SentencePiece model, or a `tokenizer.json`. Raises ValueError if the config names a token twice."""
        self.subwords, self.config = subwords, config
        self._pieces = read_pieces(subwords)
        self.num_subwords = self._pieces.size
        names = list(config.task_tokens())
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"task tokens must be unique, these are not: {sorted(doubled)}")
        given = self._pieces.special
        spelt = {name: next((other for other in (name, *SPELLINGS.get(name, ())) if other in given), name) for name in names}
        own = {other: name for name, other in spelt.items()}
        self.num_given = self.num_subwords + len(given)
        """Tokens that came with a pretrained model; those of ours that it lacks come after them."""
        self._names = [own.get(name, name) for name in given]
        self._names += [name for name in names if name not in self._names]
        self._ids = {name: self.num_subwords + index for index, name in enumerate(self._names)}

    @classmethod
    def pretrained(cls, document: bytes, config: TokenizerConfig, longest: int) -> Tokenizer:
        """The tokeniser of a pretrained model, with a token for every language that it knows. `document`: its `tokenizer.json`, or a
        SentencePiece model; `longest`: places of its decoder. Raises ValueError if that cannot be used."""
        special = [name for name in read_pieces(document).special if name not in _FRAME]
        known = {
            key: (*own, *(match[1] for name in special if (match := pattern.fullmatch(name)) and match[1] not in own))
            for key, own, pattern in (
                ("language", config.language, _LANGUAGE), ("translate_to", config.translate_to, _TRANSLATION),
            )
        }  # fmt: skip
        return cls(document, config.model_copy(update={**known, "longest": longest}))

    @classmethod
    def train(cls, texts: Iterable[str], config: TokenizerConfig | None = None) -> Tokenizer:
        """Learns subwords from texts; the same texts in the same order give the same bytes.

        Raises ValueError if every text is empty, or if the single characters alone are more than `num_subwords`.
        """
        import sentencepiece

        config = config or TokenizerConfig()
        sentences = [" " + text for text in texts if text.strip()]
        if not sentences:
            raise ValueError("no text to learn subwords from: every transcript is empty")
        sink = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(sentences), model_writer=sink, model_type="bpe", vocab_size=config.num_subwords,
                hard_vocab_limit=False, byte_fallback=True, character_coverage=config.coverage, split_digits=True,
                unk_id=BLANK, bos_id=-1, eos_id=-1, pad_id=-1, num_threads=1, max_sentence_length=1 << 16,
                normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False, minloglevel=2,
            )  # fmt: skip
        except RuntimeError as error:
            raise ValueError(
                f"num_subwords={config.num_subwords} does not hold the characters of these texts: {error}"
            ) from error
        return cls(sink.getvalue(), config)

    def __len__(self) -> int:
        return self.num_subwords + len(self._names)

    def __getitem__(self, token: str) -> int:
        """The id of a special token. Raises UnknownTokenError."""
        try:
            return self._ids[token]
        except KeyError:
            raise UnknownTokenError("task", token, self._names) from None

    def of_class(self, kind: Class, name: str) -> int:
        """The id of a label's value, which may be in any case; a language tag (`en-GB`) counts as its language.

        Raises UnknownTokenError.
        """
        known: tuple[str, ...] = getattr(self.config, kind)
        low = name.lower()
        value = low if low in known or kind != "language" else low.split("-")[0]
        if value not in known:
            raise UnknownTokenError(kind, name, known)
        return self._ids[class_token(value)]

    def translate_to(self, language: str) -> int:
        """The id of the task \"translate into this language\". Raises UnknownTokenError."""
        if language not in self.config.translate_to:
            raise UnknownTokenError("translation", language, self.config.translate_to)
        return self._ids[translate_token(language)]

    def encode(self, text: str, *, start: bool = True) -> list[int]:
        """The subwords of a text. `start`: the text begins a word; False for a later part of a text that was cut up, which then
        begins with its own space."""
        return self._pieces.encode(" " + text if start and text else text)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the subwords among the ids; blanks and special tokens are left out. Bytes that are no UTF-8 become
        U+FFFD."""
        return self._pieces.decode([i for i in ids if BLANK < i < self.num_subwords]).removeprefix(" ")

    def name(self, token: int) -> str:
        """The spelling of a token. Raises IndexError on an id outside the vocabulary."""
        if token < self.num_subwords:
            return "<blank>" if token == BLANK else self._pieces.piece(token)
        return self._names[token - self.num_subwords]

    def prompted(self, tasks: Collection[str]) -> tuple[Class, ...]:
        """The classes that a prompt has a place for: all; of a pretrained model those among the tasks, since it never saw other ones."""
        return tuple(kind for kind in CLASSES if kind in tasks or not self._pieces.special)

    def knew(self, kind: Class) -> bool:
        """Whether a pretrained model had tokens of that class before we taught it anything."""
        return any(self._ids[class_token(name)] < self.num_given for name in getattr(self.config, kind))

    @cached_property
    def after_task(self) -> tuple[int, ...]:
        """Tokens that stand between task and text: of a pretrained model that no times are wanted."""
        return (self._ids[NO_TIMESTAMPS],) if NO_TIMESTAMPS in self._pieces.special else ()

    def is_subword(self, token: int) -> bool:
        """Whether an id is a subword, neither blank nor special token."""
        return BLANK < token < self.num_subwords

    @cached_property
    def digest(self) -> str:
        """SHA-256 of subwords and special tokens: a model can only be used with the tokeniser it was trained with."""
        return hashlib.sha256(self.subwords + b"\0" + json.dumps(self._names).encode()).hexdigest()
