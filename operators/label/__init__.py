"""Labels beside the transcript: language, emotion, speakers, quality, translation, … One labeller per file, merged by `merge.py`."""
