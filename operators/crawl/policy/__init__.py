"""What may be asked of a host, and how often: robots.txt, opt-outs, deny-lists, rate limits, bot challenges."""
