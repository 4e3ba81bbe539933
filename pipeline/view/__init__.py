"""A run as a page to look at and listen to: the questions that the page asks, who answers them, and the page itself (`page/`)."""
