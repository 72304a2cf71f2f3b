"""A process that tells an inverter of two packs that are well, until somebody ends it."""

import asyncio
import sys

from custom_components.jkbms.protocol.inverter import teller as machine
from custom_components.jkbms.protocol.inverter.languages import Language
from custom_components.jkbms.protocol.inverter.limits import Rules
from custom_components.jkbms.protocol.inverter.teller import Teller
from custom_components.jkbms.transport.can_link import CanLink
from custom_components.jkbms.transport.can_port import CanAdapter, CanPort

from ...protocol.inverter.bank import sight


async def tell(port: int) -> None:
    """Tell, for good."""
    machine.LISTEN_FOR, machine._RISE = 0.2, 0.5  # type: ignore[misc]  # noqa: SLF001  # moments
    teller = Teller(Language.DEYE, Rules())
    loop = asyncio.get_running_loop()
    await CanLink.open(
        CanPort(adapter=CanAdapter.CAN_TCP, host="127.0.0.1", port=port),
        lambda _: None,
        lambda _: None,
        speaker=teller,
    )
    while True:
        teller.give(sight(n, heard=loop.time()) for n in (1, 2))
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(tell(int(sys.argv[1])))
