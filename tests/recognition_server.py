"""A server with OpenAI's interface for transcriptions, on 127.0.0.1, behind which a recogniser of this project listens.

`faults` says what the next requests meet instead: an HTTP status, or `silence` (no answer until the client has gone).
"""

from __future__ import annotations

import email.parser
import email.policy
import io
import json
import threading
import time
import wave
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from voxmill.operators.contract.adapters import Audio, AudioClip, Span, Transcriber, Transcript


@dataclass
class Served:
    """A running server: where it is, what it was asked, and what goes wrong next."""

    engine: Transcriber
    key: str | None = None
    faults: list[int | str] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    """The fields of each form, without the audio; `seconds` is its length, `at` when it came."""
    most_at_once: int = 0
    silence: float = 5.0
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every fault."""
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: int = 0

    @property
    def url(self) -> str:
        """Base address, as `url` of the engine takes it."""
        return f"http://127.0.0.1:{self.port}/v1"

    def answer(self, path: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        """Status and body for one request."""
        with self._lock:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
            fault = self.faults.pop(0) if self.faults else None
        try:
            if self.key and headers["Authorization"] != f"Bearer {self.key}":
                return 401, b'{"error": {"message": "Incorrect API key provided: ' + str(
                    headers["Authorization"]
                ).encode() + b'"}}'
            if path != "/v1/audio/transcriptions":
                return 404, b'{"error": {"message": "no such path"}}'
            fields, audio = _form(headers["Content-Type"], body)
            with self._lock:
                seconds = f"{len(audio) / 16_000:.3f}"
                self.asked.append({**fields, "seconds": seconds, "at": str(time.monotonic())})
            if fault == "silence":
                time.sleep(self.silence)
                return 504, b""
            if fault == "nonsense":
                return 200, b"<html>busy</html>"
            if isinstance(fault, int):
                return fault, b'{"error": {"message": "as was asked for"}}'
            with self._lock:  # engines are not for several threads
                clip = AudioClip(audio, (Span(0, len(audio)),), fields.get("language"))
                transcript = self.engine.transcribe([clip])[0][0]
            return 200, json.dumps(told(transcript, fields, len(audio) / 16_000)).encode()
        finally:
            with self._lock:
                self._running -= 1


def told(transcript: Transcript, fields: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """An answer as OpenAI's and vLLM's servers write it."""
    if fields["response_format"] == "json":
        return {"text": transcript.text}
    logprob = None if transcript.confidence is None else float(np.log(transcript.confidence))
    segment = {"id": 0, "start": 0.0, "end": seconds, "text": transcript.text, "avg_logprob": logprob}
    asked = fields.get("timestamp_granularities[]", "segment").split(",")
    answer: dict[str, Any] = {"task": "transcribe", "language": "english", "duration": seconds, "text": transcript.text}
    if "segment" in asked:
        answer["segments"] = [segment]
    if "word" in asked and transcript.words is not None:
        answer["words"] = [
            {"word": word.text, "start": word.start / 16_000, "end": word.end / 16_000} for word in transcript.words
        ]
    return answer


@contextmanager
def serving(engine: Transcriber, key: str | None = None) -> Iterator[Served]:
    """Serves an engine until the block ends."""
    served = Served(engine, key)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = served.answer(self.path, self.headers, body)
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                for name, value in served.headers.items() if status != 200 else ():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)
            except OSError:
                pass  # the client has gone

        def log_message(self, *arguments: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _form(kind: str, body: bytes) -> tuple[dict[str, str], Audio]:
    """The fields of a multipart form, and the samples of its file."""
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    fields: dict[str, str] = {}
    audio: Audio = np.zeros(0, np.float32)
    for part in message.iter_parts():
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        assert isinstance(name, str)
        assert isinstance(content, bytes)
        if name == "file":
            with wave.open(io.BytesIO(content)) as file:
                assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
                audio = (np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768).astype(np.float32)
        else:
            fields[name] = ",".join(filter(None, [fields.get(name), content.decode()]))
    return fields, audio
