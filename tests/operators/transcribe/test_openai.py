"""The engine that asks a service, against a real HTTP server behind which a recogniser of this project hears tones, and one real speech."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import tone_models
from benchmarks.words import Edits, edits, english
from recognition_server import Served, serving
from speech.waves import RATE
from voxmill.operators.contract.adapters import AudioClip, Span, Transcriber
from voxmill.operators.transcribe.moonshine import Moonshine, MoonshineConfig
from voxmill.operators.transcribe.onnx_asr import OnnxAsr, OnnxAsrConfig
from voxmill.operators.transcribe.openai import OpenAi, OpenAiConfig, read_answer
from voxmill.operators.transcribe.service_errors import NoAnswer, ServiceUnavailable
from voxmill.pipeline.execution.infra_errors import machine_fault

KEY = "sk-9f2b7c1d4e8a6f3b5d7e"
SAID = (("one", 0.5, 0.8), ("three", 1.1, 1.35), ("two", 1.7, 1.9), ("one", 2.5, 2.9), ("two", 3.3, 3.6))
CLIP = AudioClip(
    tone_models.tones(SAID, 4.0), (Span(int(0.2 * RATE), int(2.2 * RATE)), Span(int(2.3 * RATE), 4 * RATE)), "en-GB"
)


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Transcriber:
    pytest.importorskip("onnx_asr")
    return OnnxAsr(OnnxAsrConfig(model=str(tone_models.nemo_tdt(tmp_path_factory.mktemp("tones") / "tdt"))))


@pytest.fixture
def served(tones: Transcriber) -> Iterator[Served]:
    with serving(tones) as one:
        yield one


def asking(served: Served, **changes: Any) -> OpenAi:
    settings: dict[str, Any] = {
        "requests_per_second": 1000.0,
        "backoff": 0.01,
        "timeout": 5.0,
        "allow_private": ("127.0.0.1",),
    } | changes
    return OpenAi(OpenAiConfig(url=served.url, served_model="tones", **settings))


def test_it_hears_what_the_recogniser_behind_the_service_hears(served: Served, tones: Transcriber) -> None:
    ((first, second),) = asking(served).transcribe([CLIP])
    ((own, other),) = tones.transcribe([CLIP])
    assert [first.text, second.text] == [own.text, other.text] == ["one three two", "one two"]
    for said, known in ((first, own), (second, other)):
        assert said.words is not None
        assert known.words is not None
        assert known.confidence is not None
        assert [word.text for word in said.words] == [word.text for word in known.words]
        for one, two in zip(said.words, known.words, strict=True):
            assert abs(one.start - two.start) < 0.09 * RATE
            assert abs(one.end - two.end) < 0.09 * RATE
        assert said.confidence == pytest.approx(known.confidence, abs=0.1)
        assert said.language == "en"
    assert {(one["model"], one["language"], one["response_format"]) for one in served.asked} == {
        ("tones", "en", "verbose_json")
    }
    assert asking(served).transcribe([CLIP]) == [[first, second]]


def test_the_text_alone_is_enough(served: Served) -> None:
    ((first, second),) = asking(served, answers="json").transcribe([CLIP])
    assert (first.text, first.words, first.confidence, second.text) == ("one three two", None, None, "one two")
    assert "timestamp_granularities[]" not in served.asked[0]


def test_the_order_is_kept_however_many_requests_run_at_once(served: Served) -> None:
    spans = tuple(Span(start, start + RATE) for start in range(int(0.3 * RATE), 3 * RATE, int(0.55 * RATE)))
    alone = [asking(served).transcribe([AudioClip(CLIP.audio, (span,))])[0][0].text for span in spans]
    served.most_at_once = 0
    found = asking(served, in_flight=4).transcribe([AudioClip(CLIP.audio, spans)])[0]
    assert [one.text for one in found] == alone
    assert len(set(alone)) > 2
    assert 2 <= served.most_at_once <= 4


def test_requests_keep_to_their_rate(served: Served) -> None:
    ear = asking(served, requests_per_second=10.0, in_flight=8)
    ear.transcribe([AudioClip(CLIP.audio, tuple(Span(i * 4000, i * 4000 + 4000) for i in range(8)))])
    times = sorted(float(one["at"]) for one in served.asked)
    assert times[-1] - times[0] > 0.9 * 7 / 10


def test_a_long_span_is_asked_for_in_pieces(served: Served) -> None:
    ((whole,),) = asking(served, max_seconds=2.2).transcribe([AudioClip(CLIP.audio, (Span(0, len(CLIP.audio)),))])
    assert whole.text == "one three two one two"
    assert len(served.asked) > 1
    assert max(float(one["seconds"]) for one in served.asked) <= 2.2


def test_a_span_of_which_a_piece_was_refused_has_no_text(served: Served) -> None:
    served.faults = [400]
    ((whole,),) = asking(served, max_seconds=2.2, in_flight=1).transcribe([AudioClip(CLIP.audio, (Span(0, len(CLIP.audio)),))])
    assert (whole.text, whole.words, len(served.asked) > 1) == ("", None, True)
    assert "HTTP 400" in str(whole.refusal)


@pytest.mark.parametrize("fault", [500, 503, 429, 408, "silence"])
def test_what_passes_is_asked_again(served: Served, fault: int | str) -> None:
    served.faults, served.silence = [fault, fault], 0.6
    ((first, second),) = asking(served, timeout=0.3 if fault == "silence" else 5.0, in_flight=1).transcribe([CLIP])
    assert [first.text, second.text, first.refusal] == ["one three two", "one two", None]
    assert len(served.asked) == 4


def test_a_service_that_asks_for_time_is_given_it(served: Served) -> None:
    served.faults, served.headers = [429], {"Retry-After": "1"}
    begun = time.monotonic()
    asking(served, in_flight=1).transcribe([CLIP])
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize(
    ("fault", "says"), [(400, "HTTP 400"), (413, "HTTP 413"), (500, "HTTP 500"), ("nonsense", "no transcription")]
)
def test_one_refused_request_is_an_outcome_of_its_segment_alone(served: Served, fault: int | str, says: str) -> None:
    served.faults = [fault] * (3 if fault == 500 else 1)
    ((first, second),) = asking(served, retries=2, in_flight=1).transcribe([CLIP])
    shorter, other = sorted((first, second), key=lambda one: one.text)
    assert (shorter.text, other.refusal) == ("", None)
    assert says in str(shorter.refusal)
    assert other.text in ("one three two", "one two")


def test_no_answer_in_time_is_an_outcome_too(served: Served) -> None:
    served.faults, served.silence = ["silence", "silence"], 0.6
    ((first, second),) = asking(served, timeout=0.3, retries=1, in_flight=1).transcribe([CLIP])
    refused = next(one for one in (first, second) if one.refusal)
    assert "no answer, 2 times" in str(refused.refusal)
    assert {first.text, second.text} & {"one three two", "one two"}


def test_a_service_that_is_down_stops_the_run_and_says_so(served: Served) -> None:
    dead = OpenAiConfig(
        url="http://127.0.0.1:9/v1",
        served_model="x",
        allow_private=("127.0.0.1",),
        retries=1,
        backoff=0.01,
        requests_per_second=1000,
    )
    with pytest.raises(ServiceUnavailable, match=r"127.0.0.1:9 cannot be reached .* start it, or mend `url`") as caught:
        OpenAi(dead).transcribe([CLIP])
    assert machine_fault(caught.value) == str(caught.value)
    served.faults, served.silence = ["silence"] * 20, 0.4
    many = AudioClip(CLIP.audio, tuple(Span(i * 4000, i * 4000 + 4000) for i in range(8)))
    with pytest.raises(ServiceUnavailable, match="has not answered 5 requests in a row"):
        asking(served, timeout=0.2, retries=0, in_flight=1).transcribe([many])
    served.faults = [429] * 3
    with pytest.raises(ServiceUnavailable, match="takes no more requests"):
        asking(served, retries=2, in_flight=1).transcribe([CLIP])


def test_private_addresses_are_asked_only_where_the_config_says_so(served: Served) -> None:
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1, which is private: list the host in `allow_private`"):
        asking(served, allow_private=()).transcribe([CLIP])
    with pytest.raises(ServiceUnavailable, match="private"):
        asking(served, allow_private=("10.0.0.0/8",)).transcribe([CLIP])
    assert served.asked == []


def test_the_key_is_read_from_the_environment_and_is_never_repeated(
    tones: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tones, key=KEY) as locked:
        monkeypatch.setenv("ASR_KEY", KEY)
        assert asking(locked, key_variable="ASR_KEY").transcribe([CLIP])[0][0].text == "one three two"
        monkeypatch.setenv("ASR_KEY", "wrong-" + KEY)
        with pytest.raises(ServiceUnavailable, match="refuses the key in the environment variable ASR_KEY") as caught:
            asking(locked, key_variable="ASR_KEY").transcribe([CLIP])
        assert KEY not in str(caught.value)
        with pytest.raises(ServiceUnavailable, match="refuses requests without a key"):
            asking(locked).transcribe([CLIP])
    monkeypatch.delenv("ASR_KEY")
    with pytest.raises(ServiceUnavailable, match="ASR_KEY is not set"):
        asking(locked, key_variable="ASR_KEY")


def test_addresses_with_secrets_and_keys_in_the_open_are_refused() -> None:
    for url in ("https://me:pw@asr.example/v1", "https://asr.example/v1?key=x", "asr.example/v1", "ftp://asr.example/v1"):
        with pytest.raises(ValidationError, match="no plain address"):
            OpenAiConfig(url=url, served_model="x")
    for url, allowed in (
        ("http://asr.example/v1", ()),
        ("http://93.184.216.34/v1", ("93.184.216.34",)),
        ("http://a.example/v1", ("10.0.0.0/8",)),
    ):
        with pytest.raises(ValidationError, match="unencrypted"):
            OpenAiConfig(url=url, served_model="x", key_variable="K", allow_private=allowed)
    OpenAiConfig(url="http://gpu.local:8000/v1", served_model="x", key_variable="K", allow_private=("gpu.local",))
    OpenAiConfig(url="http://10.1.2.3/v1", served_model="x", key_variable="K", allow_private=("10.0.0.0/8",))


def test_answers_as_several_servers_write_them() -> None:
    span = Span(RATE, 3 * RATE)
    words = b'[{"word": " Hello", "start": 0.5, "end": 0.9}, {"word": "you", "start": 1.0, "end": 9.0}]'
    found = read_answer(b'{"text": " Hello you ", "language": "German", "words": ' + words + b"}", span, None)
    assert (found.text, found.language, found.confidence) == ("Hello you", "de", None)
    assert [(word.text, word.start, word.end) for word in found.words or ()] == [("Hello", 24000, 30400), ("you", 32000, 48000)]
    tokens = read_answer(
        b'{"text": "hi", "logprobs": [{"token": "hi", "logprob": 0}, {"token": "", "logprob": -0.2}]}', span, "en"
    )
    assert tokens.confidence == pytest.approx(np.exp(-0.1))
    assert (tokens.language, tokens.words) == ("en", None)
    assert read_answer(b'{"text": ""}', span, None).words == ()
    for wrong in (b"[]", b"{}", b'{"text": null}', b'{"text": "a", "segments": [{"avg_logprob": -1}]}', b"\xff"):
        with pytest.raises(NoAnswer):
            read_answer(wrong, span, None)


@pytest.mark.slow
def test_real_speech_through_a_service(reading: AudioClip, spoken: tuple[str, ...], tmp_path: Path) -> None:
    with serving(Moonshine(MoonshineConfig())) as served:
        (found,) = asking(served, timeout=60.0).transcribe([reading])
    pairs = zip(spoken, (one.text for one in found), strict=True)
    assert sum((edits(english(a), english(b)) for a, b in pairs), Edits()).rate <= 0.25
    assert all(one.confidence and 0.3 < one.confidence <= 1 for one in found)
