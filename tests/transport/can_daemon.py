"""Four packs on a CAN bus behind a port, in a process of their own: `python -m tests.transport.can_daemon KIND PORT`."""

import asyncio
from collections.abc import Callable
import sys

from simulator import Bank, TcpServer
from simulator.can import CanBus, serve_can_tcp, serve_slcan_tcp, serve_socketcand

SERVERS: dict[str, Callable[[CanBus, str, int], TcpServer]] = {
    "slcan-tcp": serve_slcan_tcp,
    "socketcand": serve_socketcand,
    "can-tcp": serve_can_tcp,
}


async def main(kind: str, port: int) -> None:
    """Serve until killed."""
    bus = CanBus(Bank.default(range(4), still=True), bitrate=500_000)
    async with SERVERS[kind](bus, "127.0.0.1", port) as server:
        print(server.port, flush=True)  # noqa: T201  # the test reads it
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
