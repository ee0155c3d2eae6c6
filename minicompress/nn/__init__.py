"""Lecture 00: a network in NumPy. Parameters, layers, losses, optimizers, training; no technique of compression.

Reading order: parameter.py with node.py, layers.py, elementwise.py, channelwise.py, conv.py with kernels.py,
containers.py, losses.py, optim.py with grid.py, evaluation.py, training.py.
"""

from .channelwise import BatchNorm, ChannelShuffle, Gate
from .containers import Concat, MultiExit, Residual, Selector, Sequential, Switch
from .conv import AvgPool2d, Conv2d, GlobalAvgPool, MaxPool2d
from .elementwise import Dropout, ReLU, Sigmoid, Sign, Tanh
from .evaluation import error, predict
from .grid import GRID, to_grid
from .layers import Flatten, Layer, Linear
from .losses import Loss, cross_entropy, l1, l2, log_softmax, mean_squared_error, softmax, squared_hinge
from .node import Node
from .optim import SGD, Adam, Optimizer, constant, cosine, linear
from .parameter import Parameter, Parametrization
from .training import Record, train

__all__ = [
    "GRID", "SGD", "Adam", "AvgPool2d", "BatchNorm", "ChannelShuffle", "Concat", "Conv2d", "Dropout", "Flatten", "Gate",
    "GlobalAvgPool", "Layer", "Linear", "Loss", "MaxPool2d", "MultiExit", "Node", "Optimizer", "Parameter",
    "Parametrization", "ReLU", "Record", "Residual", "Selector", "Sequential", "Sigmoid", "Sign", "Switch", "Tanh",
    "constant", "cosine", "cross_entropy", "error", "l1", "l2", "linear", "log_softmax", "mean_squared_error",
    "predict", "softmax", "squared_hinge", "to_grid", "train",
]
