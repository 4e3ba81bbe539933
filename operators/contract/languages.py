"""Language codes, as hints to recognisers and comparisons of their results write them."""

from __future__ import annotations


def primary(tag: str) -> str:
    """The primary subtag of a BCP 47 tag in lower case; Mandarin under the name that Whisper and FunASR have for it.

    >>> primary("en-US"), primary("cmn-Hans-CN"), primary("PT_br"), primary("yue")
    ('en', 'zh', 'pt', 'yue')
    """
    code = tag.replace("_", "-").split("-", 1)[0].lower()
    return {"cmn": "zh"}.get(code, code)
