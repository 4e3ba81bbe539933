"""The run's deny-list: hosts, addresses and contents that are never fetched or kept."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from voxmill.manifests.ids import archive_key
from voxmill.manifests.public_form import public_address
from voxmill.manifests.user_input import text


def read_entries(path: str) -> list[str]:
    """The entries of a deny-list file (a path or fsspec URL). Raises UserError."""
    lines = text(path, "deny-list", "name a text file in `crawl.deny_files`, with a host, an address or a sha256 on each line")
    return [entry for line in lines.splitlines() if (entry := line.partition("#")[0].strip())]


class DenyList:
    """Entries: a host (`example.org`, with its subdomains), a URL or URL glob (`https://example.org/private/*`), `sha256:<hex>`.

    >>> deny = DenyList(["example.org", "https://a.net/x/*"])
    >>> deny.address("http://www.example.org/a.mp3"), deny.address("https://a.net/x/1"), deny.address("https://a.net/y")
    ('example.org', 'https://a.net/x/*', None)
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = tuple(entry.strip() for entry in entries)
        keys = {entry: archive_key(public_address(entry)) for entry in self._entries if "://" in entry}
        self._public = {entry: key for entry, key in keys.items() if key != archive_key(entry) and "*" not in entry}
        """Entries that hold a secret, by their address without it: records have only that form."""
        self._hashes = {e.removeprefix("sha256:").lower() for e in self._entries if e.startswith("sha256:")}

    def address(self, url: str) -> str | None:
        """The entry that forbids this address, or None."""
        key, public = archive_key(url), archive_key(public_address(url))
        try:
            host = (urlsplit(url).hostname or "").lower().rstrip(".")
        except ValueError:  # no valid address: no host to deny, and nothing to fetch
            host = ""
        for entry in self._entries:
            if "://" in entry:
                if fnmatchcase(key, entry) or key == archive_key(entry) or public == self._public.get(entry):
                    return entry
            elif host and (host == entry.lower() or host.endswith("." + entry.lower().removeprefix("*."))):
                return entry
        return None

    def content(self, sha256: str) -> bool:
        """Whether content with this SHA-256 is denied."""
        return sha256 in self._hashes
