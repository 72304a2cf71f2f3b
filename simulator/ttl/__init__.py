"""The same packs on a line of the older protocol `4E 57`, as on the 4-pin socket.

A line and a server::

    bank = Bank.default([0], seed=1, still=True)
    line = TtlLine(bank, version="11.XW_S11.26___")
    async with serve_tcp(line) as server:
        ...connect to server.url, then look at bank[0].journal and line.counters

The address of a pack is its terminal number.  `line.sleep(0)` lets it sleep until it is
activated, `line.boot(0, now)` lets it say 0 for a while as after power-on.  With
`legacy_current=True` the current has the format of the first version of the protocol.
Faults are those of RS485.
"""

from .answer import content_of, frame_of
from .line import TtlLine

__all__ = ["TtlLine", "content_of", "frame_of"]
