"""Small files that announce much: what they cost stays under the dense size of their arrays plus 64 MiB."""

import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import minicompress
from minicompress import nn
from minicompress.errors import LimitError
from minicompress.pruning.magnitude import Scatter
from minicompress.quantization import huffman_coder
from minicompress.storage import codecs, from_bytes, to_bytes, tree
from minicompress.storage.integers import BLOCK
from minicompress.storage.varint import varint

MiB = 2**20
