"""What every test of a link needs: real sockets."""

import pytest


@pytest.fixture(autouse=True)
def real_sockets(socket_enabled: None) -> None:
    """Let tests open sockets; they do so at 127.0.0.1 only."""
