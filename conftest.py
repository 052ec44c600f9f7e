"""For every call of pytest: the environment in which notebooks are compared, and the tolerances of their cells.

This file stands in the root so that a call for one notebook, or in a copy of the project, has both.
"""

import os

from tools.notebooks.environment import RUN_ENV

if "SEGLIB_GPU_TESTS" not in os.environ:  # tools/proofs/gpu.py sets it, and runs the tests marked `gpu` only
    os.environ.update(RUN_ENV)  # the kernels of the notebooks inherit it

pytest_plugins = ["tools.notebooks.nbval_tolerance"]
