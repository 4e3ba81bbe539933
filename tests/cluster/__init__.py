"""A cluster of several machines on one, with an object store and a web server, for checks."""
