"""minicompress: network compression from scratch, in NumPy.

The folders are the table of contents of the course, in reading order:

    nn/             lecture 00: the network; knows no technique
    ledger.py       lecture 01: what a network costs: weights, bytes, seconds; counting.py: multiply-accumulates of what
                    ran; energy.py: joules
    pruning/        lectures 02 to 04: magnitude.py, obd.py, obs.py, structured.py and what they stand on
    lottery/        lectures 05 to 07: tickets.py, deconstruct.py, supermask.py, rethinking.py and their experiments
    distillation/   lecture 08: losses.py, targets.py, prior.py, hints.py, experiments.py
    quantization/   lectures 09 to 12: uniform.py, integer.py; sharing.py; huffman.py, deep_compression.py; binary.py
    architecture/   lectures 13 and 14: low_rank.py, moments.py, rank.py; blocks.py, zoo.py, mobile.py
    dynamic/        lectures 15 and 16: exits.py, routing.py, msdnet.py, skipping.py; alignment.py,
                    slicing.py, slimmable.py
    storage/        the .mcz file: codecs.py, file.py
    data/           digits (bundled), MNIST and Fashion-MNIST (fetched), MONK's problems

`minicompress tour` compresses a real network into a real file; the lecture texts are in `lectures/`.
"""

__version__ = "0.1.0"
