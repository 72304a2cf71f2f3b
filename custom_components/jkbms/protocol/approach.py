"""How each block of a BMS is asked for: by its trigger, or else register by register."""

from collections import Counter
from dataclasses import dataclass, field as dataclass_field
from typing import Final

from .datum import BLOCK_OF_TYPE, Block
from .frames import Frame, ReadRequest, Request, WriteRequest, trigger
from .line import Missing, Unanswered
from .modbus_map import BlockRead, Reach

_REGISTERS_AFTER: Final = 4
"""Triggers of a block without an answer, of a BMS that answers others."""


@dataclass(slots=True)
class Approach:
    """What has worked with one BMS."""

    reach: Reach = dataclass_field(default_factory=Reach)
    by_registers: set[Block] = dataclass_field(default_factory=set)
    """What is read by registers, since its trigger stays without an answer."""
    _unanswered: Counter[Block] = dataclass_field(default_factory=Counter)
    """Triggers in a row without an answer, of each block."""

    def forget(self) -> None:
        """Begin anew: the line was opened anew, or another BMS may be there."""
        self.reach.forget()
        self.trust_triggers()

    def trust_triggers(self) -> None:
        """Ask by triggers again."""
        self.by_registers.clear()
        self._unanswered.clear()

    def ask(self, address: int, block: Block, *, alive: bool) -> Request | BlockRead:
        """Return what to ask where triggers may be answered."""
        if alive and self._unanswered[block] >= _REGISTERS_AFTER:
            return self.read(address, block)
        return trigger(address, block)

    def read(self, address: int, block: Block) -> BlockRead:
        """Return what to ask where they cannot be."""
        return BlockRead(address, block, self.reach)

    def answered(self, request: Request, frame: Frame | None) -> None:
        """Take note of a block that has come."""
        block = None if frame is None else BLOCK_OF_TYPE.get(frame.type)
        if block is None:
            return
        if isinstance(request, ReadRequest) and self._unanswered[block]:
            self.by_registers.add(block)
        else:
            del self._unanswered[block]

    def unanswered(self, missing: Unanswered) -> None:
        """Count the triggers of a block that stay without an answer, one by one."""
        match missing:
            case Unanswered(WriteRequest(block=Block() as block), Missing.SILENT):
                self._unanswered[block] += 1
            case Unanswered(ReadRequest()):
                self.trust_triggers()
            case _:
                pass
