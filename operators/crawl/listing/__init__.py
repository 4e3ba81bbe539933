"""From a source (feed, page, list, folder, playlist) to the items that it offers."""
