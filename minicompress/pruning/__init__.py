"""Fewer weights.

Lecture 02: masks.py, magnitude.py, dead_units.py, sensitivity.py, trade_off.py, dropout.py.
"""
