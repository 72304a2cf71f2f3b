"""The last gate before the line, and all ways that lead to it."""

from random import Random
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.errors import InvalidValueError, NotWritableError
from custom_components.jkbms.protocol.fence import check_sendable
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.frames import ReadRequest, WriteRequest, trigger
from custom_components.jkbms.protocol.line import Line
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.write_job import Ask
from custom_components.jkbms.protocol.writing import Change

from .bus import bus_of, requests
from .test_writing import VENDOR

ACTIONS: Final = {0x161C: 2, 0x161E: 2, 0x1620: 2, 0x1612: 4, 0x1610: 2}


def passes(request: WriteRequest) -> bool:
    try:
        check_sendable(request)
    except NotWritableError:
        return False
    return True


def test_of_all_registers_and_lengths_only_the_known_ones_leave_the_line() -> None:
    open_to = {
        register: size
        for register in range(0x10000)
        for size in (0, 1, 2, 3, 4, 6, 8, 12)
        if passes(WriteRequest(1, register, bytes(size)))
    }
    assert open_to == VENDOR | ACTIONS
    # Each with one length.
    for register, length in open_to.items():
        for size in range(20):
            assert passes(WriteRequest(1, register, bytes(size))) is (size == length)


@pytest.mark.parametrize("register", [0x161C, 0x161E, 0x1620, 0x1610])
def test_what_takes_no_value_is_sent_without_one(register: int) -> None:
    assert not passes(WriteRequest(1, register, b"\0\1"))
    assert not passes(WriteRequest(1, register, b"\xff\xff"))


@pytest.mark.parametrize("address", [-1, 16, 255])
def test_no_other_address_is_written(address: int) -> None:
    assert not passes(WriteRequest(address, 0x1070, bytes(4)))


def test_one_slipped_bit_beside_an_action_does_not_pass() -> None:
    for register in ACTIONS:
        for bit in range(16):
            slipped = register ^ 1 << bit
            if slipped not in ACTIONS and slipped not in VENDOR:
                for size in (2, 4):
                    assert not passes(WriteRequest(1, slipped, bytes(size)))


def test_the_line_itself_refuses_and_stays_free() -> None:
    line = Line(SERIAL, (1,))
    with pytest.raises(NotWritableError, match="0x1618"):
        line.send(WriteRequest(1, 0x1618, b"\0\0"), 0.0, 1.0)
    assert not line.busy
    assert line.send(ReadRequest(1, 0x1200, 10), 0.0, 1.0)


def forged(register: int) -> Change:
    """Return a change whose row was altered behind its back."""
    change = Change(1, BY_KEY["cell_count"], 16)
    field = BY_KEY["cell_count"]
    copy = object.__new__(type(field))
    for name in [
        "key",
        "name",
        "quantity",
        "role",
        "enabled",
        "hardware",
        "index",
        "options",
        "since",
        "until",
        "private",
        "block",
        "codec",
        "limits",
        "tier",
        "writable",
        "by_action",
        "twin_enabled",
        "ambiguous",
    ]:  # a list of twenty quoted words says no more
        object.__setattr__(copy, name, getattr(field, name))
    object.__setattr__(copy, "address", register)
    object.__setattr__(change, "field", copy)
    return change


@pytest.mark.parametrize("register", [0x1600, 0x1604, 0x1610, 0x1618, 0x161A, 0x1626])
def test_not_even_a_forged_change_reaches_an_action(register: int) -> None:
    bus = bus_of(1)
    bus.run(5)
    change = forged(register)
    # So that it is read, as a forged row of the settings block would be.
    assert change.field.block is Block.SETTINGS
    request = change.request(bytes(4))
    assert request.register == register
    with pytest.raises(NotWritableError):
        bus.master.line.send(request, bus.now, 1.0)
    assert bus.line.bank.dangerous == []


def test_random_requests_never_pass_but_as_what_they_are() -> None:
    random = Random(5)
    for _ in range(20_000):
        request = WriteRequest(
            random.randint(-2, 20),
            random.choice(
                (random.randrange(0x10000), random.randrange(0x1600, 0x1630))
            ),
            random.choice((bytes(2), bytes(4), random.randbytes(random.randint(0, 6)))),
        )
        if not passes(request):
            continue
        assert 0 <= request.address <= 15
        assert len(request.data) == (VENDOR | ACTIONS)[request.register]


def test_what_a_master_sends_passes() -> None:
    bus = bus_of(1, 2)
    bus.run(30)
    assert {request.register for _, request in requests(bus)} == {
        trigger(1, block).register for block in Block
    }
    assert Ask(Block.LIVE).block.trigger in ACTIONS


def test_the_rows_that_a_change_takes_are_those_that_may_leave() -> None:
    for field in BY_KEY.values():
        values: list[Any] = [True, 16, *field.options[:1]]
        if field.limits:
            values.append(field.limits.minimum)
        for value in values:
            try:
                request = Change(1, field, value).request(bytes(2 * field.words))
            except NotWritableError, InvalidValueError:
                continue
            assert passes(request)
