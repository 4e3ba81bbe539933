"""What several recognisers together say of one segment: normalised, aligned, voted on or chosen by a named rule."""
