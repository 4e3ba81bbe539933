from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.operators.crawl.facts.crawl_errors import PrivateAddress
from voxmill.operators.crawl.fetch.address import AddressPolicy, check_entry, is_public, resolve_by_system

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",  # a cloud's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # another's
    "169.254.169.254",  # most of the others'
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(PrivateAddress):
        AddressPolicy().check("host.example", 80, [address])


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert AddressPolicy().check("host.example", 80, [address]) == [address]


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_every_disguise(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    translated = ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + int(address))
    assert is_public(address) == is_public(mapped) == is_public(translated)


def test_one_private_address_among_public_ones_condemns_the_host() -> None:
    with pytest.raises(PrivateAddress, match=r"mixed\.example resolves to 10\.0\.0\.1"):
        AddressPolicy().check("mixed.example", 443, ["93.184.216.34", "10.0.0.1"])


@pytest.mark.parametrize(
    ("entry", "host", "port", "address", "allowed"),
    [
        ("intranet.example", "intranet.example", 80, "10.0.0.1", True),
        ("intranet.example", "INTRANET.example.", 80, "10.0.0.1", True),
        ("intranet.example", "evil-intranet.example", 80, "10.0.0.1", False),
        ("intranet.example:8080", "intranet.example", 8080, "10.0.0.1", True),
        ("intranet.example:8080", "intranet.example", 80, "10.0.0.1", False),
        ("127.0.0.1", "anything.example", 80, "127.0.0.1", True),
        ("127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1", True),
        ("127.0.0.1:8000", "127.0.0.1", 8001, "127.0.0.1", False),
        ("10.0.0.0/8", "a.example", 80, "10.200.0.1", True),
        ("10.0.0.0/8", "a.example", 80, "192.168.0.1", False),
        ("::1", "localhost", 80, "::1", True),
        ("[::1]:8000", "::1", 8000, "::1", True),
        ("[::1]:8000", "::1", 80, "::1", False),
    ],
)
def test_allowed_exceptions(entry: str, host: str, port: int, address: str, allowed: bool) -> None:
    assert AddressPolicy((check_entry(entry),)).permits(host, port, address) == allowed


@pytest.mark.parametrize("entry", ["", "  ", "*", "*.example.org", "http://host/", "me@host"])
def test_wildcards_and_urls_are_no_exceptions(entry: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        check_entry(entry)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "[::1]", "localhost"])
def test_other_spellings_of_this_machine_resolve_to_it(host: str) -> None:
    with pytest.raises(PrivateAddress):
        AddressPolicy().check(host, 80, resolve_by_system(host, 80))
