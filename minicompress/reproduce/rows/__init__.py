"""The rows, in the order of the table. A new one is a function and its claims in a file here, and its name below."""

from ..row import Row
from .binary import BINARY
from .branchynet import BRANCHYNET
from .deep_compression import LENET_5, LENET_300_100
from .distillation import DISTILLATION
from .han import HAN_CURVES
from .lottery import LOTTERY
from .low_rank import LOW_RANK
from .mobilenet import MOBILENET
from .msdnet import MSDNET
from .obd import OBD
from .obs import OBS
from .rethinking import RETHINKING
from .skipnet import SKIPNET
from .slimmable import SLIMMABLE
from .structured import STRUCTURED
from .supermasks import SUPERMASKS

ROWS: dict[str, Row] = {row.name: row for row in (
    LENET_300_100, LENET_5, HAN_CURVES, OBD, OBS, STRUCTURED, LOTTERY, SUPERMASKS, RETHINKING, DISTILLATION, BINARY,
    LOW_RANK, BRANCHYNET, MSDNET, SKIPNET, MOBILENET, SLIMMABLE)}
