"""The stage `frames`: what is to be seen during each segment, where the source is a video."""
