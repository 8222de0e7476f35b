"""What all tests share."""

import os
import signal


def pytest_sessionstart():
    """Workers of pytest-xdist ignore Ctrl-C, and so would every program that a test starts."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        signal.signal(signal.SIGINT, signal.default_int_handler)
