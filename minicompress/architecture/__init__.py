"""Lectures 13 and 14: networks that are small by their shape: low_rank.py, moments.py, rank.py; blocks.py, zoo.py,
mobile.py.
"""
