from __future__ import annotations

import pytest

from voxmill.operators.crawl.facts.licence import normalise, of_config, of_headers, of_page
from voxmill.operators.crawl.listing.feed import read_feed
from voxmill.operators.crawl.listing.page import parse


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", "cc-by-4.0"),
        ("http://creativecommons.org/licenses/by-sa/3.0", "cc-by-sa-3.0"),
        ("//creativecommons.org/licenses/by-nc-nd/2.5/es/legalcode.es", "cc-by-nc-nd-2.5-es"),
        ("https://creativecommons.org/licenses/by/3.0/igo/", "cc-by-3.0-igo"),
        ("https://creativecommons.org/licenses/by-nc/4.0/deed.fr", "cc-by-nc-4.0"),
        ("https://creativecommons.org/licenses/by/4.0/legalcode", "cc-by-4.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "public-domain"),
        ("http://creativecommons.org/licenses/publicdomain/", "public-domain"),
        ("CC-BY-4.0", "cc-by-4.0"),
        ("CC BY-SA 3.0", "cc-by-sa-3.0"),
        ("cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0"),
        ("cc_by_nc", "cc-by-nc"),
        ("Creative Commons Attribution 4.0 International (CC BY 4.0)", "cc-by-4.0"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International", "cc-by-nc-sa-4.0"),
        ("Creative Commons Attribution-NoDerivatives", "cc-by-nd"),
        ("CC0", "cc0-1.0"),
        ("cc0-1.0", "cc0-1.0"),
        ("Public Domain", "public-domain"),
        ("This recording is not in the public domain", None),
        ("© 2024 Somebody. All rights reserved.", "proprietary"),
        ("proprietary", "proprietary"),
        ("Apache-2.0", "apache-2.0"),
        ("unknown", "unknown"),
        ("© 2024 Somebody", None),
        ("see our terms", None),
        ("account by phone", None),
        ("", None),
        ("Creative Commons", None),
    ],
)
def test_names(text: str, name: str | None) -> None:
    assert normalise(text) == name


@pytest.mark.parametrize(
    ("html", "name", "evidence"),
    [
        ('<a rel="license" href="https://creativecommons.org/licenses/by/4.0/">CC</a>', "cc-by-4.0", "rel=license"),
        ('<link rel="License" href="http://creativecommons.org/licenses/by-nc/3.0/">', "cc-by-nc-3.0", "rel=license"),
        ('<meta name="DC.rights" content="CC BY-SA 4.0">', "cc-by-sa-4.0", "meta dc.rights"),
        (
            '<meta property="cc:license" content="https://creativecommons.org/publicdomain/zero/1.0/">',
            "cc0-1.0",
            "meta cc.license",
        ),
        (
            '<script type="application/ld+json">{"@graph":[{"@type":"AudioObject","license":{"@id":"https://creativecommons.org/licenses/by/3.0/"}}]}</script>',
            "cc-by-3.0",
            "schema.org",
        ),
        ('<span itemprop="license" content="CC BY 4.0"></span>', "cc-by-4.0", "itemprop"),
        ('<p>Under <a href="https://creativecommons.org/licenses/by/2.5/">this</a></p>', "cc-by-2.5", "link"),
        ('<meta name="rights" content="All rights reserved">', "proprietary", "meta rights"),
        ('<a rel=license href="/terms">terms</a>', "unknown", "rel=license: /terms"),
        ("<p>nothing</p>", "unknown", None),
        ('<script type="application/ld+json">{broken</script>', "unknown", None),
    ],
)
def test_pages(html: str, name: str, evidence: str | None) -> None:
    licence = of_page(parse(f"<html><body>{html}</body></html>".encode()))
    assert licence.name == name
    assert (evidence or "") in (licence.evidence or "")
    assert licence.source == ("page" if name != "unknown" else "none")


def test_two_licences_in_one_place_are_none() -> None:
    html = b"""<a rel=license href="https://creativecommons.org/licenses/by/4.0/">a</a>
    <a rel=license href="https://creativecommons.org/licenses/by-nc/4.0/">b</a>"""
    licence = of_page(parse(html))
    assert licence.name == "unknown"
    assert (licence.evidence or "").startswith("ambiguous rel=license")


def test_the_stronger_place_wins_and_the_author_is_kept() -> None:
    html = b"""<meta name=author content="A. Reader"><meta name=license content="CC BY 4.0">
    <a href="https://creativecommons.org/licenses/by-nc/4.0/">somebody else's</a>"""
    licence = of_page(parse(html))
    assert (licence.name, licence.attribution) == ("cc-by-4.0", "A. Reader")


def feed(item: str, channel: str = "") -> bytes:
    return f"""<?xml version="1.0"?>
<rss version="2.0" xmlns:cc="http://web.resource.org/cc/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:creativeCommons="http://backend.userland.com/creativeCommonsRssModule"
 xmlns:media="http://search.yahoo.com/mrss/" xmlns:podcast="https://podcastindex.org/namespace/1.0">
<channel><title>t</title>{channel}
<item><title>i</title><enclosure url="http://a.example/1.mp3" type="audio/mpeg" length="1"/>{item}</item>
</channel></rss>""".encode()


@pytest.mark.parametrize(
    ("item", "channel", "name"),
    [
        ("<creativeCommons:license>http://creativecommons.org/licenses/by/3.0/</creativeCommons:license>", "", "cc-by-3.0"),
        (
            "",
            "<creativeCommons:license>http://creativecommons.org/licenses/by-sa/4.0/</creativeCommons:license>",
            "cc-by-sa-4.0",
        ),
        (
            "<dc:rights>CC BY 4.0</dc:rights>",
            "<creativeCommons:license>http://creativecommons.org/licenses/by-sa/4.0/</creativeCommons:license>",
            "cc-by-4.0",
        ),
        ("", "<copyright>2024 Somebody, CC BY-NC 4.0</copyright>", "cc-by-nc-4.0"),
        ("", "<copyright>(c) 2024 Somebody. All rights reserved</copyright>", "proprietary"),
        ("", "<copyright>(c) 2024 Somebody</copyright>", "unknown"),
        ('<podcast:license url="https://creativecommons.org/licenses/by/4.0/">cc-by-4.0</podcast:license>', "", "cc-by-4.0"),
        ('<media:license href="http://creativecommons.org/licenses/by/4.0/">CC</media:license>', "", "cc-by-4.0"),
        ("", "", "unknown"),
    ],
)
def test_feeds(item: str, channel: str, name: str) -> None:
    (episode,) = read_feed(feed(item, channel), "http://a.example/feed").found
    assert episode.licence.name == name
    assert episode.licence.source == ("feed" if name != "unknown" else "none")


def test_headers() -> None:
    link = '<https://a.example/x>; rel="next", <https://creativecommons.org/licenses/by/4.0/>; rel="license"'
    assert of_headers(link).name == "cc-by-4.0"
    assert of_headers(link).source == "media"
    assert of_headers('<https://a.example/x>; rel="next"').name == "unknown"
    assert of_headers(None).name == "unknown"


def test_what_the_config_says_is_taken_at_its_word() -> None:
    assert of_config("CC BY 4.0").name == "cc-by-4.0"
    assert of_config("Our Own").name == "our-own"
    assert of_config("Our Own").source == "config"
