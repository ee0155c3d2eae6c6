"""The .mcz file: file.py (save, load, inspect), tree.py (a model as bytes), codecs.py (an array as bytes), kinds.py."""

from .file import Checkpoint, Part, from_bytes, inspect, load, round_to, save, to_bytes

__all__ = ["Checkpoint", "Part", "from_bytes", "inspect", "load", "round_to", "save", "to_bytes"]
