"""The crawl: from the sources in the config to original files on disk, each with its licence and the permission to fetch it.

    listing/lister.py  Lister ──▶ Item        what there is to fetch
    crawl.py           Crawl  ──▶ Recording   what was fetched, or why not

`facts/` knows no network: candidates, addresses, licences, errors. `policy/` decides whether and when a host may be asked,
`fetch/` asks it, `listing/` reads what lists media. Both operators reach a network through one `fetch.fetcher.Fetcher` only.
"""
