from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from networks import frames, model
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.seeds import seeded
from voxmill.models.common.tasks import Task
from voxmill.models.common.tokenizer import Tokenizer, UnknownTokenError
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.inference.recognizer import Recognition, Recognizer
from voxmill.models.inference.recognizer_config import RecognizerConfig
from voxmill.models.network.budget import Budget, BudgetError
from voxmill.models.network.task_vectors import TaskVectorsConfig

WAVES = [0.1 * torch.randn(n, generator=seeded("wave", n)).numpy() for n in (16_000, 9_000, 300)]


def bundle(tokens: Tokenizer, *on: str, **changes: Any) -> Bundle:
    net = model(*on, vocabulary=len(tokens), **changes)
    style = TargetsConfig(style="activated", tasks=net.config.tasks.tasks) if net.config.tasks else TargetsConfig()
    return Bundle(net, tokens, style, trained=(Budget(3, 2, 8), Budget(5, 2, 8)))


METHODS = ("greedy", "beam", "rescore", "attention", "attention-beam", "transducer", "transducer-beam")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("on", [(), ("smoe", "tasks")], ids="+".join)
def test_every_head_says_one_thing_per_utterance(tokens: Tokenizer, on: tuple[str, ...], method: Any) -> None:
    listen = Recognizer(bundle(tokens, *on), RecognizerConfig(method=method, beam=3, max_tokens=5))
    heard = listen(WAVES, ["wide", "narrow", "wide"])
    assert len(heard) == 3
    assert (heard[2].text, heard[2].labels) == ("", {})
    assert all(np.isfinite(one.score) for one in heard)
    for one in heard[:2]:
        assert set(one.labels) == ({"language"} if on else {"language", "gender", "age", "emotion", "sound_events"})


@pytest.mark.parametrize("method", METHODS)
def test_an_utterance_is_heard_the_same_alone_and_in_company(tokens: Tokenizer, method: Any) -> None:
    listen = Recognizer(bundle(tokens, "emoe"), RecognizerConfig(method=method, beam=3, max_tokens=9, words=True))
    together = listen(WAVES)
    for wave, one in zip(WAVES, together, strict=True):
        (alone,) = listen([wave])
        assert (alone.text, alone.labels) == (one.text, one.labels)
        assert alone.score == pytest.approx(one.score, abs=1e-3)
        assert alone.words is not None
        assert [word.start for word in alone.words] == [word.start for word in one.words or ()]


@pytest.mark.parametrize("method", METHODS)
def test_words_are_those_of_the_text_with_times_and_confidences(tokens: Tokenizer, method: Any) -> None:
    made = bundle(tokens, seed=5)
    heard = Recognizer(made, RecognizerConfig(method=method, beam=3, max_tokens=5, words=True))(WAVES)
    assert heard[2].words == ()
    for wave, one in zip(WAVES[:2], heard, strict=False):
        assert one.words is not None
        assert "".join(word.text for word in one.words).replace(" ", "") == one.text.replace(" ", "")
        assert all(0 <= word.start < word.end <= len(wave) / 16_000 and 0 < word.confidence <= 1 for word in one.words)
        assert [word.start for word in one.words] == sorted(word.start for word in one.words)
    assert Recognizer(made, RecognizerConfig(method=method, beam=3, max_tokens=5))(WAVES[:1])[0].words is None


def test_without_ctc_a_decoder_has_no_times_and_neither_has_a_translation(tokens: Tokenizer) -> None:
    config = RecognizerConfig(method="attention-beam", beam=2, max_tokens=4, words=True)
    for made, asked in (
        (bundle(tokens, ctc=False, seed=5), config),
        (bundle(tokens, seed=5), config.model_copy(update={"translate_to": "es"})),
    ):
        (heard,) = Recognizer(made, asked)(WAVES[:1])
        assert heard.text
        assert heard.words is None


def test_a_budget_hears_what_its_extract_hears(tokens: Tokenizer) -> None:
    whole = bundle(tokens, "emoe")
    budget, config = Budget(3, 2, 8), RecognizerConfig(method="rescore", beam=3)
    masked, cut = Recognizer(whole, config, budget)(WAVES[:1]), Recognizer(whole.extract(budget), config)(WAVES[:1])
    assert (masked[0].text, masked[0].labels) == (cut[0].text, cut[0].labels)
    assert masked[0].score == pytest.approx(cut[0].score, abs=1e-3)


def test_budgets_are_checked(tokens: Tokenizer) -> None:
    with pytest.warns(UserWarning, match="never trained"):
        Recognizer(bundle(tokens, "emoe"), budget=Budget(1, 1, 4))
    with pytest.raises(BudgetError, match="one size"):
        Recognizer(bundle(tokens), budget=Budget(1, 1, 4))


def test_only_what_is_asked_for_is_said(tokens: Tokenizer) -> None:
    config = RecognizerConfig(method="greedy", tasks=("language", "emotion"))
    (heard,) = Recognizer(bundle(tokens), config)(WAVES[:1])
    assert set(heard.labels) == {"language", "emotion"}
    assert heard.text == ""


def test_labels_are_of_their_class_and_events_end(tokens: Tokenizer) -> None:
    (heard,) = Recognizer(bundle(tokens, seed=3), RecognizerConfig(method="greedy", max_events=2))(WAVES[:1])
    for kind, names in heard.labels.items():
        assert set(names) <= set(getattr(tokens.config, kind))
    assert len(heard.labels["sound_events"]) <= 2


