"""Lottery tickets: found, taken apart, doubted.

Lecture 05: tickets.py, records.py, odds.py. Lecture 06: deconstruct.py, trials.py, supermask.py. Lecture 07:
rethinking.py.
"""
