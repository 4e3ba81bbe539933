"""Removes secrets (passwords, signatures, tokens, keys) from addresses and from texts that quote them.

Everything that is written into a record, a report or a log goes through here. The whole address, which fetching again needs, is kept
apart, readable by its owner only (`operators/crawl/facts/private_addresses.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from urllib.parse import quote

from voxmill.manifests.records import Item, Licence, Provenance, Recording
from voxmill.manifests.secret_patterns import (
    HIDDEN,
    JWT,
    companions,
    digest_of,
    identity,
    plain,
    secret_name,
    squashed,
    sure_name,
    token_like,
)

_START = re.compile(
    r"(?:(file:)([\\/]{2})|((?:https?|ftp|wss?):)([\\/]+)|([A-Za-z][A-Za-z0-9+.-]*:)?([\\/]{2,}))", re.IGNORECASE
)
_SCHEME_ONLY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_TAIL = re.compile(r"(.*?)(\?[^#]*)?(#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"[^\\/?#]*")
_SCHEMELESS_USER = re.compile(r"[^\s/?#@:]+:[^\s/?#@]*@(?=[^\s/@]+)")
_COOKIELESS = re.compile(r"\([A-Za-z]\([^()]*\)\)")
_BOT = re.compile(r"(?:bot)?\d{6,}:[A-Za-z0-9_-]{30,}")
_ROUNDS = 12
_DEPTH = 5
"""How deep addresses inside addresses are read; what is nested deeper is hidden as a whole."""


def public_address(url: str, known: Iterable[str] = ()) -> str:
    """The address without its secrets; unchanged where it has none. `known`: secrets to be hidden wherever they stand.

    >>> public_address("https://me:pw@a.net/x.mp3?id=7&X-Amz-Signature=0f0f&token=1#t=3")
    'https://a.net/x.mp3?id=7#t=3'
    >>> public_address("http://a.net/x.mp3;jsessionid=1?u=https%3A%2F%2Fme%3Apw%40b.net%2F%3Fkey%3Dk")
    'http://a.net/x.mp3?u=https%3A%2F%2Fb.net%2F'
    """
    return without(_stable(lambda text: _Address(text).public, url), known)


def _stable(strip: Callable[[str], str], text: str) -> str:
    """Strips until nothing changes: removing a part may join the rest into something that looks like a secret again."""
    for _ in range(_ROUNDS):
        before, text = text, strip(text)
        if text == before:
            break
    return text


def secrets_of(url: str) -> tuple[str, ...]:
    """The secrets that `public_address` removes, those of at least 8 characters: shorter ones would match by chance elsewhere.

    >>> secrets_of("https://me:pass-word-1@a.net/x?key=FEEDKEY99&n=1")
    ('pass-word-1', 'FEEDKEY99')
    """
    found = _Address(url).hidden
    texts = [form for text in found for form in (text, plain(text))]
    return tuple(dict.fromkeys(t for t in texts if len(t) >= 8 and not (t.isalpha() and t.islower())))


def without(text: str, known: Iterable[str]) -> str:
    """The text with every known secret replaced by `HIDDEN`, percent-encoded or not."""
    for secret in sorted(known, key=len, reverse=True):
        for form in dict.fromkeys((secret, quote(secret, safe=""), quote(secret))):
            text = text.replace(form, HIDDEN)
    return text


class _Address:
    def __init__(self, url: str, depth: int = 0) -> None:
        self._depth = depth
        self.hidden: list[str] = []
        self.public = self._read(url)

    def _read(self, url: str) -> str:
        start, begin = "", 0
        while not _START.match(url, begin) and (user := _SCHEMELESS_USER.match(url, begin)):
            self._hide(*user[0][:-1].split(":", 1))
            begin = user.end()
        url = url[begin:]
        if match := _START.match(url):
            authority, rest = self._authority(url[match.end() :])
            start = match[0] + authority
        else:
            scheme = _SCHEME_ONLY.match(url)
            start, rest = _split(url, scheme)
        match = _TAIL.fullmatch(rest)
        assert match is not None
        path, query, fragment = (part or "" for part in match.groups())
        path = path if start.lower().startswith("file:") else self._path(path)
        return start + path + self._query(query) + self._fragment(fragment)

    def _authority(self, rest: str) -> tuple[str, str]:
        """Host and port, and what follows them. A password need not be quoted well to be a password."""
        authority, tail = _split(rest, _AUTHORITY.match(rest))
        while True:
            user, at, host = authority.replace("＠", "@").rpartition("@")
            if at:
                self._hide(*user.split(":", 1))
                authority = host
            name, colon, port = authority.rpartition(":")
            if not colon or authority.endswith("]") or not port or (port.isascii() and port.isdigit()):
                return authority, tail
            end = tail.replace("＠", "@").find("@")
            if end < 0:  # cut off in the middle of a password, or no address at all
                self._hide(name, port)
                return HIDDEN, tail
            self._hide(name, port + tail[:end])
            authority, tail = _split(tail[end + 1 :], _AUTHORITY.match(tail[end + 1 :]))

    def _path(self, path: str) -> str:
        segments, before = re.split(r"([\\/])", path), ""
        for i in range(0, len(segments), 2):
            segments[i], before = self._segment(segments[i], before), segments[i]
        path = "".join(segments)
        if "@" in path and "://" in path.replace(":/", "://"):  # an address as the path of another
            found = re.search(r"[A-Za-z][A-Za-z0-9+.-]{0,20}:/{1,2}", path)
            if found:
                inner = self._inside(f"//{path[found.end() :]}")
                path = path[: found.end()] + inner[2:]
        return path

    def _segment(self, text: str, before: str) -> str:
        name, *parameters = text.split(";")
        left = [p for p in parameters if not self._drops(p)]
        parameters = [self._value("", p) if "=" not in p else self._pair(p) for p in left]
        bare, equals, value = name.partition("=")
        if "~hmac=" in plain(name):
            self._hide(name)
            name = HIDDEN
        elif equals and value not in ("", HIDDEN) and sure_name(bare):
            self._hide(value)
            name = f"{bare}={HIDDEN}"
        elif (
            JWT.search(plain(name))
            or _BOT.fullmatch(plain(name))
            or (before and (secret_name(before) or squashed(before) in ("private", "s")) and token_like(name))
        ):
            self._hide(name)
            name = HIDDEN
        elif "%3a%2f" in name.lower() or "%40" in name:
            name = self._value("id", name)
        if _COOKIELESS.search(name):
            self._hide(*_COOKIELESS.findall(name))
            name = _COOKIELESS.sub(HIDDEN, name)
        return ";".join([name, *parameters])

    def _query(self, query: str) -> str:
        if len(query) < 2:
            return query
        kept = self._parameters(query[1:])
        return f"?{kept}" if kept else ""

    def _fragment(self, fragment: str) -> str:
        if len(fragment) < 2:
            return fragment
        head, mark, tail = fragment[1:].partition("?")
        kept = self._parameters(head) + (mark + self._parameters(tail) if mark else "")
        return f"#{kept}" if kept else ""

    def _parameters(self, text: str) -> str:
        """What is left of `a=1&b=2`. Separators between what stays stay as they are."""
        pieces = re.split(r"(&amp;|[&;])", text)
        names = [piece.partition("=")[0] for piece in pieces[::2]]
        beside = companions(names)
        kept = ""
        for i in range(0, len(pieces), 2):
            if self._drops(pieces[i], beside):
                continue
            kept += (pieces[i - 1] if kept else "") + self._pair(pieces[i])
        return kept

    def _drops(self, pair: str, beside: Iterable[str] = ()) -> bool:
        name, equals, value = pair.partition("=")
        if not equals or not (secret_name(name, value) or squashed(name) in beside):
            return False
        self._hide(value)
        return True

    def _pair(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        return name + equals + self._value(name, value) if equals else self._value("", name)

    def _value(self, name: str, value: str) -> str:
        if len(value) < 4:
            return value
        decoded = plain(value)
        if any(mark in decoded for mark in ("://", "//", "@", "=", ":\\")):
            public = self._inside(decoded)
            if public != decoded:
                return quote(public, safe="")
        if not identity(name, value) and token_like(value) and "://" not in decoded:
            self._hide(value)
            return digest_of(value)
        return value

    def _inside(self, text: str) -> str:
        if self._depth >= _DEPTH:
            self._hide(text)
            return HIDDEN
        inner = _Address(text, self._depth + 1)
        self.hidden += inner.hidden
        return public_text(inner.public) if inner.public == text else inner.public

    def _hide(self, *texts: str) -> None:
        self.hidden += [text for text in texts if text and text != HIDDEN]


def _split(text: str, match: re.Match[str] | None) -> tuple[str, str]:
    end = match.end() if match else 0
    return text[:end], text[end:]


_IN_TEXT = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]{0,20}:(?:\\?/){2}|magnet:\?)[^\s\"<>]+|//[^\s\"<>/]+@[^\s\"<>]+")
_TOKEN = re.compile(r"[^\s\"'<>]+")
"""Words of a text. None of these expressions may take more than linear time, or a server's header could hold up a crawl."""
_USER_IN_TEXT = re.compile(r"((?:[A-Za-z]:|(?<=[\s'\"(])/)[\\/]{1,4})[^\s/@]*:(?!\d{0,5}(?:[/?#\s]|$))[^\s@]{1,200}@")
_NO_USER = frozenset(":/@\"'()")
_HOST_AHEAD = re.compile(r"[\w.-]+[:/]")
_BEFORE_USER = re.compile(r"[\w:/@.-]")
_PAIR = re.compile(r"(?<![\w%.-])([A-Za-z_%][\w.%\[\]-]{1,60})(=|%3[dD])([^\s&;,\"'<>)\]}]+)")
_QUOTED = re.compile(r"([\"'])([A-Za-z][\w.-]{2,60})\1(\s*:\s*)([\"'])(?!~\4)([^\"'\n]+)\4")
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]{0,60}?(?:token|key|auth|signature|session)[a-z-]{0,60})([\"']?\s*[:=]\s*[\"']?)(?!~)[^\"'\r\n]+",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\b(bearer|basic|digest|token)\s+(?=[\w+/=.~-]*[\d=])[\w+/=.~-]{8,}", re.IGNORECASE)
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")
_XML = re.compile(r"<(\w+)>[^<]*(?=<)")
_XML_NAME = re.compile("Signature|Token|AccessKeyId|StringToSign|CanonicalRequest|Secret")
_TRAILING = ".,;:!?)]}'\"\\"


def public_text(text: str, known: Iterable[str] = ()) -> str:
    """A message with the addresses in it made public, and with what looks like a credential outside of one hidden.

    >>> public_text("HTTP 403 at https://me:pw@a.net/x?sig=1&n=2, sent 'Authorization: Bearer abc123def456'")
    "HTTP 403 at https://a.net/x?n=2, sent 'Authorization:~'"
    >>> public_text("HTTPConnectionPool(host='a.net', port=80): url: /x.mp3?token=abc (Caused by …)")
    "HTTPConnectionPool(host='a.net', port=80): url: /x.mp3 (Caused by …)"
    """
    text = without(text, known)
    if not any(mark in text for mark in "=@:/<.") and "AKIA" not in text and "ASIA" not in text:
        return text
    return _stable(_public_text, text)


def _public_text(text: str) -> str:
    text = _USER_IN_TEXT.sub(r"\1", text)
    text = _IN_TEXT.sub(_found, _without_users(text))
    if "=" in text and "/" in text:
        text = _TOKEN.sub(_path_found, text)
    text = _HEADER.sub(rf"\1\2{HIDDEN}", text)
    text = _SCHEME.sub(rf"\1 {HIDDEN}", text)
    text = _PAIR.sub(lambda m: f"{m[1]}{m[2]}{HIDDEN}" if sure_name(m[1]) else m[0], text)
    text = _QUOTED.sub(lambda m: f"{m[1]}{m[2]}{m[1]}{m[3]}{m[4]}{HIDDEN}{m[4]}" if sure_name(m[2]) else m[0], text)
    text = _XML.sub(lambda m: f"<{m[1]}>{HIDDEN}" if _XML_NAME.search(m[1]) else m[0], text)
    return JWT.sub(HIDDEN, _ACCESS_KEY.sub(HIDDEN, text))


def _found(match: re.Match[str]) -> str:
    address = match[0].rstrip(_TRAILING)
    tail = match[0][len(address) :]
    if "\\/" in address:  # as JSON may write it
        return _Address(address.replace("\\/", "/")).public.replace("/", "\\/") + tail
    return _Address(address).public + tail


def _path_found(match: re.Match[str]) -> str:
    """A word of a text in which a path has parameters, without the secret ones. Of what stands before the path nothing is touched."""
    token = match[0]
    slash = token.find("/")
    mark = min((place for place in (token.find("?", slash), token.find(";", slash)) if place >= 0), default=-1)
    if slash < 0 or mark < 0 or token.find("=", mark) < 0:
        return token
    begin = slash
    while begin and (token[begin - 1].isalnum() or token[begin - 1] in "_.~%-"):
        begin -= 1
    address = token[begin:].rstrip(_TRAILING)
    return token[:begin] + _Address(address).public + token[begin + len(address) :]


def _without_users(text: str) -> str:
    """A text without the `user:password@` of addresses that have no scheme: `me:pw@host.net/x`."""
    pieces = text.split("@")
    for number, following in enumerate(pieces[1:]):
        if _HOST_AHEAD.match(following):
            pieces[number] = _without_user(pieces[number])
        else:
            pieces[number] += "@"
    return "".join(pieces)


def _without_user(text: str) -> str:
    """A text that an `@` follows, without the user and password at its end; with the `@` where there are none."""
    user, colon, password = text.rpartition(":")
    if not colon or not password or any(c.isspace() or c == "/" for c in password):
        return text + "@"
    begin = len(user)
    while begin and not (user[begin - 1].isspace() or user[begin - 1] in _NO_USER):
        begin -= 1
    while begin < len(user) and begin and _BEFORE_USER.match(user[begin - 1]):
        begin += 1
    return text + "@" if begin == len(user) else text[:begin]


LONGEST = 1000
"""Most characters of what a source says of itself (a title, an author, a header): it stands beside every segment."""


def public_provenance(origin: Provenance, known: Iterable[str] = ()) -> Provenance:
    """The provenance without secrets in its addresses and texts, these at most `LONGEST`. `known`: secrets to be hidden wherever they stand."""
    known = tuple(known)
    return replace(
        origin,
        url=public_address(origin.url, known),
        final_url=_address(origin.final_url, known),
        page_url=_address(origin.page_url, known),
        host=public_address(origin.host, known),
        title=_text(origin.title, known),
        author=_text(origin.author, known),
        content_type=_text(origin.content_type, known),
        etag=_text(origin.etag, known),
        permission=_text(origin.permission, known),
    )


def public_licence(licence: Licence, known: Iterable[str] = ()) -> Licence:
    """The licence without secrets in its texts; `known` as in `public_provenance`."""
    known = tuple(known)
    return replace(licence, evidence=_text(licence.evidence, known), attribution=_text(licence.attribution, known))


def public_item(item: Item, known: Iterable[str] = ()) -> Item:
    """The item without secrets in its addresses, texts and rejection. Its id stays the hash of the whole address."""
    known = (*known, *secrets_of(item.provenance.url), *secrets_of(item.provenance.page_url or ""))
    said = item.rejection and replace(item.rejection, detail=public_text(item.rejection.detail, known))
    origin, licence = public_provenance(item.provenance, known), public_licence(item.licence, known)
    return replace(item, provenance=origin, licence=licence, rejection=said)


def public_recording(recording: Recording, known: Iterable[str] = ()) -> Recording:
    """The recording without secrets in its addresses, texts and rejection; `known` as in `public_provenance`."""
    said = recording.rejection and replace(recording.rejection, detail=public_text(recording.rejection.detail, known))
    origin, licence = public_provenance(recording.provenance, known), public_licence(recording.licence, known)
    return replace(recording, provenance=origin, licence=licence, rejection=said)


def _address(url: str | None, known: tuple[str, ...]) -> str | None:
    return public_address(url, known) if url else url


def _text(text: str | None, known: tuple[str, ...]) -> str | None:
    if not text:
        return text
    told = public_text(text, known)  # first, lest an address lose the end by which its secrets are known
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "…"
