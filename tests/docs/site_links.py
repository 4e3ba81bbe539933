"""The links of the built site: every `href` and `src` inside it leads to a file, every `#…` to an id of that page.

python tests/docs/site_links.py build/docs
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links and ids of one HTML file."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.update(filter(None, (given.get("id"), given.get("name"))))
        self.links.update(filter(None, (given.get("href"), given.get("src"))))


def broken(site: Path) -> list[str]:
    """One line for each link that leads nowhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}
    found = []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                found.append(f"{path.relative_to(site)}: {link} leads to no file")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in {*pages[target].ids, "__top"}:
                found.append(f"{path.relative_to(site)}: {link} leads to no heading")
    return found


def main() -> None:
    site = Path(sys.argv[1]).resolve()
    wrong = broken(site)
    print("\n".join(wrong) or f"{site.name}: {len(list(site.rglob('*.html')))} pages, every link leads somewhere")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
