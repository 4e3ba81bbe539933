"""robots.txt, opt-outs, bot pages, the deny-list: the readers of what others ask of us."""

from __future__ import annotations

import urllib.robotparser

import pytest

from voxmill.operators.crawl.listing.page import parse
from voxmill.operators.crawl.policy.bot_challenge import challenge
from voxmill.operators.crawl.policy.denylist import DenyList
from voxmill.operators.crawl.policy.opt_out import header_opt_out, page_opt_out, robots_directive, tdm_file
from voxmill.operators.crawl.policy.robots import MAX_BYTES, RobotsFile, decode

ROBOTS = """
User-agent: otherbot
Disallow: /

User-agent: Voxmill
Disallow: /members/
Allow: /members/free
Crawl-delay: 2.5

User-agent: *
Disallow: /everyone
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", True),
        ("/members/a.mp3", False),
        ("/members/free/a.mp3", True),  # the longer rule wins
        ("/everyone", True),  # our own group replaces that of everyone
        ("/robots.txt", True),
    ],
)
def test_our_group_of_robots_txt(path: str, allowed: bool) -> None:
    found = RobotsFile(200, ROBOTS)
    assert found.allows(f"https://a.example{path}") == allowed
    assert found.crawl_delay == 2.5


def test_rfc_9309_where_the_old_reader_differs() -> None:
    text = "User-agent: *\nAllow: /a/\nDisallow: /a/*.mp3$\nDisallow: /%7Ejoe/"
    old = urllib.robotparser.RobotFileParser()
    old.parse(text.splitlines())
    assert old.can_fetch("voxmill", "https://a.example/a/x.mp3")  # knows no patterns
    found = RobotsFile(200, text)
    assert not found.allows("https://a.example/a/x.mp3")
    assert found.allows("https://a.example/a/x.mp3?full")
    assert not found.allows("https://a.example/~joe/x.mp3")


@pytest.mark.parametrize(
    ("status", "allowed"),
    [(200, True), (401, True), (403, True), (404, True), (410, True), (429, False), (500, False), (0, False)],
)
def test_what_the_status_of_robots_txt_means(status: int, allowed: bool) -> None:
    found = RobotsFile(status, "" if status < 300 else "ignored")
    assert found.allows("https://a.example/x") == allowed
    assert RobotsFile.from_json(found.to_json()) == found
    assert str(status or "unreachable") in found.evidence("https://a.example/x")


def test_request_rate_counts_as_a_delay() -> None:
    assert RobotsFile(200, "User-agent: *\nRequest-rate: 1/10").crawl_delay == 10
    assert RobotsFile(404, "User-agent: *\nCrawl-delay: 9").crawl_delay == 0


def test_a_huge_robots_txt_is_cut() -> None:
    body = b"\xef\xbb\xbfUser-agent: *\nDisallow: /a\n" + b"#" * MAX_BYTES + b"\nDisallow: /b"
    found = RobotsFile(200, decode(body))
    assert not found.allows("https://a.example/a")
    assert found.allows("https://a.example/b")


@pytest.mark.parametrize(
    ("lines", "directive"),
    [
        (["noai"], "noai"),
        (["index, NoImageAI"], "noimageai"),
        (["all", "noml"], "noml"),
        (["noindex, nofollow"], "noindex"),
        (["none"], "none"),
        (["voxmill: noai"], "noai"),
        (["*: noai"], "noai"),
        (["gptbot: noai, noindex"], None),  # all of the line is that bot's
        (["gptbot: noai, voxmill: noindex"], "noindex"),
        (["gptbot: noai", "noindex"], "noindex"),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST, noai"], "noai"),
        (["max-snippet: -1, index, follow, archive"], None),
        (["noaiish"], None),
        ([], None),
    ],
)
def test_x_robots_tag(lines: list[str], directive: str | None) -> None:
    assert robots_directive(lines) == directive
    assert bool(header_opt_out(lines, None)) == bool(directive)


@pytest.mark.parametrize(("value", "reserved"), [("1", True), (" 1 ", True), ("0", False), ("yes", False), (None, False)])
def test_tdm_header(value: str | None, reserved: bool) -> None:
    assert bool(header_opt_out([], value)) == reserved


@pytest.mark.parametrize(
    ("rules", "reserved"),
    [
        ('[{"location": "/", "tdm-reservation": 1}]', True),
        ('[{"location": "/a/", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}]', False),
        ('[{"location": "/", "tdm-reservation": 1}, {"location": "/a/", "tdm-reservation": 0}]', True),  # first in sequence
        ('[{"location": "/a/*.mp3$", "tdm-reservation": 1, "tdm-policy": "https://a.example/policy"}]', True),
        ('[{"location": "/b/", "tdm-reservation": 1}]', None),
        ('[{"location": "/", "tdm-reservation": 7}]', None),
        ('{"location": "/", "tdm-reservation": 1}', None),
        ("[1, null]", None),
        ("<html>not found</html>", None),
        ("", None),
    ],
)
def test_tdm_file(rules: str, reserved: bool | None) -> None:
    assert tdm_file(rules, "https://a.example/a/b.mp3")[0] == reserved


@pytest.mark.parametrize(
    ("head", "reserved"),
    [
        ("<meta name=robots content='noai, noimageai'>", True),
        ("<META NAME='ROBOTS' CONTENT='NOINDEX'>", True),
        ("<meta name=voxmill content=noml>", True),
        ("<meta name=googlebot content=noindex>", False),
        ("<meta name='tdm-reservation' content='1'>", True),
        ("<meta name='tdm-reservation' content='0'>", False),
        ("<meta name=robots content='index, follow, max-image-preview:large'>", False),
    ],
)
def test_meta_tags(head: str, reserved: bool) -> None:
    assert bool(page_opt_out(parse(f"<html><head>{head}</head></html>".encode()))) == reserved


@pytest.mark.parametrize(
    ("status", "headers", "body", "found"),
    [
        (403, {"cf-mitigated": "challenge"}, b"", True),
        (200, {"cf-mitigated": "challenge"}, b"", True),
        (503, {}, b"<html><title>Just a moment...</title>", True),
        (200, {}, b"<script>window._cf_chl_opt={}</script>", True),
        (429, {}, b"<div class='h-captcha'></div>", True),
        (200, {}, b"<form><div class='g-recaptcha'></div> comment</form>", False),
        (403, {}, b"Forbidden", False),
        (404, {}, b"captcha museum: page not found", False),
    ],
)
def test_bot_pages(status: int, headers: dict[str, str], body: bytes, found: bool) -> None:
    assert bool(challenge(status, headers, body)) == found


def test_deny_list() -> None:
    deny = DenyList(
        ["bad.example", "*.worse.example", "https://a.example/private/*", "https://a.example/one.mp3", "sha256:ABCD"]
    )
    assert deny.address("http://bad.example/x")
    assert deny.address("http://cdn.bad.example:8080/x")
    assert not deny.address("http://notbad.example/x")
    assert deny.address("http://b.worse.example/x")
    assert deny.address("HTTPS://A.example:443/private/x.mp3#t=1")
    assert deny.address("https://a.example/one.mp3")
    assert not deny.address("https://a.example/two.mp3")
    assert deny.content("abcd")
    assert not deny.content("ef")
