"""Lecture 01: what an answer costs in energy. Arithmetic, or the weights' way from memory?

    E = macs (multiply + add) + weight_bytes / 4 · read      joules for one sample

Source: Horowitz 2014, "Computing's energy problem (and what we can do about it)", ISSCC, figure 1.1.9: rough costs of
one operation, 45 nm, 0.9 V. Reads of 32 bits as in Han et al. 2015, figure 1: half of Horowitz's 64 bits, which cost
10 pJ from a cache of 8 kB (100 pJ from 1 MB) and 1.3 to 2.6 nJ from DRAM.

Assumed: each stored weight is read once for each sample, all of them from the same memory. Not counted: activations,
instructions, leakage, and what decoding costs. Newer chips need less of each; the ratios are what matters.
"""

from __future__ import annotations

from .inputs import as_choice, as_number

PICOJOULES = {
    "add int8": 0.03, "add int32": 0.1, "add float16": 0.4, "add float32": 0.9,
    "multiply int8": 0.2, "multiply int32": 3.1, "multiply float16": 1.1, "multiply float32": 3.7,
    "read sram": 5.0, "read dram": 640.0,
}
SUMS = {"int8": "int32"}  # products of 8 bits are added up in 32; the other types keep their own


def energy(macs: float, weight_bytes: float, *, memory: str = "dram", number: str = "float32") -> float:
    """E = macs (multiply + add) + weight_bytes / 4 · read, in joules for one sample

    memory: "dram", or "sram" for a network that fits on the chip. number: the type of weights and activations,
    "float32", "float16", "int32" or "int8". Raises RangeError for another name or a negative count.
    """
    as_choice(number, "number", [key.split()[1] for key in PICOJOULES if key.startswith("multiply")])
    read = PICOJOULES["read " + as_choice(memory, "memory", ["dram", "sram"])]
    product = PICOJOULES["multiply " + number] + PICOJOULES["add " + SUMS.get(number, number)]
    return 1e-12 * (as_number(macs, "macs", 0) * product + as_number(weight_bytes, "weight_bytes", 0) / 4 * read)
