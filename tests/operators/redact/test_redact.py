"""Masks and silences: pure parts with a stand-in finder, and Presidio where it is installed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from factory import recording, segment
from samples import sample
from voxmill.manifests.records import SAMPLE_RATE, Consensus, Hypothesis, Word
from voxmill.manifests.redaction_records import Masked, Redaction
from voxmill.operators.contract.unit_input import UnitInput
from voxmill.operators.redact.pii_finder import PiiFinder, PiiSpan, RedactConfig
from voxmill.operators.redact.redact import Redact, mask, timed_words
from voxmill.operators.select.select import Select, SelectConfig
from voxmill.sharding.redacted import redacted, silenced
from voxmill.sharding.sample import document_bytes

TEXT = "please ask Ann Lee about it"


def names(text: str) -> list[PiiSpan]:
    return [PiiSpan(m.start(), m.end(), "NAME", 0.9) for m in re.finditer("Ann Lee", text)]


def work(words: tuple[Word, ...] | None, text: str = TEXT) -> UnitInput:
    rec = recording("a")
    seg = segment(rec, 1000, 5 * SAMPLE_RATE)
    heard = Hypothesis(seg.id, "e", "m", text, words=words)
    said = Consensus(
        seg.id, text, "prefer:e", "en", 0.9, 1.0, None, "word", ("e",), (text,), "1", (), 0, 0.9, 15.0, 0.8, 1
    )  # fmt: skip
    return UnitInput("u", recordings=(rec,), segments=(seg,), hypotheses=(heard,), consensus=(said,))


def timed(text: str, every: int = 8000) -> tuple[Word, ...]:
    return tuple(Word(w, 1000 + every * i, 1000 + every * (i + 1)) for i, w in enumerate(text.split()))


def redact(given: UnitInput) -> Redaction:
    (found,) = Redact(RedactConfig(margin=0.1), names)(given)  # type: ignore[arg-type] # only a callable is needed
    return found


def test_a_name_is_masked_and_its_words_are_silenced() -> None:
    found = redact(work(timed(TEXT)))
    assert found.text == "please ask [NAME] about it"
    (one,) = found.masked
    assert (one.start, one.end) == (1000 + 2 * 8000 - 1600, 1000 + 4 * 8000 + 1600)
    assert found.text[one.at :].startswith("[NAME]")
    assert "Ann" not in repr(found)


def test_without_times_the_segment_is_not_kept() -> None:
    given = work(None)
    found = redact(given)
    assert found.untimed == ("NAME",)
    config = SelectConfig(single_high=0.5, single_weak=0.4, single_unlabelled=0.1)
    (verdict,) = Select(config)(UnitInput(**{**_fields(given), "redactions": (found,)}))
    assert verdict.rejection is not None
    assert (verdict.rejection.reason, verdict.rejection.detail) == ("select.personal_data", "NAME")


def test_nothing_found_says_so() -> None:
    assert redact(work(timed("nothing here"), "nothing here")) == Redaction(work(None).segments[0].id, "nothing here", ())


def test_words_of_another_text_are_no_times() -> None:
    other = Hypothesis("s", "e", "m", "please ask somebody", words=timed("please ask somebody"))
    assert timed_words(TEXT, [other]) == []


def test_masks_stand_where_they_are_said_to() -> None:
    found = [PiiSpan(0, 3, "NAME", 1.0), PiiSpan(8, 11, "NUMBER", 1.0)]
    text, places = mask("Ann and 123 x", found)
    assert text == "[NAME] and [NUMBER] x"
    assert [text[at:].split("]")[0] for at in places] == ["[NAME", "[NUMBER"]


def test_a_redacted_sample_says_nothing_of_it() -> None:
    one = sample(recording("a"), 0, 2)
    hidden = redacted(one, Redaction(one.key, "[NAME]", (Masked("NAME", 0, 0.9, 0, 16000),)))
    blob = document_bytes(hidden).decode()
    assert "thank you" not in blob
    assert '"text":"[NAME]"' in blob
    assert hidden.consensus.agreement == one.consensus.agreement
    assert redacted(one, Redaction(one.key, one.consensus.text, ())) is one


def test_silence_is_where_it_should_be_and_nowhere_else() -> None:
    sound = np.ones(100, np.float32)
    quiet = silenced(sound, 1000, [(990, 1010), (1050, 1060), (1095, 2000), (0, 500)])
    assert quiet.sum() == 100 - 10 - 10 - 5
    assert sound.sum() == 100
    assert silenced(sound, 5000, [(0, 10)]) is sound


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to john.smith@example.com today", "write to [EMAIL] today"),
        ("write to john dot smith at example dot com today", "write to [EMAIL] today"),
        ("the number is five five five one two three four okay", "the number is [NUMBER] okay"),
        ("call 212-555-0187 now", "call [NUMBER] now"),
        ("in 2008, 120 people at the house saw five of them", "in 2008, 120 people at the house saw five of them"),
    ],
)
def test_presidio_knows_what_is_written_and_what_is_said(text: str, masked: str) -> None:
    pytest.importorskip("presidio_analyzer")
    assert mask(text, _finder()(text))[0] == masked


_made: list[Any] = []


def _finder() -> PiiFinder:
    if not _made:
        _made.append(PiiFinder(RedactConfig()))
    return _made[0]  # type: ignore[no-any-return]


def _fields(given: UnitInput) -> dict[str, Any]:
    return {name: getattr(given, name) for name in given.__dataclass_fields__}
