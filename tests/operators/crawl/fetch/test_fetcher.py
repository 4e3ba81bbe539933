"""The fetcher against a real server that is not always honest."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from email.utils import formatdate

import pytest
from pydantic import ValidationError

from voxmill import __version__
from voxmill.operators.crawl.facts.crawl_errors import (
    Blocked,
    BudgetSpent,
    CrawlError,
    Denylisted,
    Disallowed,
    HttpError,
    NetworkError,
    NotFound,
    OptedOut,
    PrivateAddress,
    Redirects,
    TooLarge,
    Unsupported,
)
from voxmill.operators.crawl.fetch.crawl_config import CrawlConfig, FetchSettings, NoContact
from voxmill.operators.crawl.fetch.fetcher import Fetcher
from voxmill.operators.crawl.policy.local_gate import LocalGate
from website import Answer, Website, html, in_turn, redirect, typed

Make = Callable[..., Fetcher]
SONG = typed(b"ID3 la la la", "audio/mpeg")


class Nap:
    """A clock that only sleeping moves."""

    def __init__(self, config: CrawlConfig) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []
        self.fetcher = Fetcher(config, LocalGate(config, clock=self.time), sleep=self.sleep, clock=self.time)

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_who_we_are(site: Website, fetcher: Fetcher) -> None:
    site.routes["/a.mp3"] = SONG
    assert fetcher.read(f"{site.url}/a.mp3").content == b"ID3 la la la"
    for asked in site.asked():
        assert asked.headers["user-agent"] == f"Voxmill/{__version__} (+https://crawl.example/about)"
        assert asked.headers["host"] == site.host
        assert asked.headers["accept-encoding"] == "identity"
        assert "cookie" not in asked.headers


@pytest.mark.parametrize(
    "contact", ["", "   ", "me", "http://localhost", "a@b", "https://a.example\r\nX: y", "ich@bücher.example"]
)
def test_a_contact_cannot_be_blank(contact: str) -> None:
    with pytest.raises(ValidationError, match="contact"):
        FetchSettings(contact=contact)


def test_without_a_contact_nothing_is_asked(site: Website) -> None:
    site.routes["/a.mp3"] = SONG
    settings = FetchSettings(allow_private=("127.0.0.1",))
    with pytest.raises(NoContact, match=r"crawl\.contact"):
        with Fetcher(settings, LocalGate(settings)).open(f"{site.url}/a.mp3"):
            pass
    assert not site.asked()


def test_nobody_speaks_under_another_name(site: Website, fetcher: Fetcher) -> None:
    site.routes["/a.mp3"] = SONG
    with fetcher.open(f"{site.url}/a.mp3", headers={"user-agent": "Mozilla/5.0", "Referer": "http://r.example"}):
        pass
    (asked,) = site.asked("/a.mp3")
    assert asked.headers["user-agent"].startswith("Voxmill/")
    assert asked.headers["referer"] == "http://r.example"


def test_what_robots_txt_disallows_is_never_requested(site: Website, fetcher: Fetcher) -> None:
    site.routes |= {
        "/robots.txt": typed("User-agent: *\nDisallow: /private/", "text/plain"),
        "/private/a.mp3": SONG,
        "/a.mp3": SONG,
    }
    with pytest.raises(Disallowed, match=r"disallows /private/a\.mp3 for voxmill"):
        fetcher.read(f"{site.url}/private/a.mp3")
    reply = fetcher.read(f"{site.url}/a.mp3")
    assert "robots.txt (200) allows /a.mp3" in reply.permission
    assert site.paths(rules=True) == ["/robots.txt", "/.well-known/tdmrep.json", "/a.mp3"]  # asked once for both


def test_a_redirect_into_a_disallowed_path_is_not_followed(site: Website, fetcher: Fetcher) -> None:
    site.routes |= {
        "/robots.txt": typed("User-agent: *\nDisallow: /private/", "text/plain"),
        "/a.mp3": redirect("/private/a.mp3"),
        "/private/a.mp3": SONG,
    }
    with pytest.raises(Disallowed):
        fetcher.read(f"{site.url}/a.mp3")
    assert site.paths() == ["/a.mp3"]


def test_robots_txt_that_fails_disallows_everything(site: Website, make_fetcher: Make) -> None:
    site.routes |= {"/robots.txt": Answer(b"", 503), "/a.mp3": SONG}
    with pytest.raises(Disallowed, match="unknown rules disallow everything"):
        make_fetcher(retries=1).read(f"{site.url}/a.mp3")
    assert site.paths(rules=True) == ["/robots.txt"] * 2


def test_robots_txt_may_be_redirected_and_may_be_forbidden(site: Website, fetcher: Fetcher) -> None:
    site.routes |= {"/robots.txt": redirect("/rules"), "/rules": typed("User-agent: *\nDisallow: /x", "text/plain")}
    with pytest.raises(Disallowed):
        fetcher.read(f"{site.url}/x")
    with Website({"/robots.txt": Answer(b"", 403), "/a.mp3": SONG}) as bucket:
        for _ in range(3):  # a bucket's 403 is no refusal of us: the breaker stays shut
            assert fetcher.read(f"{bucket.url}/a.mp3").content


def test_crawl_delay_is_waited_for(site: Website, make_config: Callable[..., CrawlConfig]) -> None:
    nap = Nap(make_config())
    site.routes |= {"/robots.txt": typed("User-agent: *\nCrawl-delay: 20", "text/plain"), "/a.mp3": SONG}
    for _ in range(3):
        nap.fetcher.read(f"{site.url}/a.mp3")
    assert sum(nap.slept) == pytest.approx(40, abs=0.1)


@pytest.mark.parametrize(
    "target", ["http://127.0.0.2/x", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data", "http://[::1]/"]
)
def test_a_redirect_to_a_private_address_is_refused(site: Website, make_fetcher: Make, target: str) -> None:
    site.routes["/a.mp3"] = redirect(target)
    with pytest.raises(PrivateAddress):
        make_fetcher(allow_private=(site.host,)).read(f"{site.url}/a.mp3")


def test_a_private_address_is_refused_unless_allowed(site: Website, make_fetcher: Make) -> None:
    with pytest.raises(PrivateAddress):
        make_fetcher(allow_private=()).read(f"{site.url}/a.mp3")
    with pytest.raises(PrivateAddress):
        make_fetcher(allow_private=(f"127.0.0.1:{site.port + 1}",)).read(f"{site.url}/a.mp3")
    assert site.log == []


def test_a_name_that_changes_its_address_is_refused_at_the_second_look(site: Website, make_fetcher: Make) -> None:
    """DNS rebinding: what is checked is what is connected to, at every connection anew."""
    answers = iter([["127.0.0.1"], ["10.0.0.7"]])
    looked_up: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return next(answers)

    # Every answer closes the connection, so the next request connects anew.
    site.routes |= {path: Answer(b"", 404, {"Connection": "close"}) for path in ("/robots.txt", "/.well-known/tdmrep.json")}
    fetcher = make_fetcher(resolve=resolve, allow_private=("127.0.0.1",))
    with pytest.raises(PrivateAddress, match=r"rebind\.example resolves to 10\.0\.0\.7"):
        fetcher.read(f"http://rebind.example:{site.port}/a.mp3")
    assert looked_up == ["rebind.example"] * 2
    assert site.paths(rules=True) == ["/robots.txt"]
    assert site.log[0].headers["host"] == f"rebind.example:{site.port}"


def test_one_look_up_for_one_connection(site: Website, make_fetcher: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the address that was checked: the system's resolver is not asked for the name at all."""
    asked: list[str] = []
    system = socket.getaddrinfo

    def spy(host: str, *args: object, **kwargs: object) -> object:
        asked.append(host)
        return system(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", spy)
    site.routes["/a.mp3"] = SONG
    make_fetcher(resolve=lambda host, port: ["127.0.0.1"]).read(f"http://only-here.example:{site.port}/a.mp3")
    assert set(asked) == {"127.0.0.1"}


def test_a_name_without_an_address(make_fetcher: Make) -> None:
    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(NetworkError, match="Name or service"):
        make_fetcher(resolve=nowhere).read("http://nowhere.example/")


@pytest.mark.parametrize(
    "place", ["http://[::1/a.mp3", "//[a/b", "http://[::1]x/", "http://a:b:c/", "http://[1]/", "http://\xff\xfe/", "ftp://a/"]
)
def test_a_redirect_to_what_is_no_address_ends_by_name(site: Website, fetcher: Fetcher, place: str) -> None:
    site.routes["/a.mp3"] = redirect(place)
    with pytest.raises((Redirects, Unsupported, NetworkError)):
        fetcher.read(f"{site.url}/a.mp3")


def test_redirects(site: Website, fetcher: Fetcher) -> None:
    site.routes |= {f"/{n}": redirect(f"/{n + 1}", 301 + n % 2) for n in range(10)} | {"/10": SONG}
    reply = fetcher.read(f"{site.url}/0")
    assert (reply.url, reply.content) == (f"{site.url}/10", b"ID3 la la la")
    site.routes |= {"/10": redirect("/11"), "/11": SONG}
    with pytest.raises(Redirects, match="more than 10"):
        fetcher.read(f"{site.url}/0")


def test_a_redirect_loop_and_one_to_nowhere(site: Website, fetcher: Fetcher) -> None:
    site.routes |= {
        "/a": redirect("/b"),
        "/b": redirect("/a"),
        "/none": Answer(b"", 302),
        "/ftp": redirect("ftp://a.example/x"),
    }
    with pytest.raises(Redirects, match="leads back to itself"):
        fetcher.read(f"{site.url}/a")
    assert site.paths() == ["/a", "/b"]
    with pytest.raises(Redirects, match="without an address"):
        fetcher.read(f"{site.url}/none")
    with pytest.raises(Unsupported, match="only http and https"):
        fetcher.read(f"{site.url}/ftp")


def test_a_redirect_in_utf_8(site: Website, fetcher: Fetcher) -> None:
    site.routes |= {"/a": redirect("/ä ö.mp3".encode().decode("latin-1")), "/%C3%A4%20%C3%B6.mp3": SONG}
    assert fetcher.read(f"{site.url}/a").content


@pytest.mark.parametrize(
    "url", ["ftp://a.example/x", "file:///etc/passwd", "http://user:secret@a.example/", "http://", "http://[::/", "x"]
)
def test_addresses_that_are_not_asked_for(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(Unsupported):
        fetcher.read(url)


@pytest.mark.parametrize(
    ("status", "error"), [(404, NotFound), (410, NotFound), (401, HttpError), (403, HttpError), (451, HttpError)]
)
def test_a_client_error_is_final(site: Website, fetcher: Fetcher, status: int, error: type[CrawlError]) -> None:
    site.routes["/a.mp3"] = Answer(b"no", status)
    with pytest.raises(error, match=str(status)):
        fetcher.read(f"{site.url}/a.mp3")
    assert site.paths() == ["/a.mp3"]


def test_500_then_fine(site: Website, fetcher: Fetcher) -> None:
    site.routes["/a.mp3"] = in_turn(Answer(b"", 500), Answer(b"", 502), SONG)
    assert fetcher.read(f"{site.url}/a.mp3").content == b"ID3 la la la"
    assert site.paths() == ["/a.mp3"] * 3


def test_500_for_good(site: Website, fetcher: Fetcher) -> None:
    site.routes["/a.mp3"] = Answer(b"", 500)
    with pytest.raises(HttpError, match="500"):
        fetcher.read(f"{site.url}/a.mp3")
    assert site.paths() == ["/a.mp3"] * 3  # retries=2


def test_retry_after_is_honoured(site: Website, make_config: Callable[..., CrawlConfig]) -> None:
    nap = Nap(make_config())
    site.routes["/a.mp3"] = in_turn(Answer(b"", 429, {"Retry-After": "100"}), SONG)
    assert nap.fetcher.read(f"{site.url}/a.mp3").content
    assert sum(nap.slept) == pytest.approx(100, abs=0.1)


def test_retry_after_as_a_date_and_as_nonsense(site: Website, make_config: Callable[..., CrawlConfig]) -> None:
    nap = Nap(make_config())
    later = formatdate(time.time() + 100, usegmt=True)
    site.routes["/a.mp3"] = in_turn(Answer(b"", 503, {"Retry-After": later}), Answer(b"", 503, {"Retry-After": "soon"}), SONG)
    assert nap.fetcher.read(f"{site.url}/a.mp3").content
    assert 80 < sum(nap.slept) < 101


@pytest.mark.parametrize("ahead", [3 * 86_400.0, -3 * 86_400.0])
def test_a_date_to_wait_for_is_one_of_the_hosts_clock(
    site: Website, make_config: Callable[..., CrawlConfig], ahead: float
) -> None:
    nap = Nap(make_config())
    now = time.time() + ahead
    headers = {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 100, usegmt=True)}
    site.routes["/a.mp3"] = in_turn(Answer(b"", 503, headers), SONG)
    assert nap.fetcher.read(f"{site.url}/a.mp3").content
    assert 95 < sum(nap.slept) < 101


def test_a_moment_that_is_past_is_no_leave_to_ask_at_once(site: Website, make_config: Callable[..., CrawlConfig]) -> None:
    nap = Nap(make_config(backoff=7.0, cooloff_seconds=30.0))
    past = {"Retry-After": formatdate(time.time() - 3 * 86_400, usegmt=True)}
    site.routes["/a.mp3"] = in_turn(Answer(b"", 429, past), SONG)
    assert nap.fetcher.read(f"{site.url}/a.mp3").content
    assert sum(nap.slept) >= 30.0


def test_a_host_that_asks_for_hours_is_left_alone(site: Website, make_config: Callable[..., CrawlConfig]) -> None:
    nap = Nap(make_config(max_retry_after=600))
    site.routes["/a.mp3"] = in_turn(Answer(b"", 503, {"Retry-After": "7200"}), SONG)
    with pytest.raises(Blocked, match="pause of 7200 s"):
        nap.fetcher.read(f"{site.url}/a.mp3")
    assert site.paths() == ["/a.mp3"]


def test_refusals_in_a_row_stop_the_host(site: Website, fetcher: Fetcher) -> None:
    site.routes |= {"/1": Answer(b"", 403), "/2": Answer(b"", 403), "/3": SONG}
    with pytest.raises(HttpError):
        fetcher.read(f"{site.url}/1")
    with pytest.raises(Blocked, match="2 refusals in a row"):
        fetcher.read(f"{site.url}/2")
    with pytest.raises(Blocked):
        fetcher.read(f"{site.url}/3")
    assert site.paths() == ["/1", "/2"]  # the third was never sent


def test_too_many_requests_twice_stop_the_host(site: Website, fetcher: Fetcher) -> None:
    site.routes["/1"] = Answer(b"", 429, {"Retry-After": "0"})
    with pytest.raises(Blocked):
        fetcher.read(f"{site.url}/1")
    assert site.paths() == ["/1", "/1"]


@pytest.mark.parametrize(
    "page",
    [
        html("<script>window._cf_chl_opt={}</script>"),
        Answer(b"<title>Just a moment...</title>", 503, {"Content-Type": "text/html"}),
        Answer(b"x", 200, {"cf-mitigated": "challenge"}),
    ],
)
def test_a_bot_page_stops_the_host_at_once(site: Website, fetcher: Fetcher, page: Answer) -> None:
    site.routes |= {"/page": page, "/a.mp3": SONG}
    with pytest.raises(Blocked, match="humans only"):
        fetcher.read(f"{site.url}/page")
    with pytest.raises(Blocked):
        fetcher.read(f"{site.url}/a.mp3")
    assert site.paths() == ["/page"]


@pytest.mark.parametrize(
    "reserved",
    [
        {"X-Robots-Tag": "noai"},
        {"X-Robots-Tag": "voxmill: noindex"},
        {"tdm-reservation": "1", "tdm-policy": "https://a.example/p"},
    ],
)
def test_opt_outs_in_headers(site: Website, fetcher: Fetcher, reserved: dict[str, str]) -> None:
    site.routes["/a.mp3"] = Answer(b"ID3", 200, reserved)
    with pytest.raises(OptedOut):
        fetcher.read(f"{site.url}/a.mp3")


def test_opt_outs_of_a_site(site: Website, fetcher: Fetcher) -> None:
    rules = '[{"location": "/open/", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}]'
    site.routes |= {"/.well-known/tdmrep.json": typed(rules, "application/json"), "/a.mp3": SONG, "/open/a.mp3": SONG}
    with pytest.raises(OptedOut, match=r"tdmrep\.json reserves /"):
        fetcher.read(f"{site.url}/a.mp3")
    assert "tdmrep.json releases /open/" in fetcher.read(f"{site.url}/open/a.mp3").permission
    assert site.paths() == ["/open/a.mp3"]


def test_the_deny_list_holds_for_redirects_too(site: Website, make_fetcher: Make) -> None:
    site.routes |= {"/a": redirect("/private/x"), "/private/x": SONG}
    fetcher = make_fetcher(deny=(f"{site.url}/private/*",))
    with pytest.raises(Denylisted):
        fetcher.read(f"{site.url}/a")
    with pytest.raises(Denylisted):
        make_fetcher(deny=("127.0.0.1",)).read(f"{site.url}/a")
    assert site.paths() == ["/a"]


@pytest.mark.parametrize(
    "slow",
    [Answer(b"x" * 50, pause=5), Answer(b"x" * 50, header_drip=0.1), Answer(b"x" * 50, drip=0.1)],
    ids=["silent", "headers", "body"],
)
def test_a_slow_server_is_given_up(site: Website, make_fetcher: Make, slow: Answer) -> None:
    """Also one that drips: each byte alone comes in time."""
    site.routes["/a.mp3"] = slow
    began = time.monotonic()
    with pytest.raises(NetworkError):
        make_fetcher(timeout=0.5, retries=0).read(f"{site.url}/a.mp3")
    assert time.monotonic() - began < 2.5


def test_nobody_listens(make_fetcher: Make) -> None:
    with Website() as gone:
        url = gone.url
    fetcher = make_fetcher(retries=0)
    with pytest.raises(NetworkError, match="nothing else may be"):
        fetcher.read(f"{url}/a.mp3")


def test_lengths_that_lie(site: Website, make_fetcher: Make) -> None:
    site.routes |= {
        "/long": Answer(b"x" * 100, length=10_000),
        "/cut": Answer(b"x" * 1000, cut=300),
        "/short": Answer(b"x" * 100, length=50),
        "/huge": Answer(b"x", length=10**15),
        "/none": Answer(b"x" * 5000, length=-1),
    }
    fetcher = make_fetcher(max_page_bytes=4000)
    for path in ("/long", "/cut"):
        with pytest.raises(NetworkError if path == "/cut" else CrawlError):
            fetcher.read(f"{site.url}{path}")
    assert fetcher.read(f"{site.url}/short").content == b"x" * 50
    for path in ("/huge", "/none"):
        with pytest.raises(TooLarge):
            fetcher.read(f"{site.url}{path}")


def test_the_byte_budget(site: Website, make_fetcher: Make) -> None:
    site.routes["/a.mp3"] = Answer(b"x" * 1000)
    fetcher = make_fetcher(byte_budget=1500)
    fetcher.read(f"{site.url}/a.mp3")
    fetcher.read(f"{site.url}/a.mp3")
    with pytest.raises(BudgetSpent):
        fetcher.read(f"{site.url}/a.mp3")


def test_places_are_given_back(site: Website, make_config: Callable[..., CrawlConfig]) -> None:
    """Whatever happens: with one request in flight at most, a lost place would stop everything."""
    config = make_config(max_in_flight=1, in_flight=1, retries=0, timeout=1.0, breaker_refusals=99)
    gate = LocalGate(config)
    fetcher = Fetcher(config, gate)
    site.routes |= {
        "/403": Answer(b"", 403),
        "/cut": Answer(b"x" * 100, cut=10),
        "/slow": Answer(b"", pause=3),
        "/loop": redirect("/loop"),
        "/out": Answer(b"", 200, {"X-Robots-Tag": "noai"}),
        "/a.mp3": SONG,
    }
    for path in ("/403", "/cut", "/slow", "/loop", "/out", "/missing"):
        with pytest.raises(CrawlError):
            fetcher.read(f"{site.url}{path}")
    with pytest.raises(ZeroDivisionError), fetcher.open(f"{site.url}/a.mp3"):
        raise ZeroDivisionError
    assert fetcher.read(f"{site.url}/a.mp3").content
    fetcher.close()
    assert gate.num_held == 0
