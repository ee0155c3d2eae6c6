"""Fewer bits: sharing.py (lecture 10); huffman.py, huffman_coder.py with bitstream.py, and deep_compression.py (lecture 11)."""
