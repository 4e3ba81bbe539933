from __future__ import annotations

import gzip
import math
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from networks import model
from voxmill.manifests.errors import UserError
from voxmill.models.checkpoint.checkpoint import Bundle
from voxmill.models.common.seeds import seeded
from voxmill.models.common.text_rules import TextRules
from voxmill.models.common.tokenizer import Tokenizer, TokenizerConfig
from voxmill.models.data.targets import TargetsConfig
from voxmill.models.inference.arpa import NgramModel
from voxmill.models.inference.attention_beam import attention_beam
from voxmill.models.inference.decode import Scored, by_length, ctc_beam
from voxmill.models.inference.fusion import Hotwords, PrefixBonus, WordModel, spellings
from voxmill.models.inference.recognizer import Recognizer
from voxmill.models.inference.recognizer_config import RecognizerConfig
from voxmill.models.inference.transducer_beam import transducer_beam
from voxmill.models.network.transducer import Transducer, TransducerConfig

ARPA = """
\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.5
-1.5\t</s>
-0.7\tthank\t-0.3
-0.8\tyou\t-0.2

\\2-grams:
-0.2\t<s> thank\t-0.1
-0.1\tthank you\t-0.4
-0.6\tyou </s>

\\3-grams:
-0.05\t<s> thank you

\\end\\
"""
LN10 = math.log(10)


@pytest.fixture
def arpa(tmp_path: Path) -> str:
    (tmp_path / "small.arpa").write_text(ARPA)
    return str(tmp_path / "small.arpa")


def test_probabilities_are_those_by_hand(arpa: str) -> None:
    lm = NgramModel.read(arpa)
    assert lm.order == 3
    by_hand = {
        (("<s>", "thank"), "you"): -0.05,  # the trigram
        (("<s>",), "thank"): -0.2,  # the bigram
        (("thank", "you"), "</s>"): -0.4 - 0.6,  # back-off of "thank you", then the bigram
        (("<s>", "you"), "thank"): -0.2 - 0.7,  # "<s> you" is not there, back-off of "you", then the word
        (("thank", "thank"), "<unk>"): -0.3 - 1.0,
        (("you", "thank", "thank", "you"), "you"): -0.4 - 0.2 - 0.8,  # no more than two words count
    }
    for (context, word), log in by_hand.items():
        assert lm.log(context, word) == pytest.approx(log * LN10)
    assert (lm.spelt("you"), lm.spelt("music")) == (("you",), ("<unk>",))


def test_a_file_may_be_compressed_and_has_to_be_arpa(arpa: str, tmp_path: Path) -> None:
    (tmp_path / "small.arpa.gz").write_bytes(gzip.compress(ARPA.encode()))
    assert NgramModel.read(str(tmp_path / "small.arpa.gz")).log((), "you") == NgramModel.read(arpa).log((), "you")
    for content, why in (
        (b"mmap lm http://kheafield.com/code\n\0\xff", "no ARPA text file"),
        (ARPA.replace("thank you\t-0.4", "thank you so much").encode(), "no 2-gram"),
    ):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(UserError, match=why):
            NgramModel.read(str(tmp_path / "bad"))
    with pytest.raises(UserError, match="No such file"):
        NgramModel.read(str(tmp_path / "nowhere"))


def added(fusion: Any, tokens: list[int]) -> list[float]:
    """What is added at each token, and at the end."""
    state, found = fusion.start(), []
    for token in tokens:
        state, one = fusion.step(state, token)
        found.append(one)
    return [*found, fusion.finish(state)]


def test_a_hotword_is_boosted_while_it_goes_on_and_what_is_no_hotword_gets_nothing() -> None:
    words = Hotwords([(1, 2, 3), (2, 4)], boost=2.0)
    assert added(words, [1, 2, 5]) == [2, 2, -4, 0]
    assert added(words, [1, 2]) == [2, 2, -4]
    assert added(words, [1, 2, 3]) == [2, 2, 2, 0]
    assert added(words, [1, 2, 3, 1]) == [2, 2, 2, 2, -2]
    assert added(words, [1, 2, 4]) == [2, 2, 0, 0]  # the beginning of one is left for the other, which is whole
    assert added(words, [1, 1, 2, 3]) == [2, 0, 2, 2, 0]


