"""minicompress: network compression from scratch, in NumPy.

The folders are the table of contents of the course, in reading order:

    nn/             lecture 00: the network; knows no technique
    pruning/        lecture 02: magnitude.py
    quantization/   lectures 10 and 11: sharing.py, huffman.py, deep_compression.py
    storage/        the .mcz file: codecs.py, file.py
    ledger.py       what a network costs: weights, trained numbers, non-zeros, multiply-accumulates, bytes, seconds
    data/           digits (bundled), MNIST and Fashion-MNIST (fetched), MONK's problems

`minicompress tour` compresses a real network into a real file; the lecture texts are in `lectures/`.
"""

__version__ = "0.1.0"
