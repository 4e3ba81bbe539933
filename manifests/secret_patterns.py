"""What counts as a secret in an address or a text: a parameter with a telling name, or a value that looks random.

When in doubt, it counts. Where only the look of the value says so, the value may be all that tells two files apart: it is then replaced
by a short digest, from which it cannot be recovered.
"""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from urllib.parse import unquote

HIDDEN = "~"
"""What stands where a secret stood."""

_PREFIXES = ("xamz", "xgoog", "xoss", "xcos", "xobs", "xtos", "xms", "xbce", "xupyun")
"""Of parameters of presigned addresses (`X-Amz-Signature`, `X-Goog-Credential`, …), squashed."""

_STRONG = re.compile(
    r"token|secret|passw|passphrase|passcode|passkey|signature|hmac|sess(?:ion)?id|jsession|phpsess|api_?key|access_?key|authkey"
    r"|private_?key|license_?key|licence_?key|credential|bearer|oauth|csrf|xsrf|hdnea|hdnts|hdntl|authenti|authori[sz]|jwt|cookie"
    r"|googleaccessid|keypairid|(?:user|feed|rss|app|client|stream|member|account|download|subscriber|premium|private)key"
)
"""Parts of a squashed name that occur only in names of secrets."""

_WORDS = frozenset([
    "auth", "authn", "authz", "key", "keys", "pass", "pwd", "pw", "passwd", "sig", "sign", "signed", "signing", "mac",
    "session", "sid", "sessid", "ticket", "otp", "pin", "policy", "expires", "exp", "md5", "wssecret", "wstime", "txsecret",
    "txtime", "verify", "nonce", "email", "sas", "ukey", "pkey", "skey", "akey",
])  # fmt: skip
"""Words that mostly mark a secret where they occur in a name (`feed_key`, `authUser`)."""

_SURE = frozenset(["auth", "authn", "authz", "pwd", "passwd", "sig", "sid", "session", "pass", "sas", "txsecret", "wssecret"])
"""Those of them that mark one in any text, not only in an address."""

_AZURE = frozenset([
    "sv", "st", "se", "sr", "sp", "sip", "spr", "si", "ss", "srt", "sdd", "skoid", "sktid", "skt", "ske", "sks", "skv",
    "saoid", "suoid", "scid", "sig",
])  # fmt: skip
"""Parameters of Azure's shared access signatures, dropped where `sig` stands beside them."""

_COMPANIONS = frozenset(
    ["user", "username", "login", "usr", "uid", "u", "p", "un", "client", "clientid", "member", "e", "st", "h", "hash", "t"]
)
"""Names that mean nothing alone, and much beside a signature or a password."""

_IDENTITY = frozenset([
    "id", "ids", "guid", "uuid", "eid", "pid", "vid", "aid", "v", "ep", "episode", "episodeid", "item", "itemid", "media",
    "mediaid", "track", "trackid", "video", "videoid", "clip", "clipid", "asset", "assetid", "show", "showid", "doc",
    "article", "articleid", "audio", "audioid", "file", "fileid", "filename", "xt", "btih", "sha256", "checksum", "release",
    "rec", "record",
])  # fmt: skip
"""Names whose value says which file it is: a hexadecimal number or a UUID stays there."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX_ID = re.compile(rf"[0-9a-fA-F]{{8,64}}|{_UUID.pattern}")
_FILE = re.compile(
    r"\.(?:mp3|mp4|m4a|m4b|aac|ogg|oga|opus|flac|wav|webm|mkv|mov|avi|aiff?|amr|wma|3gp|ts|m3u8?|mpd|xml|rss|json|jsonl|csv|tsv|txt|html?|pls|xspf)$",
    re.IGNORECASE,
)
_TOKEN_CHARS = re.compile(r"[A-Za-z0-9+/=_.~:,|!*-]{20,}")
_RUN = re.compile(r"[A-Za-z0-9]{24,}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?")


def squashed(name: str) -> str:
    """A name in lower case, unquoted, its letters and digits only.

    >>> squashed("%58-Amz-Signature")
    'xamzsignature'
    """
    return re.sub(r"[^a-z0-9]", "", plain(name).lower())


def plain(text: str) -> str:
    """Unquoted, however often it was quoted."""
    for _ in range(4):
        text, before = unquote(text), text
        if text == before:
            break
    return text


def sure_name(name: str) -> bool:
    """Whether a name says in any text that a secret follows.

    >>> [sure_name(n) for n in ("access_token", "X-Amz-Credential", "apiKey", "author", "key")]
    [True, True, True, False, False]
    """
    flat = squashed(name)
    if _STRONG.search(flat) or flat.startswith(_PREFIXES):
        return True
    return bool(_words(name) & _SURE)


def secret_name(name: str, value: str = "") -> bool:
    """Whether a parameter of an address is secret by its name. A file's name is none, whatever it is called.

    >>> [secret_name(n, v) for n, v in (("key", "abc"), ("key", "talks/1.mp3"), ("Policy", "x"), ("monkey", "x"), ("t", "30"))]
    [True, False, True, False, False]
    """
    if sure_name(name):
        return True
    if _FILE.search(plain(value)):
        return False
    flat = squashed(name)
    return bool(_words(name) & _WORDS) or flat in _WORDS or (flat.startswith("auth") and not flat.startswith("author"))


def companions(names: list[str]) -> set[str]:
    """Of the names in one query those (squashed) to be dropped because of the others: parts of a signature, or who signed it."""
    flat = {squashed(name) for name in names}
    found: set[str] = set()
    if "sig" in flat:
        found |= _AZURE
    if any(sure_name(name) or secret_name(name) for name in names):
        found |= _COMPANIONS - {"e", "st", "h", "hash", "t", "u", "p"}
    if flat & {"md5", "st", "hash", "h"} and flat & {"e", "expires", "exp"}:  # nginx's secure_link
        found |= {"st", "e", "h", "hash", "md5"}
    return found


def identity(name: str, value: str) -> bool:
    """Whether a value that looks random is the id of a file (a number or UUID under a name such as `id`) and no secret."""
    value = plain(value)
    return value.lower().startswith("urn:") or (squashed(name) in _IDENTITY and bool(_HEX_ID.fullmatch(value)))


def token_like(value: str) -> bool:
    """Whether a value looks random, as tokens do.

    >>> token_like("the-history-of-rome-episode-12"), token_like("dGhpcyBpcyBhIHRva2Vu"), token_like("9f86d081884c7d659a2feaa0c55ad015")
    (False, True, True)
    """
    value = plain(value)
    if JWT.search(value):
        return True
    if not _TOKEN_CHARS.fullmatch(value) or _FILE.search(value) or value.isdigit() or value.lower().startswith("urn:"):
        return False
    if _UUID.fullmatch(value) or any(re.search("[A-Za-z]", run) for run in _RUN.findall(value)):
        return True
    kinds = [(c.isdigit(), c.isupper()) if c.isalnum() else None for c in value]
    pairs = [(a, b) for a, b in pairwise(kinds) if a and b]
    return len(pairs) >= 14 and sum(a != b for a, b in pairs) / len(pairs) >= 0.34


def digest_of(value: str) -> str:
    """A short digest in place of a value that looks random: equal for equal values, and irreversible.

    >>> token_like(digest_of("9f86d081884c7d659a2feaa0c55ad015"))
    False
    """
    return HIDDEN + hashlib.sha256(plain(value).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _words(name: str) -> set[str]:
    spaced = _CAMEL.sub(" ", plain(name))
    return set(re.split(r"[^a-z0-9]+", spaced.lower()))
