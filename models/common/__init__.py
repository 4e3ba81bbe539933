"""What data, network, training and inference share: features, tokeniser, tasks, video frames, seeded random numbers."""
