"""What all tests have in common."""

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples each time: the suite never fails by chance. `scripts/torture fuzz` looks for new ones.
settings.register_profile("suite", derandomize=True)
settings.register_profile("fuzz")
settings.load_profile("suite")

MEMORY = Path("/dev/shm")
ROOM = 1_000_000_000
"""Bytes that are to be free there: containers often give it a few megabytes."""
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
    # Thousands of databases are made and written durably, and a disk is waited for with each commit. Whoever kills a process
    # finds the same in either place: only a loss of power would tell them apart.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

CHANGED = ("", "addons", "metering", "calls", "stats_service")


@pytest.fixture(autouse=True)
def logging_stays_as_it_was() -> Iterator[None]:
    """A proxy or a service in this process takes the loggers over; the next test has them as they were."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    levels = [logging.getLogger(name).level for name in CHANGED]
    yield
    for handler in [added for added in root.handlers if added not in handlers]:
        root.removeHandler(handler)
    for name, level in zip(CHANGED, levels, strict=True):
        logging.getLogger(name).setLevel(level)