def test_translation_is_the_decoders_and_what_is_missing_is_said_at_once(tokens: Tokenizer) -> None:
    config = RecognizerConfig(translate_to="es", max_tokens=4)
    (heard,) = Recognizer(bundle(tokens, "smoe"), config)(WAVES[:1])
    assert np.isfinite(heard.score)
    with pytest.raises(UnknownTokenError, match="no translation token for 'tlh'"):
        Recognizer(bundle(tokens), RecognizerConfig(translate_to="tlh"))
    with pytest.raises(ValueError, match="no transducer"):
        Recognizer(bundle(tokens, transducer=None), RecognizerConfig(method="transducer"))


def test_what_was_not_learnt_is_not_translated_into(tokens: Tokenizer) -> None:
    learnt = replace(bundle(tokens), translated=("es",))
    Recognizer(learnt, RecognizerConfig(translate_to="es"))
    with pytest.raises(ValueError, match="has not learnt to translate into de; languages that it has: es"):
        Recognizer(learnt, RecognizerConfig(translate_to="de"))
    with pytest.raises(ValueError, match="languages that it has: none"):
        Recognizer(replace(learnt, translated=()), RecognizerConfig(translate_to="es"))


def test_what_is_seen_changes_what_is_heard(tokens: Tokenizer) -> None:
    listen = Recognizer(bundle(tokens, "vision"), RecognizerConfig(method="rescore", beam=3))
    blind, seeing = listen(WAVES[:2]), listen(WAVES[:2], frames=frames(0, 3))
    assert blind[0].score == pytest.approx(seeing[0].score, abs=1e-3)
    assert blind[1].score != pytest.approx(seeing[1].score, abs=1e-3)


def test_marked_text_shows_inline_tokens(tokens: Tokenizer) -> None:
    listen = Recognizer(bundle(tokens, "tasks"))
    said = [*tokens.encode("thank you"), tokens["[SCD]"], *tokens.encode(" 谢谢", start=False)]
    assert listen._marked(said) == "thank you [SCD] 谢谢"
    assert listen._leading([tokens.of_class("language", "en"), *said]) == {"language": ("en",)}


LOUD = ("[SCD]", "[ENDP]", "<|en|>")
"""One token of each of three tasks, made so likely that a model that may say them does."""
MARKED: tuple[Task, ...] = ("asr", "language", "speaker_change", "endpoint")


def loud(tokens: Tokenizer, where: Any = "both") -> Bundle:
    """Says words here and there and marks everywhere, and its vectors are so large that each of them changes what all heads say."""
    one = bundle(tokens, tasks=TaskVectorsConfig(tasks=MARKED, where=where))
    assert one.model.decoder is not None
    assert one.model.transducer is not None
    with torch.no_grad():
        for head in (one.model.ctc, one.model.decoder.out, one.model.transducer.out):
            head.bias[[tokens[name] for name in LOUD]] += 4.0
        for vectors in (one.model.tasks_early, one.model.tasks_late):
            if vectors is not None:
                vectors.vectors.weight.normal_(generator=seeded("strong"))
    return one


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("per_task", [True, False])
def test_what_is_off_is_never_said(tokens: Tokenizer, method: Any, per_task: bool) -> None:
    config = {"method": method, "beam": 3, "max_tokens": 6, "per_task": per_task}
    said = [f"{one.marked} {one.labels}" for one in Recognizer(loud(tokens), RecognizerConfig(**config))(WAVES[:2])]
    assert any("[SCD]" in one or "[ENDP]" in one or "'en'" in one for one in said)
    for off, token in (("speaker_change", "[SCD]"), ("endpoint", "[ENDP]"), ("language", "language")):
        asked = tuple(task for task in MARKED if task != off)
        for one in Recognizer(loud(tokens), RecognizerConfig(**config, tasks=asked))(WAVES[:2]):
            assert token not in f"{one.marked} {one.labels}"


@pytest.mark.parametrize("method", ["greedy", "beam", "rescore"])
@pytest.mark.parametrize("where", ["frontend", "encoder", "both"])
def test_a_task_that_is_off_takes_nothing_else_away(tokens: Tokenizer, method: Any, where: Any) -> None:
    one = loud(tokens, where)

    def heard(*asked: Task) -> list[Recognition]:
        config = RecognizerConfig(method=method, beam=3, tasks=asked)
        found: list[Recognition] = Recognizer(one, config)(WAVES[:2])
        return found

    def marks(one: Recognition) -> list[str]:
        return [part for part in re.split(r"(\[.*?\])", one.marked) if part in LOUD]

    with_all = heard(*MARKED)
    assert {"[SCD]", "[ENDP]"} <= {mark for one in with_all for mark in marks(one)}
    for off, mark in (("speaker_change", "[SCD]"), ("endpoint", "[ENDP]"), ("language", "")):
        for on, without in zip(with_all, heard(*(task for task in MARKED if task != off)), strict=True):
            assert (without.text, without.score) == (on.text, on.score)
            assert marks(without) == [part for part in marks(on) if part != mark]
            assert without.labels == {kind: names for kind, names in on.labels.items() if kind != off}


def test_labels_alone_come_without_words(tokens: Tokenizer) -> None:
    for heard in Recognizer(loud(tokens), RecognizerConfig(method="beam", beam=3, tasks=("language",)))(WAVES[:2]):
        assert (heard.text, heard.marked) == ("", "")
        assert "en" in heard.labels["language"]


def test_nothing_to_hear_is_nothing_heard(tokens: Tokenizer) -> None:
    assert Recognizer(bundle(tokens))([]) == []
