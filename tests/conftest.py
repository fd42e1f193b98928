"""What every test may use: the shared data, and Hypothesis profiles."""

from __future__ import annotations

import os

# Before numpy: workers that each start a thread per core stand in each other's way.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.shared import shared_dir, why_no_shared

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    """Give the workers of one run a folder in common for the fitted models of the zoo."""
    if hasattr(config, "workerinput") or "SLIMML_ZOO" in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="slimml-zoo-")
    os.environ["SLIMML_ZOO"] = folder
    config.add_cleanup(lambda: shutil.rmtree(folder))
    config.add_cleanup(lambda: os.environ.pop("SLIMML_ZOO"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the shared data; a test that asks for it is skipped where it is not there."""
    folder = shared_dir()
    if folder is None:
        pytest.skip(why_no_shared())
    return folder
