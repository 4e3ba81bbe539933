"""Finds what is there already, over a whole run and in bounded memory: who shares keys with whom, and what that comes to."""
