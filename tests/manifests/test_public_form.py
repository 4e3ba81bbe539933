"""What may be handed on of an address: everything but its secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxmill.manifests.public_form import public_address, public_item, public_provenance, public_text, secrets_of
from voxmill.manifests.reasons import reject
from voxmill.manifests.records import Item, Licence, Provenance

SECRET = "Sup3rS3cretValue99"

NAMES = (
    "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "X-Goog-Signature", "x-goog-credential", "Signature", "sig",
    "Policy", "Key-Pair-Id", "token", "token-hash", "__token__", "access_token", "accessToken", "auth", "authKey", "auth_token",
    "api_key", "api-key", "apikey", "key", "feed_key", "feedkey", "password", "pass", "passwd", "pwd", "secret", "client_secret",
    "session", "sessionid", "sid", "PHPSESSID", "jwt", "hdnea", "hdnts", "AWSAccessKeyId", "OSSAccessKeyId", "hmac", "%74oken",
    "TOKEN", "x%2Damz%2Dsignature", "auth[token]", "wsSecret", "txSecret", "ticket", "refresh-token", "bearer", "sas",
)  # fmt: skip


@pytest.mark.parametrize(
    "form",
    [
        "https://a.net/talks/1.mp3?n=1&{name}={secret}&m=2",
        "https://a.net/talks/1.mp3?{name}={secret}",
        "https://a.net/talks/1.mp3;{name}={secret}?n=1",
        "https://a.net/talks/1.mp3#{name}={secret}",
        "https://a.net/talks/1.mp3?n=1&amp;{name}={secret}",
        "https://a.net/talks/1.mp3?n=1;{name}={secret}",
        "s3://bucket/talks/1.mp3?{name}={secret}",
        "rtmp://a.net/talks/1.mp3?{name}={secret}",
        "magnet:?xt=urn:btih:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b&tr=http%3A%2F%2Ft.net%2Fa%3F{name}%3D{secret}",
        "https://a.net/talks/1.mp3?url=https%3A%2F%2Fb.net%2Fx%3F{name}%3D{secret}",
        "https://a.net/talks/1.mp3?url=https%253A%252F%252Fb.net%252Fx%253F{name}%253D{secret}",
    ],
)
def test_a_secret_parameter_is_gone_wherever_it_stands(form: str) -> None:
    names = [name for name in NAMES if "%25" not in form or "%" not in name]  # none is quoted three times over
    for url in (form.format(name=name, secret=SECRET) for name in names):
        public = public_address(url)
        assert SECRET not in public
        assert public_address(public) == public
        assert urlsplit(public).netloc == urlsplit(url).netloc
        assert urlsplit(public).path.partition(";")[0] == urlsplit(url).path.partition(";")[0]
        assert ("n=1" in public) == ("n=1" in url)
        assert SECRET not in public_text(f"HTTP 403 at {url}, sorry")
        assert SECRET not in public_text(repr({"url": url}))


@pytest.mark.parametrize(
    ("url", "public"),
    [
        (f"http://me:{SECRET}@a.net/x.mp3", "http://a.net/x.mp3"),
        (f"http://{SECRET}@a.net/x.mp3", "http://a.net/x.mp3"),
        (f"http://me:{SECRET}@[2001:db8::1]:80/x.mp3", "http://[2001:db8::1]:80/x.mp3"),
        (f"http://me:{SECRET}@bücher.example/ä.mp3", "http://bücher.example/ä.mp3"),
        (f"http://me:a/{SECRET}@a.net/x.mp3", "http://a.net/x.mp3"),
        (f"http://me:a?{SECRET}@a.net/x.mp3", "http://a.net/x.mp3"),
        (f"http://me:a#{SECRET}@a.net/x.mp3", "http://a.net/x.mp3"),
        (f"http://me:@{SECRET}@a.net/x.mp3", "http://a.net/x.mp3"),
        (f"http:\\\\me:{SECRET}@a.net\\x.mp3", "http:\\\\a.net\\x.mp3"),
        (f"http:/me:{SECRET}@a.net/x.mp3", "http:/a.net/x.mp3"),
        (f"//me:{SECRET}@a.net/x.mp3", "//a.net/x.mp3"),
        (f"me:{SECRET}@a.net/x.mp3", "a.net/x.mp3"),
        (f"http://me:{SECRET}", "http://~"),
        (f"http://me:{SECRET}%40a.net/x.mp3", "http://~/x.mp3"),
        (f"s3://AKIAABCDEFGHIJKLMNOP:{SECRET}@bucket/x.flac", "s3://bucket/x.flac"),
        (f"ftp://me:{SECRET}@a.net/x", "ftp://a.net/x"),
        (f"http://a.net/proxy/https://me:{SECRET}@b.net/x", "http://a.net/proxy/https://b.net/x"),
        (f"http://a.net/proxy/https%3A%2F%2Fme%3A{SECRET}%40b.net/x", "http://a.net/proxy/https%3A%2F%2Fb.net/x"),
        (f"http://a.net/hdnts=exp=1~acl=/*~hmac={SECRET}/x.m3u8", "http://a.net/hdnts=~/~/x.m3u8"),
        (f"http://a.net/(S({SECRET}))/x.mp3", "http://a.net/~/x.mp3"),
        (f"http://a.net/token/{SECRET}{SECRET}/x.mp3", "http://a.net/token/~/x.mp3"),
        (f"http://a.net/eyJhbGciOiJIUzI1NiJ9.{SECRET}.abc/x.mp3", "http://a.net/~/x.mp3"),
        (f"http://a.net/x?sv=2020-08-04&se=2030&sr=b&sp=r&sig={SECRET}&n=1", "http://a.net/x?n=1"),
        (f"http://a.net/x?Expires=1&Policy={SECRET}&Signature=a&Key-Pair-Id=K", "http://a.net/x"),
        (f"http://a.net/x?username=me&password={SECRET}&n=1", "http://a.net/x?n=1"),
    ],
)  # fmt: skip
def test_user_info_and_what_signs_an_address_is_gone(url: str, public: str) -> None:
    assert public_address(url) == public
    assert public_address(public) == public
    assert SECRET not in public_text(f"no answer from '{url}'")


@pytest.mark.parametrize(
    "url",
    [
        "https://a.net/x.mp3",
        "https://a.net/x.mp3?id=9f86d081884c7d659a2feaa0c55ad015",
        "https://a.net/x?episode=550e8400-e29b-41d4-a716-446655440000&n=1",
        "https://a.net/ab/9f86d081884c7d659a2feaa0c55ad0159f86d081884c7d659a2feaa0c55ad015.mp3",
        "https://a.net/x?q=the-history-of-rome-episode-12&author=Jane+Doe&keyword=war&monkey=1&page=2",
        "https://a.net/x?key=talks/2020/one.mp3&t=30#t=30",
        "https://medium.com/@someone/a-talk",
        "http://127.0.0.1:8000/feed.xml#2",
        "http://[broken/a.mp3",
        "http://a.net:99999/",
        "https://пример.example/звук.mp3?имя=да",
        "s3://bucket/lang=en/key=5/x#1.flac",
        "file:///srv/a%20b/key=1/x.wav",
        "/home/me/talks/a.mp3",
        "revoked:9f86d081884c7d659a2feaa0c55ad0159f86d081884c7d659a2feaa0c55ad015",
        "",
    ],
)
def test_what_holds_no_secret_stays_as_it_is(url: str) -> None:
    assert public_address(url) == url
    assert public_text(url) == url


def test_a_value_like_noise_is_a_digest_that_still_tells_files_apart() -> None:
    one, two = (public_address(f"https://a.net/x?z={value}&n=1") for value in (SECRET + "aB3dE5", SECRET + "aB3dE6"))
    assert SECRET not in one + two
    assert one != two
    assert one.endswith("&n=1")


quotable = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=12)
words = st.sampled_from(["a", "talks", "1.mp3", "n=1", "page", "ü", "%20", ";v=1", "@me", "x:y", ""])


@given(user=quotable, host=st.sampled_from(["a.net", "[::1]:80", "bücher.example", "127.0.0.1:8000"]),
       path=st.lists(words, max_size=4), name=st.sampled_from(NAMES), value=quotable)  # fmt: skip
def test_it_is_idempotent_holds_no_secret_and_keeps_host_and_path(
    user: str, host: str, path: list[str], name: str, value: str
) -> None:
    secret = f"S3CRET{user}"
    where = "/".join(["", *(p for p in path if "=" not in p)])
    url = f"http://{quote(secret, safe='')}@{host}{where}?n=1&{name}={quote('S3CRET' + value, safe='')}"
    public = public_address(url)
    assert "S3CRET" not in public
    assert public == f"http://{host}{where}?n=1"
    assert public_address(public) == public
    assert "S3CRET" not in public_text(f"see {url}")


@given(st.text(max_size=60))
def test_any_text_goes_through_and_a_second_time_changes_nothing(text: str) -> None:
    public_address(text)
    assert public_address(public_address(text)) == public_address(text)
    public_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "Max retries exceeded with url: /x.mp3?X-Amz-Signature={s}&n=1 (Caused by NewConnectionError)",
        "ClientError: Authorization: Bearer {s}",
        "headers={{'Authorization': 'Basic {s}=', 'Accept': '*/*'}}",
        "Cookie: session={s}; theme=dark",
        "aws_secret_access_key={s}",
        '{{"access_token": "{s}", "expires_in": 3600}}',
        "<Error><AWSAccessKeyId>{s}</AWSAccessKeyId><StringToSign>{s}</StringToSign></Error>",
        "tried http:\\/\\/me:{s}@a.net\\/x",
        "http://me:{s}",
        "cannot open me:{s}@a.net/x.mp3",
        "redirected to <https://b.net/x?token={s}>.",
        "(https://b.net/x?token={s}), https://c.net/y?sig={s}",
        "https://a.net/robots.txt (200) allows /x;jsessionid={s} for voxmill",
        "X-Auth-Token: {s}",
    ],
)
def test_a_message_holds_no_secret_either(text: str) -> None:
    said = text.format(s=SECRET)
    assert SECRET in said
    assert SECRET not in public_text(said)
    assert SECRET not in reject("crawl.network", said).detail


@pytest.mark.parametrize(
    "text",
    [
        "OSError: [Errno 28] No space left on device: '/data/run/x.parquet'",
        "HTTP 404 at http://127.0.0.1:8000/a.mp3?n=1",
        "reproduce: voxmill replay RUN --stage crawl --unit g0000-000001 --only 9f86d081884c7d659a2feaa0c55ad015",
        "CC BY 4.0: see https://creativecommons.org/licenses/by/4.0/; basic understanding, session: one, key = C major",
        "Bearer of good news",
    ],
)
def test_a_message_without_one_stays(text: str) -> None:
    assert public_text(text) == text


def test_an_item_holds_no_secret_in_any_of_its_texts_and_keeps_its_id() -> None:
    url = f"https://me:{SECRET}@a.net/x.mp3?token-hash={SECRET}a"
    item = Item(
        "0" * 64,
        Provenance("s", url, url + "#f", f"https://a.net/feed?key={SECRET}b", "a.net", f"for {SECRET}", f"mail {SECRET}b"),
        Licence("cc-by-4.0", f"see {url}", "feed", f"by {SECRET}"),
        rejection=reject("list.unreadable"),
    )
    public = public_item(replace(item, rejection=reject("list.unreadable", f"not at {url}")))
    assert public.id == item.id
    assert SECRET not in repr(public)
    assert public_item(public) == public
    assert set(secrets_of(url)) == {SECRET, SECRET + "a"}


def test_strings_of_json_are_as_safe_as_plain_ones() -> None:
    said = json.dumps({"detail": f"no answer at https://me:{SECRET}@a.net/x?sig={SECRET}"})
    assert json.loads(public_text(said)) == {"detail": "no answer at https://a.net/x"}


LONG = 50_000


@pytest.mark.parametrize("end", ["", "@", "=1", "://x@y"])
@pytest.mark.parametrize(
    "unit",
    [
        "/",
        "~",
        "a",
        ":",
        "a:b@",
        "/:",
        "/;=",
        "x-",
        "Token",
        "eyJ",
        "<Token",
        "(A(",
        "a=/",
        "a:/",
        "x-token",
        "//a",
        "1:",
        "?=/",
    ],
)
def test_no_text_takes_more_than_linear_time(unit: str, end: str) -> None:
    """A cube of this length would be hours, and a square minutes: the test's time-out tells."""
    text = unit * (LONG // len(unit)) + end
    public_text(text)
    public_address(text)


def test_what_a_source_says_of_itself_is_of_bounded_length() -> None:
    said = "x" * 900 + " https://a.net/x?token=" + SECRET * 20
    origin = public_provenance(Provenance("s", "https://a.net/x", title=said, author="y" * 5000, etag="z" * 1000))
    assert [len(text or "") for text in (origin.title, origin.author, origin.etag)] == [916, 1000, 1000]
    assert SECRET not in (origin.title or "")
    assert (origin.author or "").endswith("y…")
