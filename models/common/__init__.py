"""What data, network, training and inference share: features, tokens, tasks, seeded randomness."""
