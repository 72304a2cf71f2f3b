"""Every capture decodes to what its source states; what is damaged yields nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.attribution import Attributed, Attributor
from custom_components.jkbms.protocol.codecs import Value
from custom_components.jkbms.protocol.datum import BLOCK_OF_TYPE, Block, Firmware
from custom_components.jkbms.protocol.derived import cells, derive
from custom_components.jkbms.protocol.frames import (
    Ack,
    Discarded,
    ExceptionReply,
    Frame,
    Item,
    ReadReply,
    ReadRequest,
    WriteRequest,
)
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    Layout,
    decode_block,
    decode_registers,
    recognise,
)
from custom_components.jkbms.protocol.logbook import log_count, log_events
from custom_components.jkbms.protocol.plausibility import implausible
from custom_components.jkbms.protocol.stream import Framer

from ..captures import (
    Capture,
    GoldenFrame,
    bus_streams,
    frames,
    golden_frames,
    modbus_exchanges,
)
from .expectations import (
    OUTSIDE,
    SETTINGS,
    TEMPERATURES_24S,
    TEMPERATURES_32S,
    read_expected,
)
from .helpers import framed

NOT_STATED_AS_A_FRAME: Final = 0x05
FRAMES: Final = {capture.id: capture for capture in frames()}
STREAMS: Final = {capture.id: capture for capture in bus_streams()}
EXCHANGES: Final = {capture.id: capture for capture in modbus_exchanges()}
LAYOUTS: Final = {
    "JK02_32S": Layout.JK02_32S,
    "JK02_24S": Layout.JK02_24S,
    "JK04": Layout.JK04,
}


def of_kind[T](items: Iterable[object], kind: type[T]) -> list[T]:
    return [item for item in items if isinstance(item, kind)]


def attributed(data: bytes) -> list[Attributed]:
    attributor = Attributor()
    heard = [*attributor.feed(framed(data)), *attributor.flush()]
    return of_kind(heard, Attributed)


def decoded(frame: bytes, firmware: str | None) -> dict[str, Value]:
    block = BLOCK_OF_TYPE[frame[4]]
    layout = recognise(frame)
    assert layout is not None
    values = decode_block(
        frame, block, layout, firmware=Firmware.parse(firmware), offset=FRAME_HEAD
    )
    return values | derive(values) if block is Block.LIVE else values


def the_frame(capture: Capture) -> Frame:
    (frame,) = of_kind(framed(capture.data), Frame)
    return frame


def ids(captures: Mapping[str, Capture], **wanted: Any) -> list[str]:
    return [
        c.id
        for c in captures.values()
        if all(getattr(c, name) == value for name, value in wanted.items())
    ]


@pytest.mark.parametrize("name", FRAMES)
def test_a_captured_frame_is_recognised_by_its_content(name: str) -> None:
    capture = FRAMES[name]
    frame = the_frame(capture)
    assert frame.data == capture.data[:300]
    if frame.type in BLOCK_OF_TYPE:
        expected = LAYOUTS[capture.layout]
        if expected is Layout.JK04 and frame.type == Block.DEVICE.frame_type:
            # The device frames of both older boards are alike (ble.md 4).
            expected = Layout.JK02_24S
        assert recognise(frame.data) is expected


@pytest.mark.parametrize(
    "name",
    [
        c.id
        for c in FRAMES.values()
        if c.data[4] in BLOCK_OF_TYPE and c.layout != "JK04"
    ],
)
def test_a_captured_frame_says_what_its_source_states(name: str) -> None:
    capture = FRAMES[name]
    values = decoded(capture.data[:300], capture.firmware)
    expected = dict(capture.expected)
    settings = expected.pop("settings", {})
    temperatures = expected.pop("temp_at_offset_c", {})
    heating = expected.pop("one_of_heat_current_a", None)
    if isinstance(named := expected.get("cell_voltages_v"), dict):
        expected.pop("cell_voltages_v")
        assert {cell: cells(values)[int(cell)] for cell in named} == named
    ours = {key: read_expected(key, values) for key in expected if key not in OUTSIDE}
    stated = {key: value for key, value in expected.items() if key not in OUTSIDE}
    assert ours == pytest.approx(stated, abs=1e-6)
    assert {key: values[SETTINGS[key]] for key in settings} == pytest.approx(settings)
    places = TEMPERATURES_24S if capture.layout == "JK02_24S" else TEMPERATURES_32S
    assert {at: values[places[at]] for at in temperatures} == temperatures
    if heating is not None:
        assert values["heating_current"] in heating


@pytest.mark.parametrize(
    "name", [c.id for c in FRAMES.values() if c.data[4] in BLOCK_OF_TYPE]
)
def test_a_captured_frame_is_plausible(name: str) -> None:
    capture = FRAMES[name]
    block = BLOCK_OF_TYPE[capture.data[4]]
    assert implausible(block, decoded(capture.data[:300], capture.firmware)) is None


@pytest.mark.parametrize("name", ids(FRAMES, layout="JK04"))
def test_the_oldest_boards_say_what_their_source_states(name: str) -> None:
    capture = FRAMES[name]
    if capture.data[4] == Block.DEVICE.frame_type:
        values = decoded(capture.data[:300], capture.firmware)
        expected = dict(capture.expected)
        if text := expected.pop("uptime_text", None):
            days, rest = text.split("D")
            hours, minutes = rest.split("H")
            uptime = timedelta(
                days=int(days), hours=int(hours), minutes=int(minutes.split("M")[0])
            )
            assert values["device_runtime"] == uptime.total_seconds()
        assert {key: read_expected(key, values) for key in expected} == expected
        return
    values = decoded(capture.data[:300], capture.firmware)
    expected = dict(capture.expected)
    for cell, volts in expected.pop("cell_voltages_v", {}).items():
        # Its publisher rounds.
        assert values[f"cell_voltage_{cell}"] == pytest.approx(volts, abs=0.0005)
    assert {key: read_expected(key, values) for key in expected} == expected
    volts = cells(values).values()
    if volts:
        # What the frame itself says of its cells, sampled at another moment.
        mean, delta = (
            values[f"bms_{key}_cell_voltage"] for key in ("average", "delta")
        )
        assert sum(volts) / len(volts) == pytest.approx(mean, abs=0.001)
        assert max(volts) - min(volts) == pytest.approx(delta, abs=0.005)


def test_a_captured_log_reads_as_its_source_states() -> None:
    capture = FRAMES["syssi-logbook-05"]
    frame = the_frame(capture)
    assert frame.type == NOT_STATED_AS_A_FRAME
    assert recognise(frame.data) is None
    assert log_count(frame.data) == capture.expected["log_count"]
    entries = [[event.runtime, event.code] for event in log_events(frame.data)]
    assert entries == capture.expected["entries"]


@pytest.mark.parametrize("name", [c.id for c in FRAMES.values() if len(c.data) == 308])
def test_the_ack_behind_a_captured_frame_names_its_sender(name: str) -> None:
    capture = FRAMES[name]
    (heard,) = attributed(capture.data)
    assert heard.acknowledged
    expected = capture.expected.get("device_address")
    assert expected is None or heard.address == expected
    if heard.frame.type == Block.SETTINGS.frame_type and expected is not None:
        assert decoded(heard.frame.data, None)["device_address"] == expected


def test_the_settings_of_a_captured_pack_name_its_address() -> None:
    capture = FRAMES["venus-bat3-settings"]
    values = decoded(capture.data, capture.firmware)
    assert values["device_address"] == capture.expected["device_address"]


@pytest.mark.parametrize("golden", golden_frames(), ids=lambda g: g.id)
def test_a_golden_frame_is_found_and_plausible(golden: GoldenFrame) -> None:
    items = framed(golden.data + (golden.ack or b""))
    assert isinstance(items[0], Frame)
    assert items[0].type == golden.type
    assert [type(item) for item in items[1:]] == [Ack] * (golden.ack is not None)
    if golden.type in BLOCK_OF_TYPE:
        block = BLOCK_OF_TYPE[golden.type]
        values = decoded(golden.data, None)
        assert implausible(block, values) is None


# -- whole lines --------------------------------------------------------------------


def census(items: Iterable[Item]) -> Counter[str]:
    counted = Counter[str]()
    for item in items:
        match item:
            case Frame():
                counted[f"F{item.type:02}"] += 1
            case Ack():
                counted["ACK"] += 1
            case WriteRequest():
                counted["REQ"] += 1
            case Discarded(count=count):
                counted["discarded"] += count
            case _:
                counted["other"] += 1
    return counted


CENSUS: Final = {
    # id: requests, live frames, settings frames, ACKs, bytes that are nothing.
    # The recorder of phinix counts 4 bytes of the frame cut in two as a head of its own.
    "phinix-bus-full": (202, 26, 25, 52, 331),
    "phinix-bus-start": (6, 2, 1, 4, 331),
    "phinix-readme-cycle": (16, 2, 2, 4, 0),
    "mpp-bus-084342": (5, 2, 2, 4, 0),
    "mpp-bus-084252-tail": (1, 1, 1, 1, 0),
    "mpp-bus-084232-truncated": (0, 0, 0, 0, 204),
    "mpp-bus-084414-readdressed": (136, 16, 16, 32, 0),
    "mpp-bus-102915": (57, 6, 7, 13, 0),
    "mpp-bus-103005": (56, 7, 7, 14, 0),
    "mpp-bus-103114": (97, 12, 12, 24, 0),
    "mpp-bus-capture-head": (203, 26, 25, 51, 0),
    "venus-stream-echo-padding": (1, 1, 0, 1, 1),
}


@pytest.mark.parametrize("size", [1, 7, 32, 100_000])
@pytest.mark.parametrize("name", STREAMS)
def test_a_captured_line_is_cut_into_what_was_sent(name: str, size: int) -> None:
    requests, live, settings, acks, discarded = CENSUS[name]
    data = STREAMS[name].data
    items = framed(data, [size] * (len(data) // size))
    assert census(items) == Counter(
        REQ=requests, F02=live, F01=settings, ACK=acks, discarded=discarded
    )
    assert all(i.data in data for i in items if isinstance(i, Frame))


@pytest.mark.parametrize("name", STREAMS)
def test_every_frame_of_a_captured_line_finds_its_sender(name: str) -> None:
    expected = STREAMS[name].expected
    heard = attributed(STREAMS[name].data)
    senders = {item.address for item in heard}
    if "responding_slaves" in expected:
        assert senders - {0} == set(expected["responding_slaves"])
        assert 0 in senders
    if "master_address" in expected:
        assert expected["master_address"] in senders
    if "device_address" in expected:
        assert senders == {expected["device_address"]}
    if "complete_frames" in expected:
        assert len(heard) == expected["complete_frames"]
    polled = {r.address for r in of_kind(framed(STREAMS[name].data), WriteRequest)}
    assert polled >= set(expected.get("polled_addresses", ()))
    for item in heard:
        if item.frame.type == Block.SETTINGS.frame_type:
            assert decoded(item.frame.data, None)["device_address"] == item.address


def test_every_frame_but_the_last_of_a_cut_line_is_acknowledged() -> None:
    heard = attributed(STREAMS["mpp-bus-084252-tail"].data)
    assert [(h.frame.type, h.address, h.acknowledged) for h in heard] == [
        (1, 0, True),
        (2, 1, False),
    ]


def test_a_captured_cycle_has_the_segments_that_its_source_names() -> None:
    capture = STREAMS["phinix-readme-cycle"]
    sizes = {"Frame": 300, "Ack": 8, "WriteRequest": 11}
    segments = capture.expected["segments"]
    assert [sizes[type(item).__name__] for item in framed(capture.data)] == [
        size for _, size in segments
    ]
    senders = [
        "master" if h.address == 0 else "slave  01" for h in attributed(capture.data)
    ]
    assert senders == [sender for sender, size in segments if size == 300]


def test_a_pack_whose_dip_switch_is_moved_answers_at_its_new_address() -> None:
    heard = attributed(STREAMS["mpp-bus-084414-readdressed"].data)
    slaves = [item.address for item in heard if item.address]
    assert slaves == [1] * 6 + [3] * 10


def test_settings_cut_in_two_by_another_frame_are_dropped() -> None:
    heard = attributed(STREAMS["phinix-bus-start"].data)
    assert [(h.frame.type, h.address) for h in heard] == [(2, 0), (1, 0), (2, 1)]


def test_the_end_of_a_frame_alone_is_nothing() -> None:
    data = STREAMS["mpp-bus-084232-truncated"].data
    assert framed(data) == [Discarded(204)]


# -- Modbus -------------------------------------------------------------------------


def exchanged(capture: Capture) -> Item:
    """Return the one message of a capture, told of its request where there is one."""
    framer = Framer()
    if capture.request is not None:
        (asked,) = framer.feed(capture.request)
        assert isinstance(asked, ReadRequest)
    (item,) = framer.feed(capture.data) or framer.flush()
    return item


@pytest.mark.parametrize("name", ids(EXCHANGES, checksum_ok=True))
def test_a_captured_message_reads_as_its_source_states(name: str) -> None:
    capture = EXCHANGES[name]
    item = exchanged(capture)
    expected = dict(capture.expected)
    value = expected.pop("value", None)
    match item:
        case WriteRequest(address=address, register=register, data=data):
            ours = {
                "slave": address,
                "function": 0x10,
                "register": register,
                "quantity": item.words,
                "byte_count": len(data),
            }
            if value is not None:
                (written,) = decode_registers(register, data).values()
                assert written == {"ON": True, "OFF": False}.get(value, value)
        case Ack(address=address, register=register, words=words):
            ours = {
                "slave": address,
                "function": 0x10,
                "register": register,
                "quantity": words,
            }
        case ReadRequest(address=address, register=register, words=words):
            ours = {
                "slave": address,
                "function": 0x03,
                "register": register,
                "quantity": words,
            }
        case ReadReply(address=address, data=data):
            ours = {"slave": address, "function": 0x03, "byte_count": len(data)}
        case _:
            pytest.fail(f"{item} was not expected")
    assert {key: ours[key] for key in expected} == expected
    assert item.encode() == capture.data


@pytest.mark.parametrize(
    "name", [c.id for c in EXCHANGES.values() if c.answer is not None]
)
def test_a_captured_acknowledgement_belongs_to_its_write(name: str) -> None:
    capture = EXCHANGES[name]
    request = exchanged(capture)
    assert capture.answer is not None
    (ack,) = framed(capture.answer)
    assert isinstance(request, WriteRequest)
    assert isinstance(ack, Ack)
    # The vendor's own document prints the ACK of a live trigger there (rs485.md 2.9).
    slip = name == "modbus-vendor-w1078-2"
    assert request.acknowledged_by(ack) is not slip


def test_an_exception_with_a_wrong_crc_is_nothing() -> None:
    capture = EXCHANGES["venus-exception-3"]
    assert not capture.checksum_ok
    assert framed(capture.data) == [Discarded(len(capture.data))]
    mended = ExceptionReply(capture.expected["slave"], 0x10, 1).encode()
    (item,) = framed(mended)
    assert isinstance(item, ExceptionReply)
    assert item.code == capture.expected["exception_code"]


def test_captured_reads_decode_to_the_values_of_their_registers() -> None:
    cells, pack = EXCHANGES["modbus-air179-1-rsp"], EXCHANGES["modbus-air179-2-rsp"]
    first, second = exchanged(cells), exchanged(pack)
    assert isinstance(first, ReadReply)
    assert isinstance(second, ReadReply)
    assert decode_registers(0x106C, first.data) == {
        "cell_count": 12,
        "charging_switch": True,
    }
    assert decode_registers(0x1290, second.data) == {
        "total_voltage": 49.193,
        "bms_power": 0.0,
    }