@settings(max_examples=50, deadline=None)
@given(
    phrases=st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), max_size=3),
    tokens=st.lists(st.integers(1, 4), max_size=8),
)
def test_in_the_end_each_time_a_phrase_is_said_counts(phrases: list[list[int]], tokens: list[int]) -> None:
    times = sum(
        len(phrase)
        for phrase in {tuple(p) for p in phrases}
        for at in range(len(tokens))
        if tuple(tokens[at : at + len(phrase)]) == phrase
    )
    assert sum(added(Hotwords(phrases, 1.0), tokens)) == times


def test_words_of_a_language_model_count_when_they_are_whole(arpa: str) -> None:
    tokens, lm = Tokenizer.train(["thank you thank you"]), NgramModel.read(arpa)
    said = tokens.encode("thank you")
    found = added(WordModel(lm, tokens, 0.5, 1.0), said)
    second = len(tokens.encode("thank"))
    assert [index for index, one in enumerate(found) if one] == [second, len(said)]
    assert found[second] == pytest.approx(0.5 * -0.2 * LN10 + 1.0)
    assert found[-1] == pytest.approx(0.5 * (-0.05 - 0.4 - 0.6) * LN10 + 1.0)
    chinese = added(WordModel(lm, tokens, 1.0, 0.0), tokens.encode("谢谢"))
    assert sum(one != 0 for one in chinese[:-1]) == 2  # two characters, of three bytes each


@settings(max_examples=20, deadline=None)
@given(frames=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_wide_ctc_beam_orders_all_texts_by_the_sum(frames: int, seed: int) -> None:
    log_TV = (2 * torch.randn(frames, 3, generator=seeded(seed))).log_softmax(-1)
    fusions = [Hotwords([(1, 2), (2,)], 0.7)]
    exact: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(3), repeat=frames):
        said = tuple(t for i, t in enumerate(path) if t and (i == 0 or path[i - 1] != t))
        exact[said] += math.exp(sum(float(log_TV[t, token]) for t, token in enumerate(path)))
    totals = {said: math.log(p) + sum(added(fusions[0], list(said))) for said, p in exact.items()}
    found = ctc_beam(log_TV, beam=1000, bonus=PrefixBonus(fusions))
    assert {one.tokens: one.total for one in found} == {said: pytest.approx(total, abs=1e-4) for said, total in totals.items()}
    assert found[0].total == max(one.total for one in found)


def test_a_hotword_is_found_in_a_narrow_beam_of_every_head() -> None:
    """The model hears 1 1, and 1 2 only a little less."""
    log_TV = torch.tensor([[0.0, 0.97, 0.02, 0.01], [1.0, 0.0, 0.0, 0.0], [0.0, 0.55, 0.41, 0.04]]).clamp_min(1e-6).log()
    fusions = [Hotwords([(1, 2)], 0.5)]
    assert ctc_beam(log_TV, beam=2)[0].tokens == (1, 1)
    assert ctc_beam(log_TV, beam=2, bonus=PrefixBonus(fusions))[0].tokens == (1, 2)

    def predict(token_NU: Tensor, row_N: Tensor | None, kept_B: Tensor | None) -> Tensor:
        steps.append(0)
        return log_TV[[0, 2, 1][len(steps) - 1]].expand(len(token_NU), -1)  # here 0 is the end

    found = []
    for used in ([], fusions):
        steps: list[int] = []
        found.append(attention_beam(predict, torch.tensor([[9]]), 0, beam=2, most=3, fusions=used)[0][0])
    assert [one.tokens for one in found] == [(1, 1), (1, 2)]
    assert found[1].score == pytest.approx(math.log(0.97 * 0.41), abs=1e-3)  # the model's own
    assert found[1].bonus == pytest.approx(1.0)

    head = Transducer(4, 4, TransducerConfig(dim=4, joiner=4))
    with torch.no_grad():
        for layer in (head.sound, head.past, head.out):
            layer.weight.zero_()
            layer.bias.zero_()
        head.sound.weight.copy_(torch.eye(4))
        head.out.weight.copy_(torch.eye(4) * 20)
    frame_1TD = torch.atanh((log_TV / 20).clamp(-0.99, 0.99))[None]
    assert transducer_beam(head, frame_1TD, [3], beam=2)[0][0].tokens == (1, 1)
    assert transducer_beam(head, frame_1TD, [3], beam=2, fusions=fusions)[0][0].tokens == (1, 2)


