"""Raw text comes back as it was written, whole or in part."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.operators.reconcile.normalise import Normaliser
from voxmill.operators.reconcile.spelling import Spelling, groups, quote, tokens

normaliser = Normaliser()
raw = st.text(alphabet=st.sampled_from("今天25 aB.,'“”！$%-[]電"), max_size=24)


def spelt(text: str, language: str) -> Spelling:
    return Spelling.of(text, normaliser(text, language).units)


@given(raw)
def test_tokens_are_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text


@given(raw, st.sampled_from(["zh", "en", "fr"]))
def test_groups_cover_tokens_and_units_in_order(text: str, language: str) -> None:
    units = normaliser(text, language).units
    pieces = tokens(text)
    found = groups(pieces, units)
    if not units:
        return
    assert (found[0].first_token, found[0].first) == (0, 0)
    assert (found[-1].last_token, found[-1].last) == (len(pieces), len(units))
    for one, after in pairwise(found):
        assert (one.last_token, one.last) == (after.first_token, after.first)
    assert all(group.first < group.last for group in found)


@given(raw, st.sampled_from(["zh", "en", "fr"]))
def test_all_units_of_one_engine_are_its_text(text: str, language: str) -> None:
    spelling = spelt(text, language)
    if spelling.units:
        assert quote([spelling], [(0, unit) for unit in range(len(spelling.units))]) == text.strip()


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        (
            "Uh, I don't have twenty-five dollars.",
            "en",
            {"i": "Uh, I", "do not": "don't", "twenty five": "twenty-five", "dollars": "dollars."},
        ),
        ("“我有iPhone 15，”他說：好！", "zh", {"十 五": "15，”", "iphone": "iPhone", "说": "說："}),
    ],
)
def test_groups_tie_words_to_what_they_say(text: str, language: str, said: dict[str, str]) -> None:
    spelling = spelt(text, language)
    found = {
        " ".join(spelling.units[g.first : g.last]): "".join(spelling.tokens[g.first_token : g.last_token]).strip()
        for g in spelling.groups.values()
    }
    assert said.items() <= found.items()


def test_two_engines_are_quoted_side_by_side() -> None:
    a, b = spelt("Hello, my friend.", "en"), spelt("hello THE Friend", "en")
    assert quote([a, b], [(0, 0), (1, 1), (0, 2)]) == "Hello, THE friend."
    a, b = spelt("今天，很好。", "zh"), spelt("今天 不好", "zh")
    assert quote([a, b], [(0, 0), (0, 1), (1, 2), (0, 3)]) == "今天，不好。"


def test_a_group_chosen_in_part_is_written_as_its_units() -> None:
    spelling = spelt("I don't know", "en")
    assert quote([spelling], [(0, 0), (0, 1), (0, 3)]) == "I do know"
