"""From the bytes of any media file to 16 kHz mono samples, streamed: PyAV decodes and libswresample resamples."""
