"""Compares what several recognisers transcribed of one segment: normalised, aligned, voted on or chosen by a named rule."""
