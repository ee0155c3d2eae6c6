"""Fewer bits a weight.

Lecture 09: quantizer.py, uniform.py, folding.py, integer.py, conversion.py.

Lecture 10: clustering.py, sharing.py, allocation.py. Lecture 11: huffman.py, huffman_coder.py (with codewords.py and
bitstream.py, which make it fast), deep_compression.py. Lecture 12: binary.py with
binary_experiments.py, thresholds.py, packed.py.
"""
