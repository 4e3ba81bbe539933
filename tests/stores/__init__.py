"""Real object stores on this machine, and a proxy before them that misbehaves on request. For tests, benchmarks and checks."""
