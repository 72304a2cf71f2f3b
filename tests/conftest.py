"""What every test needs: our `custom_components` in place of the test harness' own package of that name."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
import logging
from typing import Any
from unittest.mock import patch

from aiohttp.resolver import AsyncResolver
import pytest
import pytest_asyncio

import custom_components

from .simulated_time import MARKER, loop_factories

# Home Assistant's loader looks for integrations along this package's path; imported here first, it is ours.
assert custom_components.__file__

# The harness lets it tell every statement; a commit after the end of a test would fill the report.
logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks of these tests known."""
    config.addinivalue_line("markers", f"{MARKER}: waiting takes no time")


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Let a test choose its clock by a mark."""
    return loop_factories(item)


class _Resolver(AsyncResolver):
    """A resolver with the name under which Home Assistant closes it."""

    real_close = AsyncResolver.close


@pytest.fixture(autouse=True)
async def enable_event_loop_debug(request: pytest.FixtureRequest) -> None:
    """Let a loop check who calls it, but not while hours are computed.

    It takes the place of the harness' own, which does that always. Noting where each
    timer and future came from takes half of the time of those tests.
    """
    simulated = request.node.get_closest_marker(MARKER) is not None
    asyncio.get_running_loop().set_debug(not simulated)


@pytest_asyncio.fixture(autouse=True, scope="session", loop_scope="session")
async def mock_zeroconf_resolver() -> AsyncIterator[Any]:
    """Give Home Assistant a resolver, and close it.

    It takes the place of the harness' own, which is made anew for each test as soon as
    tests choose their event loop, and leaves four open files each time: after 250 tests
    nothing works any more that calls `select`, such as pyserial.
    """
    resolver = _Resolver()
    made = "homeassistant.helpers.aiohttp_client._async_make_resolver"
    with patch(made, return_value=resolver) as patched:
        yield patched
    await resolver.real_close()
