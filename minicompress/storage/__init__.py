"""The .mcz file, from the outside in: file.py (save, load, inspect) with disk.py (written whole or not at all), tree.py
(a model as bytes) with kinds.py (what it may hold), codecs.py (an array as bytes) with masks.py and integers.py.
"""

from .file import Checkpoint, Part, from_bytes, inspect, load, round_to, save, to_bytes

__all__ = ["Checkpoint", "Part", "from_bytes", "inspect", "load", "round_to", "save", "to_bytes"]
