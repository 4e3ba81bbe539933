"""Polite HTTP: the fetcher with its limits, resumed downloads, HTTP Live Streaming, and the store of fetched files."""
