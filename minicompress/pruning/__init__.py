"""Fewer weights: magnitude.py (lecture 02)."""
