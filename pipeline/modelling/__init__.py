"""What a trained model needs of the line: files as clips, and a display for those who wait."""
