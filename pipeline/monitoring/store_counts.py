"""Requests to stores by this process, in portions: each is handed over once."""

from __future__ import annotations

from dataclasses import dataclass

from voxmill.manifests.storage import requests


@dataclass(slots=True)
class StoreCounts:
    """What has been handed over so far."""

    sent: int = 0
    again: int = 0

    def take(self) -> tuple[int, int]:
        """Requests since the last call, and how many of them were sent again."""
        counts = requests().values()
        sent, again = sum(count.sent for count in counts), sum(count.again for count in counts)
        taken = sent - self.sent, again - self.again
        self.sent, self.again = sent, again
        return taken


STORE_COUNTS = StoreCounts()
"""Of this process: a worker hands its portion over with a finished unit, the driver every few seconds."""
