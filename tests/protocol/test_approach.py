"""What is learnt of the way to one BMS: triggers, and registers where those stay unanswered."""

from custom_components.jkbms.protocol.approach import Approach
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import trigger
from custom_components.jkbms.protocol.line import Missing, Unanswered
from custom_components.jkbms.protocol.modbus_map import BlockRead


def silent(approach: Approach, times: int) -> None:
    """Leave triggers unanswered."""
    for _ in range(times):
        request = trigger(1, Block.SETTINGS)
        approach.unanswered(Unanswered(request, Missing.SILENT))


def test_the_fifth_try_of_a_block_is_made_by_registers() -> None:
    approach = Approach()
    silent(approach, 3)
    assert approach.ask(1, Block.SETTINGS, alive=True) == trigger(1, Block.SETTINGS)
    silent(approach, 1)
    asked = approach.ask(1, Block.SETTINGS, alive=True)
    assert isinstance(asked, BlockRead)
    # Others, and a BMS that answers nothing at all, are asked as before.
    assert approach.ask(1, Block.LIVE, alive=True) == trigger(1, Block.LIVE)
    assert approach.ask(1, Block.SETTINGS, alive=False) == trigger(1, Block.SETTINGS)


def test_a_line_that_is_opened_anew_begins_anew() -> None:
    approach = Approach()
    approach.by_registers.add(Block.LIVE)
    approach.read(1, Block.LIVE)
    assert approach.reach.extents
    silent(approach, 4)
    approach.forget()
    assert approach.by_registers == set()
    assert not approach.reach.extents
    assert approach.ask(1, Block.SETTINGS, alive=True) == trigger(1, Block.SETTINGS)
