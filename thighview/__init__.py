"""Look at thigh MRI, segment, correct, retrain."""

__version__ = "0.1.0"
