"""Any service with OpenAI's interface for transcriptions (`/v1/audio/transcriptions`): vLLM, a server of your own, or a vendor's.

The weights are not here and cannot be hashed: `version` stands for them, and a raised one makes new opinions.
"""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from math import exp
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from voxmill.manifests.records import SAMPLE_RATE
from voxmill.operators.contract.adapters import Audio, AudioClip, Span, TimedWord, Transcript
from voxmill.operators.contract.languages import primary
from voxmill.operators.crawl.fetch.address import AddressPolicy, check_entry, is_public
from voxmill.operators.transcribe.by_pieces import Heard, audible, by_pieces
from voxmill.operators.transcribe.engine_config import EngineName, EngineSettings
from voxmill.operators.transcribe.language_names import CODES
from voxmill.operators.transcribe.service_errors import FormField, NoAnswer


def _url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "is no plain address: write `https://host/v1`; a key goes into an environment variable, see `key_variable`"
        )
    return url.rstrip("/")


class OpenAiConfig(EngineSettings):
    """Any service with OpenAI's interface for transcriptions (`/v1/audio/transcriptions`): vLLM, a server of your own, a vendor's."""

    speed_only: ClassVar[frozenset[str]] = frozenset(
        ["url", "key_variable", "allow_private", "ca_file", "requests_per_second", "in_flight", "timeout", "retries", "backoff",
         "price_per_hour", "price_per_request"]
    )  # fmt: skip
    kind: Literal["openai"] = "openai"
    name: EngineName = "openai"
    model: Literal[""] = ""
    """Nothing: no weights are loaded here, see `served_model`."""
    url: Annotated[str, AfterValidator(_url)]
    """Where the service is, up to and with the version of its interface, as in `https://asr.example.org/v1`."""
    served_model: str = Field(min_length=1)
    """The model that is asked for, by the service's name."""
    version: str = Field(default="1", min_length=1)
    """Yours to raise when the service has other weights under the same name: what was made by another version is made again."""
    key_variable: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable that holds the key, on every machine that works on the run; null: none is sent."""
    allow_private: tuple[Annotated[str, AfterValidator(check_entry)], ...] = ()
    """Hosts, `host:port` pairs, addresses or CIDR blocks that may have private addresses: your own servers."""
    ca_file: str | None = None
    """Additional certificate authorities to trust (PEM), for your own servers."""
    device: Literal["cpu"] = "cpu"
    compute_type: Literal["auto"] = "auto"
    answers: Literal["verbose_json", "json"] = "verbose_json"
    """What is asked for: `verbose_json` has times and probabilities; `json` the text alone, for models that know nothing else."""
    word_times: bool = True
    """Ask for the time of every word; only with `verbose_json`."""
    max_seconds: float = Field(default=30.0, gt=1)
    """Longest audio of one request; longer spans are cut at their quietest point."""
    requests_per_second: float = Field(default=2.0, gt=0)
    """Most requests that one worker begins in a second. There is one worker unless `executor.resources` says otherwise."""
    in_flight: int = Field(default=4, ge=1)
    """Requests of one worker that run at once."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds for a connection, and for an answer."""
    retries: int = Field(default=4, ge=0)
    """Retries after a connection error, no answer in time, or HTTP 408, 409, 429, 500, 502, 503, 504."""
    backoff: float = Field(default=1.0, ge=0)
    """Seconds before the first retry; doubled before each further one, and shortened by chance by up to a half."""
    price_per_hour: float = Field(default=0.0, ge=0)
    """What the service takes for an hour of audio, in any currency: `voxmill stats` says what that comes to."""
    price_per_request: float = Field(default=0.0, ge=0)
    """What it takes for a request, one for each segment."""

    @model_validator(mode="after")
    def _key_in_the_open(self) -> OpenAiConfig:
        parts = urlsplit(self.url)
        host = (parts.hostname or "").lower()
        address = host if re.fullmatch(r"[0-9.]+|.*:.*", host) else "0.0.0.1"  # a name is listed as such, not by where it leads
        listed = AddressPolicy(self.allow_private).permits(host, parts.port or 80, address) and not is_public(
            ip_address(address)
        )
        if parts.scheme == "http" and self.key_variable and not listed:
            raise ValueError("the key would travel unencrypted: write https, or list the host in allow_private if it is yours")
        return self


