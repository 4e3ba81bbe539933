"""What lies in the folders of a source and is not listed: counted while they are walked, so that nobody takes it for fetched."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from voxmill.operators.crawl.facts.media_types import name_suffix

NAMED = 4
"""Suffixes that are told apart in a message; the rest is counted together."""

KEPT = 1000
"""Suffixes that are told apart at all: names of files can be anything."""


@dataclass(slots=True)
class Unlisted:
    """Counts of files by why they are not listed; `str()` says them, and is empty where there are none."""

    by_suffix: Counter[str] = field(default_factory=Counter)
    """Files whose names are not those of audio or video, or not what `glob` asks for."""
    dead_links: int = 0
    special: int = 0
    """Pipes, sockets and devices: what they hold comes once, or never ends."""

    def by_name(self, path: str) -> None:
        """A file that is not asked for by its name."""
        suffix = name_suffix(path)
        self.by_suffix[suffix if suffix in self.by_suffix or len(self.by_suffix) < KEPT else ""] += 1

    def __str__(self) -> str:
        named, parts = self.by_suffix.total(), list[str]()
        if named:
            most = self.by_suffix.most_common(NAMED)
            each = [f"{count:,} {f'.{suffix}' if suffix else 'without a suffix'}" for suffix, count in most]
            rest = named - sum(count for _, count in most)
            parts.append(
                f"{_files(named)} by name ({', '.join([*each, *([f'{rest:,} others'] if rest else [])])}; `glob` chooses others)"
            )
        if self.dead_links:
            parts.append(
                f"{self.dead_links:,} link{'s' * (self.dead_links != 1)} that lead{'s' * (self.dead_links == 1)} nowhere"
            )
        if self.special:
            parts.append(f"{self.special:,} special file{'s' * (self.special != 1)} (pipe, socket or device)")
        return ", ".join(parts)


def _files(count: int) -> str:
    return f"{count:,} file{'s' * (count != 1)}"
