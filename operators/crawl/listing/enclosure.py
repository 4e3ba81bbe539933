"""Which of the addresses that a feed entry offers is its audio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from voxmill.operators.crawl.facts.media_types import is_hls, is_media, suffix

_PICTURES = frozenset("jpg jpeg png gif webp avif bmp svg ico tif tiff heic".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Offer:
    """An address that an entry offers, and what the feed says of it."""

    address: str
    mime: str = ""
    medium: str = ""
    enclosed: bool = False
    """An enclosure: media by definition, whatever its type and its name say."""
    default: bool = False
    bitrate: float = 0.0


def best(offers: Iterable[Offer]) -> Offer | None:
    """The best offer: audio before video before unknown types; among equals the default one, the highest bit rate, the first."""
    fit = [(offer, rank) for offer in offers if offer.address and (rank := _rank(offer)) is not None]
    return min(fit, key=lambda pair: (pair[1], not pair[0].default, -pair[0].bitrate))[0] if fit else None


def _rank(offer: Offer) -> int | None:
    mime = offer.mime.lower()
    for rank, sort in enumerate(("audio", "video")):
        if mime.startswith(f"{sort}/") or mime == sort or offer.medium == sort:
            return rank
    if is_media(offer.address) or is_hls(offer.address) or "mpegurl" in mime or mime == "application/ogg":
        return 2
    picture = mime.startswith("image/") and suffix(offer.address) in _PICTURES  # both say so
    return 3 if offer.enclosed and not picture else None
