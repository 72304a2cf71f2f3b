"""What the tests of lines to converting gateways share."""

import socket

from custom_components.jkbms.transport.modbus_tcp import ModbusTcpLine

from .peers import Ears, soon


async def opened(url: str, ears: Ears) -> ModbusTcpLine:
    """A line that tells what it hears."""
    return await soon(ModbusTcpLine.open(url, ears.receive, ears.lose))


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
