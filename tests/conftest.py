"""Options that all tests share."""

from __future__ import annotations

import signal

import pytest


def pytest_configure() -> None:
    """A shell starts a job in the background with SIGINT ignored, which the tests of Ctrl-C and
    the processes they start would inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--accept",
        action="store_true",
        help="write what the tests found as the new expectations, to be reviewed as text",
    )


@pytest.fixture
def accept(request: pytest.FixtureRequest) -> bool:
    """Whether expectations are to be rewritten."""
    return bool(request.config.getoption("--accept"))
