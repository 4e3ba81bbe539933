"""What there is to fetch: folders, lists, feeds, pages and playlists become candidates. Documents of strangers are parsed in a sandboxed process."""
