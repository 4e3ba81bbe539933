"""Loading and reading the output of model packages that several stages use: FunASR, pyannote, SenseVoice."""
