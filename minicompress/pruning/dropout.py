"""Lecture 02: dropout after pruning. How many units may be dropped from a network that has lost weights already?

    p_r = p_o sqrt(C_r / C_o)      C_o, C_r: the connections of a layer before and after pruning

Dropout removes units, n of a layer; its connections grow as n². A sparse layer has less to overfit with, as one with
sqrt(C_r / C_o) as many units, and is dropped from so much less (Han et al. 2015, section 3.2, eq. 1 and 2).
"""

from __future__ import annotations

import math

import numpy as np

from ..inputs import as_integer, as_number
from ..nn import Dropout, Sequential


def sparse_dropout(p: float, kept: int, total: int) -> float:
    """p_r = p sqrt(kept / total)      p: the rate of the dense network, in [0, 1)"""
    total = as_integer(total, "total", 1)
    return as_number(p, "p", 0, below=1) * math.sqrt(as_integer(kept, "kept", 0, total) / total)


def adapt_dropout(model: Sequential, p: float) -> list[float]:
    """Set every Dropout of the model to the rate for what is left of the weight before it; returns these rates.

    p: the rate in the dense network, so that calling it again after each round is right. A Dropout before the first
    weight, on the inputs themselves, keeps its rate. Looks at the layers of one Sequential, not inside them.
    """
    rates, kept, total = [], 0, 0
    for layer in model.layers:
        if weights := layer.weights():
            w = weights[-1].forward()
            kept, total = int(np.count_nonzero(w)), w.size
        if isinstance(layer, Dropout) and total:
            layer.p = sparse_dropout(p, kept, total)
            rates.append(layer.p)
    return rates
