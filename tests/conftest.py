"""What all tests share: the same examples in every run, and no more threads than the machine that CI lends."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Derandomised: a red run stays red until the code changes. No deadline: two cores may be shared with other work.
settings.register_profile(
    "seglib",
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("seglib")

# These need a browser, and minutes: `make browser` runs them, and says so by this variable.
collect_ignore = [] if "SEGLIB_BROWSER_NOTEBOOKS" in os.environ else ["browser"]


@pytest.fixture(autouse=True, scope="session")
def two_threads():
    import torch

    torch.set_num_threads(min(2, torch.get_num_threads()))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `gpu` is skipped, by name, where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA GPU")
