"""What all operators share: the unit they are given, and the Protocols that recognisers, detectors and labellers implement."""
