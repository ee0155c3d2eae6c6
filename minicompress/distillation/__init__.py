"""Distillation: a small network learns from what a large one says.

Lecture 08: losses.py, targets.py, prior.py, hints.py, experiments.py.
"""
