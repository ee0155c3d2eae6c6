"""Fewer weights.

Lecture 02: masks.py, magnitude.py, dead_units.py, sensitivity.py, trade_off.py, dropout.py.
Lecture 03: curvature.py, obd.py, obs.py.   Lecture 04: channels.py, surgery.py, importance.py, structured.py,
group_lasso.py, csr.py.
"""
