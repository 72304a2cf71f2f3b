"""How a pack on Bluetooth is reached, without knowing Bluetooth; and a look at who it is."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from ..protocol.ble.machine import BleMaster
from ..protocol.ble.station import ADDRESS
from ..protocol.state import BmsState
from .inbox import Inbox
from .link import LinkError, LinkFault
from .session import WritableLine

_LOOK: Final = 20.0
"""Seconds in which a pack that is connected has to say who it is."""


type Heard = Callable[[bytes], None]
type Ended = Callable[[Exception | None], None]


class RadioPort(Protocol):
    """How one pack is reached, and whether it may be reached just now."""

    @property
    def released(self) -> bool:
        """Whether somebody else may have the pack."""

    def release(self) -> None:
        """Leave the pack to somebody else until it is taken back."""

    def take_back(self) -> None:
        """Connect again."""

    async def open(self, heard: Heard, ended: Ended, /) -> WritableLine:
        """Connect and listen; raises LinkError."""


async def async_meet(port: RadioPort) -> BmsState:
    """Connect to a pack, return what it says, and let it go; raises LinkError."""
    inbox = Inbox[bytes]()
    line = await port.open(inbox.receive, inbox.lose)
    try:
        now = asyncio.get_running_loop().time
        master = BleMaster([ADDRESS], now())
        station = master.stations[ADDRESS]
        master.connected(now())
        end = now() + _LOOK
        chunks = [b""]
        while now() < end:
            for data in chunks:
                step = master.advance(now(), data)
                if step.send:
                    line.write(step.send)
            if station.features is not None:
                return station.state
            chunks = await inbox.chunks(min(step.wake, end)) or [b""]
        raise LinkError(LinkFault.SILENT, "it says nothing that can be read")
    finally:
        await line.close()
