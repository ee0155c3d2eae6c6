"""The MONK's problems: 432 robots, all combinations of six attributes, and three logical rules to learn from examples.

(1) a1 = a2 or a5 = 1      (2) exactly two attributes have the value 1      (3) a5 = 3 and a4 = 1, or a5 ≠ 4 and a2 ≠ 3

Source: S. Thrun et al., "The MONK's Problems: A Performance Comparison of Different Learning Algorithms", Technical
Report CS-CMU-91-197, Carnegie Mellon University, 1991. Its training lists were drawn at random and no rule gives them:
they are read from the original files monks-1.train, monks-2.train, monks-3.train in the folder monks of
MINICOMPRESS_DATA. Without them, lists of the same sizes are drawn, and the data set's name says so.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FormatError, StorageError
from ..inputs import as_integer
from .dataset import Dataset, Samples, as_float_type
from .download import given_folder

VALUES = (3, 3, 2, 3, 4, 2)
SIZES = {1: 124, 2: 169, 3: 122}
NOISY = 6


def monks(problem: int, *, dtype: Any = np.float64) -> Dataset:
    """x (n, 17) one-hot, labels 0 or 1: 124, 169 or 122 training samples, and all 432 robots as the test.

    Of problem 3, six training labels are wrong. There are no validation samples: `validation` is empty.
    Raises RangeError, DTypeError, and FormatError or StorageError for an original file that cannot be read.
    """
    problem, dtype = as_integer(problem, "problem", 1, 3), as_float_type(dtype)
    robots = np.indices(VALUES).reshape(6, -1).T + 1
    truth = rule(problem, robots)
    file = f"monks-{problem}.train"
    if folder := given_folder("monks", [file]):
        name, (attributes, labels) = f"monks-{problem}", read_list(folder / file)
    else:
        chosen = np.random.default_rng(problem).permutation(len(robots))[:SIZES[problem]]
        name, attributes, labels = f"monks-{problem} (drawn)", robots[chosen], truth[chosen]
        if problem == 3:
            labels[:NOISY] = 1 - labels[:NOISY]
    none = Samples(np.empty((0, sum(VALUES)), dtype), np.empty(0, np.int64))
    return Dataset(name, ("0", "1"), Samples(one_hot(attributes, dtype), labels), none,
                   Samples(one_hot(robots, dtype), truth))


def rule(problem: int, attributes: np.ndarray) -> np.ndarray:
    """The true labels (n,) of `attributes` (n, 6)."""
    a1, a2, _, a4, a5, _ = attributes.T
    rules = {1: (a1 == a2) | (a5 == 1),
             2: (attributes == 1).sum(axis=1) == 2,
             3: ((a5 == 3) & (a4 == 1)) | ((a5 != 4) & (a2 != 3))}
    return rules[problem].astype(np.int64)


def one_hot(attributes: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
    """(n, 6) to (n, 17): 3 + 3 + 2 + 3 + 4 + 2 inputs, of which six are 1."""
    return np.hstack([attributes[:, [i]] == np.arange(1, count + 1) for i, count in enumerate(VALUES)]).astype(dtype)


def read_list(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Attributes (n, 6) and labels (n,) of an original file: a line for a robot, the class first, then a1 to a6.

    Commas or spaces separate, a robot's name may follow, and lines that start with @ or % are not robots.
    Raises FormatError with the line, StorageError.
    """
    try:
        lines = path.read_text("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not a text; expected: lines like 1,1,1,1,1,3,1.") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error
    rows = [_robot(line, f"line {number} of {path}") for number, line in enumerate(lines, 1)
            if line.strip() and line[0] not in "@%"]
    if not rows:
        raise FormatError(f"{path} has no robots; expected: lines like 1,1,1,1,1,3,1.")
    table = np.array(rows, np.int64)
    return table[:, 1:], table[:, 0]


def _robot(line: str, where: str) -> list[int]:
    fields = line.replace(",", " ").split()[:7]
    numbers = [int(field) for field in fields if field.isdigit() and len(field) == 1]
    fits = len(numbers) == 7 and numbers[0] <= 1 and all(1 <= a <= n for a, n in zip(numbers[1:], VALUES, strict=True))
    if not fits:
        raise FormatError(f"{where} is {line[:40]!r}; expected: a class 0 or 1, then a1 to a6, like 1,1,1,1,1,3,1.")
    return numbers
