from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.models.common.tokenizer import BLANK, CLASSES, SOT, Tokenizer, TokenizerConfig, UnknownTokenError, class_token

TEXTS = ["hello there", "hello world", "谢谢 thank you", "the three of them, there"]
TOKENS = Tokenizer.train(TEXTS, TokenizerConfig(num_subwords=300))


@given(st.text().filter(lambda text: "\u2581" not in text and "\0" not in text))
def test_every_text_comes_back(text: str) -> None:
    assert TOKENS.decode(TOKENS.encode(text)) == text


@given(st.text(alphabet="helo 谢,", max_size=20), st.integers(0, 20))
def test_a_text_may_be_cut_anywhere(text: str, at: int) -> None:
    head, tail = text[:at], text[at:]
    parts = [*TOKENS.encode(head), *TOKENS.encode(tail, start=not head)]
    assert TOKENS.decode(parts) == text


def test_task_tokens_are_never_read_from_text() -> None:
    spelt = TOKENS.encode(f"{SOT} <|en|> [SCD]")
    assert all(TOKENS.is_subword(token) for token in spelt)


def test_training_is_deterministic() -> None:
    again = Tokenizer.train(TEXTS, TokenizerConfig(num_subwords=300))
    assert (again.subwords, again.digest) == (TOKENS.subwords, TOKENS.digest)


def test_a_small_corpus_gives_a_small_vocabulary() -> None:
    assert Tokenizer.train(["a"]).num_subwords < 300


def test_without_text_there_is_no_tokeniser() -> None:
    with pytest.raises(ValueError, match="no text"):
        Tokenizer.train(["", "  "])


def test_a_vocabulary_too_small_for_the_characters_is_refused() -> None:
    with pytest.raises(ValueError, match="num_subwords=260"):
        Tokenizer.train(TEXTS, TokenizerConfig(num_subwords=260))


def test_ids_are_blank_subwords_task_tokens() -> None:
    assert TOKENS.name(BLANK) == "<blank>"
    assert BLANK not in TOKENS.encode("anything \u1234")
    assert TOKENS[SOT] == TOKENS.num_subwords
    assert [TOKENS.name(i) for i in range(TOKENS.num_subwords, len(TOKENS))] == list(TOKENS.config.task_tokens())


def test_every_class_has_its_tokens_in_any_case() -> None:
    for kind in CLASSES:
        for name in getattr(TOKENS.config, kind):
            assert TOKENS.of_class(kind, name.upper()) == TOKENS[class_token(name)]
            assert TOKENS.decode([TOKENS[class_token(name)]]) == ""


def test_a_language_tag_is_its_language_unless_it_has_a_token() -> None:
    assert TOKENS.of_class("language", "en-GB") == TOKENS[class_token("en")]


def test_what_has_no_token_is_said_clearly() -> None:
    with pytest.raises(UnknownTokenError, match="no language token for 'tlh': this tokeniser was made with zh, en"):
        TOKENS.of_class("language", "tlh")
    with pytest.raises(UnknownTokenError, match="no translation token for 'tlh'"):
        TOKENS.translate_to("tlh")
    with pytest.raises(UnknownTokenError, match="no task token"):
        TOKENS["<|dance|>"]


def test_new_task_tokens_leave_the_old_ids_alone() -> None:
    more = Tokenizer(TOKENS.subwords, TokenizerConfig(translate_to=(*TOKENS.config.translate_to, "ja")))
    assert [more.name(i) for i in range(len(TOKENS))] == [TOKENS.name(i) for i in range(len(TOKENS))]
    assert more.digest != TOKENS.digest


def test_a_token_for_two_things_is_refused() -> None:
    with pytest.raises(ValueError, match="unique"):
        Tokenizer(TOKENS.subwords, TokenizerConfig(age=("old", "neutral")))
