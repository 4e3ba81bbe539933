"""What every operator shares: what it is given, and the Protocols behind which recognisers, detectors and labellers live."""
