"""Voxmill turns the audio of the web into training data for speech models, and that data into a model.

The code lives in the folders beside `src`; this package only gives them one import name.
"""

__version__ = "0.1.0"
