"""Fewer bits a weight.

Lecture 10: clustering.py, sharing.py. Lecture 11: huffman.py, huffman_coder.py (with codewords.py and bitstream.py,
which make it fast), deep_compression.py.
"""
