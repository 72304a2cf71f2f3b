"""What reads bytes or texts from outside, and what must hold whatever it is given."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
import json
from math import isfinite
from typing import Any, Final

from custom_components.jkbms.protocol.ble import stream as ble_stream
from custom_components.jkbms.protocol.ble.frames import Order
from custom_components.jkbms.protocol.ble.machine import BleMaster
from custom_components.jkbms.protocol.ble.masking import BleMasker
from custom_components.jkbms.protocol.can import inverter, native
from custom_components.jkbms.protocol.can.inverter import OF_INVERTERS
from custom_components.jkbms.protocol.can.machine import CanListener
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.can.survey import CanSurvey
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.features import Features
from custom_components.jkbms.protocol.frames import (
    Discarded,
    Frame,
    ReadRequest,
    build_frame,
)
from custom_components.jkbms.protocol.insight import Insight
from custom_components.jkbms.protocol.inverter.languages import Language
from custom_components.jkbms.protocol.inverter.limits import Rules
from custom_components.jkbms.protocol.inverter.teller import Teller
from custom_components.jkbms.protocol.learnt import LearntLimits
from custom_components.jkbms.protocol.listener import Listener
from custom_components.jkbms.protocol.masking import Piece, masked_frame
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import MODBUS_TCP, NETWORK, SERIAL
from custom_components.jkbms.protocol.recording import (
    is_recording,
    of_diagnostics,
    pieces,
)
from custom_components.jkbms.protocol.settings_record import SettingsRecord
from custom_components.jkbms.protocol.state import BmsState
from custom_components.jkbms.protocol.stream import Framer
from custom_components.jkbms.protocol.survey import Survey
from custom_components.jkbms.protocol.ttl import stream as ttl_stream
from custom_components.jkbms.protocol.ttl.decode import decode
from custom_components.jkbms.protocol.ttl.machine import TtlMaster
from custom_components.jkbms.transport.can_record import SIZE, RecordFramer

_PIECE_TIME: Final = 0.02
_WATCHED: Final = 30.0
"""Seconds for which a machine is driven after the last byte."""
_SPINS: Final = 200
"""Steps without a pause that are no accident any more."""
_KINDS: Final = (str, bool, int, float, datetime, date, tuple, type(None))
_CONTENT: Final = 294
_CAN_IDS: Final = (*native.BY_ID, *inverter.BY_ID, *OF_INVERTERS, 0x123, 0x1ABC_DEF0)
"""What packs, banks and inverters say, and two that nobody knows."""
_LONGEST_STANDARD: Final = 0x7FF

type Target = Callable[[bytes], None]


class Violation(AssertionError):
    """Something that must hold does not."""


def _holds(condition: bool, what: str) -> None:
    if not condition:
        raise Violation(what)


def parts(data: bytes) -> Iterator[bytes]:
    """Yield all but the first byte in pieces whose size that one tells."""
    size = 1 + (data[0] if data else 0)
    for at in range(1, len(data), size):
        yield data[at : at + size]


def _sane(values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        _holds(isinstance(value, _KINDS), f"{key} is a {type(value).__name__}")
        if isinstance(value, float):
            _holds(isfinite(value), f"{key} is {value}")


# -- streams --------------------------------------------------------------------------


def rs485(data: bytes) -> None:
    """All bytes are accounted for, and a frame has its sum."""
    framer = Framer()
    framer.expect_read(ReadRequest(1, 0x1200, 62))
    items = [item for part in parts(data) for item in framer.feed(part)]
    items += framer.flush()
    told = 0
    for item in items:
        match item:
            case Discarded(count):
                told += count
            case Frame(frame):
                told += len(frame)
                _holds(sum(frame[:-1]) % 256 == frame[-1], "a frame without its sum")
                masked_frame(frame)
            case _:
                told += len(item.encode())
    _holds(told == len(data[1:]), "bytes were lost or invented")
    _holds(not framer.incomplete, "something is held for good")


def ble(data: bytes) -> None:
    """All bytes are accounted for, and no message shows more than there was."""
    framer, masker = ble_stream.Framer(), BleMasker()
    told = 0
    items = [item for part in parts(data) for item in framer.feed(part)]
    for item in (*items, *framer.flush()):
        told += len(item.encode() if isinstance(item, Order) else item.data)
    _holds(told == len(data[1:]), "bytes were lost or invented")
    for number, part in enumerate(parts(data)):
        list(masker.feed(Piece(_PIECE_TIME * number, False, part)))
    list(masker.flush())


def ttl(data: bytes) -> None:
    """All bytes are accounted for."""
    framer = ttl_stream.Framer()
    items = [item for part in parts(data) for item in framer.split(part)]
    items += framer.split(final=True)
    told = sum(one if isinstance(one, int) else len(one.encode()) for one in items)
    _holds(told == len(data[1:]), "bytes were lost or invented")


def records(data: bytes) -> None:
    """Records of 13 bytes are cut from whatever a gateway sends."""
    framer = RecordFramer()
    found = [message for part in parts(data) for message in framer.feed(part)]
    read = SIZE * (len(found) + framer.remote) + framer.skipped
    _holds(read <= len(data), "bytes were invented")
    _holds(all(len(one.data) <= 8 for one in found), "a frame of more than 8 bytes")


# -- blocks ---------------------------------------------------------------------------


def block(data: bytes) -> None:
    """Any block with a right sum is decoded, doubted or refused."""
    state = BmsState()
    kind = tuple(Block)[data[0] % 3] if data else Block.LIVE
    # As if the line were damaged, too: then it is compared with the one before.
    for number, noisy in enumerate((False, False, True, True)):
        part = data[1 + number * 8 :][:_CONTENT].ljust(_CONTENT - 1, b"\0")
        frame = build_frame(kind.frame_type, part[: _CONTENT - 1])
        state.take_frame(Frame(frame), kind, float(number), noisy=noisy)
        _sane(state.values)


def ttl_content(data: bytes) -> None:
    """The content of an answer with a right sum is decoded or refused."""
    if (found := decode(data)) is not None:
        _sane(found.values)


# -- machines -------------------------------------------------------------------------


def _driven(machine: Any, heard: Iterable[Any], silence: Any) -> None:
    """Drive a machine with what is heard; it lets time pass, and believes only what can be."""
    now = 100.0
    machine.connected(now)
    for one in heard:
        now += _PIECE_TIME
        machine.advance(now, one)
    end, spins = now + _WATCHED, 0
    while now < end:
        step = machine.advance(now, silence)
        spins = spins + 1 if step.wake <= now else 0
        _holds(spins < _SPINS, "it does not let time pass")
        if step.anew:
            machine.disconnected(now)
            machine.connected(now)
        now = max(now, min(step.wake, end))
    machine.disconnected(now)
    for station in machine.stations.values():
        _sane(station.state.values)


def listener(data: bytes) -> None:
    """Who only listens hears anything."""
    _driven(Listener((), NETWORK, ask_device_info=True), parts(data), b"")


def master(data: bytes) -> None:
    """Who asks is answered anything."""
    _driven(Master((0, 1), Plan(live=1.0), SERIAL, 100.0), parts(data), b"")


def registers(data: bytes) -> None:
    """Who reads by registers is answered anything."""
    _driven(Master((1, 2), Plan(live=1.0), MODBUS_TCP, 100.0), parts(data), b"")


def bluetooth(data: bytes) -> None:
    """A pack on Bluetooth notifies anything."""
    _driven(BleMaster((), 100.0), parts(data), b"")


def older(data: bytes) -> None:
    """Who asks in the older protocol is answered anything."""
    _driven(TtlMaster((0, 1), SERIAL, 100.0, interval=5.0), parts(data), b"")


def survey(data: bytes) -> None:
    """What a line is, is told of any bytes."""
    looking = Survey()
    for part in parts(data):
        looking.hear(part)
    looking.finish()


def _messages(data: bytes) -> Iterator[list[CanMessage]]:
    """Yield CAN messages, eleven bytes of the input for each."""
    for at in range(0, len(data) - 10, 11):
        which = int.from_bytes(data[at : at + 2])
        length, *content = data[at + 2 : at + 11]
        code = _CAN_IDS[which % len(_CAN_IDS)]
        extended = (code > _LONGEST_STANDARD) is not (length > 250)
        yield [CanMessage(code, bytes(content[: length % 9]), extended)]


def can(data: bytes) -> None:
    """A CAN bus carries anything."""
    messages = list(_messages(data))
    looking = CanSurvey()
    teller = Teller(Language.GROWATT, Rules())
    teller.begin(0.0)
    for number, one in enumerate(messages):
        looking.hear(one)
        now = _PIECE_TIME * number
        teller.hear(one, now)
        teller.advance(now)
    looking.finish()
    _driven(CanListener((1,)), messages, ())


# -- texts ----------------------------------------------------------------------------


def stored(data: bytes) -> None:
    """What was stored is taken up as far as it makes sense."""
    try:
        content = json.loads(data)
    except ValueError, RecursionError:
        return
    insight, record = Insight(), SettingsRecord()
    insight.load(content)
    record.load(content, "15.41")
    LearntLimits.load(content, "15.41")
    json.dumps([insight.dump(), record.dump()], allow_nan=False)
    if isinstance(content, dict):
        with suppress(ValueError):
            Features.load(content)


def recording(data: bytes) -> None:
    """A file is a recording, or refused with a sentence."""
    text = data.decode("utf-8", "replace")
    found = of_diagnostics(text) or {}
    lines = [*found.values(), text.splitlines()] if is_recording(text) else []
    for one in lines:
        with suppress(ValueError):
            for piece in pieces(one):
                _holds(0 <= piece.time < 1e12, "a time that is none")


TARGETS: Final[dict[str, Target]] = {
    target.__name__: target
    for target in (
        *(rs485, ble, ttl, records, block, ttl_content, listener, master),
        *(registers, bluetooth, older, survey, can, stored, recording),
    )
}
"""By the name of the command line."""
