"""The stage `frames`: pictures of each segment, where the source is a video."""
