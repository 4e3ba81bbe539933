"""Personal data in transcripts: found by Presidio, masked in the text, silenced in the audio."""
