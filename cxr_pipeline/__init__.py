"""Chest X-ray multi-label classification: from raw public collections to one evaluated, tracked checkpoint."""

__version__ = "0.1.0"