class OpenAi:
    """A `Transcriber` that asks a service. Words have times and segments probabilities where it gives them."""

    def __init__(self, config: OpenAiConfig) -> None:
        from voxmill.operators.transcribe.service import RecognitionService

        self._config = config
        self._service = RecognitionService(
            f"{config.url}/audio/transcriptions",
            config.key_variable,
            allow_private=config.allow_private,
            timeout=config.timeout,
            retries=config.retries,
            backoff=config.backoff,
            per_second=config.requests_per_second,
            ca_file=config.ca_file,
        )
        self.model = f"{config.served_model}@{config.version}"

    def transcribe(self, clips: Sequence[AudioClip]) -> list[list[Transcript]]:
        """One list per clip, one transcript per span, in order. Raises ServiceUnavailable."""
        return by_pieces(clips, self._config.max_seconds, 4 * self._config.in_flight, self._hear)

    def _hear(self, heard: Heard) -> list[Transcript]:
        with ThreadPoolExecutor(self._config.in_flight) as pool:
            return list(pool.map(self._ask, heard))

    def _ask(self, job: tuple[AudioClip, Span]) -> Transcript:
        clip, span = job
        language = self._language(clip)
        fields: list[FormField] = [
            ("file", ("audio.wav", wav(audible(clip, span)), "audio/wav")),
            ("model", self._config.served_model),
            ("response_format", self._config.answers),
            ("temperature", "0"),
        ]
        if language:
            fields.append(("language", language))
        if self._config.word_times and self._config.answers == "verbose_json":
            fields += [
                ("timestamp_granularities[]", "word"),
                ("timestamp_granularities[]", "segment"),
            ]  # one alone hides the other
        try:
            return read_answer(self._service.post(fields), span, language)
        except NoAnswer as error:
            return Transcript("", refusal=str(error))

    def _language(self, clip: AudioClip) -> str | None:
        """What the service is told: the only language of the config, else that of the recording where the config allows it."""
        allowed = self._config.languages
        hint = primary(clip.language) if clip.language else None
        return allowed[0] if len(allowed) == 1 else hint if not allowed or hint in allowed else None


def wav(audio: Audio) -> bytes:
    """A WAV file, mono, 16 kHz, 16 bit, of samples in [-1, 1]."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
    return held.getvalue()


def read_answer(body: bytes, span: Span, told: str | None) -> Transcript:
    """The transcript in an answer, with times relative to the clip that `span` is of. Raises NoAnswer where it is none.

    Confidence is exp(mean log-probability) of its segments by their length in time, or of the tokens where those are listed.
    """
    try:
        said = json.loads(body)
        text = " ".join(said["text"].split())
        words = said.get("words")
        segments, tokens = said.get("segments") or [], said.get("logprobs") or []
        weighed = [
            (max(one["end"] - one["start"], 0.01), one["avg_logprob"]) for one in segments if one.get("avg_logprob") is not None
        ]
        weighed = weighed or [(1.0, one["logprob"]) for one in tokens]
        silent = [one["no_speech_prob"] for one in segments if one.get("no_speech_prob") is not None]
        return Transcript(
            text,
            _words(words, span) if words or (words is not None and not text) else None if text else (),
            exp(min(0.0, sum(n * p for n, p in weighed) / sum(n for n, _ in weighed))) if weighed and text else None,
            _code(said.get("language")) or told,
            no_speech=sum(silent) / len(silent) if silent else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoAnswer(f"an answer that is no transcription ({type(error).__name__}): {body[:80]!r}") from error


def _words(words: Sequence[Any], span: Span) -> tuple[TimedWord, ...]:
    found = []
    for word in words:
        start, end = (min(max(span.start + round(word[edge] * SAMPLE_RATE), span.start), span.end) for edge in ("start", "end"))
        if text := word["word"].strip():
            chance = word.get("probability", word.get("confidence"))
            found.append(TimedWord(text, start, max(start, end), None if chance is None else min(max(float(chance), 0.0), 1.0)))
    return tuple(found)


def _code(language: str | None) -> str | None:
    """`english` and `en` are the same."""
    if not language:
        return None
    return CODES.get(language.lower()) or (primary(language) if re.fullmatch(r"[A-Za-z]{2,3}([-_].*)?", language) else None)
