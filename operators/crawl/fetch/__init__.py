"""Getting bytes: every request goes through `fetcher.Fetcher`, whatever asks for it."""
