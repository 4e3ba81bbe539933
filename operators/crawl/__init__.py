"""The crawl: from the sources in the config to original files on disk, each with its licence and its permission.

    listing.List ── sources.py feed.py page.py manifest.py ──▶ Item          what there is to fetch
    crawl.Crawl  ── download.py extract.py store.py ─────────▶ Recording     what was fetched, or why not

Both reach a network through one `fetcher.Fetcher` and nothing else. It asks, for every request and every redirect:
may we (`robots.py`, `opt_out.py`, `deny.py`), is it our turn (`gate.py`), is the address public (`address.py`).
"""
