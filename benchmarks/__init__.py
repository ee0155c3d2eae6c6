"""How fast is it? `python -m benchmarks.speed` measures this library and its peers side by side, on one thread.

Reading order: timing.py, training.py, compression.py, growth.py, speed.py.
"""

import os

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # read when NumPy is imported
    os.environ[name] = "1"
