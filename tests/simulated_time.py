"""Tests on a clock that skips the waiting.

A test marked `simulated_time` runs on it. What another test would wait for is only
computed here, so the patience and the back-off of the code under test are tested as they are.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from scripts.lib.simulated_loop import SimulatedLoop

MARKER: Final = "simulated_time"


def loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the loop that a test runs on."""
    if item.get_closest_marker(MARKER) is None:
        return {"real": asyncio.new_event_loop}
    return {"simulated": SimulatedLoop}
