"""Dynamic computation: how much of a network runs depends on the sample, or on the device.

Lecture 15: exits.py, routing.py, thresholds.py, msdnet.py, skipping.py.
Lecture 16: alignment.py, slicing.py, slimmable.py.
"""
