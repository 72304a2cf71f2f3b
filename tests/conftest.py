"""What every test needs: our `custom_components` in place of the test harness' own package of that name."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

import custom_components

from .simulated_time import MARKER, loop_factories

# Home Assistant's loader looks for integrations along this package's path; imported here first, it is ours.
assert custom_components.__file__


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks of these tests known."""
    config.addinivalue_line("markers", f"{MARKER}: waiting takes no time")


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Let a test choose its clock by a mark."""
    return loop_factories(item)
