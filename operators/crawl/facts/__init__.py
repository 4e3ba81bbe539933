"""What the crawl knows of an address before it fetches it: its kind, its licence, why it may not be fetched."""
