"""The crawl: from the sources in the config to original files on disk, each with its licence and its permission.

    listing.List ── lister.py feed.py page.py voxmill_manifest.py ──▶ Item          what there is to fetch
    crawl.Crawl  ── download.py extract.py audio_store.py ─────────▶ Recording     what was fetched, or why not

Both reach a network through one `fetcher.Fetcher` and nothing else. It asks, for every request and every redirect:
may we (`robots.py`, `opt_out.py`, `denylist.py`), is it our turn (`host_limit.py`), is the address public (`address.py`).
"""
