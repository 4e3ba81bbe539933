"""The text of the demo's site: its pages, its feed and its robots.txt. `{{base}}` is filled in by the server."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from html import escape

LICENCE_URLS = {
    "cc-by-sa-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}

ROBOTS = """\
# The members' recordings are not for crawlers.
User-agent: *
Disallow: /private/
"""


@dataclass(frozen=True, slots=True)
class Episode:
    title: str
    path: str
    num_bytes: int
    seconds: int
    licence: str


def talk_page(title: str, audio: str, members_only: str, licence: str, attribution: str) -> str:
    """A page with two recordings, one of which robots.txt keeps from us."""
    url = LICENCE_URLS[licence]
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{escape(title)}</title>
<meta name="author" content="{escape(attribution)}">
<link rel="license" href="{url}">
</head>
<body>
<h1>{escape(title)}</h1>
<p><audio controls src="{audio}" title="{escape(title)}"></audio></p>
<h2>For members</h2>
<p><audio controls src="{members_only}" title="Members only"></audio></p>
<footer>{escape(attribution)}. Licence: <a rel="license" href="{url}">{escape(licence)}</a></footer>
</body>
</html>
"""


def feed(title: str, page: str, attribution: str, episodes: list[Episode]) -> str:
    """A podcast: RSS 2.0 with licence fields on the channel and on each episode."""
    items = "".join(
        f"""\
<item>
<title>{escape(episode.title)}</title>
<guid isPermaLink="false">{escape(episode.path)}</guid>
<pubDate>{formatdate(1_700_000_000 + 86_400 * number, usegmt=True)}</pubDate>
<enclosure url="{{{{base}}}}{episode.path}" length="{episode.num_bytes}" type="audio/mpeg"/>
<itunes:duration>{episode.seconds}</itunes:duration>
<creativeCommons:license>{LICENCE_URLS[episode.licence]}</creativeCommons:license>
</item>
"""
        for number, episode in enumerate(episodes)
    )
    licence = episodes[0].licence
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"
 xmlns:creativeCommons="http://backend.userland.com/creativeCommonsRssModule">
<channel>
<title>{escape(title)}</title>
<link>{{{{base}}}}{page}</link>
<description>{escape(title)}</description>
<language>en</language>
<itunes:author>{escape(attribution)}</itunes:author>
<copyright>{escape(attribution)}, {escape(licence.upper())}</copyright>
<creativeCommons:license>{LICENCE_URLS[licence]}</creativeCommons:license>
{items}</channel>
</rss>
"""
