"""`SourceConfig`: one entry of `sources` in the config, a place that audio comes from."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from voxmill.manifests.config_base import Settings
from voxmill.operators.contract.user_code import Call, UserCode, resolved
from voxmill.operators.crawl.facts.corpus_options import CorpusOptions
from voxmill.operators.crawl.facts.licence import normalise
from voxmill.operators.crawl.facts.media_types import Corpus, Kind
from voxmill.operators.crawl.facts.urls import is_web

KINDS = frozenset({"auto", *get_args(Kind)})


def _licence(text: str) -> str:
    name = normalise(text) or "-".join(text.lower().split())
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", name):
        raise ValueError(
            f"{text!r} is no licence: an SPDX identifier (cc-by-4.0), public-domain, proprietary, or a name like them"
        )
    return text


class SourceConfig(Settings):
    """One source of audio. Listing it in the config states that the crawl may ask there."""

    name: str = Field(min_length=1)
    """Unique in a run; part of every record."""
    url: str | None = None
    """A web address, an fsspec URL (s3://, gs://, file://), or a local path."""
    urls: tuple[str, ...] = ()
    """More addresses of the same source, each as `url` would be."""
    path: str | None = None
    """A local file or folder."""
    kind: Literal["auto", "python", Kind] = "auto"
    """What the address leads to; `auto` tells by suffix and content. `python`, or a name that an installed package has registered under
    `voxmill.sources`: code of yours that lists addresses."""
    call: Call | None = None
    """With `kind: python`, `package.module:Class`: iterating over `Class(**options)` yields addresses, or `Candidate`s."""
    version: str = "1"
    """With `kind: python`: raise it to have the source listed anew."""
    options: dict[str, Any] = {}
    """With `kind: python`, keyword arguments of the class; of a corpus, `text` and `audio`: the fields or columns that hold them."""
    language: str | None = None
    """BCP 47 hint for the recognisers. Stronger than what the source says. Of several audio tracks, the one in this language is used."""
    domain: str | None = None
    """Kind of speech: `podcast`, `audiobook`, `broadcast`, … Free text, a column of the statistics."""
    channels: Literal["choose", "mix", "split"] = "choose"
    """What several channels become: `choose` leaves out channels that are dead, noisy or cancel others; `mix` is the mean of all; `split`
    keeps channels with different speech apart, one after the other, each as long as the file."""
    licence: Annotated[str, AfterValidator(_licence)] | None = None
    """Overrides what the source says; you answer for it."""
    glob: str | None = None
    """Which files of a folder (`*.wav`); null: those with a media suffix. Of a corpus, which of its manifests, tables or archives."""
    limit: int | None = Field(default=None, ge=1)
    """Most items to take, the first ones; null: all."""

    @model_validator(mode="before")
    @classmethod
    def _registered(cls, data: Any) -> Any:
        return resolved(data, "voxmill.sources", KINDS)

    @model_validator(mode="after")
    def _somewhere(self) -> SourceConfig:
        corpus = self.kind in get_args(Corpus)
        if self.code is None and (self.call or (self.options and not corpus)):
            raise ValueError(f"source `{self.name}`: `call` and `options` belong to `kind: python`")
        if corpus and not all(key in ("text", "audio") and isinstance(value, str) for key, value in self.options.items()):
            raise ValueError(f"source `{self.name}`: of a corpus, `options` are `text` and `audio`, names of fields or columns")
        if self.kind == "python" and not self.call:
            raise ValueError(f"source `{self.name}` needs `call`: `package.module:Class`")
        if self.kind != "python" and not any(address.strip() for address in self.addresses):
            raise ValueError(f"source `{self.name}` needs `url`, `urls` or `path`")
        return self

    @property
    def code(self) -> UserCode | None:
        """The user's code that lists this source; None where it has addresses."""
        return (
            UserCode(call=self.call, version=self.version, options=self.options)
            if self.kind == "python" and self.call
            else None
        )

    @property
    def corpus_options(self) -> CorpusOptions:
        """What is stated of a corpus."""
        return CorpusOptions(self.glob, **self.options)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses of the source: `url`, `urls`, then `path`."""
        return tuple(filter(None, (self.url, *self.urls, self.path)))

    @property
    def is_web(self) -> bool:
        """Whether any of its addresses is http(s). A list of yours may still name web addresses."""
        return any(is_web(address.strip()) for address in self.addresses)
