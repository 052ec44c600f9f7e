"""Notebooks are compared in the environment they were stored in: CPU, bars off. Their kernels inherit it from here."""

import os

from tools.notebook_env import RUN_ENV

os.environ.update(RUN_ENV)
