"""Which network addresses a crawl may connect to: public ones, and those that the config names (SSRF protection).

A name is resolved once, every address it resolves to is checked, and the connection goes to a checked address: there is no
second look-up between check and connection that could answer differently (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from voxmill.operators.crawl.facts.crawl_errors import PrivateAddress

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""Host and port to addresses. Raises OSError (`socket.gaierror`) where the name has none."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NEVER = tuple(
    ipaddress.ip_network(block)
    for block in (
        "168.63.129.16/32",  # Azure's host agent: a public address that answers only to its own machines
        "192.0.0.0/24",  # protocol assignments, one of them a cloud's metadata service
        "192.88.99.0/24",  # 6to4 relays
        "64:ff9b:1::/48",  # local-use NAT64: what it leads to is private by definition
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "2001:db8::/32",
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
)


def resolve_by_system(host: str, port: int) -> list[str]:
    """Resolves by the operating system. Literals ("127.1", "0x7f000001", "[::1]") resolve as it reads them."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: Address) -> bool:
    """False for private, loopback, link-local, shared (CGNAT), multicast, reserved and cloud-metadata addresses.

    >>> [is_public(ipaddress.ip_address(a)) for a in ("93.184.216.34", "169.254.169.254", "::ffff:10.0.0.1")]
    [True, False, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        if address.is_site_local:
            return False
    if any(address in block for block in _NEVER if block.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


@dataclass(frozen=True)
class AddressPolicy:
    """`allow` names hosts, `host:port` pairs, addresses or CIDR blocks that may be private."""

    allow: tuple[str, ...] = ()

    def check(self, host: str, port: int, addresses: Sequence[str]) -> Sequence[str]:
        """Returns the addresses if all of them are permitted; one that is not rejects the host.

        Raises PrivateAddress.
        """
        for text in addresses:
            if not self.permits(host, port, text):
                raise PrivateAddress(f"{host} resolves to {text}")
        return addresses

    def permits(self, host: str, port: int, address: str) -> bool:
        """Whether one resolved address is public, or allowed for this host and port."""
        ip = ipaddress.ip_address(address.split("%", 1)[0])
        names = {host.strip("[]").lower().rstrip("."), str(ip)}
        return is_public(ip) or any(_matches(entry, names, port, ip) for entry in self.allow)


def check_entry(entry: str) -> str:
    """An `allow_private` entry in normal form. Raises ValueError."""
    entry = entry.strip().lower()
    if not entry or any(mark in entry for mark in "*@ ") or "//" in entry:
        raise ValueError(f"{entry!r} is no host, host:port, address or CIDR block")
    return entry


def _matches(entry: str, names: set[str], port: int, ip: Address) -> bool:
    try:
        return ip in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass
    head, colon, tail = entry.rpartition(":")
    if colon and tail.isdigit():
        return int(tail) == port and head.strip("[]") in names
    return entry.strip("[]") in names
