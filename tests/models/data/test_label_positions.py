from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voxmill.manifests.records import Annotation, Mark, Word
from voxmill.models.data.label_positions import PlacedToken, TimedSpan, cut, place_entities, place_moments, timed_spans

TEXT = "Hello, i met john smith."
WORDS = [Word(w, 100 * i, 100 * i + 80) for i, w in enumerate(["Hello,", "i", "met", "john", "smith."])]


def marked(*marks: Mark) -> Annotation:
    return Annotation(marks, "somebody")


def shown(placed: list[PlacedToken] | None, text: str = TEXT) -> str:
    assert placed is not None
    return "".join(stretch + token for stretch, token in cut(text, placed))


def test_words_have_places_where_they_are_spelt_as_in_the_text() -> None:
    assert timed_spans(TEXT, WORDS[:2]) == [TimedSpan(0, 6, 0, 80), TimedSpan(7, 8, 100, 180)]
    assert timed_spans(TEXT, [Word("bye", 0, 1)]) is None
    assert timed_spans(TEXT, [Word("Hello,")]) is None  # no time
    assert timed_spans("谢谢你", [Word("谢谢", 0, 5), Word("你", 5, 9)]) == [TimedSpan(0, 2, 0, 5), TimedSpan(2, 3, 5, 9)]


def test_moments_stand_after_the_word_before_them_and_its_punctuation() -> None:
    spans = timed_spans(TEXT, [Word("Hello", 0, 80), *WORDS[1:]])
    assert shown(place_moments(marked(Mark("", start=95)), TEXT, spans, "[SCD]", 2)) == "Hello,[SCD] i met john smith."
    assert shown(place_moments(marked(Mark("", end=999)), TEXT, spans, "[ENDP]", 1)) == TEXT + "[ENDP]"
    assert shown(place_moments(marked(Mark("", start=-5)), TEXT, spans, "[SCD]", 2)) == "[SCD]" + TEXT


def test_no_marks_need_no_times_and_marks_do() -> None:
    assert place_moments(marked(), TEXT, None, "[SCD]", 2) == []
    assert place_moments(marked(Mark("", start=1)), TEXT, None, "[SCD]", 2) is None


def test_entities_are_found_by_time_or_by_their_words() -> None:
    spans = timed_spans(TEXT, WORDS)
    timed = marked(Mark("person", start=300, end=480))
    assert shown(place_entities(timed, TEXT, spans, "[NE]", "[/NE]")) == "Hello, i met[NE] john smith.[/NE]"
    spelt = marked(Mark("i"), Mark("john smith"))
    assert shown(place_entities(spelt, TEXT, None, "[NE]", "[/NE]")) == "Hello,[NE] i[/NE] met[NE] john smith[/NE]."


def test_an_entity_that_is_not_there_or_overlaps_leaves_all_unplaced() -> None:
    assert place_entities(marked(Mark("paris")), TEXT, None, "[NE]", "[/NE]") is None
    overlapping = marked(Mark("x", start=200, end=400), Mark("x", start=300, end=480))
    assert place_entities(overlapping, TEXT, timed_spans(TEXT, WORDS), "[NE]", "[/NE]") is None


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=6))
def test_cutting_loses_nothing(text: str, places: list[tuple[int, int]]) -> None:
    pieces = cut(text, [PlacedToken(min(offset, len(text)), rank, "*") for offset, rank in places])
    assert "".join(stretch for stretch, _ in pieces) == text
    assert [token for _, token in pieces] == ["*"] * len(places) + [""]
