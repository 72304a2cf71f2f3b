"""Packs of which one leaves something out, in whatever way it is asked."""

from typing import override

from custom_components.jkbms.protocol.datum import Block
from simulator import SlaveLine

from .protocol.helpers import framed


class Withholding(SlaveLine):
    """A line on which the pack with address 1 never tells some blocks."""

    withheld: frozenset[Block] = frozenset()

    @override
    def receive(self, data: bytes, now: float) -> None:
        (request,) = framed(data)
        register = getattr(request, "register", 0)
        for block in self.withheld:
            asked = register == block.trigger or register & 0xFE00 == block.base
            if data[0] == 1 and asked:
                self.counters.withheld += 1
                return
        super().receive(data, now)
