"""What every test of a link needs: real sockets."""

from collections.abc import Iterator
import logging

import pytest


@pytest.fixture(autouse=True)
def real_sockets(socket_enabled: None) -> None:
    """Let tests open sockets; they do so at 127.0.0.1 only."""


@pytest.fixture
def pymodbus_says() -> Iterator[list[logging.LogRecord]]:
    """What reaches the log from pymodbus, at its level of warnings."""
    records: list[logging.LogRecord] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger, keeper = logging.getLogger("pymodbus"), Keeper()
    level = logger.level
    logger.addHandler(keeper)
    logger.setLevel(logging.WARNING)
    yield records
    logger.removeHandler(keeper)
    logger.setLevel(level)
