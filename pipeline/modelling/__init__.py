"""Around the `models` package: audio files as segments for a trained model, and what its commands print."""
