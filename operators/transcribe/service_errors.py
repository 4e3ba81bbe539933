"""What is said to a recognition service, and what can be wrong: with the service itself, or with one request."""

from __future__ import annotations

from typing import TypeAlias

from voxmill.manifests.errors import Unavailable

FormField: TypeAlias = tuple[str, str | tuple[str, bytes, str]]
"""A field of a form: its name, and its value or a file (name, content, type)."""


class ServiceUnavailable(Unavailable):
    """A recognition service cannot be used: the message names it, the cause and the fix. The run stops and can be continued."""


class NoAnswer(Exception):
    """The service gave no transcript for one request; the text says why, without secrets."""
