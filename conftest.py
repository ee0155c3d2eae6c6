"""Before any test imports NumPy: one BLAS thread, no window, and the same hypothesis examples in every run."""

import os
import tempfile
from pathlib import Path

from hypothesis import settings

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.pop("TQDM_DISABLE", None)
if not os.access(Path.home(), os.W_OK):
    os.environ.setdefault("MPLCONFIGDIR", tempfile.mkdtemp(prefix="matplotlib-"))

import matplotlib  # noqa: E402  (it imports NumPy)
import tqdm  # noqa: E402, F401  (it reads the variable that is set below)

os.environ["TQDM_DISABLE"] = "1"  # for notebook kernels: no progress bars among their outputs

matplotlib.use("Agg")  # not by MPLBACKEND: notebook kernels inherit the environment and need their inline figures
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")