@pytest.mark.parametrize("method", ["beam", "rescore", "attention-beam", "transducer-beam"])
def test_what_is_boosted_enough_is_said(tokens: Tokenizer, method: Any) -> None:
    made = Bundle(model(vocabulary=len(tokens)), tokens, TargetsConfig())
    assert made.model.decoder is not None
    assert made.model.transducer is not None
    with torch.no_grad():  # among the likelier tokens: the others are not looked at
        for head in (made.model.ctc, made.model.decoder.out, made.model.transducer.out):
            head.bias[tokens.encode("thank you")] += 1.5
    wave = 0.1 * torch.randn(16_000, generator=seeded("wave")).numpy()
    config = RecognizerConfig(method=method, beam=8, max_tokens=6, length_penalty=0.0)
    hot = config.model_copy(update={"hotwords": ("thank you",), "hotword_boost": 40.0})
    (without,), (heard,) = Recognizer(made, config)([wave]), Recognizer(made, hot)([wave])
    assert heard.text.count("thank you") > without.text.count("thank you")


def test_hotwords_and_language_models_need_a_beam(tokens: Tokenizer, arpa: str) -> None:
    made = Bundle(model(vocabulary=len(tokens)), tokens, TargetsConfig())
    for more in ({"hotwords": ("you",)}, {"lm": arpa}):
        with pytest.raises(ValueError, match="need a method with a beam"):
            Recognizer(made, RecognizerConfig.model_validate({"method": "greedy", **more}))
        Recognizer(made, RecognizerConfig.model_validate({"method": "beam", **more}))
    with pytest.raises(UserError, match="No such file"):
        Recognizer(made, RecognizerConfig(method="beam", lm=f"{arpa}.gone"))


def test_a_cut_off_model_is_refused_and_a_word_may_hold_any_space_but_two(tmp_path: Path) -> None:
    whole = gzip.compress(ARPA.encode())
    for name, content, why in (
        ("cut.gz", whole[:-20], "cannot be read"),
        ("cut", ARPA[: ARPA.index("\\3-grams")].encode(), "it says 1 3-grams and has 0"),
        ("end", ARPA.replace("\\end\\", "").encode(), "last line"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=why):
            NgramModel.read(str(tmp_path / name))
    (tmp_path / "space").write_text(ARPA.replace("you", "y\u00a0ou"), encoding="utf-8")
    assert NgramModel.read(str(tmp_path / "space")).spelt("y\u00a0ou") == ("y\u00a0ou",)


def test_words_are_looked_up_as_written_or_else_bare(arpa: str) -> None:
    lm = NgramModel.read(arpa)
    assert [lm.spelt(word) for word in ("you", "You,", "thank-you", "…", "music")] == [
        ("you",), ("you",), ("thank", "you"), (), ("<unk>",)
    ]  # fmt: skip


def test_hotwords_are_spelt_as_the_model_writes() -> None:
    tokens = Tokenizer.train(["谢谢 thank you 好谢谢"], TokenizerConfig(num_subwords=280))
    lower = TextRules(case="lower", punctuation="remove")
    (bare,) = spellings("  Thank  you! ", tokens, lower)
    assert tokens.decode(bare) == "thank you"
    at_start, within = spellings("谢谢", tokens, TextRules())
    assert [[tokens.name(one) for one in spelt] for spelt in (at_start, within)] == [["▁谢谢"], ["谢谢"]]
    with pytest.raises(UserError, match="cannot write the hotword '!'"):
        spellings("!", tokens, lower)


def test_a_bonus_does_not_make_short_texts_better() -> None:
    whole, early = Scored((1,) * 8, -1.0, bonus=6.0), Scored((1,) * 6, -2.0, bonus=6.0)
    assert by_length([early, whole], 1.0, 1) == [whole, early]
    assert by_length([Scored((1,), -2.0), Scored((1, 1, 1), -3.0)], 1.0, 0)[0].score == -3.0
