"""What engines write differently and say alike comes out equal; what they say differently does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.operators.reconcile.normalise import NORMALISER, Normaliser, NormaliserConfig
from voxmill.operators.reconcile.tokenize import join, kind, units

normaliser = Normaliser()

SAME = [
    ("en", "It's 25!", "it is twenty-five"),
    ("en", "$2,500", "twenty five hundred dollars"),
    ("en", "at 3:30", "at three thirty"),
    ("en", "-5 degrees", "minus five degrees"),
    ("en", "50%", "fifty percent"),
    ("en", "the 1990s", "the nineteen nineties"),
    ("en", "1st", "first"),
    ("en", "Uh, the colour, um", "the color"),
    ("en", "[Music] okay (laughs)", "Okay."),
    ("en", "don’t", "do not"),
    ("en", "U.S.A.", "USA"),
    ("en", "café", "cafe"),
    ("zh", "我有25个苹果。", "我有二十五個蘋果"),
    ("zh", "2008年8月8日", "二〇〇八年八月八日"),
    ("zh", "200块", "两百块"),
    ("zh", "50%", "百分之五十"),
    ("zh", "1/3", "三分之一"),
    ("zh", "下午3:30", "下午三点三十分"),
    ("zh", "电话13812345678", "电话一三八一二三四五六七八"),
    ("zh", "GPT-4很好", "gpt四很好"),
    ("zh", "APP很好", "a p p 很好"),
    ("zh", "呃，今天去哪儿", "今天去哪"),
    ("zh", "ＡＢＣ１２３", "abc一百二十三"),
    ("zh", "（笑）好的", "好的"),
    ("yue", "佢係邊個？", "佢系边个"),
    ("de", "Straße", "STRASSE"),
    ("fr", "l’homme", "L'homme"),
    ("ja", "ﾃｽﾄです。", "テストです"),
    ("th", "สวัสดี ครับ", "สวัสดีครับ"),
    (None, "你好，世界", "你好世界"),
    (None, "Hello, World", "hello world"),
]
DIFFERENT = [
    ("en", "twenty five", "26"),
    ("en", "he can", "he can't"),
    ("en", "minus five", "five"),
    ("zh", "女儿", "女"),
    ("zh", "我有25个", "我有24个"),
    ("zh", "买苹果", "卖苹果"),
    ("ja", "國", "国"),
    ("de", "25", "zweiundfünfzig"),
]


@pytest.mark.parametrize(("language", "one", "other"), SAME)
def test_the_same_words_come_out_equal(language: str | None, one: str, other: str) -> None:
    first, second = normaliser.together([one, other], language)
    assert first.units == second.units


@pytest.mark.parametrize(("language", "one", "other"), DIFFERENT)
def test_different_words_stay_different(language: str | None, one: str, other: str) -> None:
    first, second = normaliser.together([one, other], language)
    assert first.units != second.units


@pytest.mark.parametrize("language", ["en", "zh", "fr", None])
@pytest.mark.parametrize("text", ["", "  ", "...", "[Music]", "♪ ♪", "（笑）"])
def test_what_holds_no_words_has_no_units(text: str, language: str | None) -> None:
    assert normaliser(text, language).units == ()


@pytest.mark.parametrize(
    "said",
    ["2008年8月8日", "3.14", "百分之50", "下午3:30", "13812345678", "1.5亿", "花儿", "女儿", "-5度", "2万5千", "100米每秒"],
)
def test_numbers_read_the_same_within_long_speech(said: str) -> None:
    around = "今天我们在这里看到的大家都很高兴", "然后我们就一起回家去吃饭了"
    alone = normaliser(said, "zh").text
    assert normaliser(f"{around[0]}，{said}，{around[1]}", "zh").text == around[0] + alone + around[1]
    assert normaliser(around[0] + said + around[1], "zh").text == around[0] + alone + around[1]


def test_fillers_and_erhua_are_settings() -> None:
    literal = Normaliser(NormaliserConfig(fillers={}, remove_erhua=False))
    assert literal("呃哪儿", "zh").units == ("呃", "哪", "儿")
    assert normaliser("呃哪儿", "zh").units == ("哪",)


@pytest.mark.parametrize("language", ["en", "zh", "ja", None])
@given(
    text=st.text(
        alphabet=st.sampled_from("今天二十5 3.%-:/年月日儿〇两abc'\"\\[](){}*$€\n\u200b😀٣½Ⅳ號ﾃが가é,，。"), max_size=30
    )
)
def test_any_text_normalises_and_its_units_can_be_read_back(language: str | None, text: str) -> None:
    done = normaliser(text, language)
    assert units(done.text) == list(done.units)
    assert all(unit and not any(map(str.isspace, unit)) for unit in done.units)
    assert normaliser(text, language) == done


@given(st.lists(st.sampled_from(["好", "天", "ok", "pro", "テ", "가", "나", "25"]), max_size=12))
def test_joining_and_cutting_are_inverse(words: list[str]) -> None:
    assert units(join(words)) == words


def test_units_are_characters_words_or_both() -> None:
    assert kind([units("今天")], "zh") == "char"
    assert kind([units("good day")], "en") == "word"
    assert kind([units("good day"), units("今天")], "zh") == "mixed"
    assert kind([[]], "yue") == "char"
    assert kind([[]], "en") == "word"


def test_the_rules_and_their_libraries_have_a_name() -> None:
    assert NORMALISER.split("+")[0].isdigit()
    assert "wetext-" in NORMALISER
    assert "absent" not in NORMALISER


@pytest.mark.parametrize("language", ["en", "zh", "de", "ru", "ja", "tr", "ar", "mi", None])
@given(
    texts=st.lists(
        st.lists(
            st.sampled_from(
                [
                    *"0123456789 .,:-/%$€£¥+=&@#°'()[]½²aiIvVxkmp万点元年月日号半两儿三テ가",
                    "10:30",
                    "June",
                    "p.m.",
                    "Dr.",
                    "VIII",
                    "C++",
                ]
            ),
            max_size=14,
        ).map("".join),
        min_size=2,
        max_size=2,
    )
)
def test_any_two_texts_compare_and_their_order_does_not_matter(texts: list[str], language: str | None) -> None:
    first, second = normaliser.together(texts, language)
    assert normaliser.together(texts[::-1], language) == [second, first]
    assert all(units(one.text) == list(one.units) for one in (first, second))


@pytest.mark.parametrize("language", ["en", "zh", "de"])
@pytest.mark.parametrize("text", ["9" * 6000, "1,1" * 300, "10:30 " * 60, "1871 " * 60])
def test_a_recogniser_that_loops_on_digits_costs_no_minutes(text: str, language: str) -> None:
    first, second = normaliser.together([text, text[1:] + " x"], language)
    assert first.units
    assert second.units


def test_a_language_whose_numbers_nobody_reads_says_so() -> None:
    assert normaliser.unread("mi", ["25", "rua"])
    assert not normaliser.unread("mi", ["rua"])
    assert not normaliser.unread("en", ["25"])
