"""Language names of labels: primary subtags, and the Chinese dialects that have a class of their own."""

from __future__ import annotations

DIALECTS = frozenset({"yue", "sichuan", "minnan"})
"""Classes that labellers which cannot tell them apart call `zh`."""

_SPOKEN = {
    "cmn": "zh", "mandarin": "zh", "zh-yue": "yue", "zh-hk": "yue", "zh-mo": "yue", "cantonese": "yue",
    "nan": "minnan", "zh-nan": "minnan", "zh-min-nan": "minnan", "hokkien": "minnan",
}  # fmt: skip


def language_class(tag: str) -> str:
    """The class of a language tag (BCP 47), or of a dialect's name.

    >>> [language_class(tag) for tag in ("en-US", "cmn-Hans", "zh-HK", "nan-TW", "zh-x-sichuan", "zh_CN", "sichuan")]
    ['en', 'zh', 'yue', 'minnan', 'sichuan', 'zh', 'sichuan']
    """
    parts = tag.replace("_", "-").lower().split("-")
    if named := DIALECTS & set(parts):
        return min(named)
    for length in (3, 2, 1):
        if (found := _SPOKEN.get("-".join(parts[:length]))) is not None:
            return found
    return parts[0]


def compatible(one: str, other: str) -> bool:
    """Whether two classes can both be right: a Chinese dialect is also `zh`.

    >>> compatible("zh", "sichuan"), compatible("yue", "sichuan"), compatible("en", "en")
    (True, False, True)
    """
    return one == other or (one == "zh" and other in DIALECTS) or (other == "zh" and one in DIALECTS)
